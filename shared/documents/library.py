"""The owner's documents, once they are there: get, read, look at, download, trash and take back."""

import asyncio
import hashlib
import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from shared import audit
from shared.audit import AuditAction, Caller
from shared.clock import now
from shared.cloud import content
from shared.db import TenantDatabase, Transaction
from shared.documents import filenames, kept_thumbnails, lifecycle, recognized_pages, replacing, upload_step
from shared.documents.models import DOCUMENT_COLUMNS, Document, DocumentPages, DownloadLink, PlacedWord, TextPage
from shared.errors import Conflict, NotFound
from shared.extraction import content_types
from shared.extraction.thumbnails import MAX_THUMBNAIL_BYTES
from shared.storage import ObjectMissing, object_store
from shared.storage.object_keys import ThumbnailKey

DOWNLOAD_LIFETIME = timedelta(minutes=5)
INLINE_TYPES = frozenset(
    {
        content_types.PDF,
        content_types.TEXT,
        content_types.PNG,
        content_types.JPEG,
        content_types.TIFF,
        content_types.WEBP,
        content_types.GIF,
        content_types.BMP,
    }
)
"""What a browser may show by itself: nothing in these runs scripts."""


class UploadIncomplete(Conflict):
    code, title = "upload_incomplete", "The document has not arrived yet"


class ObjectRefused(Conflict):
    code, title = "object_mismatch", "What arrived is not what was announced, and was removed"


async def get(db: TenantDatabase, document_id: UUID) -> Document:
    """One of the owner's documents, in the trash or not. Raises NotFound."""
    async with db.transaction() as tx:
        return await read(tx, db.owner_id, document_id)


def entity_tag(document: Document) -> str:
    """A strong entity tag (RFC 9110, section 8.8.3): another one as soon as anything differs that clients see of the document."""
    return f'"{hashlib.sha256(document.model_dump_json().encode()).hexdigest()[:32]}"'


@dataclass(frozen=True)
class _TextRow:
    number: int
    text: str
    width: int | None
    height: int | None
    confidence: int | None
    words: bytes | None


async def text(db: TenantDatabase, document_id: UUID, page: int | None = None, *, boxes: bool = False) -> DocumentPages:
    """The text by page, or that of one page; with `boxes`, where recognised words stand. Raises NotFound for a document or a page that is
    not there."""
    async with db.transaction() as tx:
        rows = await tx.fetch_all(
            """
            SELECT number, text, width, height, confidence, words
            FROM document_pages AS page LEFT JOIN document_recognized_pages AS seen USING (owner_id, document_id, number)
            WHERE owner_id = %(owner)s AND document_id = %(id)s AND (%(page)s::integer IS NULL OR number = %(page)s)
            ORDER BY number
            """
            if boxes
            else """
            SELECT number, text, NULL::integer AS width, NULL::integer AS height, NULL::integer AS confidence, NULL::bytea AS words
            FROM document_pages
            WHERE owner_id = %(owner)s AND document_id = %(id)s AND (%(page)s::integer IS NULL OR number = %(page)s)
            ORDER BY number
            """,
            {"owner": db.owner_id, "id": document_id, "page": page},
            row=_TextRow,
        )
        if not rows:
            await read(tx, db.owner_id, document_id)
            if page is not None:
                raise NotFound(f"This document has no text of a page {page}.")
    # a book of scans has hundreds of thousands of words
    return await asyncio.to_thread(_document_text, rows) if boxes else _document_text(rows)


def _document_text(rows: list[_TextRow]) -> DocumentPages:
    return DocumentPages(
        pages=[
            TextPage(
                number=row.number,
                text=row.text,
                width=row.width,
                height=row.height,
                confidence=row.confidence,
                words=None if row.words is None else [_placed(word) for word in recognized_pages.unpack(row.words)],
            )
            for row in rows
        ]
    )


def _placed(word: tuple[str, int, int, int, int]) -> PlacedWord:
    text, x, y, w, h = word
    return {"text": text, "x": x, "y": y, "w": w, "h": h}


@dataclass(frozen=True)
class _Kept:
    filename: str
    content_type: str
    status: str
    error_code: str | None
    object_key: str
    connection_id: UUID | None
    version: int
    version_id: UUID | None


async def download(
    db: TenantDatabase,
    document_id: UUID,
    disposition: Literal["attachment", "inline"],
    *,
    version_id: UUID | None = None,
    caller: Caller | None = None,
) -> DownloadLink:
    """A link to the original, or to that of an earlier version, under its human name. `inline` is honoured for INLINE_TYPES only.

    Raises NotFound, UploadIncomplete, ObjectRefused.
    """
    async with db.transaction() as tx:
        kept = await _kept(tx, db.owner_id, document_id)
        earlier = None
        if version_id is not None and version_id != replacing.id_of_version(document_id, kept.version_id):
            kept = earlier = await _kept_version(tx, db.owner_id, document_id, version_id)
        if kept.status == "uploading":
            raise UploadIncomplete
        if kept.error_code == lifecycle.OBJECT_MISMATCH:
            raise ObjectRefused
        detail = {} if earlier is None else {"version": earlier.version}
        await audit.record_call(tx, caller, AuditAction.DOCUMENT_DOWNLOADED, target=document_id, detail=detail)
    if kept.content_type not in INLINE_TYPES:
        disposition = "attachment"
    expires_at = now() + DOWNLOAD_LIFETIME
    url = await link(
        db.owner_id,
        document_id if earlier is None or version_id is None else version_id,
        object_key=kept.object_key,
        connection_id=kept.connection_id,
        filename=kept.filename,
        content_type=kept.content_type,
        disposition=disposition,
        expires_at=expires_at,
    )
    return DownloadLink(url=url, expires_at=expires_at)


async def link(
    owner_id: UUID,
    document_id: UUID,
    *,
    object_key: str,
    connection_id: UUID | None,
    filename: str,
    content_type: str,
    disposition: Literal["attachment", "inline"],
    expires_at: datetime,
) -> str:
    """A URL that gives an original, in the bucket or in a cloud of its owner's, to whoever holds it until it expires; `document_id` is that
    of the version if it is an earlier one.

    The caller has looked whether the document may be given, and that `inline` is for INLINE_TYPES alone. Raises StorageUnavailable.
    """
    if connection_id is not None:
        return content.link(owner_id, document_id, disposition, expires_at)
    return await object_store().presign_get(
        object_key,
        content_type=content_type,
        content_disposition=filenames.content_disposition(disposition, filename),
        seconds=max(1, math.ceil((expires_at - now()).total_seconds())),
    )


async def thumbnail(db: TenantDatabase, document_id: UUID) -> tuple[str, bytes]:
    """The first page's picture as WebP, and its entity tag (RFC 9110, section 8.8.3), which changes with it. Raises NotFound."""
    async with db.transaction() as tx:
        kept = await kept_thumbnails.find(tx, owner_id=db.owner_id, document_id=document_id)
    if kept is None:
        raise NotFound
    if kept.picture is not None:
        return f'"{kept.revision}"', kept.picture
    key = ThumbnailKey.parse(kept.stored_key or "")
    if key is None:
        raise NotFound("This document has no thumbnail.")
    try:
        picture = await object_store().read(str(key), limit=MAX_THUMBNAIL_BYTES)
    except ObjectMissing:
        raise NotFound("This document has no thumbnail.") from None
    return f'"{key.revision}"', picture


async def trash(db: TenantDatabase, document_id: UUID, *, caller: Caller | None = None) -> None:
    """Puts a document into the trash; one that is there stays there, and one still uploading is given up. Raises NotFound."""
    async with db.transaction() as tx:
        # Locked, so that an upload that is just completed is one or the other.
        status = await tx.fetch_value(
            "SELECT status FROM documents WHERE owner_id = %(owner)s AND id = %(id)s FOR NO KEY UPDATE",
            {"owner": db.owner_id, "id": document_id},
        )
        if status is None:
            raise NotFound
        if status != "uploading":
            changed = await tx.execute(
                """
                UPDATE documents SET trashed_at = now(), updated_at = now()
                WHERE owner_id = %(owner)s AND id = %(id)s AND trashed_at IS NULL
                """,
                {"owner": db.owner_id, "id": document_id},
            )
            if changed:
                await audit.record_call(tx, caller, AuditAction.DOCUMENT_TRASHED, target=document_id)
                lifecycle.wake_listeners(tx, db.owner_id)
            return
        upload = await upload_step.find(tx, db.owner_id, document_id)
    if upload is None or not await upload_step.discard(db, upload, caller=caller):
        await trash(db, document_id, caller=caller)  # it has arrived meanwhile


async def restore(db: TenantDatabase, document_id: UUID, *, caller: Caller | None = None) -> Document:
    """Takes a document back out of the trash; one that is not there is answered as it is. Raises NotFound."""
    async with db.transaction() as tx:
        changed = await tx.execute(
            """
            UPDATE documents SET trashed_at = NULL, updated_at = now()
            WHERE owner_id = %(owner)s AND id = %(id)s AND trashed_at IS NOT NULL
            """,
            {"owner": db.owner_id, "id": document_id},
        )
        if changed:
            await audit.record_call(tx, caller, AuditAction.DOCUMENT_RESTORED, target=document_id)
            lifecycle.wake_listeners(tx, db.owner_id)
        return await read(tx, db.owner_id, document_id)


async def read(tx: Transaction, owner_id: UUID, document_id: UUID) -> Document:
    """As `get`, within a transaction of the caller's."""
    document = await tx.fetch_one(
        f"SELECT {DOCUMENT_COLUMNS} FROM documents AS d WHERE d.owner_id = %(owner)s AND d.id = %(id)s",
        {"owner": owner_id, "id": document_id},
        row=Document,
    )
    if document is None:
        raise NotFound
    return document


async def _kept(tx: Transaction, owner_id: UUID, document_id: UUID) -> _Kept:
    kept = await tx.fetch_one(
        """
        SELECT filename, content_type, status, error ->> 'code' AS error_code, object_key, connection_id, version, version_id
        FROM documents WHERE owner_id = %(owner)s AND id = %(id)s
        """,
        {"owner": owner_id, "id": document_id},
        row=_Kept,
    )
    if kept is None:
        raise NotFound
    return kept


async def _kept_version(tx: Transaction, owner_id: UUID, document_id: UUID, version_id: UUID) -> _Kept:
    kept = await tx.fetch_one(
        """
        SELECT filename, content_type, 'stored' AS status, NULL AS error_code, object_key, connection_id,
            number AS version, id AS version_id
        FROM document_versions WHERE owner_id = %(owner)s AND document_id = %(document)s AND id = %(id)s
        """,
        {"owner": owner_id, "document": document_id, "id": version_id},
        row=_Kept,
    )
    if kept is None:
        raise NotFound("The document has no such version.")
    return kept
