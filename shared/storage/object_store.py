"""The object store: MinIO, SeaweedFS, S3, whatever speaks its protocol.

Every request is a URL presigned by boto3's signer (`signing.py`), so there is one way to sign, for us and for browsers; aiohttp sends it,
because boto3's own transport is synchronous: by measurement, a call through its client on a thread takes 2.2 ms of CPU (a document needs
four) and 37 MB of memory.

Two endpoints: the one that functions reach, and the one that browsers reach, which presigned URLs carry. Addresses are path style and the
region is given, so nothing is ever looked up. Three keys: our own, one that signs uploads and may only write, one that signs downloads and
may only read (`url_keys.py`).
"""

import asyncio
import base64
import logging
import re
import socket
import time
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, cast
from urllib.parse import unquote_plus
from weakref import WeakKeyDictionary

from shared.config import Settings, settings
from shared.storage import url_keys
from shared.storage.backend import (
    Download,
    FolderEntry,
    NameTaken,
    ObjectMissing,
    ObjectTooLarge,
    Part,
    PartsRefused,
    PartUrl,
    SignedUpload,
    StorageUnavailable,
    StoredObject,
)
from shared.storage.digesting import digesting
from shared.storage.name_lookup import NameLookup
from shared.storage.presigning import KeyPair, Signer
from shared.storage.spooling import Piece, exactly, pieces
from shared.storage.url_keys import NoSafeKeys, UrlKeys

if TYPE_CHECKING:
    from aiohappyeyeballs import AddrInfoType
    from aiohttp import ClientResponse, ClientSession
    from aiohttp.abc import AbstractResolver

log = logging.getLogger("docuvault.storage")

CONNECTIONS = 32
CONNECT_TIMEOUT_SECONDS = 3.0
READ_TIMEOUT_SECONDS = 30.0
"""How long the store may be silent in the middle of a response."""
UNACKNOWLEDGED_SECONDS = 10.0
"""How long what was sent may stay without the kernel's acknowledgement: a machine that is gone, unlike a process, ends no connection, and
one that was kept alive would be waited for as long as a slow response (tcp(7), TCP_USER_TIMEOUT)."""
PAUSES_SECONDS = (0.05, 0.25)
"""Before each further attempt where the store is not reached or says 5xx: every request may be repeated without harm."""
KEPT_ALIVE_SECONDS = 15.0
OWN_URL_SECONDS = 300
CHUNK_SIZE = 256 * 1024
LOOK_AGAIN_SECONDS = 5.0
"""For keys that sign URLs."""
STREAM_PART_SIZE = 8 * 2**20
"""Bytes of a stream that wait on the disk before they are sent on (S3 wants 5 MiB or more, and 10,000 parts at most: 78 GiB)."""

_OVERRIDES = {
    "response-cache-control": "private, no-store",
    "response-content-encoding": "identity",
    "response-content-language": "und",
    "response-expires": "Thu, 01 Jan 1970 00:00:00 GMT",
}
"""What a download says instead of what was sent along with the upload: anything that a PUT may carry, and nobody signed, stays behind."""

_MISSING = {"NoSuchKey", "NotFound", "NoSuchUpload"}
_UNREADABLE = {"InvalidRequest", "XMinioObjectTampered"}
"""What MinIO says of an object that is encrypted with a client's key, or whose metadata claim so (it takes that from whoever uploads)."""
_REFUSED_PARTS = {"InvalidPart", "InvalidPartOrder", "EntityTooSmall"}


class _Unreadable(StorageUnavailable):
    """The object is there, and the store does not give it out."""


class _BeyondTheEnd(StorageUnavailable):
    """The object has no bytes where they were asked for."""


class ObjectStore:
    """One bucket."""

    provider = "minio"

    def __init__(
        self,
        *,
        endpoint: str,
        public_endpoint: str,
        region: str,
        access_key: str,
        secret_key: str,
        bucket: str,
        named_url_keys: UrlKeys | None = None,
    ) -> None:
        """`named_url_keys` sign URLs for browsers; if none are named, `url_keys.find` looks for some."""
        self._ours = Signer(endpoint, region, access_key, secret_key)
        self._public_endpoint = public_endpoint
        self._bucket = bucket
        self._named_url_keys = named_url_keys
        self._url_keys: UrlKeys | None = None
        self._no_url_keys: tuple[float, str] | None = None
        self._sessions: WeakKeyDictionary[asyncio.AbstractEventLoop, AsyncGenerator[ClientSession, None]] = WeakKeyDictionary()
        self._open: WeakKeyDictionary[asyncio.AbstractEventLoop, ClientSession] = WeakKeyDictionary()

    # What every backend does

    async def put(self, key: str, content: bytes, *, content_type: str) -> StoredObject:
        async with self._request("PUT", key, headers={"content-type": content_type}, body=content) as answer:
            return StoredObject(key, len(content), content_type, _etag(answer))

    async def put_stream(
        self,
        key: str,
        chunks: AsyncIterator[bytes],
        *,
        content_type: str,
        size: int | None = None,
        replace: bool = True,
        attempt: str | None = None,
    ) -> StoredObject:
        """The first 8 MiB decide: a stream that ends there is one PUT, a longer one goes in parts, each sent while the next comes in.

        An object appears when it is complete, so `attempt` needs no name of its own.
        """
        if not replace and await self.stat(key) is not None:
            raise NameTaken(key)
        if size is not None:
            chunks = exactly(chunks, size)
        async with aclosing(pieces(chunks, STREAM_PART_SIZE)) as parts:
            first = await anext(parts, None)
            if first is None:
                return await self.put(key, b"", content_type=content_type)
            if first.size < STREAM_PART_SIZE:
                async with first.content() as content:
                    return await self.put(key, content, content_type=content_type)
            return await self._put_parts(key, first, parts, content_type)

    async def _put_parts(self, key: str, first: Piece, rest: AsyncIterator[Piece], content_type: str) -> StoredObject:
        upload_id = await self.begin_parts(key, content_type=content_type)
        size, etags = first.size, []
        piece = first
        sending = asyncio.create_task(self._send_piece(key, upload_id, 1, piece))
        try:
            async for piece in rest:
                etags.append(await sending)
                size += piece.size
                sending = asyncio.create_task(self._send_piece(key, upload_id, len(etags) + 1, piece))
            etags.append(await sending)
            with suppress(ObjectMissing):  # it was done before, and the answer was lost: the object itself tells
                await self.complete_parts(key, upload_id, list(enumerate(etags, 1)))
        except BaseException:
            sending.cancel()
            piece.drop()
            await asyncio.shield(asyncio.ensure_future(self._abort_quietly(key, upload_id)))
            raise
        stored = await self.stat(key)
        if stored is None or stored.size != size:
            raise StorageUnavailable(f"The object store has not kept all {size} bytes.")
        return stored

    async def stat(self, key: str) -> StoredObject | None:
        try:
            async with self._request("HEAD", key) as answer:
                return StoredObject(key, int(answer.headers["content-length"]), answer.headers.get("content-type", ""), _etag(answer))
        except ObjectMissing:
            return None
        except _Unreadable:
            return StoredObject(key, 0, "", "", readable=False)

    async def look(self, key: str) -> FolderEntry | None:
        stored = await self.stat(key)
        if stored is not None:
            return FolderEntry(key, key.rpartition("/")[2], False, stored.size, None, stored.etag, stored.content_type)
        try:
            async for _ in self.entries(key):
                return FolderEntry(key, key.rpartition("/")[2], is_folder=True)
        except ObjectMissing:
            pass
        return None

    async def read(self, key: str, *, limit: int) -> bytes:
        content = bytearray()
        async with self._request("GET", key) as answer:
            async for chunk in answer.content.iter_any():
                content += chunk
                if len(content) > limit:
                    raise ObjectTooLarge(f"{key} has more than {limit} bytes")
        return bytes(content)

    async def stream(self, key: str, *, start: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        if length == 0:
            return
        headers = {"range": f"bytes={start}-{'' if length is None else start + length - 1}"} if start or length is not None else {}
        try:
            async with self._request("GET", key, headers=headers) as answer:
                async for chunk in answer.content.iter_chunked(CHUNK_SIZE):
                    yield chunk
        except _BeyondTheEnd:
            return

    async def download(self, key: str, into: Path, *, limit: int) -> Download:
        async with self._request("GET", key) as answer:
            with into.open("wb") as file:
                async with digesting(file) as digest:
                    async for chunk in answer.content.iter_chunked(CHUNK_SIZE):
                        if digest.size + len(chunk) > limit:
                            raise ObjectTooLarge(f"{key} has more than {limit} bytes")
                        await digest.take(chunk)
                    return Download(digest.size, await digest.sha256())

    async def delete(self, key: str) -> None:
        try:
            async with self._request("DELETE", key):
                pass
        except ObjectMissing:
            pass

    async def entries(self, folder: str) -> AsyncIterator[FolderEntry]:
        """By ListObjectsV2 with `/` as the delimiter: a page of 1,000 at a time. Folders are what keys say of them."""
        prefix, empty = f"{folder}/" if folder else "", True
        query = {"list-type": "2", "prefix": prefix, "delimiter": "/", "encoding-type": "url"}
        while True:
            async with self._request("GET", "", query=query) as answer:
                page = await answer.text()
            for entry in _entries(page, prefix):
                empty = False
                yield entry
            if _first(page, "IsTruncated") != "true":
                break
            query["continuation-token"] = _first(page, "NextContinuationToken")
        if empty and folder:
            raise ObjectMissing

    async def changes(self, folder: str, since: str) -> tuple[bool, str]:
        return True, ""

    async def sha256(self, key: str) -> str:
        async with digesting() as digest, aclosing(self.stream(key)) as chunks:  # type: ignore[type-var]
            async for chunk in chunks:
                await digest.take(chunk)
            return await digest.sha256()

    async def presign_get(self, key: str, *, content_type: str, content_disposition: str, seconds: int) -> str:
        keys = await self._keys_for_urls()
        query = {"response-content-type": content_type, "response-content-disposition": content_disposition, **_OVERRIDES}
        return self._for_browsers(keys.download).url("GET", self._bucket, key, seconds=seconds, query=query)

    async def ping(self) -> None:
        try:
            async with self._request("HEAD", ""):
                pass
        except ObjectMissing:
            raise StorageUnavailable("The object store has no such bucket.") from None
        await self._keys_for_urls()

    # What a store with presigned URLs does

    async def presign_put(self, key: str, *, size: int, content_type: str, sha256: str | None, seconds: int) -> SignedUpload:
        headers = {"Content-Type": content_type, "If-None-Match": "*"}
        if sha256 is not None:
            headers["x-amz-checksum-sha256"] = base64.b64encode(bytes.fromhex(sha256)).decode()
        signed = headers | {"Content-Length": str(size)}
        signer = self._for_browsers((await self._keys_for_urls()).upload)
        return SignedUpload(signer.url("PUT", self._bucket, key, seconds=seconds, headers=signed), headers)

    async def begin_parts(self, key: str, *, content_type: str) -> str:
        async with self._request("POST", key, query={"uploads": ""}, headers={"content-type": content_type}) as answer:
            return _first(await answer.text(), "UploadId")

    async def presign_parts(self, key: str, upload_id: str, sizes: Mapping[int, int], *, seconds: int) -> list[PartUrl]:
        signer = self._for_browsers((await self._keys_for_urls()).upload)

        def url(number: int, size: int) -> str:
            query = {"partNumber": str(number), "uploadId": upload_id}
            headers = {"Content-Length": str(size)}
            return signer.url("PUT", self._bucket, key, seconds=seconds, headers=headers, query=query)

        return [PartUrl(number, url(number, size), {}) for number, size in sizes.items()]

    async def list_parts(self, key: str, upload_id: str) -> list[Part]:
        parts: list[Part] = []
        while True:
            marker = str(parts[-1].number) if parts else "0"
            async with self._request("GET", key, query={"uploadId": upload_id, "part-number-marker": marker}) as answer:
                page = await answer.text()
            found = [
                Part(int(_first(part, "PartNumber")), int(_first(part, "Size")), _first(part, "ETag").strip('"'))
                for part in _each(page, "Part")
            ]
            parts += found
            if not found or _first(page, "IsTruncated") != "true":
                return parts

    async def complete_parts(self, key: str, upload_id: str, parts: Sequence[tuple[int, str]]) -> None:
        listed = "".join(f"<Part><PartNumber>{number}</PartNumber><ETag>{_escaped(etag)}</ETag></Part>" for number, etag in parts)
        body = f'<CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{listed}</CompleteMultipartUpload>'
        async with self._request(
            "POST", key, query={"uploadId": upload_id}, headers={"content-type": "application/xml"}, body=body.encode()
        ) as answer:
            # This one may fail after it has said 200.
            text = await answer.text()
            if _each(text, "Error"):
                _refuse(answer.status, _first(text, "Code"))

    async def abort_parts(self, key: str, upload_id: str | None = None) -> None:
        upload_ids = [upload_id] if upload_id is not None else await self._uploads_of(key)
        for each in upload_ids:
            try:
                async with self._request("DELETE", key, query={"uploadId": each}):
                    pass
            except ObjectMissing:
                continue

    async def close(self) -> None:
        """Closes this event loop's connections."""
        held = self._sessions.pop(asyncio.get_running_loop(), None)
        self._open.pop(asyncio.get_running_loop(), None)
        if held is not None:
            await held.aclose()

    # How it is done

    async def _keys_for_urls(self) -> UrlKeys:
        """Looked for once; if there are none that are safe, again after a while, not for every request."""
        if self._url_keys is None:
            if self._no_url_keys is not None and time.monotonic() - self._no_url_keys[0] < LOOK_AGAIN_SECONDS:
                raise NoSafeKeys(self._no_url_keys[1])
            try:
                self._url_keys = await self._find_url_keys()
            except NoSafeKeys as none:
                self._no_url_keys = time.monotonic(), str(none)
                raise
        return self._url_keys

    async def _find_url_keys(self) -> UrlKeys:
        from aiohttp import ClientError

        try:
            return await url_keys.find(await self._session(), self._ours, self._bucket, self._named_url_keys)
        except (ClientError, TimeoutError) as lost:
            raise StorageUnavailable("The object store cannot be reached just now; try again in a moment.") from lost

    def _for_browsers(self, keys: KeyPair) -> Signer:
        return Signer(self._public_endpoint, self._ours.region, keys.access_key, keys.secret_key)

    async def _uploads_of(self, key: str) -> list[str]:
        async with self._request("GET", "", query={"uploads": "", "prefix": key}) as answer:
            page = await answer.text()
        return [_first(upload, "UploadId") for upload in _each(page, "Upload") if _first(upload, "Key") == key]

    async def _send_piece(self, key: str, upload_id: str, number: int, piece: Piece) -> str:
        query, headers = {"partNumber": str(number), "uploadId": upload_id}, {"content-length": str(piece.size)}
        async with piece.chunks() as chunks, self._request("PUT", key, query=query, headers=headers, body=chunks) as answer:
            return _etag(answer)

    async def _abort_quietly(self, key: str, upload_id: str) -> None:
        try:
            await self.abort_parts(key, upload_id)
        except StorageUnavailable:
            log.warning("an upload in parts was not aborted; the clean-up will", extra={"fields": {"key": key}})

    @asynccontextmanager
    async def _request(
        self,
        method: str,
        key: str,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | AsyncIterable[bytes] | None = None,
    ) -> "AsyncIterator[ClientResponse]":
        """A successful response, its body yet to be read. Raises ObjectMissing, PartsRefused, StorageUnavailable, also while it is read."""
        from aiohttp import ClientError

        try:
            answer = await self._sent(method, key, query, headers, body)
            try:
                # MinIO says 206, with an error in the body, for an object that is not what its metadata say.
                if answer.status >= 300 or (answer.status == 206 and "content-range" not in answer.headers):
                    text = await answer.text(errors="replace")
                    _refuse(answer.status, answer.headers.get("x-minio-error-code") or _first(text, "Code"))
                yield answer
            finally:
                answer.release()
        except (ClientError, TimeoutError, OSError) as lost:
            if isinstance(lost, OSError) and not isinstance(lost, ClientError | TimeoutError | ConnectionError):
                raise  # a disk of ours
            raise StorageUnavailable("The object store cannot be reached just now; try again in a moment.") from lost

    async def _sent(
        self,
        method: str,
        key: str,
        query: Mapping[str, str] | None,
        headers: Mapping[str, str] | None,
        body: bytes | AsyncIterable[bytes] | None,
    ) -> "ClientResponse":
        from aiohttp import ClientError
        from yarl import URL

        session = await self._session()
        for pause in (*PAUSES_SECONDS, None):
            # Only what is sent along is signed along: ranges and the like need no protection from ourselves.
            url = self._ours.url(method, self._bucket, key, seconds=OWN_URL_SECONDS, query=query)
            try:
                answer = await session.request(method, URL(url, encoded=True), headers=headers, data=body, allow_redirects=False)
            except (ClientError, TimeoutError):
                if pause is None:
                    raise
            else:
                if pause is None or answer.status not in (429, 500, 502, 503, 504):
                    return answer
                answer.release()
            await asyncio.sleep(pause)
        raise AssertionError("unreachable")

    async def _session(self) -> "ClientSession":
        loop = asyncio.get_running_loop()
        session = self._open.get(loop)
        if session is None or session.closed:
            # A generator, because an event loop closes those that are still suspended when it ends.
            held = self._sessions[loop] = _held_session()
            session = self._open[loop] = await anext(held)
        return session


@lru_cache(maxsize=1)
def object_store() -> ObjectStore:
    """The store that the settings name."""
    given = settings()
    return ObjectStore(
        endpoint=given.minio_endpoint,
        public_endpoint=given.minio_public_endpoint,
        region=given.minio_region,
        access_key=given.minio_access_key,
        secret_key=given.minio_secret_key,
        bucket=given.minio_bucket,
        named_url_keys=_named_url_keys(given),
    )


def _named_url_keys(given: Settings) -> UrlKeys | None:
    if not given.minio_upload_access_key:
        return None
    return UrlKeys(
        KeyPair(given.minio_upload_access_key, given.minio_upload_secret_key),
        KeyPair(given.minio_download_access_key, given.minio_download_secret_key),
    )


def _socket(address: "AddrInfoType") -> socket.socket:
    family, kind, protocol, _, _ = address
    opened = socket.socket(family, kind, protocol)
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(UNACKNOWLEDGED_SECONDS * 1000))
    return opened


async def _held_session() -> "AsyncGenerator[ClientSession, None]":
    from aiohttp import ClientSession, ClientTimeout, DummyCookieJar, TCPConnector
    from aiohttp.resolver import ThreadedResolver

    names = cast("AbstractResolver", NameLookup(CONNECT_TIMEOUT_SECONDS, ThreadedResolver().resolve))
    session = ClientSession(
        connector=TCPConnector(limit=CONNECTIONS, keepalive_timeout=KEPT_ALIVE_SECONDS, resolver=names, socket_factory=_socket),
        timeout=ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_SECONDS, sock_read=READ_TIMEOUT_SECONDS),
        cookie_jar=DummyCookieJar(),
        skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),
        auto_decompress=False,
    )
    try:
        yield session
    finally:
        await session.close()


def _refuse(status: int, code: str) -> None:
    if code in _MISSING or (status == 404 and not code):
        raise ObjectMissing
    if status == 416:
        raise _BeyondTheEnd
    if code in _REFUSED_PARTS:
        raise PartsRefused(code)
    if code in _UNREADABLE:
        raise _Unreadable(f"The object store does not give this object out ({code}).")
    # 403 and the like: wrong keys, no bucket. Nothing a client can mend, and it may be mended at any moment.
    log.error("the object store refused a request", extra={"fields": {"status": status, "code": code}})
    raise StorageUnavailable(f"The object store refused this ({code or status}).")


def _entries(page: str, prefix: str) -> Iterator[FolderEntry]:
    for common in _each(page, "CommonPrefixes"):
        key = unquote_plus(_first(common, "Prefix")).rstrip("/")
        yield FolderEntry(key, key.removeprefix(prefix), is_folder=True)
    for content in _each(page, "Contents"):
        key = unquote_plus(_first(content, "Key"))
        if key == prefix:
            continue  # a folder's own marker, which some clients leave
        modified_at = datetime.fromisoformat(_first(content, "LastModified"))
        etag = _first(content, "ETag").strip('"')
        yield FolderEntry(
            key, key.removeprefix(prefix), is_folder=False, size=int(_first(content, "Size")), modified_at=modified_at, etag=etag
        )


def _etag(answer: "ClientResponse") -> str:
    return answer.headers.get("etag", "").strip('"')


# The store's XML is a handful of flat lists; a parser would be more to trust, not less.


def _each(xml: str, name: str) -> list[str]:
    return re.findall(rf"<{name}>(.*?)</{name}>", xml, re.DOTALL)


def _first(xml: str, name: str) -> str:
    import html

    found = re.search(rf"<{name}>(.*?)</{name}>", xml, re.DOTALL)
    return html.unescape(found[1]) if found else ""


def _escaped(text: str) -> str:
    import html

    return f"&quot;{html.escape(text)}&quot;"
