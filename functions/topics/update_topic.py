"""PATCH /api/topics/{topic_id}: changes a topic."""

from shared.documents import topics
from shared.documents.topic_models import Topic, TopicChange
from shared.faas import Call, endpoint


@endpoint(
    "PATCH",
    "/api/topics/{topic_id}",
    auth="user",
    scope="topics:write",
    body=TopicChange,
    returns=Topic,
    errors=["not_found", "topic_exists"],
)
async def update_topic(call: Call[TopicChange]) -> Topic:
    return await topics.update(call.db, call.path.topic_id, call.body)
