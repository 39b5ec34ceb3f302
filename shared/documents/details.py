"""A document's title, date and sender, each with where it came from.

Whoever reads a document proposes them (`propose`): the pipeline from the file's own metadata, its text and a mail's header, and an AI
provider. What a person set is never changed by a proposal, nor is what a surer source said.
"""

from dataclasses import dataclass
from datetime import date
from typing import Any, Literal, get_args
from uuid import UUID

from shared.db import Transaction
from shared.documents import filenames, lifecycle, senders
from shared.errors import NotFound
from shared.search import index as search_index

DetailSource = Literal["metadata", "text", "ai", "mail"]
"""`metadata`: what the file says of itself (a PDF's title); `mail`: a message's header; `text`: what stands in it."""

Detail = Literal["title", "issued_on", "sender"]

_STRENGTH = {"filename": 0, "metadata": 1, "text": 2, "ai": 2, "mail": 3, "owner": 4}
"""A proposal replaces what comes from a source that is no surer."""

PLACE_CHARACTERS = 200


@dataclass(frozen=True)
class _Present:
    filename: str
    title: str
    title_source: str
    issued_on: date | None
    issued_on_source: str | None
    issued_on_place: str | None
    sender_id: UUID | None
    sender_source: str | None
    sender_written: str | None

    def gives_way(self, detail: Detail, source: DetailSource) -> bool:
        present: str | None = getattr(self, f"{detail}_source")
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
    locked. A changed title is indexed at once, unless the caller does it. Raises NotFound.
    """
    assert source in get_args(DetailSource), source
    present = await tx.fetch_one(
        """
        SELECT filename, title, title_source, issued_on, issued_on_source, issued_on_place, sender_id, sender_source, sender_written
        FROM documents WHERE owner_id = %(owner)s AND id = %(id)s FOR NO KEY UPDATE
        """,
        {"owner": owner_id, "id": document_id},
        row=_Present,
    )
    if present is None:
        raise NotFound
    proposed: dict[str, Any] = {}
    title = filenames.sane_title(title)
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
    changed = {column: value for column, value in proposed.items() if getattr(present, column) != value}
    if not changed:
        return frozenset()
    await tx.execute(
        f"""
        UPDATE documents SET {", ".join(f"{column} = %({column})s" for column in changed)}, updated_at = now()
        WHERE owner_id = %(owner)s AND id = %(id)s
        """,
        {**changed, "owner": owner_id, "id": document_id},
    )
    if "sender_id" in changed and present.sender_id is not None:
        await senders.drop_if_unused(tx, owner_id, present.sender_id)
    if "title" in changed and refresh_index:
        await search_index.refresh_title(tx, owner_id=owner_id, document_id=document_id, filename=present.filename, title=changed["title"])
    lifecycle.wake_listeners(tx, owner_id)
    names: dict[str, Detail] = {"title": "title", "issued_on": "issued_on", "sender_id": "sender"}
    return frozenset(names[column] for column in changed if column in names)
