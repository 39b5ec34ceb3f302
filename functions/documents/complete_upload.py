"""POST /api/documents/{document_id}/complete: the client says that the bytes are there; a lost notification then costs nothing."""

from shared.documents import uploads
from shared.documents.models import CompleteUpload, Document
from shared.faas import Call, endpoint


@endpoint(
    "POST",
    "/api/documents/{document_id}/complete",
    auth="user",
    scope="documents:write",
    body=CompleteUpload,
    returns=Document,
    status=202,
    errors=["not_found", "upload_incomplete", "object_mismatch"],
    max_body=2 * 2**20,
)
async def complete_upload(call: Call[CompleteUpload]) -> Document:
    return await uploads.complete(call.db, call.path.document_id, call.body)
