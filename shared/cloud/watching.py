"""Watched folders: new files of a cloud become documents by themselves.

A look asks the cloud's own feed of changes whether there is anything new (Drive's changes, Graph's delta, a folder's tag in Nextcloud); if
there may be, it lists the folder and those within, and begins with every file that has never been a document of the owner's as it is now. A
file is taken when two looks in a row have found it with the same size and tag: one that is still being written waits. What one look takes
is a job of imports, so it is skipped if its bytes are here already, counted, and can be cancelled. A folder is listed, too, if there may be
room by now for a file that there was none for, or if a day has passed since one failed.

Each look happens once by its number; one that dies in the middle is done again and finds what it has begun with already. The feed's
position is kept with what the look came to, and was asked for before the folder was listed: what changes meanwhile is seen by the next.
"""

import logging
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from shared import audit
from shared.audit import AuditAction, Caller
from shared.cloud import backends, cloud_names, imports
from shared.cloud.models import RefusedFile, WatchedFolder
from shared.db import TenantDatabase, Transaction, database
from shared.documents import jobs, quotas
from shared.errors import LimitReached, NotFound, RateLimited
from shared.events import publish
from shared.events.catalogue import LookDue
from shared.ids import new_id
from shared.storage import NameRefused, ObjectMissing, StorageBackend, StorageUnavailable
from shared.storage.backend import FolderEntry

log = logging.getLogger("docuvault.cloud")

MOST_WATCHED = 20
"""Folders of an owner's."""
LOOK_EVERY_SECONDS = 300
AGAIN_SECONDS = 60
"""Until the next look if files wait for one, or there were more than one look takes."""
LONGEST_PAUSE_SECONDS = 6 * 3600
"""Between looks that come to nothing, each of which waits twice as long as the one before."""
LOST_SECONDS = 1800
"""When a look that nothing came of, not even an error, is announced again."""
FILES_A_LOOK = 1_000
"""Files that one look takes; the next one goes on."""
MOST_FILES = 100_000
"""Files and folders that a look lists."""
MOST_WAITING = 10_000
REFUSED_TOLD = 100
ANNOUNCED_AT_ONCE = 500
COST = 40
"""As a slice of a job: documents that arrive come first."""

_COLUMNS = """
    id, path, (SELECT count(*) FROM jsonb_object_keys(waiting)) AS waiting, refused, error, looked_at, next_look_at, created_at
"""


@dataclass(frozen=True)
class _WatchRow:
    id: UUID
    connection_id: UUID
    path: str
    position: str
    waiting: dict[str, list[Any]]
    failures: int
    looks: int


@dataclass
class _Look:
    """What a look has come to so far."""

    waiting: dict[str, list[Any]] = field(default_factory=dict)
    refused: list[RefusedFile] = field(default_factory=list)
    taken: int = 0
    goes_on: bool = False
    """Files wait for the next look."""
    job_id: UUID | None = None
    results: imports.Reservations = field(default_factory=imports.Reservations)
    failed_before: list[UUID] = field(default_factory=list)
    """Imports that failed long ago, whose files the look tries again."""

    def wait(self, entry: FolderEntry) -> None:
        self.goes_on = True
        self.wait_for_room(entry)

    def wait_for_room(self, entry: FolderEntry) -> None:
        if len(self.waiting) < MOST_WAITING:
            self.waiting[entry.key] = [entry.size, entry.etag]

    def refuse(self, path: str, code: str) -> None:
        if len(self.refused) < REFUSED_TOLD:
            self.refused.append(RefusedFile(path=path, code=code))


async def begin(db: TenantDatabase, connection_id: UUID, path: str, *, caller: Caller | None = None) -> WatchedFolder:
    """Watches a folder; one that is watched already stays so. Raises NotFound, NameRefused, LimitReached, StorageUnavailable."""
    folder = path.strip("/")
    async with backends.opened(db, connection_id) as backend:
        entry = await backend.look(folder) if folder else FolderEntry("", "", is_folder=True)
    if entry is None or not entry.is_folder:
        raise NotFound(f"There is no folder “{folder[:200]}” in the cloud.")
    async with db.transaction() as tx:
        await tx.execute("SELECT FROM users WHERE id = %(owner)s FOR NO KEY UPDATE", {"owner": db.owner_id})
        keys = {"owner": db.owner_id, "connection": connection_id, "path": folder}
        others = await tx.fetch_value(
            """
            SELECT count(*) FROM watched_folders
            WHERE owner_id = %(owner)s AND NOT (connection_id = %(connection)s AND path = %(path)s)
            """,
            keys,
        )
        if others >= MOST_WATCHED:
            raise LimitReached(f"{MOST_WATCHED} folders can be watched; stop watching one first.")
        watched = await tx.fetch_one(
            f"""
            INSERT INTO watched_folders AS w (id, owner_id, connection_id, path)
            SELECT %(id)s, %(owner)s, id, %(path)s FROM cloud_connections WHERE owner_id = %(owner)s AND id = %(connection)s
            ON CONFLICT (owner_id, connection_id, path) DO UPDATE SET path = excluded.path
            RETURNING {_COLUMNS}
            """,
            {**keys, "id": new_id()},
            row=WatchedFolder,
        )
        if watched is None:
            raise NotFound("You have no such connection.")
        await _announce(tx, db.owner_id, watched.id)
        await audit.record_call(tx, caller, AuditAction.CLOUD_FOLDER_WATCHED, target=connection_id)
    return watched


async def list_all(db: TenantDatabase, connection_id: UUID) -> list[WatchedFolder]:
    """The folders of a connection that are watched, by path. Raises NotFound."""
    keys = {"owner": db.owner_id, "connection": connection_id}
    async with db.transaction() as tx:
        if not await tx.fetch_value("SELECT true FROM cloud_connections WHERE owner_id = %(owner)s AND id = %(connection)s", keys):
            raise NotFound("You have no such connection.")
        return await tx.fetch_all(
            f"SELECT {_COLUMNS} FROM watched_folders WHERE owner_id = %(owner)s AND connection_id = %(connection)s ORDER BY path, id",
            keys,
            row=WatchedFolder,
        )


async def end(db: TenantDatabase, connection_id: UUID, folder_id: UUID, *, caller: Caller | None = None) -> None:
    """Watches a folder no longer; what came from it stays. Raises NotFound."""
    async with db.transaction() as tx:
        if not await tx.execute(
            "DELETE FROM watched_folders WHERE owner_id = %(owner)s AND connection_id = %(connection)s AND id = %(id)s",
            {"owner": db.owner_id, "connection": connection_id, "id": folder_id},
        ):
            raise NotFound("You watch no such folder.")
        await audit.record_call(tx, caller, AuditAction.CLOUD_FOLDER_UNWATCHED, target=connection_id)


@dataclass(frozen=True)
class _DueFolder:
    id: UUID
    owner_id: UUID


async def announce_due() -> int:
    """Announces a look into each folder for which it is time and whose connection works; how many."""
    async with database().system() as tx:
        due = await tx.fetch_all(
            """
            SELECT w.id, w.owner_id FROM watched_folders AS w JOIN cloud_connections AS c ON c.id = w.connection_id
            WHERE w.next_look_at <= now() AND c.state = 'ok'
            ORDER BY w.next_look_at LIMIT %(most)s FOR UPDATE OF w SKIP LOCKED
            """,
            {"most": ANNOUNCED_AT_ONCE},
            row=_DueFolder,
        )
        for folder in due:
            await _announce(tx, folder.owner_id, folder.id)
    return len(due)


async def _announce(tx: Transaction, owner_id: UUID, folder_id: UUID) -> None:
    announced = await tx.fetch_one(
        """
        UPDATE watched_folders SET announced = announced + 1, next_look_at = now() + make_interval(secs => %(lost)s)
        WHERE owner_id = %(owner)s AND id = %(id)s RETURNING looks, announced
        """,
        {"owner": owner_id, "id": folder_id, "lost": LOST_SECONDS},
        row=_Announcement,
    )
    if announced is not None:
        event = LookDue(owner_id=owner_id, folder_id=folder_id, looks=announced.looks, announced=announced.announced)
        await publish(tx, event, cost=COST)


@dataclass(frozen=True)
class _Announcement:
    looks: int
    announced: int


async def look(db: TenantDatabase, folder_id: UUID, looks: int) -> bool:
    """The look of that number into a folder; False if it was done already, or the folder is not watched (any more).

    What the cloud does not let us do is kept with the folder, and tried again later: nothing is raised for it.
    """
    async with db.transaction() as tx:
        folder = await tx.fetch_one(
            """
            SELECT id, connection_id, path, position, waiting, failures, looks FROM watched_folders
            WHERE owner_id = %(owner)s AND id = %(id)s AND looks = %(looks)s
            """,
            {"owner": db.owner_id, "id": folder_id, "looks": looks},
            row=_WatchRow,
        )
    if folder is None:
        return False
    outcome = _Look()
    try:
        async with backends.opened(db, folder.connection_id) as backend:
            changed, position = await backend.changes(folder.path, folder.position)
            outcome.failed_before = await imports.failed_long_ago(db, folder.connection_id, folder.path)
            if not changed and not folder.waiting and not outcome.failed_before:
                return await _keep_quiet(db, folder, position)
            await _look_around(db, folder, backend, outcome)
    except (ObjectMissing, NameRefused):
        return await _keep_error(db, folder, "The folder is not there any more; stop watching it, or put it back.", outcome)
    except NotFound:
        return False  # the connection is gone, and the folder with it
    except (StorageUnavailable, RateLimited) as failed:
        return await _keep_error(db, folder, failed.detail or failed.title, outcome)
    return await _keep(db, folder, position, outcome)


async def _look_around(db: TenantDatabase, folder: _WatchRow, backend: StorageBackend, outcome: _Look) -> None:
    batch: list[FolderEntry] = []
    async with aclosing(_files(folder.path, backend, outcome)) as files:  # type: ignore[type-var]
        async for entry in files:
            batch.append(entry)
            if len(batch) == imports.BATCH:
                await _take(db, folder, batch, outcome)
                batch = []
    await _take(db, folder, batch, outcome)


async def _files(path: str, backend: StorageBackend, outcome: _Look) -> AsyncIterator[FolderEntry]:
    """The files of a folder and of those within."""
    folders, listed = [(path, 0)], 0
    while folders:
        path, depth = folders.pop()
        try:
            async with aclosing(backend.entries(path)) as entries:  # type: ignore[type-var]
                async for entry in entries:
                    listed += 1
                    if listed > MOST_FILES:
                        outcome.refuse(path, "too_many_files")
                        return
                    if entry.name.startswith(".") or entry.key == cloud_names.ROOT:
                        continue  # hidden by whoever put it there, an upload of ours under way, or where our own documents live
                    if not entry.is_folder:
                        yield entry
                    elif depth < imports.FOLDERS_DEEP:
                        folders.append((entry.key, depth + 1))
        except (ObjectMissing, NameRefused):
            if depth == 0:
                raise
            outcome.refuse(path, "not_found")


async def _take(db: TenantDatabase, folder: _WatchRow, entries: list[FolderEntry], outcome: _Look) -> None:
    """Begins with those of a few files that are new and have not changed since the look before."""
    known = await imports.look_up(db, folder.connection_id, entries)
    new = []
    for entry in entries:
        if known[entry.key].taken:
            continue
        if (code := imports.unfit(entry)) is not None:
            outcome.refuse(entry.key, code)
        elif folder.waiting.get(entry.key) == [entry.size, entry.etag]:
            new.append(entry)
        else:
            outcome.wait(entry)
    if not new:
        return
    room = FILES_A_LOOK - outcome.taken
    fitting = await _fitting(db, new[:room], outcome)
    for entry in new[room:]:
        outcome.wait(entry)
    if not fitting:
        return
    if outcome.job_id is None:
        outcome.job_id = await _begin_job(db, folder)
    if not await imports.reserve_some(db, folder.connection_id, fitting, outcome.job_id, outcome.results):
        for entry in fitting:
            outcome.wait(entry)
    full = {failed.path for failed in outcome.results.failed if failed.code == quotas.QuotaExceeded.code}
    for entry in fitting:
        if entry.key in full:  # others have taken the room meanwhile
            outcome.wait_for_room(entry)
    outcome.taken += len(fitting)


async def _fitting(db: TenantDatabase, entries: list[FolderEntry], outcome: _Look) -> list[FolderEntry]:
    """The files for which the account has room; the others are refused, and tried again at the next look if room may have come."""
    async with db.transaction() as tx:
        room, largest = await quotas.room(tx, db.owner_id), await quotas.largest(tx)
    fitting = []
    for entry in entries:
        size = imports.size_of(entry)
        if size > largest:
            outcome.refuse(entry.key, quotas.DocumentTooLarge.code)
        elif size <= room:
            fitting.append(entry)
            room -= size
        else:
            outcome.refuse(entry.key, quotas.QuotaExceeded.code)
            outcome.wait_for_room(entry)
    return fitting


async def _begin_job(db: TenantDatabase, folder: _WatchRow) -> UUID:
    request = {"connection": str(folder.connection_id), "watched_folder": str(folder.id), "look": folder.looks}
    async with db.transaction() as tx:
        return (await jobs.create(tx, db.owner_id, "import", request, position={"folders": []})).id


async def _end_job(tx: Transaction, owner_id: UUID, outcome: _Look) -> None:
    """All that the look takes is begun with: its job knows how many there are."""
    if outcome.job_id is None:
        return
    results = outcome.results
    await jobs.count(tx, owner_id, outcome.job_id, done=results.here, failed=results.failed)
    await imports.count_unfinished(tx, owner_id, outcome.job_id)


async def _keep(db: TenantDatabase, folder: _WatchRow, position: str, outcome: _Look) -> bool:
    for failed in outcome.results.failed:
        outcome.refuse(failed.path or "", failed.code)
    async with db.transaction() as tx:
        kept = await tx.execute(
            """
            UPDATE watched_folders
            SET looks = looks + 1, looked_at = now(), error = NULL, failures = 0, position = %(position)s, waiting = %(waiting)s,
                refused = %(refused)s, next_look_at = now() + make_interval(secs => %(pause)s)
            WHERE owner_id = %(owner)s AND id = %(id)s AND looks = %(looks)s
            """,
            {
                "position": position,
                "waiting": Jsonb(outcome.waiting),
                "refused": Jsonb([file.model_dump() for file in outcome.refused]),
                "pause": AGAIN_SECONDS if outcome.goes_on else LOOK_EVERY_SECONDS,
                "owner": db.owner_id,
                "id": folder.id,
                "looks": folder.looks,
            },
        )
        if kept:
            await imports.forget_failed(tx, db.owner_id, outcome.failed_before)
            await _end_job(tx, db.owner_id, outcome)
    return bool(kept)


async def _keep_quiet(db: TenantDatabase, folder: _WatchRow, position: str) -> bool:
    """Nothing has changed: what was refused still is."""
    async with db.transaction() as tx:
        return bool(
            await tx.execute(
                """
                UPDATE watched_folders
                SET looks = looks + 1, looked_at = now(), error = NULL, failures = 0, position = %(position)s,
                    next_look_at = now() + make_interval(secs => %(pause)s)
                WHERE owner_id = %(owner)s AND id = %(id)s AND looks = %(looks)s
                """,
                {"position": position, "pause": LOOK_EVERY_SECONDS, "owner": db.owner_id, "id": folder.id, "looks": folder.looks},
            )
        )


async def _keep_error(db: TenantDatabase, folder: _WatchRow, error: str, outcome: _Look) -> bool:
    """The look came to nothing, or to a part only; the next one begins anew, later each time."""
    pause = min(LOOK_EVERY_SECONDS << min(folder.failures, 10), LONGEST_PAUSE_SECONDS)
    async with db.transaction() as tx:
        kept = await tx.execute(
            """
            UPDATE watched_folders
            SET looks = looks + 1, looked_at = now(), error = %(error)s, failures = failures + 1,
                next_look_at = now() + make_interval(secs => %(pause)s)
            WHERE owner_id = %(owner)s AND id = %(id)s AND looks = %(looks)s
            """,
            {"error": error, "pause": pause, "owner": db.owner_id, "id": folder.id, "looks": folder.looks},
        )
        if kept:
            await _end_job(tx, db.owner_id, outcome)
    log.info("a look into a watched folder came to nothing", extra={"fields": {"folder": str(folder.id)}})
    return bool(kept)
