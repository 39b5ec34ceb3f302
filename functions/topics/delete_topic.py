"""DELETE /api/topics/{topic_id}: removes a topic; its documents stay."""

from shared.documents import topics
from shared.faas import Call, endpoint


@endpoint("DELETE", "/api/topics/{topic_id}", auth="user", scope="topics:write", errors=["not_found"])
async def delete_topic(call: Call) -> None:
    await topics.delete(call.db, call.path.topic_id)
