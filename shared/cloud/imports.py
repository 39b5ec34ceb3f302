"""Files of a cloud become documents: a row each at once, its bytes by an event, and then the way of every upload.

A folder is read by an event, too, and grows into documents as it is. What was imported from a path and has not changed there since is not
fetched again; what turns out to have the bytes of a document that is there already becomes no second one.
"""

import hashlib
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from shared import audit
from shared.audit import AuditAction, Caller
from shared.cloud import backends
from shared.db import TenantDatabase
from shared.documents import filenames, library, lifecycle, quotas, upload_step
from shared.documents.models import Document
from shared.documents.upload_step import UPLOAD_COLUMNS, DuplicateDocument, Upload
from shared.documents.uploads import EmptyDocument, accepted_type
from shared.errors import DomainError, NotFound
from shared.events import publish
from shared.events.catalogue import CloudFileChosen, CloudFolderChosen
from shared.ids import new_id
from shared.storage import ObjectMissing, WrongContent, object_store
from shared.storage.backend import FolderEntry

log = logging.getLogger("docuvault.cloud")

LIFETIME = timedelta(hours=24)
"""How long a file may wait for its turn; then its document is given up."""
FOLDERS_DEEP = 32
MOST_FILES = 50_000
"""Of one folder, itself and not those within."""


@dataclass(frozen=True)
class _ImportSource:
    connection_id: UUID
    path: str


async def begin(db: TenantDatabase, connection_id: UUID, paths: Sequence[str], *, caller: Caller | None = None) -> list[Document]:
    """The documents that the files named become (or have become before); folders grow later.

    Raises NotFound, NameRefused, UnsupportedType, EmptyDocument, DocumentTooLarge, QuotaExceeded, StorageUnavailable: then nothing is begun
    of what comes after.
    """
    documents = []
    async with backends.opened(db, connection_id) as backend:
        entries = []
        for path in dict.fromkeys(path.strip("/") for path in paths):
            entry = await backend.look(path) if path else FolderEntry("", "", is_folder=True)
            if entry is None:
                raise NotFound(f"There is no file “{path[:200]}” in the cloud.")
            entries.append(entry)
    for entry in entries:
        if entry.is_folder:
            await _announce_folder(db, connection_id, entry.key, depth=0)
        else:
            document_id = await _known(db, connection_id, entry) or await _reserve(db, connection_id, entry, caller=caller)
            documents.append(await library.get(db, document_id))
    return documents


async def grow_folder(db: TenantDatabase, connection_id: UUID, path: str, *, depth: int) -> int:
    """Begins with every file of a folder that can become a document and is not one yet, and announces the folders in it; how many files.

    Raises NotFound, StorageUnavailable.
    """
    begun = seen = 0
    async with backends.opened(db, connection_id) as backend, aclosing(backend.entries(path)) as entries:  # type: ignore[type-var]
        async for entry in entries:
            seen += 1
            if seen > MOST_FILES:
                log.warning("a folder with more files than are imported", extra={"fields": {"connection": str(connection_id)}})
                break
            if entry.name.startswith("."):
                continue  # hidden by whoever put it there, or an upload of ours under way
            if entry.is_folder:
                if depth < FOLDERS_DEEP:
                    await _announce_folder(db, connection_id, entry.key, depth=depth + 1)
                continue
            if await _known(db, connection_id, entry) is not None:
                continue
            try:
                await _reserve(db, connection_id, entry)
                begun += 1
            except quotas.QuotaExceeded:
                log.info("a folder that the account has no room for", extra={"fields": {"connection": str(connection_id)}})
                break
            except DomainError as refused:
                log.info("a file that becomes no document", extra={"fields": {"code": refused.code}})
    return begun


async def fetch(db: TenantDatabase, document_id: UUID) -> bool:
    """Brings a file's bytes to its document; False if there is nothing to do (any more).

    Raises StorageUnavailable, to be tried again. A file that is gone, or not the one that was listed, becomes no document.
    """
    async with db.transaction() as tx:
        upload = await tx.fetch_one(
            f"""
            SELECT {UPLOAD_COLUMNS} FROM documents
            WHERE owner_id = %(owner)s AND id = %(id)s AND status = 'uploading' AND upload_method = 'through_us'
            """,
            {"owner": db.owner_id, "id": document_id},
            row=Upload,
        )
        source = await tx.fetch_one(
            "SELECT connection_id, path FROM cloud_imports WHERE owner_id = %(owner)s AND document_id = %(id)s",
            {"owner": db.owner_id, "id": document_id},
            row=_ImportSource,
        )
    if upload is None or source is None:
        return False
    digest = hashlib.sha256()
    try:
        async with backends.opened(db, source.connection_id) as backend:

            async def hashed() -> AsyncIterator[bytes]:
                async with aclosing(backend.stream(source.path)) as chunks:  # type: ignore[type-var]
                    async for chunk in chunks:
                        digest.update(chunk)
                        yield chunk

            stored = await object_store().put_stream(upload.object_key, hashed(), content_type=upload.content_type, size=upload.size)
        return await upload_step.finalize(db, upload, stored, sha256=digest.hexdigest(), allow_duplicate=False)
    except DuplicateDocument as duplicate:
        async with db.transaction() as tx:
            await tx.execute(
                "UPDATE cloud_imports SET document_id = %(other)s WHERE owner_id = %(owner)s AND document_id = %(id)s",
                {"other": UUID(duplicate.members["document_id"]), "owner": db.owner_id, "id": document_id},
            )
        await upload_step.discard(db, upload)
    except (ObjectMissing, NotFound, WrongContent) as gone:
        log.info("a file that became no document", extra={"fields": {"document": str(document_id), "reason": gone.code}})
        await upload_step.discard(db, upload)
    return False


async def _known(db: TenantDatabase, connection_id: UUID, entry: FolderEntry) -> UUID | None:
    """The document that this very file, unchanged since, has become; None if there is none, or only in the trash."""
    async with db.transaction() as tx:
        document_id: UUID | None = await tx.fetch_value(
            """
            SELECT d.id FROM cloud_imports AS i JOIN documents AS d ON d.owner_id = i.owner_id AND d.id = i.document_id
            WHERE i.owner_id = %(owner)s AND i.connection_id = %(connection)s AND i.path = %(path)s
                AND i.size = %(size)s AND i.etag = %(etag)s AND d.trashed_at IS NULL
            UNION ALL
            SELECT id FROM documents WHERE owner_id = %(owner)s AND connection_id = %(connection)s AND cloud_key = %(path)s
            LIMIT 1
            """,
            {
                "owner": db.owner_id,
                "connection": connection_id,
                "path": entry.key,
                "size": entry.size or 0,
                "etag": entry.etag,
            },
        )
    return document_id


async def _reserve(db: TenantDatabase, connection_id: UUID, entry: FolderEntry, *, caller: Caller | None = None) -> UUID:
    """A document for a file, its bytes still to come; its id."""
    size, filename = entry.size or 0, filenames.clean(entry.name)
    if not size:
        raise EmptyDocument(f"The file “{filename}” has no bytes.")
    # The name decides: what a server says of a file's type is its guess from the name.
    kind = accepted_type("application/octet-stream", filename)
    upload = upload_step.new_upload(
        db.owner_id, filename, size=size, content_type=kind, sha256=None, method="through_us", lifetime=LIFETIME
    )
    async with db.transaction() as tx:
        await upload_step.insert(tx, upload, filename, allow_duplicate=True)
        await audit.record_call(tx, caller, AuditAction.DOCUMENT_IMPORTED, target=upload.id)
        await tx.execute(
            """
            INSERT INTO cloud_imports (id, owner_id, connection_id, path, size, etag, document_id)
            VALUES (%(id)s, %(owner)s, %(connection)s, %(path)s, %(size)s, %(etag)s, %(document)s)
            ON CONFLICT (owner_id, connection_id, path) DO UPDATE
            SET size = excluded.size, etag = excluded.etag, document_id = excluded.document_id, created_at = now()
            """,
            {
                "id": new_id(),
                "owner": db.owner_id,
                "connection": connection_id,
                "path": entry.key,
                "size": size,
                "etag": entry.etag,
                "document": upload.id,
            },
        )
        await publish(tx, CloudFileChosen(owner_id=db.owner_id, document_id=upload.id), cost=lifecycle.cost_of(size))
    return upload.id


async def _announce_folder(db: TenantDatabase, connection_id: UUID, path: str, *, depth: int) -> None:
    async with db.transaction() as tx:
        await publish(tx, CloudFolderChosen(owner_id=db.owner_id, connection_id=connection_id, path=path, depth=depth))
