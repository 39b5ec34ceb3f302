"""Documents that look like one paper: the same one scanned twice, or a scan and its original.

What a text looks like is kept when it has been read (`note`); what it looks like others is found once that is committed (`find`, when the
document becomes ready): of two that are read at once the later one finds the earlier. So a list is a page of an index, whatever there is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from shared.api import cursors
from shared.api.models import Page, PageQuery
from shared.db import TenantDatabase, Transaction
from shared.documents.lookalike_models import LookalikePair
from shared.documents.models import DOCUMENT_COLUMNS, Document
from shared.errors import InvalidCursor
from shared.search import likeness
from shared.search.likeness import Fingerprint

ALIKE_FROM = 0.5
"""Likeness of a pair that is listed: one paper read twice has it even if one word in ten was misread."""
COMPARED = 100
"""Documents that one is compared with, those first that have most bands in common."""
PAIRS = 20
"""Pairs that one document brings: of a form that was filed a hundred times, not each with each."""


async def forget(tx: Transaction, *, owner_id: UUID, document_id: UUID) -> None:
    """Forgets what the document's text looked like, and its pairs: before it is read anew."""
    # In one order, so that of several that are read anew at once none waits for another in a circle.
    await tx.execute(
        """
        DELETE FROM document_lookalikes WHERE (first_id, second_id) IN (
            SELECT first_id, second_id FROM document_lookalikes
            WHERE owner_id = %(owner)s AND (first_id = %(id)s OR second_id = %(id)s) ORDER BY first_id, second_id FOR UPDATE
        )
        """,
        {"owner": owner_id, "id": document_id},
    )
    await tx.execute(
        "DELETE FROM document_fingerprints WHERE owner_id = %(owner)s AND document_id = %(id)s", {"owner": owner_id, "id": document_id}
    )


async def note(tx: Transaction, *, owner_id: UUID, document_id: UUID, pages: Sequence[str]) -> None:
    """Keeps what the document's text looks like. Nothing may be kept of it (`forget`)."""
    fingerprint = likeness.fingerprint(pages)
    if fingerprint is None:
        return
    await tx.execute(
        """
        WITH kept AS (
            INSERT INTO document_fingerprints (document_id, owner_id, words, numbers) VALUES (%(id)s, %(owner)s, %(words)s, %(numbers)s)
        )
        INSERT INTO document_bands (owner_id, band, document_id) SELECT %(owner)s, band, %(id)s FROM unnest(%(bands)s::bigint[]) AS band
        """,
        {
            "id": document_id,
            "owner": owner_id,
            "words": fingerprint.words,
            "numbers": fingerprint.numbers,
            "bands": fingerprint.bands,
        },
    )


@dataclass(frozen=True)
class _Compared:
    document_id: UUID
    words: bytes
    numbers: bytes


async def find(tx: Transaction, *, owner_id: UUID, document_id: UUID) -> None:
    """Writes down which documents this one looks like. Bounded work, whatever the owner has."""
    keys = {"owner": owner_id, "id": document_id}
    compared = await tx.fetch_all(
        f"""
        SELECT document_id, words, numbers FROM document_fingerprints
        WHERE owner_id = %(owner)s AND document_id = ANY (array_append(ARRAY(
            SELECT other.document_id FROM document_bands AS mine
            CROSS JOIN LATERAL (
                SELECT document_id FROM document_bands
                WHERE owner_id = %(owner)s AND band = mine.band AND document_id <> %(id)s ORDER BY document_id DESC LIMIT {COMPARED}
            ) AS other
            WHERE mine.owner_id = %(owner)s AND mine.document_id = %(id)s
            GROUP BY other.document_id ORDER BY count(*) DESC, other.document_id DESC LIMIT {COMPARED}
        ), %(id)s))
        """,
        keys,
        row=_Compared,
        binary=True,
    )
    prints = {one.document_id: Fingerprint([], one.words, one.numbers) for one in compared}
    mine = prints.pop(document_id, None)
    if mine is None:
        return
    alike = zip(likeness.likeness(mine, list(prints.values())), prints, strict=True)
    best = sorted((pair for pair in alike if pair[0] >= ALIKE_FROM), reverse=True)[:PAIRS]
    if best:
        # Whoever is about to purge one of them is not waited for: that one is gone soon.
        await tx.execute(
            """
            INSERT INTO document_lookalikes (owner_id, first_id, second_id, likeness)
            SELECT %(owner)s, least(%(id)s, other), greatest(%(id)s, other), likeness
            FROM unnest(%(others)s::uuid[], %(likenesses)s::real[]) AS found (other, likeness)
            JOIN (
                SELECT document_id FROM document_fingerprints
                WHERE owner_id = %(owner)s AND document_id = ANY (%(others)s) ORDER BY document_id FOR KEY SHARE SKIP LOCKED
            ) AS there ON there.document_id = found.other
            ORDER BY 2, 3
            ON CONFLICT (first_id, second_id) DO UPDATE SET likeness = excluded.likeness
            """,
            {**keys, "others": [other for _, other in best], "likenesses": [value for value, _ in best]},
        )


@dataclass(frozen=True)
class _Pair:
    first_id: UUID
    second_id: UUID
    likeness: float


async def list_page(db: TenantDatabase, query: PageQuery) -> Page[LookalikePair]:
    """Pairs, the most alike first; those of which one is in the trash are left out. Raises InvalidCursor."""
    binding = {"list": "lookalikes", "owner": str(db.owner_id)}
    after = _after(query.cursor, binding)
    async with db.transaction() as tx:
        pairs = await tx.fetch_all(
            """
            SELECT first_id, second_id, likeness FROM document_lookalikes AS pair
            WHERE owner_id = %(owner)s
                AND (%(first)s::uuid IS NULL OR (likeness, first_id, second_id) < (%(likeness)s::real, %(first)s, %(second)s))
                AND NOT EXISTS (
                    SELECT FROM documents AS d
                    WHERE d.owner_id = %(owner)s AND d.id IN (pair.first_id, pair.second_id) AND d.trashed_at IS NOT NULL
                )
            ORDER BY likeness DESC, first_id DESC, second_id DESC LIMIT %(limit)s
            """,
            {"owner": db.owner_id, "likeness": after[0], "first": after[1], "second": after[2], "limit": query.limit + 1},
            row=_Pair,
        )
        page = pairs[: query.limit]
        found = await tx.fetch_all(
            f"SELECT {DOCUMENT_COLUMNS} FROM documents AS d WHERE d.owner_id = %(owner)s AND d.id = ANY (%(ids)s)",
            {"owner": db.owner_id, "ids": list({one for pair in page for one in (pair.first_id, pair.second_id)})},
            row=Document,
        )
    documents = {document.id: document for document in found}
    items = [
        LookalikePair(documents=[documents[pair.first_id], documents[pair.second_id]], likeness=round(pair.likeness, 3))
        for pair in page
        if pair.first_id in documents and pair.second_id in documents
    ]
    last = page[-1] if len(pairs) > query.limit else None
    key = None if last is None else [repr(last.likeness), str(last.first_id), str(last.second_id)]
    return Page[LookalikePair](items=items, next_cursor=None if key is None else cursors.encode(key, binding))


def _after(cursor: str | None, binding: dict[str, str]) -> tuple[float | None, UUID | None, UUID | None]:
    if cursor is None:
        return None, None, None
    try:
        value, first, second = cursors.decode(cursor, binding)
        return float(value), UUID(first), UUID(second)
    except (ValueError, TypeError, AttributeError):
        raise InvalidCursor from None
