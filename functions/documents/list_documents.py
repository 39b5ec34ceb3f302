"""GET /api/documents: the caller's documents, filtered and sorted, or those that a query finds."""

from typing import Annotated, Any
from uuid import UUID

from pydantic import Field

from shared.documents import listing
from shared.documents.listing import Filters, Sort
from shared.documents.models import Document, DocumentHit, Status
from shared.faas import Call, Line, Moment, Page, PageQuery, endpoint
from shared.search import page
from shared.search.query import QUERY_LIMIT

Several: Any = Field(default=[], max_length=50)
Name = Annotated[Line, Field(min_length=1, max_length=255)]


class ListQuery(PageQuery):
    """Filters, sort and query of a list."""

    cursor: str | None = Field(default=None, max_length=page.CURSOR_LIMIT)
    q: str | None = Field(default=None, max_length=QUERY_LIMIT)
    topic_id: list[UUID] = Several
    status: list[Status] = Several
    content_type: list[Name] = Several
    language: list[Name] = Several
    created_after: Moment | None = None
    created_before: Moment | None = None
    trashed: bool = False
    sort: Sort | None = None

    def filters(self) -> Filters:
        return Filters(
            topic_ids=tuple(self.topic_id),
            statuses=tuple(self.status),
            content_types=tuple(self.content_type),
            languages=tuple(self.language),
            created_after=self.created_after,
            created_before=self.created_before,
            trashed=self.trashed,
        )


@endpoint(
    "GET", "/api/documents", auth="user", scope="documents:read", query=ListQuery, returns=Page[DocumentHit], errors=["invalid_cursor"]
)
async def list_documents(call: Call[None, ListQuery]) -> Page[Document] | Page[DocumentHit]:
    query = call.query
    if query.q is None or not query.q.strip():
        return await listing.list_documents(call.db, query.filters(), query.sort or "-created_at", query.limit, query.cursor)
    return await listing.search_documents(call.db, query.q, query.filters(), query.sort or "-relevance", query.limit, query.cursor)
