"""The bytes of documents that live in a cloud, for whoever holds a link: signed, good for a while, with ranges (RFC 9110, section 14).

What the cloud has now is compared with what it had when the document came there: changed content is never passed off as the document.
"""

import re
import struct
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from shared.api.response import Response
from shared.clock import now
from shared.cloud import backends, places
from shared.config import settings
from shared.db import TenantDatabase, database
from shared.documents import filenames
from shared.errors import Conflict, NotFound, RateLimited
from shared.keys import base64url, from_base64url, is_signed, sign
from shared.storage import ObjectMissing
from shared.storage.backend import Disposition

STREAMS_AT_ONCE = 16
"""How many streams of one owner's documents run at once in one process: each takes a connection to the cloud."""

_PURPOSE = "content link"
_TOKEN = struct.Struct(">16s16sQ?")
_RANGE = re.compile(r"bytes=(?:(\d{1,18})-(\d{1,18})?|-(\d{1,18}))", re.ASCII)

_streams: Counter[UUID] = Counter()


class OriginalMissing(NotFound):
    """Somebody has removed the document from the cloud, past us."""

    code, title = "original_missing", "The document is no longer where it was in your cloud"


class OriginalChanged(Conflict):
    """Somebody has changed the document in the cloud, past us."""

    code, title = "original_changed", "The document was changed in your cloud"


@dataclass(frozen=True)
class _ServedDocument:
    filename: str
    content_type: str
    size: int
    id: UUID
    etag: str
    sha256: str | None
    connection_id: UUID | None
    key: str


def link(owner_id: UUID, document_id: UUID, disposition: Disposition, expires_at: datetime) -> str:
    """A URL that gives the document, or the earlier version that has this id, to whoever holds it, until it expires."""
    body = _TOKEN.pack(owner_id.bytes, document_id.bytes, int(expires_at.timestamp()), disposition == "inline")
    return f"{settings().backend_url}/api/content/{base64url(body + sign(_PURPOSE, body))}"


async def serve(token: str, headers: Mapping[str, str]) -> Response:
    """The document, or the range of it that is asked for. Raises NotFound, OriginalMissing, OriginalChanged, StorageUnavailable."""
    owner_id, document_id, disposition = _read(token)
    db = TenantDatabase(database(), owner_id)
    document = await _find(db, document_id)
    if _streams[owner_id] >= STREAMS_AT_ONCE:
        raise RateLimited(10, f"No more than {STREAMS_AT_ONCE} documents may be fetched at once; try again later.")
    await _check(db, document)
    tag = f'"{document.etag or document_id}"'
    said = [
        ("accept-ranges", "bytes"),
        ("etag", tag),
        ("content-disposition", filenames.content_disposition(disposition, document.filename)),
        ("cache-control", "private, no-store"),
    ]
    asked = headers.get("range", "")
    if headers.get("if-range", tag) != tag:
        asked = ""
    span = _span(asked, document.size)
    if span is None:
        return Response.content(b"", "text/plain", status=416, headers=[("content-range", f"bytes */{document.size}"), *said])
    start, length, partial = span
    if partial:
        said.append(("content-range", f"bytes {start}-{start + length - 1}/{document.size}"))
    said.append(("content-length", str(length)))
    chunks = _stream(db, document, start, length)
    return Response.stream(chunks, document.content_type, status=206 if partial else 200, headers=said)


def _read(token: str) -> tuple[UUID, UUID, Disposition]:
    """Whose document a token gives, which, and how. Raises NotFound."""
    data = from_base64url(token) if token.isascii() and len(token) < 200 else None
    body, signature = (data or b"")[: _TOKEN.size], (data or b"")[_TOKEN.size :]
    if len(signature) != 32 or not is_signed(_PURPOSE, body, signature):
        raise NotFound("This link is not good.")
    owner, document, expires_at, inline = _TOKEN.unpack(body)
    if expires_at < now().timestamp():
        raise NotFound("This link has expired; ask for a new one.")
    return UUID(bytes=owner), UUID(bytes=document), "inline" if inline else "attachment"


async def _find(db: TenantDatabase, document_id: UUID) -> _ServedDocument:
    async with db.transaction() as tx:
        document = await tx.fetch_one(
            """
            SELECT id, filename, content_type, size, coalesce(etag, '') AS etag, sha256, connection_id,
                coalesce(cloud_key, object_key) AS key
            FROM (
                SELECT id, filename, content_type, size, etag, sha256, connection_id, cloud_key, object_key FROM documents
                WHERE owner_id = %(owner)s AND id = %(id)s AND status <> 'uploading'
                UNION ALL
                SELECT id, filename, content_type, size, etag, sha256, connection_id, cloud_key, object_key FROM document_versions
                WHERE owner_id = %(owner)s AND id = %(id)s
            ) AS original
            WHERE EXISTS (SELECT FROM users WHERE id = %(owner)s AND NOT disabled AND deleted_at IS NULL)
            """,
            {"owner": db.owner_id, "id": document_id},
            row=_ServedDocument,
        )
    if document is None:
        raise NotFound("This link is not good any more.")
    return document


async def _check(db: TenantDatabase, document: _ServedDocument) -> None:
    """Raises OriginalMissing, OriginalChanged, StorageUnavailable."""
    async with backends.opened(db, document.connection_id) as backend:
        stored = await backend.stat(document.key)
        if stored is None:
            raise OriginalMissing
        original = places.PlacedOriginal(document.id, document.key, document.size, document.etag, document.sha256)
        if document.connection_id is not None and not await places.is_unchanged(db, backend, original, size=stored.size, etag=stored.etag):
            raise OriginalChanged("It is not what was stored any more: import it again to have what is there now.")


def _span(asked: str, size: int) -> tuple[int, int, bool] | None:
    """Start, length and whether that is a part; None if the range lies beyond the end. What is no single range asks for everything."""
    found = _RANGE.fullmatch(asked.strip())
    if found is None:
        return 0, size, False
    first, last, suffix = found.groups()
    if suffix is not None:
        start = max(0, size - int(suffix))
        end = size - 1 if int(suffix) else -1
    else:
        start, end = int(first), min(int(last) if last else size - 1, size - 1)
        if last and int(last) < int(first):
            return 0, size, False
    return (start, end - start + 1, True) if start <= end else None


async def _stream(db: TenantDatabase, document: _ServedDocument, start: int, length: int) -> AsyncIterator[bytes]:
    _streams[db.owner_id] += 1
    try:
        async with (
            backends.opened(db, document.connection_id) as backend,
            aclosing(backend.stream(document.key, start=start, length=length)) as chunks,  # type: ignore[type-var]
        ):
            left = length
            async for chunk in chunks:
                chunk = chunk[:left]
                left -= len(chunk)
                yield chunk
            if left:
                raise ObjectMissing("The document ended early.")  # the client sees fewer bytes than it was told
    finally:
        _streams[db.owner_id] -= 1
        if not _streams[db.owner_id]:
            del _streams[db.owner_id]
