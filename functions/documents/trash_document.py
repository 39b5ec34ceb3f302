"""DELETE /api/documents/{document_id}: puts a document into the trash; one still uploading is given up, as abort_upload does."""

from shared.audit import Caller
from shared.documents import library
from shared.faas import Call, endpoint


@endpoint("DELETE", "/api/documents/{document_id}", auth="user", scope="documents:write", errors=["not_found"])
async def trash_document(call: Call) -> None:
    await library.trash(call.db, call.path.document_id, caller=Caller.of(call))
