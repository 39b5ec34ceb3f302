"""GET /api/documents/{document_id}/proposals: the title, sender and date that were read from the document, open ones first."""

from shared.documents import proposals
from shared.documents.ai_models import Proposal
from shared.faas import Call, Page, PageQuery, endpoint


@endpoint(
    "GET",
    "/api/documents/{document_id}/proposals",
    auth="user",
    scope="ai:read",
    query=PageQuery,
    returns=Page[Proposal],
    errors=["not_found", "invalid_cursor"],
)
async def list_proposals(call: Call[None, PageQuery]) -> Page[Proposal]:
    return await proposals.page(call.db, call.path.document_id, call.query)
