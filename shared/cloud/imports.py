"""Files of a cloud become documents: a row each at once, its bytes by an event, and then the way of every upload.

An import is a job: it reads the folders that were chosen, a slice for some of them at a time, and each of its files is counted when it has
become a document, turned out to be here already, or failed. What was imported from a path and has not changed there since is not fetched
again; what has the bytes of a document that is there already becomes no second one.
"""

import logging
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

from shared import audit
from shared.audit import AuditAction, Caller
from shared.cloud import backends, places
from shared.cloud.copying import CHANGED_MEANWHILE
from shared.db import TenantDatabase, Transaction, database
from shared.documents import filenames, jobs, library, lifecycle, upload_step
from shared.documents.change_models import FailedItem
from shared.documents.models import Document
from shared.documents.upload_step import UPLOAD_COLUMNS, DuplicateDocument, Upload
from shared.documents.uploads import EmptyDocument, UnsupportedType, accepted_type
from shared.errors import DomainError, NotFound
from shared.events import publish
from shared.events.catalogue import CloudFileChosen
from shared.ids import new_id
from shared.storage import NameRefused, ObjectMissing, StorageBackend, WrongContent, object_store
from shared.storage.backend import FolderEntry
from shared.storage.digesting import Digest, digesting

log = logging.getLogger("docuvault.cloud")

LIFETIME = timedelta(hours=24)
"""How long a file may wait for its turn; then its document is given up."""
FOLDERS_DEEP = 32
MOST_FILES = 50_000
"""Of one folder, itself and not those within."""
BATCH = 100
"""Files that are begun with in one transaction."""
SLICE_SECONDS = 5.0
"""How long a slice of an import begins with further folders: then others have their turn."""
EXPORTED_BYTES = 10 * 2**20
"""Set aside for a file whose size nobody knows before it is here: the most that Google exports."""
GOOGLES_OWN = "application/vnd.google-apps."
FAILED_HOURS = 24
"""How long a watched folder's file that failed is left alone, unless it changes."""


@dataclass(frozen=True)
class KnownFile:
    """What is known of a file as it is now.

    `here`: it is a document outside the trash, or lives there. `taken`: it is or was a document, or failed within the last day.
    """

    document_id: UUID | None = None
    job_id: UUID | None = None
    here: bool = False
    taken: bool = False


@dataclass(frozen=True)
class _ImportRow:
    id: UUID
    path: str
    size: int
    etag: str
    document_id: UUID | None
    job_id: UUID | None
    present: bool
    trashed: bool
    ended: bool
    settled: bool


@dataclass(frozen=True)
class _ImportSource:
    id: UUID
    connection_id: UUID
    path: str
    size: int
    taken: bool
    job_state: str | None

    @property
    def is_exported(self) -> bool:
        return self.size == 0  # empty files become no documents


@dataclass
class Reservations:
    """What came of files that were to be begun with."""

    begun: list[UUID] = field(default_factory=list)
    here: int = 0
    failed: list[FailedItem] = field(default_factory=list)


class _Overtaken(Exception):
    """Another import has begun with the same file just now."""


async def begin(db: TenantDatabase, connection_id: UUID, paths: Sequence[str], *, caller: Caller | None = None) -> list[Document]:
    """The documents that the files named become (or have become before); folders grow later.

    Raises NotFound, NameRefused, UnsupportedType, EmptyDocument, DocumentTooLarge, QuotaExceeded, StorageUnavailable, RateLimited: then
    nothing is begun.
    """
    async with backends.opened(db, connection_id) as backend:
        entries = []
        for path in dict.fromkeys(path.strip("/") for path in paths):
            entry = await backend.look(path) if path else FolderEntry("", "", is_folder=True)
            if entry is None:
                raise NotFound(f"There is no file “{path[:200]}” in the cloud.")
            entries.append(entry)
    while True:
        try:
            document_ids = await _begin_job(db, connection_id, entries, caller)
        except _Overtaken:
            continue  # another request has begun with one of these files just now: so it is known
        return [await library.get(db, document_id) for document_id in document_ids]


async def _begin_job(db: TenantDatabase, connection_id: UUID, entries: Sequence[FolderEntry], caller: Caller | None) -> list[UUID]:
    folders = [entry.key for entry in entries if entry.is_folder]
    files = [entry for entry in entries if not entry.is_folder]
    known = await look_up(db, connection_id, files)
    document_ids = []
    async with db.transaction() as tx:
        request = {"connection": str(connection_id), "paths": [entry.key for entry in entries]}
        position = {"folders": [[folder, 0] for folder in folders]}
        job = await jobs.create(tx, db.owner_id, "import", request, position=position)
        rows = {row.path: row for row in await _rows(tx, db.owner_id, connection_id, [entry.key for entry in files], lock=True)}
        here = 0
        for entry in files:
            file, before = known[entry.key], rows.get(entry.key)
            if file.here and file.document_id is not None:
                document_ids.append(file.document_id)
                here += 1
                continue
            try:
                async with tx.savepoint():
                    document_ids.append(await _reserve(tx, db.owner_id, connection_id, entry, job.id, before, caller=caller))
            except DuplicateDocument as duplicate:
                document_ids.append(UUID(duplicate.members["document_id"]))
                await _write(tx, db.owner_id, connection_id, entry, document_ids[-1], None, before)
                here += 1
        await jobs.count(tx, db.owner_id, job.id, done=here)
        if not folders:
            await count_unfinished(tx, db.owner_id, job.id)
    return document_ids


async def run_slice(db: TenantDatabase, job_id: UUID, slices: int) -> bool:
    """Goes on with an import: reads folders for SLICE_SECONDS, and afterwards looks after the files that nobody fetches any more.

    False, without effect, if that slice is not what comes next (any more). Raises StorageUnavailable, to be tried again.
    """
    ends = time.monotonic() + SLICE_SECONDS
    went_on = False
    while True:
        async with db.transaction() as tx:
            work = await jobs.lock(tx, db.owner_id, job_id)
        if work is None or work.slices != slices:
            return went_on
        if not (position := work.position)["folders"]:
            await _end(db, work)
            return True
        if time.monotonic() > ends:
            async with db.transaction() as tx:
                await jobs.go_on(tx, db.owner_id, work)
            return True
        (folder, depth), *rest = position["folders"]
        read = await _read_folder(db, UUID(work.request["connection"]), folder, job_id)
        if read is None:
            return True
        within = [[path, depth + 1] for path in read.folders if depth < FOLDERS_DEEP]
        async with db.transaction() as tx:
            if not await jobs.keep_position(tx, db.owner_id, work, {"folders": [*rest, *within]}):
                return went_on  # another delivery of this slice has counted the folder
            await jobs.count(tx, db.owner_id, job_id, done=read.here, failed=read.failed)
        went_on = True


@dataclass
class _ReadFolder(Reservations):
    folders: list[str] = field(default_factory=list)


async def _read_folder(db: TenantDatabase, connection_id: UUID, path: str, job_id: UUID) -> _ReadFolder | None:
    """Begins with every file of a folder that is no document yet; None if the job was cancelled meanwhile."""
    read = _ReadFolder()
    batch: list[FolderEntry] = []
    files = 0
    try:
        async with backends.opened(db, connection_id) as backend, aclosing(backend.entries(path)) as entries:  # type: ignore[type-var]
            async for entry in entries:
                if entry.name.startswith("."):
                    continue  # hidden by whoever put it there, or an upload of ours under way
                if entry.is_folder:
                    read.folders.append(entry.key)
                    continue
                files += 1
                if files > MOST_FILES:
                    read.failed.append(FailedItem(id=new_id(), code="too_many_files", path=path))
                    break
                batch.append(entry)
                if len(batch) == BATCH:
                    if not await _begin_batch(db, connection_id, batch, job_id, read):
                        return None
                    batch = []
    except (ObjectMissing, NotFound, NameRefused) as gone:
        read.failed.append(FailedItem(id=new_id(), code=gone.code, path=path))
    return read if await _begin_batch(db, connection_id, batch, job_id, read) else None


async def _begin_batch(
    db: TenantDatabase, connection_id: UUID, entries: Sequence[FolderEntry], job_id: UUID, outcome: Reservations
) -> bool:
    known = await look_up(db, connection_id, entries)
    new = []
    for entry in entries:
        if not known[entry.key].here:
            new.append(entry)
        elif known[entry.key].job_id != job_id:  # its own are counted as they end
            outcome.here += 1
    return await reserve_some(db, connection_id, new, job_id, outcome)


async def look_up(db: TenantDatabase, connection_id: UUID, entries: Sequence[FolderEntry]) -> dict[str, KnownFile]:
    """What is known of files of a cloud, by path."""
    paths = [entry.key for entry in entries]
    if not paths:
        return {}
    async with db.transaction() as tx:
        rows = {row.path: row for row in await _rows(tx, db.owner_id, connection_id, paths)}
        living = await places.living_at(tx, db.owner_id, connection_id, paths)
    known = {}
    for entry in entries:
        row = rows.get(entry.key)
        if entry.key in living:
            known[entry.key] = KnownFile(living[entry.key], here=True, taken=True)
        elif row is None or (row.size, row.etag) != (entry.size or 0, entry.etag):
            known[entry.key] = KnownFile()
        else:
            known[entry.key] = KnownFile(row.document_id, row.job_id, row.present and not row.trashed, row.present or row.settled)
    return known


async def _rows(tx: Transaction, owner_id: UUID, connection_id: UUID, paths: Sequence[str], *, lock: bool = False) -> list[_ImportRow]:
    return await tx.fetch_all(
        f"""
        SELECT i.id, i.path, i.size, i.etag, i.document_id, i.job_id, d.id IS NOT NULL AS present, d.trashed_at IS NOT NULL AS trashed,
            i.taken_at IS NOT NULL OR i.code IS NOT NULL AS ended,
            i.taken_at IS NOT NULL OR coalesce(i.code = 'cancelled' OR i.failed_at > now() - make_interval(hours => {FAILED_HOURS}), false)
                AS settled
        FROM cloud_imports AS i LEFT JOIN documents AS d ON d.owner_id = i.owner_id AND d.id = i.document_id
        WHERE i.owner_id = %(owner)s AND i.connection_id = %(connection)s AND i.path = ANY (%(paths)s)
        ORDER BY i.path {"FOR UPDATE OF i" if lock else ""}
        """,
        {"owner": owner_id, "connection": connection_id, "paths": list(paths)},
        row=_ImportRow,
    )


async def failed_long_ago(db: TenantDatabase, connection_id: UUID, folder: str) -> list[UUID]:
    """Imports from a folder, and those within, that failed more than FAILED_HOURS ago: their files may be tried again."""
    async with db.transaction() as tx:
        failed: list[UUID] = await tx.fetch_value(
            f"""
            SELECT coalesce(array_agg(id), '{{}}') FROM cloud_imports
            WHERE owner_id = %(owner)s AND connection_id = %(connection)s AND starts_with(path, %(within)s) AND document_id IS NULL
                AND code <> 'cancelled' AND failed_at < now() - make_interval(hours => {FAILED_HOURS})
            """,
            {"owner": db.owner_id, "connection": connection_id, "within": f"{folder}/" if folder else ""},
        )
    return failed


async def forget_failed(tx: Transaction, owner_id: UUID, import_ids: Sequence[UUID]) -> None:
    """Forgets failed imports, but for those whose file is being imported again."""
    await tx.execute(
        "DELETE FROM cloud_imports WHERE owner_id = %(owner)s AND id = ANY (%(ids)s)", {"owner": owner_id, "ids": list(import_ids)}
    )


async def reserve_some(
    db: TenantDatabase, connection_id: UUID, entries: Sequence[FolderEntry], job_id: UUID, outcome: Reservations
) -> bool:
    """Begins with files, those of a job, in one transaction; `outcome` gets what came of each. False if the job is not under way."""
    if not entries:
        return True
    results = Reservations()
    async with db.transaction() as tx:
        if not await jobs.running(tx, db.owner_id, job_id):
            return False
        # Locked before the account's row is, as whoever gives up one of these does.
        rows = {row.path: row for row in await _rows(tx, db.owner_id, connection_id, [entry.key for entry in entries], lock=True)}
        for entry in entries:
            before = rows.get(entry.key)
            try:
                async with tx.savepoint():
                    results.begun.append(await _reserve(tx, db.owner_id, connection_id, entry, job_id, before))
            except DuplicateDocument as duplicate:
                await _write(tx, db.owner_id, connection_id, entry, UUID(duplicate.members["document_id"]), None, before)
                results.here += 1
            except _Overtaken:
                results.here += 1
            except DomainError as unfit:
                results.failed.append(FailedItem(id=new_id(), code=unfit.code, path=entry.key))
    outcome.begun += results.begun
    outcome.here += results.here
    outcome.failed += results.failed
    return True


async def _reserve(
    tx: Transaction,
    owner_id: UUID,
    connection_id: UUID,
    entry: FolderEntry,
    job_id: UUID,
    before: _ImportRow | None,
    *,
    caller: Caller | None = None,
) -> UUID:
    """A document for a file, its bytes still to come; its id.

    Raises DuplicateDocument if the cloud says that its bytes are here, not if they are only on their way: that upload may be given up.
    """
    if before is not None and before.present and not before.trashed and (before.size, before.etag) == (entry.size or 0, entry.etag):
        raise _Overtaken
    filename, kind = _named(entry)
    size = size_of(entry)
    upload = upload_step.new_upload(
        owner_id, filename, size=size, content_type=kind, sha256=entry.sha256, method="through_us", lifetime=LIFETIME
    )
    await upload_step.insert(tx, upload, filename, allow_duplicate=False, arrived_only=True)
    await audit.record_call(tx, caller, AuditAction.DOCUMENT_IMPORTED, target=upload.id)
    await _write(tx, owner_id, connection_id, entry, upload.id, job_id, before)
    await publish(tx, CloudFileChosen(owner_id=owner_id, document_id=upload.id), cost=lifecycle.cost_of(size))
    return upload.id


def size_of(entry: FolderEntry) -> int:
    """Bytes that are set aside for a file."""
    return EXPORTED_BYTES if entry.exported else entry.size or 0


def unfit(entry: FolderEntry) -> str | None:
    """Why a file cannot become a document, as a code, or None."""
    try:
        _named(entry)
    except DomainError as refused:
        return refused.code
    return None


def _named(entry: FolderEntry) -> tuple[str, str]:
    """The filename and the content type of the document that a file becomes. Raises UnsupportedType, EmptyDocument."""
    filename = filenames.clean(f"{entry.name}.pdf" if entry.exported else entry.name)
    if entry.exported is None and entry.content_type.startswith(GOOGLES_OWN):
        raise UnsupportedType(f"“{filename}” is nothing that Google gives out as a file.")
    if not size_of(entry):
        raise EmptyDocument(f"The file “{filename}” has no bytes.")
    # The name decides: what a server says of a file's type is its guess from the name.
    return filename, accepted_type(entry.exported or "application/octet-stream", filename)


async def _write(
    tx: Transaction,
    owner_id: UUID,
    connection_id: UUID,
    entry: FolderEntry,
    document_id: UUID,
    job_id: UUID | None,
    before: _ImportRow | None,
) -> None:
    """What becomes of the file at a path; without a job it is here already. Raises _Overtaken if another import was first."""
    written = await tx.execute(
        """
        INSERT INTO cloud_imports AS i (id, owner_id, connection_id, path, size, etag, document_id, job_id, taken_at)
        VALUES (
            %(id)s, %(owner)s, %(connection)s, %(path)s, %(size)s, %(etag)s, %(document)s, %(job)s,
            CASE WHEN %(job)s::uuid IS NULL THEN now() END
        )
        ON CONFLICT (owner_id, connection_id, path) DO UPDATE
        SET id = excluded.id, size = excluded.size, etag = excluded.etag, document_id = excluded.document_id, job_id = excluded.job_id,
            taken_at = excluded.taken_at, code = NULL, failed_at = NULL, created_at = now()
        WHERE i.id = %(before)s
        """,
        {
            "id": new_id(),
            "owner": owner_id,
            "connection": connection_id,
            "path": entry.key,
            "size": entry.size or 0,
            "etag": entry.etag,
            "document": document_id,
            "job": job_id,
            "before": None if before is None else before.id,
        },
    )
    if not written:
        raise _Overtaken
    if before is not None and not before.ended and before.job_id is not None:
        # It was another file, or is one whose document was given up.
        gone = FailedItem(id=before.document_id or before.id, code=CHANGED_MEANWHILE, path=entry.key)
        await jobs.count(tx, owner_id, before.job_id, failed=[gone])


async def fetch(db: TenantDatabase, document_id: UUID) -> bool:
    """Brings a file's bytes to its document; False if there is nothing to do (any more).

    Raises StorageUnavailable, to be tried again. A file that is gone, or not the one that was listed, becomes no document.
    """
    async with db.transaction() as tx:
        upload = await _upload_of(tx, db.owner_id, document_id)
        source = await tx.fetch_one(
            """
            SELECT i.id, i.connection_id, i.path, i.size, i.taken_at IS NOT NULL AS taken, jobs.state AS job_state
            FROM cloud_imports AS i LEFT JOIN jobs ON jobs.id = i.job_id
            WHERE i.owner_id = %(owner)s AND i.document_id = %(id)s
            ORDER BY i.taken_at NULLS FIRST LIMIT 1
            """,
            {"owner": db.owner_id, "id": document_id},
            row=_ImportSource,
        )
    if upload is None or upload.status != "uploading":
        if source is not None and not source.taken:
            await _say_taken(db, source.id, document_id)  # who made it a document died before it could say so
        return False
    if source is None:  # another version of the file has taken its place, or it was found to be here already
        await upload_step.discard(db, upload)
        return False
    if source.job_state == "cancelled":
        await _give_up(db, upload, source.id, "cancelled")
        return False
    try:
        async with backends.opened(db, source.connection_id) as backend, digesting() as digest:
            chunks = _hashed(backend, source.path, digest)
            size = None if source.is_exported else upload.size
            stored = await object_store().put_stream(upload.object_key, chunks, content_type=upload.content_type, size=size)
            sha256 = await digest.sha256()
        finalized = await upload_step.finalize(db, upload, stored, sha256=sha256, allow_duplicate=False)
    except DuplicateDocument as duplicate:
        await _say_taken(db, source.id, UUID(duplicate.members["document_id"]))
        await upload_step.discard(db, upload)
        return False
    except WrongContent:
        await _give_up(db, upload, source.id, CHANGED_MEANWHILE)
        return False
    except (NotFound, NameRefused) as gone:
        await _give_up(db, upload, source.id, gone.code)
        return False
    if finalized:
        await _say_taken(db, source.id, document_id)
    return finalized


async def _upload_of(tx: Transaction, owner_id: UUID, document_id: UUID) -> Upload | None:
    """The document's own row, whatever a client uploads as its next version."""
    return await tx.fetch_one(
        f"SELECT {UPLOAD_COLUMNS} FROM documents WHERE owner_id = %(owner)s AND id = %(id)s",
        {"owner": owner_id, "id": document_id},
        row=Upload,
    )


async def _hashed(backend: StorageBackend, path: str, digest: Digest) -> AsyncIterator[bytes]:
    async with aclosing(backend.stream(path)) as chunks:  # type: ignore[type-var]
        async for chunk in chunks:
            await digest.take(chunk)
            yield chunk


async def _say_taken(db: TenantDatabase, import_id: UUID, document_id: UUID) -> None:
    """The file is this document now; its job counts it once."""
    async with db.transaction() as tx:
        job = await tx.fetch_one(
            """
            UPDATE cloud_imports SET taken_at = now(), document_id = %(document)s
            WHERE owner_id = %(owner)s AND id = %(id)s AND taken_at IS NULL AND code IS NULL RETURNING job_id AS id
            """,
            {"owner": db.owner_id, "id": import_id, "document": document_id},
            row=_JobOf,
        )
        if job is not None and job.id is not None:
            await jobs.count(tx, db.owner_id, job.id, done=1)


async def _give_up(db: TenantDatabase, upload: Upload, import_id: UUID, code: str) -> None:
    """The file becomes no document, unless another has made it one meanwhile."""
    if await upload_step.discard(db, upload):
        await _say_failed(db, import_id, upload.id, code)


async def _say_failed(db: TenantDatabase, import_id: UUID, document_id: UUID, code: str) -> None:
    async with db.transaction() as tx:
        job = await tx.fetch_one(
            """
            UPDATE cloud_imports SET code = %(code)s, failed_at = now()
            WHERE owner_id = %(owner)s AND id = %(id)s AND taken_at IS NULL AND code IS NULL RETURNING job_id AS id, path
            """,
            {"owner": db.owner_id, "id": import_id, "code": code},
            row=_JobOf,
        )
        if job is not None and job.id is not None:
            await jobs.count(tx, db.owner_id, job.id, failed=[FailedItem(id=document_id, code=code, path=job.path)])


@dataclass(frozen=True)
class _JobOf:
    id: UUID | None
    path: str = ""


@dataclass(frozen=True)
class _Unfinished:
    id: UUID
    document_id: UUID | None


async def _end(db: TenantDatabase, work: jobs.JobWork) -> None:
    """All files of the job are begun with: from how many on it is done, and which of them nobody fetches any more.

    What went away with its connection is counted no more.
    """
    async with db.transaction() as tx:
        if await _is_looking(tx, db.owner_id, work):
            return
        await count_unfinished(tx, db.owner_id, work.id)
    async with database().system() as tx:
        unfinished = await tx.fetch_all(
            """
            SELECT i.id, i.document_id FROM cloud_imports AS i
            WHERE i.owner_id = %(owner)s AND i.job_id = %(job)s AND i.taken_at IS NULL AND i.code IS NULL
                AND (i.document_id IS NULL OR EXISTS (
                    SELECT FROM events JOIN deliveries ON deliveries.event_id = events.id
                    WHERE events.dedup_key = %(event)s || '/' || i.document_id AND deliveries.state = 'dead'
                ))
            LIMIT 1000
            """,
            {"owner": db.owner_id, "job": work.id, "event": CloudFileChosen.TYPE},
            row=_Unfinished,
        )
    for one in unfinished:
        async with db.transaction() as tx:
            upload = None if one.document_id is None else await _upload_of(tx, db.owner_id, one.document_id)
        if upload is None:
            await _say_failed(db, one.id, one.document_id or one.id, lifecycle.GAVE_UP)
        elif upload.status == "uploading":
            await _give_up(db, upload, one.id, lifecycle.GAVE_UP)
        else:  # who made it a document died before it could say so
            await _say_taken(db, one.id, upload.id)


async def count_unfinished(tx: Transaction, owner_id: UUID, job_id: UUID) -> None:
    """The job begins with no more files: what is counted already, and those that it has begun with and that have not ended, are all."""
    if await jobs.lock(tx, owner_id, job_id) is None:
        return
    unfinished = await tx.fetch_value(
        """
        SELECT count(*) FROM cloud_imports
        WHERE owner_id = %(owner)s AND job_id = %(job)s AND taken_at IS NULL AND code IS NULL
        """,
        {"owner": owner_id, "job": job_id},
    )
    await jobs.set_unfinished(tx, owner_id, job_id, unfinished)


async def _is_looking(tx: Transaction, owner_id: UUID, work: jobs.JobWork) -> bool:
    """Whether the look into a watched folder that began with these files is still going on, and may begin with more."""
    looked = work.request.get("watched_folder")
    return looked is not None and bool(
        await tx.fetch_value(
            "SELECT looks <= %(look)s FROM watched_folders WHERE owner_id = %(owner)s AND id = %(id)s",
            {"owner": owner_id, "id": looked, "look": work.request["look"]},
        )
    )
