"""GET /api/topics: the caller's topics, by name."""

from shared.documents import topics
from shared.documents.topic_models import Topic
from shared.faas import Call, Page, PageQuery, endpoint


@endpoint("GET", "/api/topics", auth="user", scope="topics:read", query=PageQuery, returns=Page[Topic], errors=["invalid_cursor"])
async def list_topics(call: Call[None, PageQuery]) -> Page[Topic]:
    return await topics.list_page(call.db, limit=call.query.limit, cursor=call.query.cursor)
