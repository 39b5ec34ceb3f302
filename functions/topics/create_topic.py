"""POST /api/topics: a new topic."""

from shared.documents import topics
from shared.documents.topic_models import NewTopic, Topic
from shared.faas import Call, endpoint


@endpoint(
    "POST",
    "/api/topics",
    auth="user",
    scope="topics:write",
    body=NewTopic,
    returns=Topic,
    status=201,
    errors=["topic_exists", "limit_reached", "not_found"],
    idempotent=True,
    subject=lambda topic: topic.id,
)
async def create_topic(call: Call[NewTopic]) -> Topic:
    return await topics.create(call.db, call.body)
