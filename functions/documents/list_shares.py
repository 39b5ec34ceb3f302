"""GET /api/documents/{document_id}/shares: the document's shares, newest first, without their links."""

from shared.documents import shares
from shared.documents.share_models import Share
from shared.faas import Call, Page, PageQuery, endpoint


@endpoint(
    "GET",
    "/api/documents/{document_id}/shares",
    auth="user",
    scope="documents:read",
    query=PageQuery,
    returns=Page[Share],
    errors=["not_found", "invalid_cursor"],
)
async def list_shares(call: Call[None, PageQuery]) -> Page[Share]:
    return await shares.list_page(call.db, call.path.document_id, call.query)
