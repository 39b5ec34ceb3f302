"""POST /api/documents/{document_id}/reprocess: reads a document anew."""

from shared.audit import Caller
from shared.documents import reprocessing
from shared.documents.models import Document
from shared.faas import Call, endpoint


@endpoint(
    "POST",
    "/api/documents/{document_id}/reprocess",
    auth="user",
    scope="documents:write",
    returns=Document,
    status=202,
    errors=["not_found", "upload_incomplete", "object_mismatch"],
)
async def reprocess_document(call: Call) -> Document:
    return await reprocessing.reprocess(call.db, call.path.document_id, caller=Caller.of(call))
