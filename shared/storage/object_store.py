"""The object store: MinIO, SeaweedFS, S3, whatever speaks its protocol.

Calls are botocore's (boto3's own engine) on a bounded set of threads; it is imported at first use (0.2-0.5 s and 35 MB of memory). Two
clients: one on the endpoint that functions reach, one on the endpoint that browsers reach, which only signs. Addresses are path style, the
region is given, so nothing is ever looked up.
"""

import asyncio
import base64
import hashlib
import logging
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from pathlib import Path
from threading import Lock
from typing import Any, NoReturn, TypeVar

from shared.config import settings
from shared.storage.backend import (
    Download,
    ObjectMissing,
    ObjectTooLarge,
    Part,
    PartsRefused,
    PartUrl,
    SignedUpload,
    StorageUnavailable,
    StoredObject,
)

log = logging.getLogger("docuvault.storage")

THREADS = 16
CONNECT_TIMEOUT_SECONDS = 3
READ_TIMEOUT_SECONDS = 30
ATTEMPTS = 3
CHUNK_SIZE = 256 * 1024
STREAM_PART_SIZE = 8 * 2**20
"""Bytes of a stream that are held before they are sent on (S3 wants 5 MiB or more, and 10,000 parts at most: 78 GiB)."""

Result = TypeVar("Result")


class ObjectStore:
    """One bucket."""

    provider = "minio"

    def __init__(self, *, endpoint: str, public_endpoint: str, region: str, access_key: str, secret_key: str, bucket: str) -> None:
        self._endpoint = endpoint
        self._public_endpoint = public_endpoint
        self._region = region
        self._access_key = access_key
        self._secret_key = secret_key
        self._bucket = bucket
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="object-store")
        self._lock = Lock()
        self._clients: tuple[Any, Any] | None = None

    # What every backend does

    async def put(self, key: str, content: bytes, *, content_type: str) -> StoredObject:
        answer = await self._call("put_object", Key=key, Body=content, ContentType=content_type)
        return StoredObject(key, len(content), content_type, answer["ETag"].strip('"'))

    async def put_stream(self, key: str, chunks: AsyncIterator[bytes], *, content_type: str) -> StoredObject:
        """The first 8 MiB decide: a stream that ends there is one PUT, a longer one goes in parts, each sent while the next comes in."""
        pieces = _pieces(chunks, STREAM_PART_SIZE)
        first = await anext(pieces, b"")
        second = await anext(pieces, b"")
        if not second:
            return await self.put(key, first, content_type=content_type)
        upload_id = await self.begin_parts(key, content_type=content_type)
        sending: asyncio.Task[str] | None = None
        try:
            etags: list[str] = []
            size = 0
            piece, following = first, second
            while piece:
                sending = asyncio.create_task(self._send_part(key, upload_id, len(etags) + 1, piece))
                size += len(piece)
                piece, following = following, (await anext(pieces, b"") if following else b"")
                etags.append(await sending)
            await self.complete_parts(key, upload_id, list(enumerate(etags, 1)))
        except BaseException:
            if sending is not None:
                sending.cancel()
            await asyncio.shield(asyncio.ensure_future(self._abort_quietly(key, upload_id)))
            raise
        stored = await self.stat(key)
        if stored is None or stored.size != size:
            raise StorageUnavailable(f"The object store has not kept all {size} bytes.")
        return stored

    async def stat(self, key: str) -> StoredObject | None:
        try:
            answer = await self._call("head_object", Key=key)
        except ObjectMissing:
            return None
        return StoredObject(key, answer["ContentLength"], answer.get("ContentType", ""), answer.get("ETag", "").strip('"'))

    async def read(self, key: str, *, limit: int) -> bytes:
        return await self._run(partial(self._read, key, limit))

    async def stream(self, key: str, *, start: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        if length == 0:
            return
        end = "" if length is None else start + length - 1
        body = (await self._call("get_object", Key=key, Range=f"bytes={start}-{end}"))["Body"]
        try:
            while chunk := await self._run(partial(_next_chunk, body)):
                yield chunk
        finally:
            body.close()

    async def download(self, key: str, into: Path, *, limit: int) -> Download:
        return await self._run(partial(self._download, key, into, limit))

    async def delete(self, key: str) -> None:
        await self._call("delete_object", Key=key)

    async def presign_get(self, key: str, *, content_type: str, content_disposition: str, seconds: int) -> str:
        await self._ready()
        parameters = {"ResponseContentType": content_type, "ResponseContentDisposition": content_disposition}
        return self._presign("get_object", seconds, Key=key, **parameters)

    async def ping(self) -> None:
        await self._call("head_bucket")

    # What a store with presigned URLs does

    async def presign_put(self, key: str, *, size: int, content_type: str, sha256: str | None, seconds: int) -> SignedUpload:
        await self._ready()
        headers = {"Content-Type": content_type, "If-None-Match": "*"}
        parameters: dict[str, Any] = {"ContentLength": size, "ContentType": content_type, "IfNoneMatch": "*"}
        if sha256 is not None:
            checksum = base64.b64encode(bytes.fromhex(sha256)).decode()
            parameters["ChecksumSHA256"] = headers["x-amz-checksum-sha256"] = checksum
        return SignedUpload(self._presign("put_object", seconds, Key=key, **parameters), headers)

    async def begin_parts(self, key: str, *, content_type: str) -> str:
        return str((await self._call("create_multipart_upload", Key=key, ContentType=content_type))["UploadId"])

    async def presign_parts(self, key: str, upload_id: str, sizes: Mapping[int, int], *, seconds: int) -> list[PartUrl]:
        await self._ready()
        return await self._run(
            lambda: [
                PartUrl(
                    number,
                    self._presign("upload_part", seconds, Key=key, UploadId=upload_id, PartNumber=number, ContentLength=size),
                    {},
                )
                for number, size in sizes.items()
            ]
        )

    async def list_parts(self, key: str, upload_id: str) -> list[Part]:
        parts: list[Part] = []
        marker = 0
        while True:
            page = await self._call("list_parts", Key=key, UploadId=upload_id, PartNumberMarker=marker)
            parts += [Part(part["PartNumber"], part["Size"], part["ETag"].strip('"')) for part in page.get("Parts", ())]
            if not page.get("IsTruncated"):
                return parts
            marker = page["NextPartNumberMarker"]

    async def complete_parts(self, key: str, upload_id: str, parts: Sequence[tuple[int, str]]) -> None:
        listed = [{"PartNumber": number, "ETag": f'"{etag}"'} for number, etag in parts]
        await self._call("complete_multipart_upload", Key=key, UploadId=upload_id, MultipartUpload={"Parts": listed})

    async def abort_parts(self, key: str, upload_id: str | None = None) -> None:
        if upload_id is not None:
            upload_ids = [upload_id]
        else:
            listed = await self._call("list_multipart_uploads", Prefix=key)
            upload_ids = [upload["UploadId"] for upload in listed.get("Uploads", ()) if upload["Key"] == key]
        for each in upload_ids:
            try:
                await self._call("abort_multipart_upload", Key=key, UploadId=each)
            except ObjectMissing:
                continue

    # How it is done

    async def _send_part(self, key: str, upload_id: str, number: int, content: bytes) -> str:
        answer = await self._call("upload_part", Key=key, UploadId=upload_id, PartNumber=number, Body=content)
        return str(answer["ETag"]).strip('"')

    async def _abort_quietly(self, key: str, upload_id: str) -> None:
        try:
            await self.abort_parts(key, upload_id)
        except StorageUnavailable:
            log.warning("an upload in parts was not aborted; the clean-up will", extra={"fields": {"key": key}})

    def _read(self, key: str, limit: int) -> bytes:
        body = self._client().get_object(Bucket=self._bucket, Key=key)["Body"]
        try:
            content: bytes = body.read(limit + 1)
        finally:
            body.close()
        if len(content) > limit:
            raise ObjectTooLarge(f"{key} has more than {limit} bytes")
        return content

    def _download(self, key: str, into: Path, limit: int) -> Download:
        body = self._client().get_object(Bucket=self._bucket, Key=key)["Body"]
        size = 0
        digest = hashlib.sha256()
        try:
            with into.open("wb") as file:
                while chunk := body.read(CHUNK_SIZE):
                    size += len(chunk)
                    if size > limit:
                        raise ObjectTooLarge(f"{key} has more than {limit} bytes")
                    digest.update(chunk)
                    file.write(chunk)
        finally:
            body.close()
        return Download(size, digest.hexdigest())

    def _presign(self, operation: str, seconds: int, **parameters: Any) -> str:
        url: str = self._both()[1].generate_presigned_url(operation, {"Bucket": self._bucket, **parameters}, ExpiresIn=seconds)
        return url

    async def _call(self, operation: str, **parameters: Any) -> Any:
        return await self._run(lambda: getattr(self._client(), operation)(Bucket=self._bucket, **parameters))

    async def _run(self, work: Callable[[], Result]) -> Result:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        except (ObjectTooLarge, PartsRefused):
            raise
        except Exception as failed:
            _raise(failed)

    async def _ready(self) -> None:
        """Makes the clients on a thread, so that signing, which needs no network, never imports in the event loop."""
        if self._clients is None:
            await self._run(self._both)

    def _client(self) -> Any:
        return self._both()[0]

    def _both(self) -> tuple[Any, Any]:
        if self._clients is None:
            with self._lock:
                if self._clients is None:
                    self._clients = self._make_clients()
        return self._clients

    def _make_clients(self) -> tuple[Any, Any]:
        import botocore.session
        from botocore.config import Config

        # What the machine's owner keeps in ~/.aws is none of our business, and a missing AWS_PROFILE would be an error.
        nothing = {name: (None, None, os.devnull, None) for name in ("config_file", "credentials_file")}
        session = botocore.session.Session(session_vars={"profile": (None, None, None, None), **nothing})
        config = Config(
            signature_version="s3v4",
            s3={"addressing_style": "path"},
            connect_timeout=CONNECT_TIMEOUT_SECONDS,
            read_timeout=READ_TIMEOUT_SECONDS,
            retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
            max_pool_connections=THREADS,
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            tcp_keepalive=True,
        )

        def client(endpoint: str) -> Any:
            return session.create_client(
                "s3",
                endpoint_url=endpoint,
                region_name=self._region,
                aws_access_key_id=self._access_key,
                aws_secret_access_key=self._secret_key,
                config=config,
            )

        internal = client(self._endpoint)
        return internal, internal if self._public_endpoint == self._endpoint else client(self._public_endpoint)


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
    )


async def _pieces(chunks: AsyncIterator[bytes], size: int) -> AsyncIterator[bytes]:
    """The same bytes in pieces of `size`, the last one smaller."""
    held = bytearray()
    async for chunk in chunks:
        held += chunk
        while len(held) >= size:
            yield bytes(held[:size])
            del held[:size]
    if held:
        yield bytes(held)


def _next_chunk(body: Any) -> bytes:
    chunk: bytes = body.read(CHUNK_SIZE)
    return chunk


_MISSING = {"404", "NoSuchKey", "NotFound", "NoSuchUpload"}
_REFUSED_PARTS = {"InvalidPart", "InvalidPartOrder", "EntityTooSmall"}


def _raise(failed: Exception) -> NoReturn:
    from botocore.exceptions import BotoCoreError, ClientError

    if isinstance(failed, ClientError):
        code = str(failed.response.get("Error", {}).get("Code", ""))
        if code in _MISSING:
            raise ObjectMissing from failed
        if code in _REFUSED_PARTS:
            raise PartsRefused(code) from failed
        # 403 and the like: wrong keys, no bucket. Nothing a client can mend, and it may be mended at any moment.
        log.error("the object store refused %s: %s", failed.operation_name, code)
        raise StorageUnavailable(f"The object store refused this ({code}).") from failed
    if isinstance(failed, BotoCoreError):
        raise StorageUnavailable("The object store cannot be reached just now; try again in a moment.") from failed
    raise failed
