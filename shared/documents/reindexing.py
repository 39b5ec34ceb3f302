"""Indexes documents anew whose index an older analysis made, one by one, while the vault serves.

Each document is replaced in a transaction of its own, so a run may end at any moment and the next goes on where it stopped: what is done
has the present ANALYSIS. Until then a document is found by the words as they were.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic
from uuid import UUID

import psycopg

from shared.db import TenantDatabase, database
from shared.search.analysis import ANALYSIS
from shared.search.index import index, stored_text

log = logging.getLogger("docuvault.documents")

AT_ONCE = 200
"""Documents that are looked up at a time."""

DECLARED_AT_ONCE = 5_000
"""Documents that are declared stale in a transaction."""

MERGING_SECONDS = 20.0
"""How long a run goes on with owners of whom more waits than one transaction takes."""

SIDE_BY_SIDE = 6
"""Documents that are indexed at a time: while PostgreSQL writes some, and one of these merges what waits, the next is analysed."""

OWNERS = 100
"""Owners whose changes are merged in a run of the schedule."""


@dataclass(frozen=True)
class _Stale:
    owner_id: UUID
    id: UUID
    filename: str
    title: str


@dataclass(frozen=True)
class Progress:
    """Documents done in this run, and how many are left."""

    done: int
    left: int


async def reindex(*, at_most: int | None = None, everything: bool = False, progress: Callable[[Progress], None] | None = None) -> Progress:
    """Indexes what is stale, at most so many documents; `everything` first declares all of it stale (but for what a newer version made)."""
    if everything:
        await _declare_stale()
    done, stale_at_first = 0, 0 if progress is None else await _left()
    passed: set[UUID] = set()
    while at_most is None or done < at_most:
        wanted = AT_ONCE if at_most is None else min(AT_ONCE, at_most - done)
        async with database().system() as tx:
            stale = await tx.fetch_all(
                """
                SELECT d.owner_id, d.id, d.filename, d.title
                FROM document_search AS s JOIN documents AS d ON d.owner_id = s.owner_id AND d.id = s.document_id
                WHERE s.analysis < %(analysis)s AND NOT s.document_id = ANY (%(passed)s)
                ORDER BY s.analysis, s.document_id LIMIT %(limit)s
                """,
                {"analysis": ANALYSIS, "passed": list(passed), "limit": wanted},
                row=_Stale,
            )
        if not stale:
            break
        done += await _side_by_side(stale, passed)
        if progress is not None:
            # Not counted again: of millions that takes longer than indexing these.
            progress(Progress(done, max(0, stale_at_first - done)))
    return Progress(done, await _left())


async def _declare_stale() -> None:
    declared = 1
    while declared:
        async with database().system() as tx:
            declared = await tx.execute(
                """
                UPDATE document_search SET analysis = 0
                WHERE document_id IN (SELECT document_id FROM document_search WHERE analysis = %(analysis)s LIMIT %(most)s)
                """,
                {"analysis": ANALYSIS, "most": DECLARED_AT_ONCE},
            )


async def _side_by_side(stale: Sequence[_Stale], passed: set[UUID]) -> int:
    """How many of these were indexed anew; what cannot be is added to `passed`."""
    waiting = iter(stale)

    async def work() -> int:
        done = 0
        for document in waiting:
            try:
                await _reindex(document)
                done += 1
            except Exception:
                # One that cannot be indexed keeps the index it has; the others are not to wait for it.
                log.exception("document not indexed anew", extra={"fields": {"document": str(document.id)}})
                passed.add(document.id)
        return done

    return sum(await asyncio.gather(*(work() for _ in range(SIDE_BY_SIDE))))


async def merge_waiting() -> int:
    """Takes over into the postings what has been indexed and waits, of OWNERS owners at most; how many rows that were.

    Writers do so once there are MERGE_EVERY; until then, the words of an owner with a few documents are in nobody's counts. What one
    transaction takes is bounded, so each owner gets as many as it needs, until MERGING_SECONDS are over: then each gets one.
    """
    async with database().system() as tx:
        owners: list[UUID] = await tx.fetch_value(
            """
            SELECT coalesce(array_agg(owner_id), '{}') FROM (
                SELECT owner_id FROM search_changes UNION SELECT owner_id FROM search_new_words LIMIT %(owners)s
            ) AS waiting
            """,
            {"owners": OWNERS},
        )
    merged, until = 0, monotonic() + MERGING_SECONDS
    for owner_id in owners:
        # Each by itself: one with more than can be merged in time holds up no other.
        try:
            took = -1
            while took and (took < 0 or monotonic() < until):
                async with database().system() as tx:
                    took = await tx.fetch_value("SELECT merge_search_changes(%(owner)s, 1)", {"owner": owner_id})
                merged += took
        except psycopg.errors.QueryCanceled:
            log.warning("what an owner has indexed waits: merging it took too long", extra={"fields": {"owner": str(owner_id)}})
    return merged


async def _reindex(document: _Stale) -> None:
    async with TenantDatabase(database(), document.owner_id).transaction() as tx:
        # Nothing is lost with a commit that a crash undoes: the document is stale again, and indexed by the next run.
        await tx.execute("SET LOCAL synchronous_commit = off")
        # The row's lock holds off whoever renames or reads it anew meanwhile.
        current = await tx.fetch_one(
            "SELECT owner_id, id, filename, title FROM documents WHERE owner_id = %(owner)s AND id = %(id)s FOR NO KEY UPDATE",
            {"owner": document.owner_id, "id": document.id},
            row=_Stale,
        )
        text = await stored_text(tx, owner_id=document.owner_id, document_id=document.id)
        if current is not None and text is not None:
            await index(
                tx,
                owner_id=document.owner_id,
                document_id=document.id,
                language=text.language,
                filename=current.filename,
                title=current.title,
                notes=text.notes,
                pages=text.pages,
            )


async def _left() -> int:
    async with database().system() as tx:
        left: int = await tx.fetch_value("SELECT count(*) FROM document_search WHERE analysis < %(analysis)s", {"analysis": ANALYSIS})
    return left
