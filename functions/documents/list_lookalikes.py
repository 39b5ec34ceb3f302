"""GET /api/documents/lookalikes: pairs of the caller's documents that look like one paper, the most alike first."""

from shared.documents import lookalikes
from shared.documents.lookalike_models import LookalikePair
from shared.faas import Call, Page, PageQuery, endpoint


@endpoint(
    "GET",
    "/api/documents/lookalikes",
    auth="user",
    scope="documents:read",
    query=PageQuery,
    returns=Page[LookalikePair],
    errors=["invalid_cursor"],
)
async def list_lookalikes(call: Call[None, PageQuery]) -> Page[LookalikePair]:
    return await lookalikes.list_page(call.db, call.query)
