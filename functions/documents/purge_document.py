"""DELETE /api/documents/{document_id}/permanent: removes a document of the trash for good."""

from shared.audit import Caller
from shared.documents import purging
from shared.faas import Call, endpoint


@endpoint(
    "DELETE",
    "/api/documents/{document_id}/permanent",
    auth="user",
    scope="documents:write",
    status=202,
    errors=["not_found", "not_in_trash"],
)
async def purge_document(call: Call) -> None:
    await purging.purge(call.db, call.path.document_id, caller=Caller.of(call))
