"""Taking everything out: a link to a ZIP of documents, made while it is sent, in constant memory and without a transaction held.

Originals lie in it under their human names, the text of each as `text/<name>.txt`, all that is known of them as JSON Lines in
`manifest.jsonl`. A document that cannot be had whole is named in `errors.txt`, with the reason; the archive goes on.

What a link chooses is kept until it expires with the responses of idempotent requests (`idempotency_keys`, by the operation that uses
it): a thousand ids are too long for an address.
"""

import asyncio
import hashlib
import json
import logging
import struct
import tempfile
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, aclosing
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import IO
from uuid import UUID

from shared import audit
from shared.api.response import Response
from shared.audit import AuditAction, Caller
from shared.clock import now
from shared.cloud import backends, places
from shared.cloud.content import OriginalChanged, OriginalMissing
from shared.config import settings
from shared.db import TenantDatabase, database
from shared.documents import archive_names, bulk, library, listing
from shared.documents.archive_models import ArchivedDocument, ArchivedVersion, ArchiveLink, ArchiveRequest
from shared.documents.archive_names import ArchiveNames
from shared.documents.models import Document, DocumentFilter
from shared.documents.zip_stream import IN_MEMORY, PIECE, ZipStream
from shared.errors import DomainError, NotFound, RateLimited, Unavailable
from shared.extraction import content_types
from shared.ids import new_id
from shared.keys import base64url, from_base64url, is_signed, sign
from shared.storage import CredentialsRejected, StorageUnavailable

log = logging.getLogger("docuvault.documents")

CONTENT_TYPE = "application/zip"
LINK_LIFETIME = timedelta(minutes=5)
"""How long a link may be used to begin; what has begun goes on."""
STREAMS_AT_ONCE = 2
"""Archives of one owner that are sent at once by one process: each takes a connection to where the originals are."""
BATCH = 100
PAGES_AT_ONCE = 10
UNREACHABLE_AFTER = 3
"""Originals in a row that a place could not give, after which it is not asked any more: each takes many seconds."""
PAUSES_SECONDS = (0.5, 2.0)
"""Between attempts to go on with an original that broke off."""
DEFLATE_IN_A_THREAD_FROM_BYTES = 32 * 1024
"""Compressing more than this would keep everybody else waiting."""

_PURPOSE = "archive link"
_OPERATION = "stream_archive"
_TOKEN = struct.Struct(">16s16sQ")
_COMPRESSIBLE = frozenset(
    {
        content_types.EML,
        content_types.RTF,
        content_types.BMP,
        content_types.DOC,
        content_types.XLS,
        content_types.PPT,
        content_types.MSG,
    }
)
"""Beside all text. The other types are compressed already."""

_streams: Counter[UUID] = Counter()


async def create(db: TenantDatabase, request: ArchiveRequest, *, caller: Caller | None = None) -> ArchiveLink:
    """A link to the documents that are there now. Raises ValidationFailed for a query that makes no sense."""
    if request.filter is not None:
        await bulk.meaning_of(db, request.filter)
    archive_id, expires_at = new_id(), now() + LINK_LIFETIME
    body = request.model_dump_json().encode()
    chosen = "ids" if request.ids is not None else "everything" if request.filter is None else "filter"
    async with db.transaction() as tx:
        await tx.execute(
            """
            DELETE FROM idempotency_keys
            WHERE owner_id = %(owner)s AND operation = %(operation)s AND created_at < now() - %(lifetime)s
            """,
            {"owner": db.owner_id, "operation": _OPERATION, "lifetime": LINK_LIFETIME},
        )
        await tx.execute(
            """
            INSERT INTO idempotency_keys (owner_id, operation, key, request_hash, state, body)
            VALUES (%(owner)s, %(operation)s, %(key)s, %(hash)s, 'done', %(body)s)
            """,
            {
                "owner": db.owner_id,
                "operation": _OPERATION,
                "key": str(archive_id),
                "hash": hashlib.sha256(body).digest(),
                "body": body,
            },
        )
        detail = {"chosen": chosen, **({} if request.ids is None else {"documents": len(request.ids)})}
        await audit.record_call(tx, caller, AuditAction.ARCHIVE_CREATED, detail=detail)
    return ArchiveLink(url=_link(db.owner_id, archive_id, expires_at), expires_at=expires_at)


async def serve(token: str) -> Response:
    """The archive that a token stands for. Raises NotFound, RateLimited, Unavailable."""
    owner_id, archive_id = _read(token)
    db = TenantDatabase(database(), owner_id)
    await _refuse_closed_account(db)
    async with db.transaction() as tx:
        body: bytes | None = await tx.fetch_value(
            "SELECT body FROM idempotency_keys WHERE owner_id = %(owner)s AND operation = %(operation)s AND key = %(key)s",
            {"owner": owner_id, "operation": _OPERATION, "key": str(archive_id)},
        )
    if body is None:
        raise NotFound("This link is not good any more.")
    chunks = _stream(db, ArchiveRequest.model_validate(json.loads(body)), archive_id)
    await anext(chunks)  # takes one of the owner's places; from here on whoever sends the response closes it
    headers = [
        ("content-disposition", f'attachment; filename="docuvault-{now():%Y-%m-%d}.zip"'),
        ("cache-control", "private, no-store"),
    ]
    return Response.stream(chunks, CONTENT_TYPE, headers=headers)


def _link(owner_id: UUID, archive_id: UUID, expires_at: datetime) -> str:
    body = _TOKEN.pack(owner_id.bytes, archive_id.bytes, int(expires_at.timestamp()))
    return f"{settings().backend_url}/api/archives/{base64url(body + sign(_PURPOSE, body))}"


def _read(token: str) -> tuple[UUID, UUID]:
    """Whose archive a token gives, and which. Raises NotFound."""
    data = from_base64url(token) if token.isascii() and len(token) < 200 else None
    body, signature = (data or b"")[: _TOKEN.size], (data or b"")[_TOKEN.size :]
    if len(signature) != 32 or not is_signed(_PURPOSE, body, signature):
        raise NotFound("This link is not good.")
    owner, archive, expires_at = _TOKEN.unpack(body)
    if expires_at < now().timestamp():
        raise NotFound("This link has expired; ask for a new one.")
    return UUID(bytes=owner), UUID(bytes=archive)


async def _refuse_closed_account(db: TenantDatabase) -> None:
    async with db.transaction() as tx:
        is_open = await tx.fetch_value(
            "SELECT EXISTS (SELECT FROM users WHERE id = %(owner)s AND NOT disabled AND deleted_at IS NULL)", {"owner": db.owner_id}
        )
    if not is_open:
        raise NotFound("This link is not good any more.")


async def _stream(db: TenantDatabase, request: ArchiveRequest, newest: UUID) -> AsyncGenerator[bytes, None]:
    """Nothing at first, once one of the owner's places is taken; then the archive. Raises RateLimited."""
    if _streams[db.owner_id] >= STREAMS_AT_ONCE:
        raise RateLimited(10, f"No more than {STREAMS_AT_ONCE} archives may be fetched at once; try again later.")
    _streams[db.owner_id] += 1
    try:
        yield b""
        with _ArchiveWriter(db) as archive:
            async for ids in _chosen_ids(db, request, newest):
                await _refuse_closed_account(db)
                for one in ids:
                    async with aclosing(archive.document(one)) as chunks:
                        async for chunk in chunks:
                            yield chunk
            for chunk in archive.end():
                yield chunk
    finally:
        _streams[db.owner_id] -= 1
        if not _streams[db.owner_id]:
            del _streams[db.owner_id]


async def _chosen_ids(db: TenantDatabase, request: ArchiveRequest, newest: UUID) -> AsyncIterator[list[UUID]]:
    """Oldest first, or in the order asked for; what has come since the link was made is left out."""
    if request.ids is not None:
        ids = list(dict.fromkeys(request.ids))
        for start in range(0, len(ids), BATCH):
            yield ids[start : start + BATCH]
        return
    wanted = request.filter or DocumentFilter()
    query, filters = await bulk.meaning_of(db, wanted)
    cursor: str | None = None
    while query is not None:
        found = await listing.find(db, query, wanted.q or "", filters, "created_at", BATCH, cursor)
        yield [hit.row.id for hit in found.hits if hit.row.id <= newest]
        cursor = found.next_cursor
        if cursor is None:
            return
    after = UUID(int=0)
    while True:
        async with db.transaction() as tx:
            ids = await tx.fetch_value(
                f"""
                SELECT coalesce(array_agg(id ORDER BY id), '{{}}') FROM (
                    SELECT d.id FROM documents AS d
                    WHERE {" AND ".join(listing.conditions_of(filters))} AND d.id > %(last)s AND d.id <= %(newest)s
                    ORDER BY d.id LIMIT {BATCH}
                ) AS next
                """,
                filters.parameters() | {"owner": db.owner_id, "last": after, "newest": newest},
            )
        yield ids
        if len(ids) < BATCH:
            return
        after = ids[-1]


@dataclass(frozen=True)
class _ArchiveSource:
    """Where an original is; `etag` as it was when it came there."""

    connection_id: UUID | None
    key: str
    etag: str


@dataclass(frozen=True)
class _ArchivePage:
    number: int
    text: str


class _ArchiveWriter:
    """Writes documents into one archive, and keeps what is to be said of them until its end, on the disk if it is much."""

    def __init__(self, db: TenantDatabase) -> None:
        self._db = db
        self._began_at = now()
        self._names = ArchiveNames()
        self._failed_in_a_row: Counter[UUID | None] = Counter()
        with ExitStack() as opened:
            self._zip = opened.enter_context(ZipStream())
            self._manifest: IO[bytes] = opened.enter_context(tempfile.SpooledTemporaryFile(IN_MEMORY))
            self._errors: IO[bytes] = opened.enter_context(tempfile.SpooledTemporaryFile(IN_MEMORY))
            self._opened = opened.pop_all()

    def __enter__(self) -> "_ArchiveWriter":
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    async def document(self, document_id: UUID) -> AsyncGenerator[bytes, None]:
        """A document's original and text. Raises Unavailable if PostgreSQL or the bucket cannot be reached: then there is no going on."""
        try:
            document, source = await self._find(document_id)
        except NotFound:
            self._note(document_id, None, "There is no such document any more.")
            return
        if document.status == "uploading":
            self._note(document_id, document.filename, library.UploadIncomplete.title + ".")
            return
        name = self._names.take(document.filename)
        before, error = self._zip.entries, None
        try:
            async with aclosing(self._original(document, source, name, partial(self._source, document_id))) as chunks:
                async for chunk in chunks:
                    yield chunk
        except _OriginalIncomplete as incomplete:
            error = incomplete.reason
            self._note(document_id, name, error)
        has_original, before = self._zip.entries > before, self._zip.entries
        async with aclosing(self._text(document, name)) as chunks:
            async for chunk in chunks:
                yield chunk
        text_filename = archive_names.text_name(name) if self._zip.entries > before else None
        versions: list[ArchivedVersion] = []
        async with aclosing(self._versions(document, name, versions)) as chunks:
            async for chunk in chunks:
                yield chunk
        line = ArchivedDocument.model_construct(
            **dict(document)
            | {
                "filename": name if has_original else None,
                "original_filename": document.filename,
                "text_filename": text_filename,
                "archive_error": error,
                "earlier_versions": versions,
            }
        )
        self._manifest.write(line.model_dump_json().encode() + b"\n")

    def end(self) -> Iterator[bytes]:
        """What was kept, and the archive's end."""
        for name, kept in ((archive_names.MANIFEST, self._manifest), (archive_names.ERRORS, self._errors)):
            size = kept.tell()
            if name == archive_names.ERRORS and not size:
                continue
            kept.seek(0)
            yield self._zip.begin(name, modified=self._began_at, most=size, deflate=True)
            while piece := kept.read(PIECE):
                yield self._zip.add(piece)
            yield self._zip.end()
        yield from self._zip.finish()

    async def _find(self, document_id: UUID) -> tuple[Document, _ArchiveSource]:
        async with self._db.transaction() as tx:
            document = await library.read(tx, self._db.owner_id, document_id)
            source = await tx.fetch_one(
                """
                SELECT connection_id, coalesce(cloud_key, object_key) AS key, coalesce(etag, '') AS etag FROM documents
                WHERE owner_id = %(owner)s AND id = %(id)s
                """,
                {"owner": self._db.owner_id, "id": document_id},
                row=_ArchiveSource,
            )
        if source is None:
            raise NotFound
        return document, source

    async def _source(self, document_id: UUID) -> _ArchiveSource:
        return (await self._find(document_id))[1]

    async def _earlier_versions(self, document_id: UUID) -> list[ArchivedVersion]:
        async with self._db.transaction() as tx:
            return await tx.fetch_all(
                """
                SELECT number, NULL AS filename, filename AS original_filename, size, content_type, sha256, created_at
                FROM document_versions WHERE owner_id = %(owner)s AND document_id = %(id)s ORDER BY number
                """,
                {"owner": self._db.owner_id, "id": document_id},
                row=ArchivedVersion,
            )

    async def _version_source(self, document_id: UUID, number: int) -> _ArchiveSource:
        async with self._db.transaction() as tx:
            source = await tx.fetch_one(
                """
                SELECT connection_id, coalesce(cloud_key, object_key) AS key, coalesce(etag, '') AS etag FROM document_versions
                WHERE owner_id = %(owner)s AND document_id = %(id)s AND number = %(number)s
                """,
                {"owner": self._db.owner_id, "id": document_id, "number": number},
                row=_ArchiveSource,
            )
        if source is None:
            raise NotFound("There is no such version any more.")
        return source

    async def _versions(self, document: Document, name: str, archived: list[ArchivedVersion]) -> AsyncGenerator[bytes, None]:
        """The originals of earlier versions; what became of each is added to `archived`."""
        for version in await self._earlier_versions(document.id):
            entry = archive_names.version_name(name, version.number, version.original_filename)
            copied = ("size", "content_type", "sha256", "created_at")
            original = document.model_copy(update={member: getattr(version, member) for member in copied})
            locate = partial(self._version_source, document.id, version.number)
            before, error = self._zip.entries, None
            try:
                async with aclosing(self._original(original, await locate(), entry, locate)) as chunks:
                    async for chunk in chunks:
                        yield chunk
            except (NotFound, _OriginalIncomplete) as failed:
                error = str(failed)
                self._note(document.id, entry, error)
            archived.append(version.model_copy(update={"filename": entry if self._zip.entries > before else None, "archive_error": error}))

    async def _original(
        self, document: Document, source: _ArchiveSource, name: str, locate: Callable[[], Awaitable[_ArchiveSource]]
    ) -> AsyncGenerator[bytes, None]:
        """The original's entry; what breaks off goes on from there, where `locate` says that it is then.

        Raises _OriginalIncomplete, once the entry has ended; StorageUnavailable if the bucket gives nothing any more.
        """
        deflate = document.content_type.startswith("text/") or document.content_type in _COMPRESSIBLE
        begun, sent = False, 0
        failure: DomainError | None = None
        if self._failed_in_a_row[source.connection_id] >= UNREACHABLE_AFTER:
            raise _OriginalIncomplete("The cloud that it is in could not be reached for the documents before it, and was not asked again.")
        for pause in (*PAUSES_SECONDS, None):
            try:
                async with aclosing(self._read_on(document, source, sent)) as chunks:
                    async for chunk in chunks:
                        if not begun:
                            yield self._zip.begin(name, modified=document.created_at, most=document.size, deflate=deflate)
                            begun = True
                        sent += len(chunk)
                        if written := await self._added(chunk, deflate=deflate):
                            yield written
                failure = None
                break
            except DomainError as broken:
                failure = broken
            if type(failure) is Unavailable:
                raise failure
            try:
                elsewhere = await locate()
            except NotFound as gone:
                failure = gone
                break
            passing = isinstance(failure, StorageUnavailable) and not isinstance(failure, CredentialsRejected)
            if pause is None or not (passing or elsewhere != source):
                break
            source = elsewhere
            await asyncio.sleep(pause)
        if not isinstance(failure, StorageUnavailable) or isinstance(failure, _OriginalEndedEarly):
            self._failed_in_a_row[source.connection_id] = 0
        else:
            self._failed_in_a_row[source.connection_id] += 1
            if source.connection_id is None and self._failed_in_a_row[None] >= UNREACHABLE_AFTER:
                raise failure  # nothing would come but names
        if failure is None and not begun:
            yield self._zip.begin(name, modified=document.created_at, most=0, deflate=False)
            begun = True
        if begun:
            yield self._zip.end()
        if failure is not None:
            log.warning("an original is not whole in an archive", extra={"fields": {"document": str(document.id), "reason": failure.code}})
            part = f"Only its first {sent} of {document.size} bytes are here. " if sent else ""
            raise _OriginalIncomplete(f"{part}{failure.title}. {failure.detail or ''}".strip())

    async def _read_on(self, document: Document, source: _ArchiveSource, start: int) -> AsyncGenerator[bytes, None]:
        """The original from `start` on. Raises DomainErrors; _OriginalEndedEarly if less comes than was stored."""
        left = document.size - start
        async with backends.opened(self._db, source.connection_id) as backend:
            if source.connection_id is not None:
                stored = await backend.stat(source.key)
                if stored is None:
                    raise OriginalMissing
                original = places.PlacedOriginal(document.id, source.key, document.size, source.etag, document.sha256)
                if not await places.is_unchanged(self._db, backend, original, size=stored.size, etag=stored.etag):
                    raise OriginalChanged("It is not what was stored any more.")
            async with aclosing(backend.stream(source.key, start=start, length=left)) as chunks:  # type: ignore[type-var]
                async for chunk in chunks:
                    if chunk := chunk[:left]:
                        left -= len(chunk)
                        yield chunk
        if left:
            raise _OriginalEndedEarly("The document ended early.")

    async def _text(self, document: Document, name: str) -> AsyncGenerator[bytes, None]:
        """The text's entry, an empty line between pages; none for a document that has no text."""
        begun, last = False, 0
        while pages := await self._pages(document.id, last):
            for page in pages:
                if not begun:
                    # of a character at most four bytes; ten million of them are kept of a document
                    yield self._zip.begin(archive_names.text_name(name), modified=document.created_at, most=0, deflate=True)
                text = page.text if not begun else f"\n\n{page.text}"
                begun = True
                for start in range(0, len(text), PIECE):
                    content = text[start : start + PIECE].encode("utf-8", "replace")
                    if written := await self._added(content, deflate=True):
                        yield written
            last = pages[-1].number
        if begun:
            yield self._zip.end()

    async def _pages(self, document_id: UUID, after: int) -> list[_ArchivePage]:
        async with self._db.transaction() as tx:
            return await tx.fetch_all(
                """
                SELECT number, text FROM document_pages
                WHERE owner_id = %(owner)s AND document_id = %(id)s AND number > %(after)s
                ORDER BY number LIMIT %(most)s
                """,
                {"owner": self._db.owner_id, "id": document_id, "after": after, "most": PAGES_AT_ONCE},
                row=_ArchivePage,
            )

    async def _added(self, content: bytes, *, deflate: bool) -> bytes:
        if deflate and len(content) >= DEFLATE_IN_A_THREAD_FROM_BYTES:
            return await asyncio.to_thread(self._zip.add, content)
        return self._zip.add(content)

    def _note(self, document_id: UUID, name: str | None, reason: str) -> None:
        named = str(document_id) if name is None else f"{name} ({document_id})"
        self._errors.write(f"{named}: {reason}\n".encode("utf-8", "replace"))


class _OriginalEndedEarly(StorageUnavailable):
    """Of one original; its place responds."""


class _OriginalIncomplete(Exception):
    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
