"""POST /api/topics/{topic_id}/merge: files what is under one topic under another, and removes the first."""

from shared.documents import topics
from shared.documents.topic_models import Topic, TopicMerge
from shared.faas import Call, endpoint


@endpoint("POST", "/api/topics/{topic_id}/merge", auth="user", scope="topics:write", body=TopicMerge, returns=Topic, errors=["not_found"])
async def merge_topics(call: Call[TopicMerge]) -> Topic:
    return await topics.merge(call.db, call.path.topic_id, call.body.into)
