"""GET /api/documents: the caller's documents, filtered and sorted, or those that a query finds."""

from pydantic import Field

from shared.documents import listing, query_filters
from shared.documents.facets import COUNTED, of_found, of_list
from shared.documents.listing import Filters
from shared.documents.models import Document, DocumentFilter, DocumentHit, Facets, Sort
from shared.faas import Call, Page, PageQuery, endpoint
from shared.search import page
from shared.search.query import parse


class ListQuery(DocumentFilter, PageQuery):
    """Filters, sort and query of a list."""

    cursor: str | None = Field(default=None, max_length=page.CURSOR_LIMIT)
    trashed: bool = False
    sort: Sort | None = None
    facets: bool = False


class DocumentList(Page[DocumentHit]):
    """A page of documents; `facets` if they were asked for."""

    facets: Facets | None = None


class PlainList(Page[Document]):
    """The same without a query: nothing to cut a snippet for."""

    facets: Facets | None = None


@endpoint("GET", "/api/documents", auth="user", scope="documents:read", query=ListQuery, returns=DocumentList, errors=["invalid_cursor"])
async def list_documents(call: Call[None, ListQuery]) -> DocumentList | PlainList:
    asked, text = call.query, call.query.q or ""
    query = parse(text)
    filters = await query_filters.narrowed(call.db, Filters.of(asked), query.filters)
    source = listing.source(call.db, filters)
    condition = " AND ".join(source.conditions)
    facets = None
    if text.strip() and (query.groups or not query.filters):
        counted = COUNTED if asked.facets else 0
        found = await listing.find(call.db, query, text, filters, asked.sort or "-relevance", asked.limit, asked.cursor, counted=counted)
        if asked.facets:
            facets = await of_found(call.db, found.matched, condition, source.parameters)
        return DocumentList(items=[listing.as_hit(hit) for hit in found.hits], next_cursor=found.next_cursor, facets=facets)
    listed = await listing.list_documents(call.db, filters, asked.sort or "-created_at", asked.limit, asked.cursor)
    if asked.facets:
        facets = await of_list(call.db, condition, source.parameters)
    return PlainList(items=listed.items, next_cursor=listed.next_cursor, facets=facets)
