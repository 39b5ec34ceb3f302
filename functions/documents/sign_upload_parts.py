"""POST /api/documents/{document_id}/upload/parts: URLs that each take one part of an upload."""

from shared.documents import uploads
from shared.documents.models import SignedParts, SignParts
from shared.faas import Call, endpoint


@endpoint(
    "POST",
    "/api/documents/{document_id}/upload/parts",
    auth="user",
    scope="documents:write",
    body=SignParts,
    returns=SignedParts,
    errors=["not_found", "upload_finished"],
)
async def sign_upload_parts(call: Call[SignParts]) -> SignedParts:
    return await uploads.sign_parts(call.db, call.path.document_id, call.body)
