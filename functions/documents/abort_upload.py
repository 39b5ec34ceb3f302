"""DELETE /api/documents/{document_id}/upload: gives an upload up; its room is released at once."""

from shared.audit import Caller
from shared.documents import uploads
from shared.faas import Call, endpoint


@endpoint("DELETE", "/api/documents/{document_id}/upload", auth="user", scope="documents:write", errors=["not_found", "upload_finished"])
async def abort_upload(call: Call) -> None:
    await uploads.abort(call.db, call.path.document_id, caller=Caller.of(call))
