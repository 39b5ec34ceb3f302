"""What is written about a document: title, date and sender, each with where it came from, and what only a person writes.

Whoever reads a document proposes title, date and sender (`propose`): the pipeline from the file's own metadata, its text and a mail's
header, and an AI provider. What a person set (`update`) is never changed by a proposal, nor is what a surer source said.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal, get_args
from uuid import UUID

from shared import audit
from shared.audit import AuditAction, Caller
from shared.db import TenantDatabase, Transaction
from shared.documents import filenames, library, lifecycle, senders, topics
from shared.documents.change_models import DocumentChange
from shared.documents.models import Document
from shared.errors import DomainError, NotFound
from shared.search import index as search_index

DetailSource = Literal["metadata", "text", "ai", "mail"]
"""`metadata`: what the file says of itself (a PDF's title); `mail`: a message's header; `text`: what stands in it."""

Detail = Literal["title", "issued_on", "sender"]

_STRENGTH = {"filename": 0, "metadata": 1, "text": 2, "ai": 2, "mail": 3, "owner": 4}
"""A proposal replaces what comes from a source that is no surer."""

PLACE_CHARACTERS = 200


class ChangedMeanwhile(DomainError):
    """The document is not as it was when the caller looked at it: nothing was changed."""

    status, code, title = 412, "changed_meanwhile", "The document was changed meanwhile"


@dataclass(frozen=True)
class DetailsNow:
    """What stands there, and what each detail was set by; None if nothing has."""

    filename: str
    title: str
    title_source: str
    notes: str | None
    ai_policy: str
    issued_on: date | None
    issued_on_source: str | None
    issued_on_place: str | None
    sender_id: UUID | None
    sender_source: str | None
    sender_written: str | None
    sender_name: str | None

    def source(self, detail: Detail) -> str | None:
        source: str | None = getattr(self, f"{detail}_source")
        return source

    def gives_way(self, detail: Detail, source: DetailSource) -> bool:
        present = self.source(detail)
        return present is None or _STRENGTH[source] >= _STRENGTH[present]


async def propose(
    tx: Transaction,
    *,
    owner_id: UUID,
    document_id: UUID,
    source: DetailSource,
    title: str | None = None,
    issued_on: date | None = None,
    place: str | None = None,
    sender: str | None = None,
    refresh_index: bool = True,
) -> frozenset[Detail]:
    """Sets what `source` says of the document unless a person, or a surer source, has set it; which of the details changed.

    None says nothing. `place` tells people where the date stands (“page 1: Hamburg, 3 May 2024”). `sender` is the name as it is written,
    which the owner's corrections may know by another one. What makes no sense as a title or a name counts as None. The document's row is
    locked if anything is said. A changed title is indexed at once, unless the caller does it. Raises NotFound.
    """
    assert source in get_args(DetailSource), source
    title = filenames.sane_title(title)
    if title is None and issued_on is None and sender is None:
        return frozenset()
    present = await locked(tx, owner_id, document_id)
    proposed: dict[str, Any] = {}
    if title is not None and present.gives_way("title", source):
        proposed |= {"title": title, "title_source": source}
    if issued_on is not None and present.gives_way("issued_on", source):
        proposed |= {
            "issued_on": issued_on,
            "issued_on_source": source,
            "issued_on_place": place[:PLACE_CHARACTERS] if place else None,
        }
    if sender is not None and present.gives_way("sender", source):
        sender_id = await senders.written_as(tx, owner_id, sender)
        if sender_id is not None:
            proposed |= {"sender_id": sender_id, "sender_source": source, "sender_written": senders.sane_name(sender)}
    changed = await write(tx, owner_id, document_id, present, proposed, refresh_index=refresh_index)
    names: dict[str, Detail] = {"title": "title", "issued_on": "issued_on", "sender_id": "sender"}
    return frozenset(names[column] for column in changed if column in names)


async def note_written(tx: Transaction, *, owner_id: UUID, document_id: UUID, written: str) -> None:
    """Remembers a name on the document that is not likely enough to be its sender's: if a person names one, it was that."""
    name = senders.sane_name(written)
    await tx.execute(
        """
        UPDATE documents SET sender_written = %(name)s
        WHERE owner_id = %(owner)s AND id = %(id)s AND sender_id IS NULL AND sender_source IS NULL AND %(name)s::text IS NOT NULL
        """,
        {"owner": owner_id, "id": document_id, "name": name},
    )


async def update(
    db: TenantDatabase, document_id: UUID, change: DocumentChange, *, if_match: str | None = None, caller: Caller | None = None
) -> Document:
    """Changes what a person asks for; it then stands above every proposal. `if_match` is the header of that name.

    Raises NotFound for the document or a topic, and ChangedMeanwhile.
    """
    asked = change.model_fields_set
    async with db.transaction() as tx:
        present = await locked(tx, db.owner_id, document_id)
        if if_match is not None and not matches(if_match, library.entity_tag(await library.read(tx, db.owner_id, document_id))):
            raise ChangedMeanwhile("Read the document again, then change what you want to change.")
        wanted: dict[str, Any] = {}
        if change.filename is not None:
            wanted["filename"] = filenames.clean(change.filename)
        if change.title is not None:
            wanted |= {"title": change.title, "title_source": "owner"}
        if "notes" in asked:
            wanted["notes"] = change.notes or None
        if "issued_on" in asked:
            wanted |= {"issued_on": change.issued_on, "issued_on_source": "owner", "issued_on_place": None}
        if change.ai_policy is not None:
            wanted["ai_policy"] = change.ai_policy
        if "sender" in asked:
            wanted |= {"sender_id": await _corrected(tx, db.owner_id, present, change.sender), "sender_source": "owner"}
        changed = set(await write(tx, db.owner_id, document_id, present, wanted))
        if change.topic_ids is not None and await topics.set_topics(
            tx, owner_id=db.owner_id, document_id=document_id, topic_ids=change.topic_ids
        ):
            changed.add("topics")
        if changed:
            told = sorted({column.removesuffix("_source").removesuffix("_place") for column in changed})
            await audit.record_call(tx, caller, AuditAction.DOCUMENT_UPDATED, target=document_id, detail={"changed": told})
        return await library.read(tx, db.owner_id, document_id)


def matches(if_match: str, entity_tag: str) -> bool:
    """Whether `If-Match` names this tag (RFC 9110, section 13.1.1): `*` names any, a weak tag none."""
    return if_match.strip() == "*" or entity_tag in (match[0] for match in _ENTITY_TAG.finditer(if_match))


_ENTITY_TAG = re.compile(r'(?<!/)"[^"]*"')


async def _corrected(tx: Transaction, owner_id: UUID, present: DetailsNow, name: str | None) -> UUID | None:
    """The sender that a person names; what the document calls it is that one's from now on."""
    if name is None:
        return None
    sender_id = await senders.named(tx, owner_id, name)
    if present.sender_written is not None:
        await senders.learn(tx, owner_id, written=present.sender_written, sender_id=sender_id)
    return sender_id


async def locked(tx: Transaction, owner_id: UUID, document_id: UUID) -> DetailsNow:
    """A document's details; its row is locked. Raises NotFound."""
    present = await tx.fetch_one(
        """
        SELECT d.filename, d.title, d.title_source, d.notes, d.ai_policy, d.issued_on, d.issued_on_source, d.issued_on_place, d.sender_id,
            d.sender_source, d.sender_written,
            (SELECT s.name FROM senders AS s WHERE s.owner_id = d.owner_id AND s.id = d.sender_id) AS sender_name
        FROM documents AS d WHERE d.owner_id = %(owner)s AND d.id = %(id)s FOR NO KEY UPDATE
        """,
        {"owner": owner_id, "id": document_id},
        row=DetailsNow,
    )
    if present is None:
        raise NotFound
    return present


async def write(
    tx: Transaction, owner_id: UUID, document_id: UUID, present: DetailsNow, wanted: Mapping[str, Any], *, refresh_index: bool = True
) -> dict[str, Any]:
    """Writes what differs, and has it found; which columns those are. The row must be locked.

    A sender that was only read from documents goes with its last one.
    """
    changed = {column: value for column, value in wanted.items() if getattr(present, column) != value}
    if not changed:
        return {}
    await tx.execute(
        f"""
        UPDATE documents SET {", ".join(f"{column} = %({column})s" for column in changed)}, updated_at = now()
        WHERE owner_id = %(owner)s AND id = %(id)s
        """,
        {**changed, "owner": owner_id, "id": document_id},
    )
    if "sender_id" in changed and present.sender_id is not None:
        await senders.drop_unused(tx, owner_id, [present.sender_id])
    if refresh_index and changed.keys() & {"filename", "title", "notes"}:
        await search_index.refresh_title(
            tx,
            owner_id=owner_id,
            document_id=document_id,
            filename=changed.get("filename", present.filename),
            title=changed.get("title", present.title),
        )
    lifecycle.wake_listeners(tx, owner_id)
    return changed
