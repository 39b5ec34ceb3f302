"""POST /api/documents/{document_id}/suggest-topics: new topics that would fit the document."""

from shared.documents import ai_requests
from shared.documents.ai_models import Ideas
from shared.faas import AtOnce, Call, endpoint


@endpoint(
    "POST",
    "/api/documents/{document_id}/suggest-topics",
    auth="user",
    scope="ai:write",
    returns=Ideas,
    errors=["not_found", "not_read_yet", "ai_not_allowed", "budget_exceeded"],
    at_once=AtOnce(account=4, address=16),
)
async def suggest_topics(call: Call) -> Ideas:
    return await ai_requests.suggest_topics(call.db, call.path.document_id)
