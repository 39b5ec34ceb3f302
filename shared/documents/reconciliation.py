"""What finds a document that should have moved on: PostgreSQL and the bucket are the truth, everything that wakes a step is a hint.

`reconcile` runs every minute. It takes the unfinished documents that were checked longest ago, in batches: its cost follows what is under
way, not what is kept, and any number of them may run side by side. `clean_up` runs every half hour.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

from shared.db import TenantDatabase, Transaction, database
from shared.documents import changes, lifecycle, upload_step
from shared.documents.step_history import StepName
from shared.documents.upload_step import UPLOAD_COLUMNS, Upload
from shared.events import publish
from shared.events.catalogue import DocumentEvent, DocumentExtracted, DocumentLarge, DocumentScanned, DocumentStored
from shared.storage import object_store

log = logging.getLogger("docuvault.documents")

Reconciled = TypeVar("Reconciled")

QUIET_SECONDS = 30
"""How long a document may stand still before it is checked."""
BATCH = 100
STORE_CALLS_AT_ONCE = 8
TIME_LIMIT_SECONDS = 45.0
"""When a run stops taking more: the next one goes on where it ended."""

_STEPS: dict[str, StepName] = {"stored": "extract", "extracted": "classify"}


async def reconcile() -> None:
    """Checks every unfinished document that has stood still. Raises StorageUnavailable if uploads could not be looked for."""
    ends = time.monotonic() + TIME_LIMIT_SECONDS
    while time.monotonic() < ends:
        uploads, looked_at = await _check_batch()
        # Outside any transaction: the store may be slow.
        await _each(uploads, _finalize_if_stored)
        if looked_at < BATCH:
            return
    log.warning("the reconciler's time was up before all documents were checked")


async def clean_up() -> None:
    """Removes expired uploads and what has arrived for them since, and forgets tombstones and changes that nobody needs any more."""
    await _finalize_or_discard_expired()
    await _remove_expired_tombstones()
    async with database().system() as tx:
        await changes.prune(tx)


@dataclass(frozen=True)
class _UnfinishedDocument:
    """A document between two steps; `recognized` is how many of its scans are, if that has begun."""

    id: UUID
    owner_id: UUID
    status: str
    revision: int
    size: int
    recognized: int | None

    @property
    def events(self) -> list[DocumentEvent]:
        """The events that may take it on, the one to publish again first."""
        about: dict[str, Any] = {"owner_id": self.owner_id, "document_id": self.id, "revision": self.revision}
        if self.status == "extracted":
            return [DocumentExtracted(**about)]
        if self.recognized is not None:
            return [DocumentScanned(**about, done=self.recognized)]
        return [DocumentStored(**about), DocumentLarge(**about)]

    @property
    def keys(self) -> list[str]:
        """Under which these events were published."""
        return [event.dedup_key for event in self.events]


async def _check_batch() -> tuple[list[Upload], int]:
    """Checks a batch: documents between two steps are repaired on the spot, uploads under way are returned, with the batch's size."""
    async with database().system() as tx:
        taken = await tx.fetch_all(
            f"""
            UPDATE documents SET looked_at = now()
            WHERE id = ANY (ARRAY(
                SELECT id FROM documents
                WHERE status IN ('uploading', 'stored', 'extracted') AND looked_at < now() - make_interval(secs => %(quiet)s)
                ORDER BY looked_at LIMIT %(batch)s
                FOR UPDATE SKIP LOCKED
            ))
            RETURNING {UPLOAD_COLUMNS}
            """,
            {"quiet": QUIET_SECONDS, "batch": BATCH},
            row=Upload,
        )
        standing = [document.id for document in taken if document.status in _STEPS]
        if standing:
            await _repair_standing(tx, standing)
    return [upload for upload in taken if upload.status == "uploading" and upload.upload_method != "through_us"], len(taken)


@dataclass(frozen=True)
class _Deliveries:
    """In which states the deliveries of an event are."""

    dedup_key: str
    states: list[str]


async def _repair_standing(tx: Transaction, document_ids: list[UUID]) -> None:
    documents = await tx.fetch_all(
        """
        SELECT d.id, d.owner_id, d.status, d.revision, d.size, r.done AS recognized
        FROM documents AS d
        LEFT JOIN document_recognition AS r ON r.document_id = d.id AND r.revision = d.revision
        WHERE d.id = ANY(%(ids)s) AND d.updated_at < now() - make_interval(secs => %(quiet)s)
        ORDER BY d.owner_id, d.id
        """,
        {"ids": document_ids, "quiet": QUIET_SECONDS},
        row=_UnfinishedDocument,
    )
    found = await tx.fetch_all(
        """
        SELECT events.dedup_key, array_agg(deliveries.state) AS states
        FROM events JOIN deliveries ON deliveries.event_id = events.id
        WHERE events.dedup_key = ANY(%(keys)s)
        GROUP BY events.dedup_key
        """,
        {"keys": [key for document in documents for key in document.keys]},
        row=_Deliveries,
    )
    states = {deliveries.dedup_key: deliveries.states for deliveries in found}
    for document in documents:
        await _repair(tx, document, {state for key in document.keys for state in states.get(key, [])})


async def _repair(tx: Transaction, document: _UnfinishedDocument, states: set[str]) -> None:
    """If no delivery is on its way: one that is dead makes the document failed, one that was lost is published again."""
    if states & {"ready", "waiting", "running"}:
        return
    log.warning(
        "a document stood still",
        extra={"fields": {"document": str(document.id), "status": document.status, "delivery": "dead" if "dead" in states else "lost"}},
    )
    if "dead" in states:
        await lifecycle.fail(
            tx,
            owner_id=document.owner_id,
            document_id=document.id,
            revision=document.revision,
            while_status=document.status,
            step=_STEPS[document.status],
            code=lifecycle.GAVE_UP,
            detail="This step was tried several times and failed for reasons that are not the document's. It can be tried again.",
        )
        return
    await tx.execute("DELETE FROM events WHERE dedup_key = ANY(%(keys)s)", {"keys": document.keys})
    await publish(tx, document.events[0], cost=lifecycle.cost_of(document.size))


async def _finalize_if_stored(upload: Upload) -> None:
    stored = await object_store().stat(upload.object_key)
    if stored is not None:
        await upload_step.finalize(TenantDatabase(database(), upload.owner_id), upload, stored)


async def _finalize_or_discard_expired() -> None:
    while True:
        async with database().system() as tx:
            expired = await tx.fetch_all(
                f"""
                SELECT {UPLOAD_COLUMNS} FROM documents
                WHERE status = 'uploading' AND upload_expires_at < now()
                ORDER BY upload_expires_at LIMIT {BATCH}
                """,
                row=Upload,
            )
        await _each(expired, _finalize_or_discard)
        if len(expired) < BATCH:
            return


async def _finalize_or_discard(upload: Upload) -> None:
    """The document stays if all its bytes came in time and only the notification was lost."""
    db = TenantDatabase(database(), upload.owner_id)
    stored = None if upload.upload_method == "through_us" else await object_store().stat(upload.object_key)
    if stored is not None:
        await upload_step.finalize(db, upload, stored)
    else:
        await upload_step.discard(db, upload, only_expired=True)


@dataclass(frozen=True)
class _Tombstone:
    object_key: str
    upload_id: str | None


async def _remove_expired_tombstones() -> None:
    """Nothing can arrive under an expired tombstone's key any more: one last look, then it is forgotten."""
    while True:
        async with database().system() as tx:
            expired = await tx.fetch_all(
                f"SELECT object_key, upload_id FROM upload_tombstones WHERE expires_at < now() ORDER BY expires_at LIMIT {BATCH}",
                row=_Tombstone,
            )
        await _each(expired, _remove_late_object)
        async with database().system() as tx:
            await tx.execute(
                "DELETE FROM upload_tombstones WHERE object_key = ANY(%(keys)s)", {"keys": [tombstone.object_key for tombstone in expired]}
            )
        if len(expired) < BATCH:
            return


async def _remove_late_object(tombstone: _Tombstone) -> None:
    await upload_step.remove_remains(tombstone.object_key, tombstone.upload_id, in_parts=True)


async def _each(items: Sequence[Reconciled], work: Callable[[Reconciled], Awaitable[None]]) -> None:
    """Does them a few at a time; all are tried, then the first failure is raised."""
    gate = asyncio.Semaphore(STORE_CALLS_AT_ONCE)

    async def one(item: Reconciled) -> None:
        async with gate:
            await work(item)

    results = await asyncio.gather(*(one(item) for item in items), return_exceptions=True)
    for failed in results:
        if isinstance(failed, BaseException):
            raise failed
