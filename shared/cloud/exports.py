"""Copies of documents in a folder of a cloud, under their human names; the documents stay where they are.

As with moves, the name is chosen and committed before anything is written, and the copy is verified by its hash; so an export that was
interrupted goes on where it was, and leaves no second copy. What was asked for at once is a job, in which each copy is counted.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import psycopg

from shared import audit
from shared.audit import AuditAction, Caller
from shared.cloud import backends, cloud_names, copying
from shared.db import TenantDatabase, Transaction, database
from shared.documents import jobs, lifecycle
from shared.errors import NotFound
from shared.events import publish
from shared.events.catalogue import ExportRequested
from shared.ids import new_id
from shared.storage import NameRefused, StorageBackend, StorageUnavailable, WrongContent
from shared.storage.cloud_addresses import segments

NAMES_TRIED = 1000


@dataclass(frozen=True)
class _Export:
    id: UUID
    connection_id: UUID
    job_state: str | None
    folder: str
    target_key: str | None
    from_connection: UUID | None
    source_key: str
    filename: str
    content_type: str
    size: int
    sha256: str | None


async def begin(
    db: TenantDatabase, connection_id: UUID, document_ids: Sequence[UUID], folder: str, *, caller: Caller | None = None
) -> None:
    """Asks for copies of the owner's documents. Raises NotFound if the connection or one of them is not there, NameRefused, RateLimited."""
    folder = folder.strip("/")
    if folder:
        segments(folder)
    wanted = list(dict.fromkeys(document_ids))
    async with db.transaction() as tx:
        if not await tx.fetch_value(
            "SELECT true FROM cloud_connections WHERE owner_id = %(owner)s AND id = %(id)s FOR KEY SHARE",
            {"owner": db.owner_id, "id": connection_id},
        ):
            raise NotFound("You have no such connection.")
        there = await tx.fetch_value(
            """
            SELECT count(*) FROM documents
            WHERE owner_id = %(owner)s AND id = ANY(%(ids)s) AND status <> 'uploading' AND trashed_at IS NULL
            """,
            {"owner": db.owner_id, "ids": wanted},
        )
        if there != len(wanted):
            raise NotFound("One of these documents is not there, or in the trash.")
        request = {"connection": str(connection_id), "folder": folder}
        job = await jobs.create(tx, db.owner_id, "export", request, total=len(wanted))
        for document_id in wanted:
            export_id = new_id()
            await tx.execute(
                """
                INSERT INTO cloud_exports (id, owner_id, connection_id, document_id, folder, job_id)
                VALUES (%(id)s, %(owner)s, %(connection)s, %(document)s, %(folder)s, %(job)s)
                """,
                {
                    "id": export_id,
                    "owner": db.owner_id,
                    "connection": connection_id,
                    "document": document_id,
                    "folder": folder,
                    "job": job.id,
                },
            )
            await audit.record_call(tx, caller, AuditAction.DOCUMENT_EXPORTED, target=document_id)
            await publish(tx, ExportRequested(owner_id=db.owner_id, export_id=export_id))


async def carry_out(db: TenantDatabase, export_id: UUID) -> bool:
    """Makes the copy; False if it is made already, not wanted any more, or cannot be made. Raises StorageUnavailable, to be tried again."""
    export = await _load(db, export_id)
    if export is None:
        return False
    if export.job_state == "cancelled":
        await _forget(db, export_id, "cancelled")
        return False
    try:
        made = await _copy(db, export)
    except copying.SourceChanged:
        await _forget(db, export_id, copying.CHANGED_MEANWHILE)
        return False
    except (NameRefused, NotFound) as refused:
        await _forget(db, export_id, refused.code)
        return False
    return made and await _forget(db, export_id, None)


async def run_slice(db: TenantDatabase, job_id: UUID, slices: int) -> bool:
    """Looks after the copies of a job that nobody makes any more: each is counted as failed. False if that slice is not what comes next."""
    async with db.transaction() as tx:
        work = await jobs.lock(tx, db.owner_id, job_id)
        if work is None or work.slices != slices:
            return False
        await jobs.count(tx, db.owner_id, job_id)
    async with database().system() as tx:
        given_up: list[UUID] = await tx.fetch_value(
            """
            SELECT coalesce(array_agg(e.id), '{}') FROM cloud_exports AS e
            WHERE e.owner_id = %(owner)s AND e.job_id = %(job)s AND EXISTS (
                SELECT FROM events JOIN deliveries ON deliveries.event_id = events.id
                WHERE events.dedup_key = %(event)s || '/' || e.id AND deliveries.state = 'dead'
            )
            """,
            {"owner": db.owner_id, "job": job_id, "event": ExportRequested.TYPE},
        )
    for export_id in given_up:
        await _forget(db, export_id, lifecycle.GAVE_UP)
    async with db.transaction() as tx:
        await _count_unfinished(tx, db.owner_id, job_id)
    return True


async def _count_unfinished(tx: Transaction, owner_id: UUID, job_id: UUID) -> None:
    """Copies of documents that were purged before they were made are lost: their rows went with the documents."""
    if await jobs.lock(tx, owner_id, job_id) is None:
        return
    unfinished = await tx.fetch_value(
        "SELECT count(*) FROM cloud_exports WHERE owner_id = %(owner)s AND job_id = %(job)s", {"owner": owner_id, "job": job_id}
    )
    await jobs.set_unfinished(tx, owner_id, job_id, unfinished)


async def _copy(db: TenantDatabase, export: _Export | None) -> bool:
    """Makes the copy and verifies it; False if it is not wanted any more."""
    assert export is not None
    async with backends.opened(db, export.from_connection) as source, backends.opened(db, export.connection_id) as target:
        original = copying.CopiedOriginal(export.source_key, export.size, export.sha256, export.content_type)
        while True:
            key = export.target_key or await _choose_name(db, export, target)
            earlier = export.target_key is not None
            sha256 = await copying.copy(original, source, target, key, earlier=earlier, attempt=export.id.hex)
            if sha256 is not None:
                break
            export = await _give_name_up(db, export)
            if export is None:
                return False
        if await target.sha256(key) != sha256:
            await target.delete(key)
            raise WrongContent("The copy is not what was sent; it was removed.")
    return True


async def _forget(db: TenantDatabase, export_id: UUID, code: str | None) -> bool:
    """The copy is made, or with a code it is not: its job counts it once. Whether it was still to be counted."""
    async with db.transaction() as tx:
        ended = await tx.fetch_one(
            "DELETE FROM cloud_exports WHERE owner_id = %(owner)s AND id = %(id)s RETURNING document_id, job_id",
            {"owner": db.owner_id, "id": export_id},
            row=_EndedExport,
        )
        if ended is not None and ended.job_id is not None:
            failed = [] if code is None else jobs.failures(code, [ended.document_id])
            await jobs.count(tx, db.owner_id, ended.job_id, done=int(code is None), failed=failed)
    return ended is not None


@dataclass(frozen=True)
class _EndedExport:
    document_id: UUID
    job_id: UUID | None


async def _load(db: TenantDatabase, export_id: UUID) -> _Export | None:
    async with db.transaction() as tx:
        return await tx.fetch_one(
            """
            SELECT e.id, e.connection_id, jobs.state AS job_state, e.folder, e.target_key,
                d.connection_id AS from_connection, coalesce(d.cloud_key, d.object_key) AS source_key, d.filename, d.content_type, d.size,
                d.sha256
            FROM cloud_exports AS e JOIN documents AS d ON d.owner_id = e.owner_id AND d.id = e.document_id
            LEFT JOIN jobs ON jobs.id = e.job_id
            WHERE e.owner_id = %(owner)s AND e.id = %(id)s
            """,
            {"owner": db.owner_id, "id": export_id},
            row=_Export,
        )


async def _choose_name(db: TenantDatabase, export: _Export, target: StorageBackend) -> str:
    for number in range(1, NAMES_TRIED):
        name = cloud_names.name_for(export.filename, number)
        key = f"{export.folder}/{name}" if export.folder else name
        if await target.look(key) is not None:
            continue
        try:
            async with db.transaction() as tx:
                await tx.execute(
                    "UPDATE cloud_exports SET target_key = %(key)s WHERE owner_id = %(owner)s AND id = %(id)s",
                    {"key": key, "owner": db.owner_id, "id": export.id},
                )
        except psycopg.errors.UniqueViolation:
            continue
        return key
    raise StorageUnavailable(f"There are {NAMES_TRIED} files of this name there.")


async def _give_name_up(db: TenantDatabase, export: _Export) -> _Export | None:
    async with db.transaction() as tx:
        await tx.execute(
            "UPDATE cloud_exports SET target_key = NULL WHERE owner_id = %(owner)s AND id = %(id)s", {"owner": db.owner_id, "id": export.id}
        )
    return await _load(db, export.id)
