"""DELETE /api/documents/{document_id}/shares/{share_id}: the link opens nothing any more, at once."""

from shared.audit import Caller
from shared.documents import shares
from shared.faas import Call, endpoint


@endpoint("DELETE", "/api/documents/{document_id}/shares/{share_id}", auth="user", scope="documents:write", errors=["not_found"])
async def revoke_share(call: Call) -> None:
    await shares.revoke(call.db, call.path.document_id, call.path.share_id, caller=Caller.of(call))
