"""What a provider read a document's title, sender and date to be (the setting `propose`), and the owner's word on it.

In the mode `apply` a proposal is set at once, unless a person or a surer source has set that detail (shared/documents/details.py), else it
is `open`. What the owner accepts becomes the owner's own value; what the owner rejects is taken back, and not proposed again. A detail that
a person has set gets no proposals at all.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from shared.ai.provider import DetailName, ProposedDetail
from shared.api import short_lists
from shared.api.models import Page, PageQuery
from shared.db import TenantDatabase, Transaction
from shared.documents import details, senders
from shared.documents.ai_models import Proposal
from shared.documents.details import DetailsNow
from shared.documents.topic_models import Decision
from shared.errors import NotFound
from shared.ids import new_id


@dataclass(frozen=True)
class _KeptProposal:
    id: UUID
    name: DetailName
    value: str
    quote: str
    page: int | None
    state: str
    decided: bool
    before: Mapping[str, Any] | None


_COLUMNS_OF: dict[DetailName, tuple[str, ...]] = {
    "title": ("title", "title_source"),
    "issued_on": ("issued_on", "issued_on_source", "issued_on_place"),
    "sender": ("sender_id", "sender_source", "sender_written"),
}


async def keep(
    tx: Transaction,
    *,
    owner_id: UUID,
    document_id: UUID,
    revision: int,
    provider: str,
    model: str,
    found: Sequence[ProposedDetail],
    apply: bool,
) -> list[DetailName]:
    """Makes the proposals what this response says, and sets what may be set if `apply`; the names of what was set.

    What the owner has decided stays: a value that was rejected is not proposed again. Raises NotFound.
    """
    rows = {row.name: row for row in await _rows(tx, owner_id, document_id)}
    await tx.execute(
        """
        DELETE FROM detail_proposals
        WHERE owner_id = %(owner)s AND document_id = %(document)s AND decided_at IS NULL AND state = 'open' AND name <> ALL (%(names)s)
        """,
        {"owner": owner_id, "document": document_id, "names": [detail.name for detail in found]},
    )
    done: list[DetailName] = []
    for detail in found:
        row = rows.get(detail.name)
        present = await details.locked(tx, owner_id, document_id)
        if present.source(detail.name) == "owner" or (row is not None and row.decided and row.value == detail.value):
            continue
        is_set = apply and await _set(tx, owner_id, document_id, detail)
        if is_set:
            done.append(detail.name)
        elif _says(present, detail.name, detail.value):
            if row is not None:
                # Set by an earlier run: taking this one back is to leave it.
                await tx.execute("UPDATE detail_proposals SET before = NULL WHERE owner_id = %s AND id = %s", (owner_id, row.id))
            continue
        await tx.execute(
            """
            INSERT INTO detail_proposals
                (id, owner_id, document_id, name, value, quote, page, provider, model, state, before, revision)
            VALUES (
                %(id)s, %(owner)s, %(document)s, %(name)s, %(value)s, %(quote)s, %(page)s, %(provider)s, %(model)s, %(state)s, %(before)s,
                %(revision)s
            )
            ON CONFLICT (document_id, name) DO UPDATE
            SET value = excluded.value, quote = excluded.quote, page = excluded.page, provider = excluded.provider, model = excluded.model,
                state = excluded.state, before = excluded.before, revision = excluded.revision, created_at = now(), decided_at = NULL
            """,
            {
                "id": new_id(),
                "owner": owner_id,
                "document": document_id,
                "name": detail.name,
                "value": detail.value,
                "quote": detail.quote,
                "page": detail.page,
                "provider": provider,
                "model": model,
                "state": "accepted" if is_set else "open",
                "before": Jsonb(_to_restore(present, detail.name)) if is_set else None,
                "revision": revision,
            },
        )
    return done


async def undo(tx: Transaction, *, owner_id: UUID, document_id: UUID) -> None:
    """Takes back what the last classification set by itself; its proposals are open again."""
    for row in await _rows(tx, owner_id, document_id):
        if row.decided or row.before is None:
            continue
        await _restore(tx, owner_id, document_id, row)
        await tx.execute("UPDATE detail_proposals SET state = 'open', before = NULL WHERE owner_id = %s AND id = %s", (owner_id, row.id))


async def page(db: TenantDatabase, document_id: UUID, query: PageQuery) -> Page[Proposal]:
    """A document's proposals, open ones first. Raises NotFound, InvalidCursor."""
    async with db.transaction() as tx:
        found = await tx.fetch_all(
            """
            SELECT id, name, value, quote, page, provider, model, state FROM detail_proposals
            WHERE owner_id = %(owner)s AND document_id = %(document)s ORDER BY state = 'open' DESC, name
            """,
            {"owner": db.owner_id, "document": document_id},
            row=Proposal,
        )
        if not found:
            await details.locked(tx, db.owner_id, document_id)
    return short_lists.page(found, query, {"list": "proposals", "owner": str(db.owner_id), "document": str(document_id)})


async def decide(tx: Transaction, *, owner_id: UUID, document_id: UUID, proposal_id: UUID, decision: Decision) -> Proposal:
    """The owner's word: accepting makes it the owner's own value, rejecting takes back what was set by itself. The last word counts.

    Raises NotFound.
    """
    present = await details.locked(tx, owner_id, document_id)
    row = next((row for row in await _rows(tx, owner_id, document_id) if row.id == proposal_id), None)
    if row is None:
        raise NotFound("There is no such proposal.")
    if decision == "accept":
        await details.write(tx, owner_id, document_id, present, await _as_the_owners(tx, owner_id, row))
    elif row.before is not None:
        await _restore(tx, owner_id, document_id, row)
    decided = await tx.fetch_one(
        """
        UPDATE detail_proposals SET state = %(state)s, before = NULL, decided_at = now() WHERE owner_id = %(owner)s AND id = %(id)s
        RETURNING id, name, value, quote, page, provider, model, state
        """,
        {"owner": owner_id, "id": proposal_id, "state": "accepted" if decision == "accept" else "rejected"},
        row=Proposal,
    )
    assert decided is not None
    return decided


async def _set(tx: Transaction, owner_id: UUID, document_id: UUID, detail: ProposedDetail) -> bool:
    place = f"page {detail.page}: {detail.quote}" if detail.page is not None else detail.quote
    changed = await details.propose(
        tx,
        owner_id=owner_id,
        document_id=document_id,
        source="ai",
        title=detail.value if detail.name == "title" else None,
        sender=detail.value if detail.name == "sender" else None,
        issued_on=date.fromisoformat(detail.value) if detail.name == "issued_on" else None,
        place=place,
    )
    return detail.name in changed


async def _restore(tx: Transaction, owner_id: UUID, document_id: UUID, row: _KeptProposal) -> None:
    """Puts back what stood there, unless somebody has set it anew since."""
    present = await details.locked(tx, owner_id, document_id)
    if row.before is None or present.source(row.name) != "ai":
        return
    before = dict(row.before)
    if before.get("issued_on") is not None:
        before["issued_on"] = date.fromisoformat(before["issued_on"])
    if before.get("sender_id") is not None:
        # It may have been removed, or merged into another.
        before["sender_id"] = await senders.written_as(tx, owner_id, before["sender_written"]) if before["sender_written"] else None
    await details.write(tx, owner_id, document_id, present, before)


async def _as_the_owners(tx: Transaction, owner_id: UUID, row: _KeptProposal) -> dict[str, Any]:
    place = f"page {row.page}: {row.quote}" if row.page is not None else row.quote
    match row.name:
        case "title":
            return {"title": row.value, "title_source": "owner"}
        case "issued_on":
            return {
                "issued_on": date.fromisoformat(row.value),
                "issued_on_source": "owner",
                "issued_on_place": place[: details.PLACE_CHARACTERS],
            }
        case "sender":
            sender_id = await senders.confirmed(tx, owner_id, row.value)
            return {"sender_id": sender_id, "sender_source": "owner", "sender_written": senders.sane_name(row.value)}


def _says(present: DetailsNow, name: DetailName, value: str) -> bool:
    match name:
        case "title":
            return present.title == value
        case "issued_on":
            return present.issued_on is not None and present.issued_on.isoformat() == value
        case "sender":
            return value.casefold() in {(present.sender_name or "").casefold(), (present.sender_written or "").casefold()}


def _to_restore(present: DetailsNow, name: DetailName) -> dict[str, Any]:
    """What stands there now, as JSON."""
    columns = {column: getattr(present, column) for column in _COLUMNS_OF[name]}
    return {column: str(value) if isinstance(value, UUID | date) else value for column, value in columns.items()}


async def _rows(tx: Transaction, owner_id: UUID, document_id: UUID) -> list[_KeptProposal]:
    return await tx.fetch_all(
        """
        SELECT id, name, value, quote, page, state, decided_at IS NOT NULL AS decided, before FROM detail_proposals
        WHERE owner_id = %(owner)s AND document_id = %(document)s ORDER BY name
        """,
        {"owner": owner_id, "document": document_id},
        row=_KeptProposal,
    )
