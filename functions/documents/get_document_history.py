"""GET /api/documents/{document_id}/history: every step taken for a document."""

from shared.documents import step_history
from shared.documents.models import Step
from shared.faas import Call, Page, endpoint


@endpoint("GET", "/api/documents/{document_id}/history", auth="user", scope="documents:read", returns=Page[Step], errors=["not_found"])
async def get_document_history(call: Call) -> Page[Step]:
    return Page(items=await step_history.history(call.db, call.path.document_id))
