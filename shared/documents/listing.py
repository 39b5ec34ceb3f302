"""Lists of documents: filtered, sorted, page by page; one statement a page, or what a query finds (`shared.search`)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Self
from uuid import UUID

from shared.api import cursors
from shared.api.models import Page
from shared.db import TenantDatabase
from shared.documents.models import DOCUMENT_COLUMNS, Document, DocumentFilter, DocumentHit, Sort, Status
from shared.errors import InvalidCursor
from shared.search import page as search_page
from shared.search import query as search_query

SETTLED: tuple[Status, ...] = ("stored", "extracted", "ready", "failed")
"""What a list shows where no status is asked for: documents still `uploading` only by name."""

SORTS = {
    **{
        sign + name: (f"d.{name}", kind)
        for name, kind in (("created_at", "timestamptz"), ("filename", "text"), ("size", "bigint"))
        for sign in ("", "-")
    },
    # What is undated comes last, whichever way (migration 0089 has the indexes). Not by coalesce(), which PostgreSQL does not take for
    # leakproof: under row-level security no index would be asked where to begin.
    "issued_on": ("CASE WHEN d.issued_on IS NULL THEN 'infinity'::date ELSE d.issued_on END", "date"),
    "-issued_on": ("CASE WHEN d.issued_on IS NULL THEN '-infinity'::date ELSE d.issued_on END", "date"),
}
"""What a list is sorted by, and its type."""

WITHOUT_SEQUENTIAL_SCANS = "SET LOCAL enable_seqscan = off"
"""Everybody's documents are in one table: whatever the planner thinks of one owner's share, a page never reads all of them."""

DATED = "coalesce(d.issued_on, (d.created_at AT TIME ZONE 'UTC')::date)"
"""A document's date as people know it: the one on the paper, else the day it came."""


@dataclass(frozen=True)
class Filters:
    """The filters of a list. Several topics: all of them; several of the others: any; an empty tuple: whatever.

    `issued` is about the date on the paper; `dated` about that or, if there is none, the day it came.
    """

    topic_ids: tuple[UUID, ...] = ()
    statuses: tuple[Status, ...] = ()
    content_types: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    created_after: datetime | None = None
    created_before: datetime | None = None
    trashed: bool = False
    sender_ids: tuple[UUID, ...] = ()
    issued_after: date | None = None
    issued_before: date | None = None
    dated_after: date | None = None
    dated_before: date | None = None

    @classmethod
    def of(cls, chosen: DocumentFilter) -> Self:
        """As a client chose them."""
        return cls(
            topic_ids=tuple(chosen.topic_id),
            statuses=tuple(chosen.status),
            content_types=tuple(chosen.content_type),
            languages=tuple(chosen.language),
            created_after=chosen.created_after,
            created_before=chosen.created_before,
            trashed=chosen.trashed,
            sender_ids=tuple(chosen.sender_id),
            issued_after=chosen.issued_after,
            issued_before=chosen.issued_before,
        )

    def parameters(self) -> dict[str, Any]:
        """As bound values; None if a filter is not used."""
        return {
            "topics": list(self.topic_ids) or None,
            "statuses": list(self.statuses or SETTLED),
            "content_types": list(self.content_types) or None,
            "languages": list(self.languages) or None,
            "created_after": self.created_after,
            "created_before": self.created_before,
            "trashed": self.trashed,
            "senders": list(self.sender_ids) or None,
            "issued_after": self.issued_after,
            "issued_before": self.issued_before,
            "dated_after": self.dated_after,
            "dated_before": self.dated_before,
        }

    def narrow(self) -> bool:
        """Whether few of the documents may be meant: anything but all that is not in the trash."""
        return self != Filters()

    def binding(self) -> dict[str, Any]:
        """As a cursor is bound to them: the order in which values were given does not matter."""
        return {name: sorted(map(str, value)) if isinstance(value, list) else str(value) for name, value in self.parameters().items()}


async def list_documents(
    db: TenantDatabase, filters: Filters, sort: Sort = "-created_at", limit: int = 50, cursor: str | None = None
) -> Page[Document]:
    """A page of the owner's documents; without a query `relevance` means the newest first. Raises InvalidCursor.

    Stable under inserts: a document that does not change is neither repeated nor left out on later pages.
    """
    if sort.endswith("relevance"):
        sort = "-created_at"
    binding = {"list": "documents", "owner": db.owner_id, "sort": sort, "filters": filters.binding()}
    sql, parameters = statement(db.owner_id, filters, sort, limit + 1, _after(cursor, binding))
    async with db.transaction() as tx:
        await tx.execute(WITHOUT_SEQUENTIAL_SCANS)
        found = await tx.fetch_all(sql, parameters, row=Document)
    items = found[:limit]
    return Page[Document](items=items, next_cursor=cursors.encode(sort_key(items[-1], sort), binding) if len(found) > limit else None)


def statement(
    owner_id: UUID, filters: Filters, sort: Sort, limit: int, after: tuple[str | None, UUID | None] = (None, None)
) -> tuple[str, dict[str, Any]]:
    """The one statement of a page, and its parameters; `after` is the sort key and the id of the document before it."""
    (expression, kind), descending = SORTS[sort], sort.startswith("-")
    parameters = filters.parameters() | {"owner": owner_id, "limit": limit, "key": after[0], "after": after[1]}
    conditions = [*_conditions(parameters)]
    if after[1] is not None:
        conditions.append(f"({expression}, d.id) {'<' if descending else '>'} (%(key)s::{kind}, %(after)s)")
    direction = "DESC" if descending else "ASC"
    return (
        f"""
        SELECT {DOCUMENT_COLUMNS}
        FROM documents AS d
        WHERE {" AND ".join(conditions)}
        ORDER BY {expression} {direction}, d.id {direction}
        LIMIT %(limit)s
        """,
        parameters,
    )


async def search_documents(
    db: TenantDatabase, text: str, filters: Filters, sort: Sort = "-relevance", limit: int = 50, cursor: str | None = None
) -> Page[DocumentHit]:
    """A page of what a query finds, best first or sorted. Raises InvalidCursor, and ValidationFailed for a query that asks too much."""
    found = await find(db, search_query.parse(text), text, filters, sort, limit, cursor)
    return Page[DocumentHit](items=[as_hit(hit) for hit in found.hits], next_cursor=found.next_cursor)


async def find(
    db: TenantDatabase,
    query: search_query.Query,
    text: str,
    filters: Filters,
    sort: Sort = "-relevance",
    limit: int = 50,
    cursor: str | None = None,
    *,
    counted: int = 0,
) -> search_page.Found[Document]:
    """What a query finds that the filters let through, and the numbers of the best `counted` matches. Raises InvalidCursor."""
    if sort == "relevance":
        sort = "-relevance"
    binding = {"list": "search", "owner": db.owner_id, "query": text, "sort": sort, "filters": filters.binding()}
    return await search_page.find(db, query, source(db, filters), sort, limit, cursor, binding, counted)


def source(db: TenantDatabase, filters: Filters) -> search_page.Source[Document]:
    """The documents that the filters let through, for `shared.search`."""
    parameters = filters.parameters() | {"owner": db.owner_id}
    return search_page.Source(
        columns=DOCUMENT_COLUMNS,
        row=Document,
        conditions=tuple(_conditions(parameters)),
        parameters=parameters,
        narrowed=filters.narrow(),
        sorts=SORTS,
    )


def as_hit(hit: search_page.Hit[Document]) -> DocumentHit:
    """As a list gives it."""
    return DocumentHit.model_construct(**dict(hit.row), snippet=hit.snippet, score=hit.score)


def sort_key(document: Document, sort: Sort) -> list[str]:
    """What a cursor needs to go on behind this document: its value in the sort's column, and its id."""
    value = getattr(document, sort.lstrip("-"))
    if value is None:
        value = "-infinity" if sort.startswith("-") else "infinity"
    return [value.isoformat() if isinstance(value, date) else str(value), str(document.id)]


def _after(cursor: str | None, binding: Mapping[str, Any]) -> tuple[str | None, UUID | None]:
    if cursor is None:
        return None, None
    values = cursors.decode(cursor, binding)
    if len(values) != 2:
        raise InvalidCursor
    return str(values[0]), UUID(values[1])


def _conditions(parameters: Mapping[str, Any]) -> list[str]:
    conditions = ["d.owner_id = %(owner)s", f"d.trashed_at IS {'NOT NULL' if parameters['trashed'] else 'NULL'}"]
    conditions.append("d.status = ANY (%(statuses)s)")
    if "uploading" in parameters["statuses"]:
        conditions.append("d.replaces IS NULL")
    if parameters["content_types"] is not None:
        conditions.append("d.content_type = ANY (%(content_types)s)")
    if parameters["languages"] is not None:
        conditions.append("d.language = ANY (%(languages)s)")
    if parameters["created_after"] is not None:
        conditions.append("d.created_at >= %(created_after)s")
    if parameters["created_before"] is not None:
        conditions.append("d.created_at < %(created_before)s")
    if parameters["senders"] is not None:
        # One by itself: then an index has them in the order in which they are listed.
        one = len(parameters["senders"]) == 1
        conditions.append("d.sender_id = " + ("(%(senders)s::uuid[])[1]" if one else "ANY (%(senders)s)"))
    # In both forms, which differ for what has no date alone: whichever way a list is sorted, its index knows where to begin.
    issued = [SORTS[sort][0] for sort in ("issued_on", "-issued_on")]
    for expressions, name in ((issued, "issued"), ([DATED], "dated")):
        if parameters[f"{name}_after"] is not None:
            conditions += [f"{expression} >= %({name}_after)s" for expression in expressions]
        if parameters[f"{name}_before"] is not None:
            conditions += [f"{expression} < %({name}_before)s" for expression in expressions]
    for number in range(len(parameters["topics"] or [])):
        conditions.append(
            f"""d.id IN (
                SELECT f.document_id FROM document_topics AS f
                WHERE f.owner_id = %(owner)s AND f.topic_id = (%(topics)s::uuid[])[{number + 1}]
            )"""
        )
    return conditions


def conditions_of(filters: Filters) -> list[str]:
    """The filters as SQL about `documents AS d`; their `parameters()` and `owner` are to be bound."""
    return _conditions(filters.parameters())
