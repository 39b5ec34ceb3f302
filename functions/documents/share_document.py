"""POST /api/documents/{document_id}/shares: a link that gives the document to whoever has it; it is shown this once."""

from shared.audit import Caller
from shared.documents import shares
from shared.documents.share_models import CreatedShare, NewShare
from shared.faas import Call, endpoint


@endpoint(
    "POST",
    "/api/documents/{document_id}/shares",
    auth="user",
    scope="documents:write",
    body=NewShare,
    returns=CreatedShare,
    status=201,
    errors=["not_found", "upload_incomplete", "object_mismatch", "limit_reached"],
    idempotent=True,
    secret_answer=True,
)
async def share_document(call: Call[NewShare]) -> CreatedShare:
    return await shares.create(call.db, call.path.document_id, call.body, caller=Caller.of(call))
