"""GET /api/documents/{document_id}/upload: an upload under way, freshly signed, to resume it."""

from shared.documents import uploads
from shared.documents.models import ResumableUpload
from shared.faas import Call, endpoint


@endpoint(
    "GET",
    "/api/documents/{document_id}/upload",
    auth="user",
    scope="documents:write",
    returns=ResumableUpload,
    errors=["not_found", "upload_finished"],
)
async def get_upload(call: Call) -> ResumableUpload:
    return await uploads.resume(call.db, call.path.document_id)
