"""One original takes another's place in a document: what arrived for it, or an earlier version that is taken back.

The document stays the same one, with its id, topics, notes and shares; its former original becomes an earlier version
(`document_versions`) and stays where it is. What was read of it goes: the document is `stored`, at its next revision, and is found by its
name until it has been read. One that was never in the store, or was refused, is no version.

A document has one upload of a new version by its client at a time (`check`), so that it is clear which one `complete_upload` means; what
passes through us needs no second request, and any number of those may come: each becomes a version, one after the other.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid5

from shared.cloud import moves
from shared.db import Transaction
from shared.documents import filenames, kept_thumbnails, lifecycle, step_history
from shared.errors import Conflict, LimitReached, NotFound
from shared.events import publish
from shared.events.catalogue import DocumentStored
from shared.search import index as search_index

AT_MOST = 100
"""Versions a document may have, those on their way included: rows take room beside their bytes."""


class NotReplaceable(Conflict):
    code, title = "not_replaceable", "The document cannot have another version now"


@dataclass(frozen=True)
class NewOriginal:
    """What takes the place; `size` in bytes. `number` is None for one that comes after all there are."""

    id: UUID
    number: int | None
    filename: str
    size: int
    content_type: str
    sha256: str | None
    storage_provider: str
    connection_id: UUID | None
    object_key: str
    cloud_key: str | None
    etag: str | None
    created_at: datetime


@dataclass(frozen=True)
class ReplacedDocument:
    """A document whose row is locked; `status` and `error_code` say whether it has an original."""

    id: UUID
    version: int
    version_id: UUID | None
    status: str
    error_code: str | None
    revision: int
    trashed_at: datetime | None
    connection_id: UUID | None
    sha256: str | None

    @property
    def current_id(self) -> UUID:
        return id_of_version(self.id, self.version_id)


def id_of_version(document_id: UUID, version_id: UUID | None) -> UUID:
    """The id of a version, as clients see it, by what the document's row says: the first one's follows from the document's."""
    return version_id or uuid5(document_id, "version 1")


async def lock(tx: Transaction, owner_id: UUID, document_id: UUID) -> ReplacedDocument | None:
    """The document, nobody else's to replace until `tx` ends. Lock it before an upload that replaces it."""
    return await tx.fetch_one(
        """
        SELECT id, version, version_id, status, error ->> 'code' AS error_code, revision, trashed_at, connection_id, sha256
        FROM documents WHERE owner_id = %(owner)s AND id = %(id)s AND replaces IS NULL FOR NO KEY UPDATE
        """,
        {"owner": owner_id, "id": document_id},
        row=ReplacedDocument,
    )


async def check(tx: Transaction, owner_id: UUID, document_id: UUID, *, by_client: bool) -> None:
    """Whether an upload of another version may begin; `by_client` if its client will complete it.

    Raises NotFound, NotReplaceable, LimitReached.
    """
    document = await lock(tx, owner_id, document_id)
    if document is None:
        raise NotFound("There is no such document to replace.")
    if document.status == "uploading":
        raise NotReplaceable("It has not arrived itself yet.")
    if document.trashed_at is not None:
        raise NotReplaceable("It is in the trash: take it out first.")
    keys = {"owner": owner_id, "id": document_id}
    methods: Sequence[str] = await tx.fetch_value(
        "SELECT coalesce(array_agg(upload_method), '{}') FROM documents WHERE owner_id = %(owner)s AND replaces = %(id)s", keys
    )
    if by_client and any(method != "through_us" for method in methods):
        raise NotReplaceable("Another version is being uploaded: complete or abort that upload first.")
    earlier: int = await tx.fetch_value("SELECT count(*) FROM document_versions WHERE owner_id = %(owner)s AND document_id = %(id)s", keys)
    if earlier + len(methods) + 1 >= AT_MOST:
        raise LimitReached(f"A document may have {AT_MOST} versions.")


async def replace(tx: Transaction, owner_id: UUID, document: ReplacedDocument, new: NewOriginal) -> int:
    """Puts `new` in the place of the original of a document that `lock` gave; the number of the version it is.

    A title that follows from the file's name follows the new one's. A move goes on with the new original, and where the former one was
    the new one goes, too.
    """
    keys = {"owner": owner_id, "id": document.id}
    await moves.follow(tx, owner_id, document.id, document.connection_id)
    if document.error_code != lifecycle.OBJECT_MISMATCH:
        await tx.execute(
            """
            INSERT INTO document_versions (
                id, document_id, owner_id, number, filename, size, content_type, sha256, storage_provider, connection_id, object_key,
                cloud_key, etag, created_at
            )
            SELECT %(version)s, id, owner_id, version, filename, size, content_type, sha256, storage_provider, connection_id, object_key,
                cloud_key, etag, coalesce(version_created_at, created_at)
            FROM documents WHERE owner_id = %(owner)s AND id = %(id)s
            """,
            {**keys, "version": document.current_id},
        )
    number: int = await tx.fetch_value(
        """
        UPDATE documents AS d
        SET version = coalesce(%(number)s, 1 + greatest(d.version, (
                SELECT max(number) FROM document_versions WHERE owner_id = %(owner)s AND document_id = %(id)s
            ))),
            version_id = %(version)s, version_created_at = %(created_at)s, filename = %(filename)s,
            title = CASE WHEN title_source = 'filename' THEN %(title)s ELSE title END,
            size = %(size)s, content_type = %(content_type)s, sha256 = %(sha256)s, storage_provider = %(provider)s,
            connection_id = %(connection)s, object_key = %(object_key)s, cloud_key = %(cloud_key)s, etag = %(etag)s,
            status = 'stored', error = NULL, warnings = '[]', page_count = NULL, language = NULL,
            revision = revision + 1, looked_at = now(), updated_at = now()
        WHERE owner_id = %(owner)s AND id = %(id)s
        RETURNING version
        """,
        {
            **keys,
            "number": new.number,
            "version": new.id,
            "created_at": new.created_at,
            "filename": new.filename,
            "title": filenames.title(new.filename),
            "size": new.size,
            "content_type": new.content_type,
            "sha256": new.sha256,
            "provider": new.storage_provider,
            "connection": new.connection_id,
            "object_key": new.object_key,
            "cloud_key": new.cloud_key,
            "etag": new.etag,
        },
    )
    for table in ("document_pages", "document_search", "document_fingerprints"):
        await tx.execute(f"DELETE FROM {table} WHERE owner_id = %(owner)s AND document_id = %(id)s", keys)
    await kept_thumbnails.forget(tx, owner_id=owner_id, document_id=document.id)
    await search_index.index_name(tx, owner_id=owner_id, document_id=document.id)
    await step_history.record(
        tx,
        owner_id=owner_id,
        document_id=document.id,
        revision=document.revision + 1,
        step="upload",
        state="done",
        started_at=new.created_at if new.number is None else None,
        detail=f"version {number}",
    )
    event = DocumentStored(owner_id=owner_id, document_id=document.id, revision=document.revision + 1)
    await publish(tx, event, cost=lifecycle.cost_of(new.size))
    lifecycle.wake_listeners(tx, owner_id)
    return number
