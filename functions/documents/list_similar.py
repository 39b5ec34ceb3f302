"""GET /api/documents/{document_id}/similar: the caller's documents that are most like one of them."""

from pydantic import Field

from shared.documents import library, listing
from shared.documents.listing import Filters
from shared.documents.models import DocumentHit
from shared.faas import Call, Page, PageQuery, endpoint
from shared.search import page
from shared.search.similar import find_similar


class SimilarQuery(PageQuery):
    """How many, and behind which."""

    cursor: str | None = Field(default=None, max_length=page.CURSOR_LIMIT)
    limit: int = Field(default=10, ge=1, le=50)


@endpoint(
    "GET",
    "/api/documents/{document_id}/similar",
    auth="user",
    scope="documents:read",
    query=SimilarQuery,
    returns=Page[DocumentHit],
    errors=["not_found", "invalid_cursor"],
)
async def list_similar(call: Call[None, SimilarQuery]) -> Page[DocumentHit]:
    document = await library.get(call.db, call.path.document_id)
    binding = {"list": "similar", "owner": call.db.owner_id, "document": document.id}
    found = await find_similar(call.db, document.id, listing.source(call.db, Filters()), call.query.limit, binding, call.query.cursor)
    return Page[DocumentHit](items=[listing.as_hit(hit) for hit in found.hits], next_cursor=found.next_cursor)
