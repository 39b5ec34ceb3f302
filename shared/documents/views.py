"""Lists that a person keeps: a name and the parameters of list_documents that make one. Pinned ones come first.

What a view names may be gone (a topic, a sender): then it lists nothing, and stays until it is changed.
"""

from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from shared.api import short_lists
from shared.api.models import Page
from shared.db import TenantDatabase, Transaction
from shared.documents import listing, query_filters
from shared.documents.listing import Filters
from shared.documents.name_keys import name_key
from shared.documents.view_models import NewView, View, ViewChange, ViewQuery, ViewsQuery
from shared.errors import Conflict, DomainError, NotFound
from shared.ids import new_id
from shared.search import query as search_query

AT_MOST = 200
"""Views an owner may keep."""
COUNTED = 1_000
"""Documents of a view that are counted at most."""
COUNTED_VIEWS = 50
"""Views of a page whose documents are counted; of the others the number is not known."""


class TooManyViews(Conflict):
    code, title = "too_many_views", "You keep as many views as there may be"


async def list_page(db: TenantDatabase, query: ViewsQuery) -> Page[View]:
    """The owner's views, pinned ones first, then by name. Raises InvalidCursor."""
    async with db.transaction() as tx:
        found = await tx.fetch_all(
            "SELECT id, name, query, pinned FROM views WHERE owner_id = %(owner)s ORDER BY pinned DESC, name_key, id",
            {"owner": db.owner_id},
            row=View,
        )
    page = short_lists.page(found, query, {"list": "views", "owner": str(db.owner_id)})
    if not query.counts:
        return page
    counts = [await _count(db, view) for view in page.items[:COUNTED_VIEWS]]
    items = [view.model_copy(update={"documents": count}) for view, count in zip(page.items, counts, strict=False)]
    return Page[View](items=[*items, *page.items[len(items) :]], next_cursor=page.next_cursor)


async def create(db: TenantDatabase, new: NewView) -> View:
    """Keeps a view. Raises TooManyViews."""
    view = View(id=new_id(), name=new.name, query=_given(new.query), pinned=new.pinned)
    async with db.transaction() as tx:
        await tx.execute("SELECT pg_advisory_xact_lock(hashtextextended('views ' || %(owner)s::text, 0))", {"owner": db.owner_id})
        kept: int = await tx.fetch_value("SELECT count(*) FROM views WHERE owner_id = %(owner)s", {"owner": db.owner_id})
        if kept >= AT_MOST:
            raise TooManyViews(f"There may be {AT_MOST}. Delete one that you do not need any more.")
        await tx.execute(
            """
            INSERT INTO views (id, owner_id, name, name_key, query, pinned)
            VALUES (%(id)s, %(owner)s, %(name)s, %(key)s, %(query)s, %(pinned)s)
            """,
            {
                "id": view.id,
                "owner": db.owner_id,
                "name": view.name,
                "key": name_key(view.name),
                "query": Jsonb(view.query),
                "pinned": view.pinned,
            },
        )
    return view


async def update(db: TenantDatabase, view_id: UUID, change: ViewChange) -> View:
    """Changes a view. Raises NotFound."""
    wanted: dict[str, Any] = {name: getattr(change, name) for name in change.model_fields_set}
    if change.name is not None:
        wanted["name_key"] = name_key(change.name)
    if change.query is not None:
        wanted["query"] = Jsonb(_given(change.query))
    assignments = ", ".join(f"{column} = %({column})s" for column in sorted(wanted)) or "name = name"
    async with db.transaction() as tx:
        view = await tx.fetch_one(
            f"UPDATE views SET {assignments} WHERE owner_id = %(owner)s AND id = %(view)s RETURNING id, name, query, pinned",
            {**wanted, "owner": db.owner_id, "view": view_id},
            row=View,
        )
    if view is None:
        raise NotFound
    return view


async def delete(db: TenantDatabase, view_id: UUID) -> None:
    """Keeps a view no longer; its documents stay. Raises NotFound."""
    async with db.transaction() as tx:
        if not await tx.execute("DELETE FROM views WHERE owner_id = %(owner)s AND id = %(view)s", {"owner": db.owner_id, "view": view_id}):
            raise NotFound


def _given(query: ViewQuery) -> dict[str, Any]:
    return query.model_dump(mode="json", exclude_unset=True)


async def _count(db: TenantDatabase, view: View) -> int | None:
    """How many documents the view lists, up to COUNTED; None if that makes no sense any more (its query names a topic that is gone)."""
    try:
        chosen = ViewQuery.model_validate(view.query)
        text = chosen.q or ""
        query = search_query.parse(text)
        filters = await query_filters.narrowed(db, Filters.of(chosen), query.filters)
    except (ValueError, DomainError):
        return None
    source = listing.source(db, filters)
    condition = " AND ".join(source.conditions)
    parameters = {**source.parameters, "owner": db.owner_id, "most": COUNTED}
    if text.strip() and (query.groups or not query.filters):
        found = await listing.find(db, query, text, filters, "-relevance", 1, counted=COUNTED)
        async with db.transaction() as tx:
            return await _counted(
                tx,
                f"""
                SELECT FROM unnest(%(numbers)s::integer[]) AS n (number)
                JOIN document_search AS s ON s.owner_id = %(owner)s AND s.number = n.number
                JOIN documents AS d ON d.owner_id = %(owner)s AND d.id = s.document_id
                WHERE {condition}
                """,
                {**parameters, "numbers": found.matched},
            )
    async with db.transaction() as tx:
        return await _counted(tx, f"SELECT FROM documents AS d WHERE {condition}", parameters)


async def _counted(tx: Transaction, chosen: str, parameters: dict[str, Any]) -> int:
    await tx.execute(listing.WITHOUT_SEQUENTIAL_SCANS)
    counted: int = await tx.fetch_value(f"SELECT count(*) FROM ({chosen} LIMIT %(most)s) AS chosen", parameters)
    return counted
