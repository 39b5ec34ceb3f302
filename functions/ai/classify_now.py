"""POST /api/documents/{document_id}/classify: has the document classified again, before all that waits."""

from shared.documents import ai_requests
from shared.documents.models import Document
from shared.faas import Call, endpoint


@endpoint(
    "POST",
    "/api/documents/{document_id}/classify",
    auth="user",
    scope="ai:write",
    returns=Document,
    status=202,
    errors=["not_found", "not_read_yet", "ai_not_allowed"],
)
async def classify_now(call: Call) -> Document:
    return await ai_requests.classify_now(call.db, call.path.document_id)
