"""What becomes of an upload: its object arrives and it is a stored document, or it is given up.

complete_upload, the bucket notification and the reconciler all end in `finalize`, which is idempotent. An upload given up or expired leaves
a tombstone until nothing can arrive under its key any more; so does an object that is not what was promised: it is removed, never served.

No transaction is open during a request to the store: what follows is committed only if the row is still as it was before.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from psycopg.types.json import Jsonb

from shared import audit
from shared.audit import AuditAction
from shared.clock import now
from shared.db import TenantDatabase, Transaction, database
from shared.documents import filenames, lifecycle, quotas, replacing, step_history
from shared.documents.models import DOCUMENT_COLUMNS, Document
from shared.errors import DomainError
from shared.events import publish
from shared.events.catalogue import DocumentStored
from shared.ids import new_id
from shared.search import index as search_index
from shared.storage import StorageUnavailable, StoredObject, object_store
from shared.storage.object_keys import OriginalKey

log = logging.getLogger("docuvault.documents")

TOMBSTONE_GRACE = timedelta(hours=1)
"""How long a PUT that began just before its URL expired may still be under way."""
URL_LIFETIME_AT_MOST = timedelta(hours=1)
"""How long a URL for the bytes of a document that is finalized may still be good."""


class DuplicateDocument(DomainError):
    """Carries the member `document_id`: the one that is already there."""

    status, code, title = 409, "duplicate_document", "You already have this document"


@dataclass(frozen=True)
class Upload:
    """A document's row as uploads need it; `size` in bytes, as declared while the status is `uploading`.

    `replaces` is the document that it is to be another version of: then the row is its upload's alone.
    """

    id: UUID
    owner_id: UUID
    size: int
    content_type: str
    status: str
    sha256: str | None
    revision: int
    object_key: str
    upload_method: str | None
    upload_id: str | None
    upload_expires_at: datetime | None
    created_at: datetime
    replaces: UUID | None = None

    @property
    def document_id(self) -> UUID:
        """The document, as clients know it."""
        return self.replaces or self.id


UPLOAD_COLUMNS = """
    id, owner_id, size, content_type, status, sha256, revision, object_key, upload_method, upload_id, upload_expires_at, created_at,
    replaces
"""


def new_upload(
    owner_id: UUID,
    filename: str,
    *,
    size: int,
    content_type: str,
    sha256: str | None,
    method: str,
    lifetime: timedelta,
    replaces: UUID | None = None,
) -> Upload:
    """An upload that is not in the database yet. Its object's key says whose it is, and nothing of its name but the ending."""
    document_id = new_id()
    return Upload(
        id=document_id,
        owner_id=owner_id,
        size=size,
        content_type=content_type,
        status="uploading",
        sha256=sha256,
        revision=1,
        object_key=str(OriginalKey.new(owner_id, replaces or document_id, filenames.extension(filename))),
        upload_method=method,
        upload_id=None,
        upload_expires_at=now() + lifetime,
        created_at=now(),
        replaces=replaces,
    )


async def insert(
    tx: Transaction, upload: Upload, filename: str, *, allow_duplicate: bool, arrived_only: bool = False, caller: audit.Caller | None = None
) -> Document:
    """Reserves room and writes the row, and the audit line of the `caller`; the document, as it is meanwhile if it is to be replaced.

    `arrived_only` as in `refuse_duplicate`. Raises QuotaExceeded, DuplicateDocument, and what `replacing.check` raises.
    """
    if upload.replaces is not None:
        await replacing.check(tx, upload.owner_id, upload.replaces, by_client=upload.upload_method != "through_us")
    document = await tx.fetch_one(
        f"""
        INSERT INTO documents AS d (
            id, owner_id, filename, title, size, content_type, status, sha256, object_key, upload_method, upload_expires_at, replaces
        )
        VALUES (
            %(id)s, %(owner)s, %(filename)s, %(title)s, %(size)s, %(content_type)s, 'uploading', %(sha256)s, %(object_key)s,
            %(method)s, %(expires_at)s, %(replaces)s
        )
        RETURNING {DOCUMENT_COLUMNS}
        """,
        {
            "id": upload.id,
            "owner": upload.owner_id,
            "filename": filename,
            "title": filenames.title(filename),
            "size": upload.size,
            "content_type": upload.content_type,
            "sha256": upload.sha256,
            "object_key": upload.object_key,
            "method": upload.upload_method,
            "expires_at": upload.upload_expires_at,
            "replaces": upload.replaces,
        },
        row=Document,
    )
    if upload.replaces is not None:
        document = await tx.fetch_one(
            f"SELECT {DOCUMENT_COLUMNS} FROM documents AS d WHERE d.owner_id = %(owner)s AND d.id = %(id)s",
            {"owner": upload.owner_id, "id": upload.replaces},
            row=Document,
        )
    assert document is not None
    action = AuditAction.DOCUMENT_UPLOADED if upload.replaces is None else AuditAction.DOCUMENT_VERSION_UPLOADED
    await audit.record_call(tx, caller, action, target=upload.document_id)
    # The account's row is locked from here on, so of two uploads of the same bytes the second sees the first.
    await quotas.reserve(tx, upload.owner_id, upload.size)
    if upload.sha256 is not None and not allow_duplicate:
        await refuse_duplicate(tx, upload.owner_id, upload.id, upload.sha256, arrived_only=arrived_only)
    lifecycle.wake_listeners(tx, upload.owner_id)
    return document


async def refuse_duplicate(tx: Transaction, owner_id: UUID, document_id: UUID, sha256: str, *, arrived_only: bool) -> None:
    """Raises DuplicateDocument if another document of the owner's, outside the trash, has or will have the same bytes.

    With `arrived_only` those that will have them do not count: their bytes may never come, and ours must not be thrown away for them.
    Call it after the account's row is locked (`quotas.reserve`, `quotas.use`): then no other upload can slip in between.
    """
    other: UUID | None = await tx.fetch_value(
        """
        SELECT coalesce(replaces, id) FROM documents
        WHERE owner_id = %(owner)s AND sha256 = %(sha256)s AND id <> %(id)s AND trashed_at IS NULL
            AND (status <> 'uploading' OR (NOT %(arrived_only)s AND upload_expires_at > now()))
            AND (status <> 'failed' OR error ->> 'step' <> 'upload')
        ORDER BY created_at, id LIMIT 1
        """,
        {"owner": owner_id, "sha256": sha256, "id": document_id, "arrived_only": arrived_only},
    )
    if other is not None:
        raise DuplicateDocument(document_id=str(other))


async def find(tx: Transaction, owner_id: UUID, document_id: UUID) -> Upload | None:
    """The row of one of the owner's documents, in whatever status; or that of its next version, if its client is uploading one."""
    return await tx.fetch_one(
        f"""
        SELECT {UPLOAD_COLUMNS} FROM documents
        WHERE owner_id = %(owner)s AND replaces = %(id)s AND upload_method <> 'through_us'
        UNION ALL
        SELECT {UPLOAD_COLUMNS} FROM documents WHERE owner_id = %(owner)s AND id = %(id)s AND replaces IS NULL
        LIMIT 1
        """,
        {"owner": owner_id, "id": document_id},
        row=Upload,
    )


async def finalize(
    db: TenantDatabase, upload: Upload, stored: StoredObject, *, sha256: str | None = None, allow_duplicate: bool = True
) -> bool:
    """The upload's object is there: `stored`, and DocumentStored is published; or `failed`, if it is not the object that was promised.

    Of a new version that is not what was promised nothing is left (`mismatch` tells), and the document is as it was. False if another
    finalized the upload, or gave it up, first. `sha256` where we have hashed the bytes ourselves; unless `allow_duplicate`, raises
    DuplicateDocument where they are there already.
    """
    wrong = mismatch(upload, stored)
    async with db.transaction() as tx:
        if upload.replaces is not None:
            finalized = await _replace(tx, upload, upload.replaces, stored, wrong, sha256, allow_duplicate=allow_duplicate)
        else:
            finalized = await _write_result(tx, upload, stored, wrong, sha256)
        if finalized and upload.replaces is None and sha256 is not None and not allow_duplicate:
            await refuse_duplicate(tx, upload.owner_id, upload.id, sha256, arrived_only=True)
    if finalized and wrong is not None:
        log.warning("another object than promised", extra={"fields": {"document": str(upload.id), "reason": wrong}})
        await remove_refused(upload.object_key)
    return finalized


async def _write_result(tx: Transaction, upload: Upload, stored: StoredObject, wrong: str | None, sha256: str | None) -> bool:
    error = None if wrong is None else Jsonb({"step": "upload", "code": lifecycle.OBJECT_MISMATCH, "detail": wrong})
    size = stored.size if wrong is None else 0
    changed = await tx.execute(
        """
        UPDATE documents
        SET status = %(status)s, error = %(error)s, size = %(size)s, etag = %(etag)s, sha256 = coalesce(%(sha256)s, sha256),
            upload_method = NULL, upload_id = NULL, upload_expires_at = NULL, updated_at = now()
        WHERE owner_id = %(owner)s AND id = %(id)s AND status = 'uploading' AND revision = %(revision)s
        """,
        {
            "status": "stored" if wrong is None else "failed",
            "error": error,
            "size": size,
            "etag": stored.etag if wrong is None else None,
            "sha256": sha256,
            "owner": upload.owner_id,
            "id": upload.id,
            "revision": upload.revision,
        },
    )
    if not changed:
        return False
    await step_history.record(
        tx,
        owner_id=upload.owner_id,
        document_id=upload.id,
        revision=upload.revision,
        step="upload",
        state="done" if wrong is None else "failed",
        started_at=upload.created_at,
        detail=wrong,
    )
    if wrong is None:
        event = DocumentStored(owner_id=upload.owner_id, document_id=upload.id, revision=upload.revision)
        await publish(tx, event, cost=lifecycle.cost_of(stored.size))
    else:
        await _leave_tombstone(tx, upload)
        await search_index.index_name(tx, owner_id=upload.owner_id, document_id=upload.id)
    await quotas.use(tx, upload.owner_id, reserved=upload.size, size=size)
    lifecycle.wake_listeners(tx, upload.owner_id)
    return True


async def _replace(
    tx: Transaction,
    upload: Upload,
    document_id: UUID,
    stored: StoredObject,
    wrong: str | None,
    sha256: str | None,
    *,
    allow_duplicate: bool,
) -> bool:
    """As `_write_result`, for a new version; the row of its upload is needed no more."""
    document = await replacing.lock(tx, upload.owner_id, document_id)
    filename: str | None = await tx.fetch_value(
        "DELETE FROM documents WHERE owner_id = %(owner)s AND id = %(id)s RETURNING filename",
        {"owner": upload.owner_id, "id": upload.id},
    )
    if document is None or filename is None:
        return False
    if wrong is not None:
        await _leave_tombstone(tx, upload)
        await quotas.release(tx, upload.owner_id, upload.size)
        return True
    if sha256 == document.sha256 is not None and not allow_duplicate:
        raise DuplicateDocument("It is the document's present version.", document_id=str(document_id))
    original = replacing.NewOriginal(
        id=upload.id,
        number=None,
        filename=filename,
        size=stored.size,
        content_type=upload.content_type,
        sha256=sha256 or upload.sha256,
        storage_provider=object_store().provider,
        connection_id=None,
        object_key=upload.object_key,
        cloud_key=None,
        etag=stored.etag,
        created_at=upload.created_at,
    )
    await replacing.replace(tx, upload.owner_id, document, original)
    await quotas.use(tx, upload.owner_id, reserved=upload.size, size=stored.size, documents=0)
    if sha256 is not None and not allow_duplicate:
        await refuse_duplicate(tx, upload.owner_id, document_id, sha256, arrived_only=True)
    return True


async def discard(db: TenantDatabase, upload: Upload, *, only_expired: bool = False, caller: audit.Caller | None = None) -> bool:
    """Gives the upload up (the `caller` does, if one is named): row gone, room released, a tombstone left; then the store is cleared.

    False if it is no longer uploading, or with `only_expired` if it was given more time. A store that is down is no obstacle: the
    tombstone remembers what there is to remove.
    """
    async with db.transaction() as tx:
        # As the row is now: since `upload` was read it may have been extended, or have reserved more.
        given_up = await tx.fetch_one(
            f"""
            DELETE FROM documents
            WHERE owner_id = %(owner)s AND id = %(id)s AND status = 'uploading' AND revision = %(revision)s
                AND (NOT %(only_expired)s OR upload_expires_at < now())
            RETURNING {UPLOAD_COLUMNS}
            """,
            {"owner": upload.owner_id, "id": upload.id, "revision": upload.revision, "only_expired": only_expired},
            row=Upload,
        )
        if given_up is None:
            return False
        await _leave_tombstone(tx, given_up)
        await audit.record_call(tx, caller, AuditAction.DOCUMENT_UPLOAD_ABORTED, target=upload.document_id)
        await quotas.release(tx, given_up.owner_id, given_up.size)
        lifecycle.wake_listeners(tx, given_up.owner_id)
    try:
        await remove_remains(given_up.object_key, given_up.upload_id, in_parts=given_up.upload_method != "single")
    except StorageUnavailable:
        log.warning("an upload's remains are still in the store", extra={"fields": {"document": str(upload.id)}})
    return True


async def give_up_versions(tx: Transaction, owner_id: UUID, document_ids: Sequence[UUID]) -> int:
    """The documents are to be purged: what is being uploaded to replace them is given up, and leaves tombstones. The room to release."""
    given_up = await tx.fetch_all(
        f"DELETE FROM documents WHERE owner_id = %(owner)s AND replaces = ANY (%(ids)s) RETURNING {UPLOAD_COLUMNS}",
        {"owner": owner_id, "ids": list(document_ids)},
        row=Upload,
    )
    for upload in given_up:
        await _leave_tombstone(tx, upload)
    return sum(upload.size for upload in given_up)


async def refuse_object(tx: Transaction, owner_id: UUID, document_id: UUID) -> str | None:
    """The object of a document that has failed is not what was promised: it holds no room any more. Its key, for `remove_refused`."""
    refused = await tx.fetch_one(
        f"SELECT {UPLOAD_COLUMNS} FROM documents WHERE owner_id = %(owner)s AND id = %(id)s FOR NO KEY UPDATE",
        {"owner": owner_id, "id": document_id},
        row=Upload,
    )
    if refused is None:
        return None
    await tx.execute(
        "UPDATE documents SET size = 0, etag = NULL WHERE owner_id = %(owner)s AND id = %(id)s", {"owner": owner_id, "id": document_id}
    )
    await _leave_tombstone(tx, refused)
    await quotas.give_back(tx, owner_id, refused.size)
    return refused.object_key


async def remove_refused(object_key: str) -> None:
    """Removes an object that is not what was promised; a store that is down is no obstacle, for the tombstone remembers it."""
    try:
        await object_store().delete(object_key)
    except StorageUnavailable:
        log.warning("an object that is not what was promised is still in the store", extra={"fields": {"key": object_key}})


async def _leave_tombstone(tx: Transaction, upload: Upload) -> None:
    """Until nothing can arrive under the upload's key any more, what arrives is removed."""
    await tx.execute(
        """
        INSERT INTO upload_tombstones (object_key, owner_id, upload_id, expires_at)
        VALUES (%(key)s, %(owner)s, %(upload_id)s, %(expires_at)s)
        ON CONFLICT (object_key) DO NOTHING
        """,
        {
            "key": upload.object_key,
            "owner": upload.owner_id,
            "upload_id": upload.upload_id,
            "expires_at": max(upload.upload_expires_at or now() + URL_LIFETIME_AT_MOST, now()) + TOMBSTONE_GRACE,
        },
    )


async def remove_remains(object_key: str, upload_id: str | None, *, in_parts: bool) -> None:
    """Removes the object and the parts of an upload given up. Raises StorageUnavailable."""
    store = object_store()
    if upload_id is not None or in_parts:
        await store.abort_parts(object_key, upload_id)
    await store.delete(object_key)


async def object_arrived(object_key: str) -> str:
    """An object was created under this key. What came of it, in a word: finalized, known, early, removed, gone or unknown.

    `early`: bytes that pass through us, which whoever receives them finalizes. `unknown` objects are left alone and counted in the log.
    """
    original = OriginalKey.parse(object_key)
    if original is None:
        return _unknown(object_key)
    db = TenantDatabase(database(), original.owner_id)
    async with db.transaction() as tx:
        upload = await tx.fetch_one(
            f"SELECT {UPLOAD_COLUMNS} FROM documents WHERE owner_id = %(owner)s AND object_key = %(key)s",
            {"owner": db.owner_id, "key": object_key},
            row=Upload,
        )
        has_tombstone = (upload is None or upload.status == "failed") and await tx.fetch_value(
            "SELECT true FROM upload_tombstones WHERE owner_id = %(owner)s AND object_key = %(key)s",
            {"owner": db.owner_id, "key": object_key},
        )
    if has_tombstone:
        await object_store().delete(object_key)
        return "removed"
    if upload is None:
        return _unknown(object_key)
    if upload.status != "uploading":
        return "known"
    if upload.upload_method == "through_us":
        return "early"
    stored = await object_store().stat(object_key)
    if stored is None:
        return "gone"
    return "finalized" if await finalize(db, upload, stored) else "known"


def _unknown(object_key: str) -> str:
    log.warning("an object that no document knows", extra={"fields": {"key": object_key[:200]}})
    return "unknown"


def mismatch(upload: Upload, stored: StoredObject) -> str | None:
    """How the object differs from what was promised, as a sentence, or None."""
    if upload.upload_method == "through_us":
        return None
    if not stored.readable:
        return "What arrived is encrypted with a key that we do not have, or damaged."
    if stored.size != upload.size:
        return f"{upload.size} bytes were announced, {stored.size} arrived."
    if stored.content_type and stored.content_type.partition(";")[0].strip().lower() != upload.content_type:
        return f"A file of type {upload.content_type} was announced, one of type {stored.content_type[:100]} arrived."
    return None
