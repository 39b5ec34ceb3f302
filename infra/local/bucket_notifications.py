"""Bucket notifications for the embedded S3 store, which has none of its own.

The store's metadata log is followed, and each object that was put becomes an entry on the Redis list `docuvault:bucket-events`, as
MinIO's Redis target in `access` format would push it.

Where we are in the log is written to a file after each push, so after a restart, a crash or an outage of Redis it goes on from there;
the one entry on the way then may come twice, with the same sequencer. Keys that begin with a dot are passed over.
"""

import asyncio
import json
import logging
import os
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote_plus, unquote, urlsplit

from infra.local.metadata_log import LogUnavailable, MetadataLog, ObjectChange
from infra.notification_list import LIST
from shared.storage.object_keys import is_internal

log = logging.getLogger("docuvault.local.notifications")

_FIRST_PAUSE_SECONDS = 0.05
_LONGEST_PAUSE_SECONDS = 2.0
_REDIS_SECONDS = 5.0

Push = Callable[[Sequence[bytes]], Awaitable[None]]


class RedisUnavailable(Exception):
    """Redis cannot be reached, or refused the push."""


async def forward(source: MetadataLog, *, bucket: str, redis_url: str, position: Path) -> None:
    """Forwards until cancelled. `position` is the file that remembers how far the log has been forwarded."""
    pause = _FIRST_PAUSE_SECONDS
    while True:
        try:
            async with _pusher(redis_url) as push:
                async for pushed in _forwarded(source, bucket, position, push):
                    pause = _FIRST_PAUSE_SECONDS
                    log.debug("announced %s", pushed)
        except (LogUnavailable, RedisUnavailable) as lost:
            if pause == _FIRST_PAUSE_SECONDS:  # once an outage
                log.warning("bucket notifications wait: %s", lost)
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)


def entry(change: ObjectChange, bucket: str) -> bytes | None:
    """The list entry for a change of the log, in MinIO's shape; None if no object was put."""
    root = f"/buckets/{bucket}"
    new, old = change.new, change.old
    if new is None or new.is_directory or not (change.folder == root or change.folder.startswith(f"{root}/")):
        return None
    if old is not None and (old.etag, old.modified_ns, old.size) == (new.etag, new.modified_ns, new.size):
        return None  # tags or metadata changed, not the object
    key = f"{change.folder[len(root) :]}/{new.name}".lstrip("/")
    if is_internal(key):
        return None
    time = datetime.fromtimestamp(change.time_ns / 10**9, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
    metadata = {name: value.decode(errors="replace") for name, value in new.extended.items() if name.lower().startswith("x-amz-meta-")}
    record = {
        "eventVersion": "2.0",
        "eventSource": "minio:s3",
        "awsRegion": "",
        "eventTime": time,
        "eventName": "s3:ObjectCreated:CompleteMultipartUpload" if "X-Seaweedfs-Upload-Id" in new.extended else "s3:ObjectCreated:Put",
        "userIdentity": {"principalId": "docuvault"},
        "requestParameters": {},
        "responseElements": {},
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": "Config",
            "bucket": {"name": bucket, "ownerIdentity": {"principalId": "docuvault"}, "arn": f"arn:aws:s3:::{bucket}"},
            "object": {
                "key": quote_plus(key, errors="surrogateescape"),
                "size": new.size,
                "eTag": new.etag,
                "contentType": new.content_type or "application/octet-stream",
                "userMetadata": {"content-type": new.content_type or "application/octet-stream"} | metadata,
                "sequencer": f"{change.time_ns:X}",
            },
        },
        "source": {"host": "127.0.0.1", "port": "", "userAgent": ""},
    }
    return json.dumps([{"Event": [record], "EventTime": time}], separators=(",", ":")).encode()


async def _forwarded(source: MetadataLog, bucket: str, position: Path, push: Push) -> AsyncGenerator[int, None]:
    """Pushes what the log has and gets; the time of each change that has been dealt with."""
    async with aclosing(source.changes(path_prefix=f"/buckets/{bucket}/", since_ns=_read(position))) as found:
        async for change in found:
            announced = entry(change, bucket)
            if announced is not None:
                await push([announced])
            if change.time_ns:
                _write(position, change.time_ns)
            yield change.time_ns


def _read(position: Path) -> int:
    try:
        return int(position.read_text())
    except (FileNotFoundError, ValueError):
        return 0  # from the log's beginning: what has been handled before is known to PostgreSQL


def _write(position: Path, time_ns: int) -> None:
    # Not synced: after a power cut an older position means repeats, which are deduplicated.
    beside = position.with_name(f"{position.name}.new")
    beside.write_text(str(time_ns))
    os.replace(beside, position)


@asynccontextmanager
async def _pusher(url: str) -> AsyncIterator[Push]:
    """Pushes on the list over one connection. Two commands of RESP2, because a Redis client takes 30 MB of the supervisor's memory."""
    try:
        async with asyncio.timeout(_REDIS_SECONDS):
            reader, writer = await _connect(url)
    except (OSError, TimeoutError) as refused:
        raise RedisUnavailable(f"Redis cannot be reached ({refused or 'no response'})") from None

    async def command(*words: bytes) -> None:
        try:
            async with asyncio.timeout(_REDIS_SECONDS):
                writer.write(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in words))
                response = await reader.readuntil(b"\r\n")
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            raise RedisUnavailable("Redis went away") from None
        if response.startswith(b"-"):
            raise RedisUnavailable(response[1:].decode(errors="replace").strip())

    async def push(entries: Sequence[bytes]) -> None:
        await command(b"RPUSH", LIST.encode(), *entries)

    try:
        parts = urlsplit(url)
        if parts.password:
            user = [unquote(parts.username).encode()] if parts.username else []
            await command(b"AUTH", *user, unquote(parts.password).encode())
        if (number := parts.path.strip("/")) and parts.scheme != "unix":
            await command(b"SELECT", number.encode())
        yield push
    finally:
        writer.close()


async def _connect(url: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    parts = urlsplit(url)
    if parts.scheme == "unix":
        return await asyncio.open_unix_connection(unquote(parts.path))
    return await asyncio.open_connection(parts.hostname or "127.0.0.1", parts.port or 6379, ssl=parts.scheme == "rediss" or None)
