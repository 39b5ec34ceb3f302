"""GET /api/documents/{document_id}/ai-preview: exactly what a classification of this document would send now, and to whom."""

from shared.documents import ai_requests
from shared.documents.ai_models import Preview
from shared.faas import Call, endpoint


@endpoint(
    "GET",
    "/api/documents/{document_id}/ai-preview",
    auth="user",
    scope="ai:read",
    returns=Preview,
    errors=["not_found", "not_read_yet", "ai_not_allowed"],
)
async def preview_ai_call(call: Call) -> Preview:
    return await ai_requests.preview(call.db, call.path.document_id)
