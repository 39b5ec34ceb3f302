"""SeaweedFS's filer metadata log: every change of every object, in order, resumable from a time.

The log is read by gRPC (`SubscribeLocalMetadata` of weed/pb/filer.proto).
"""

import secrets
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass
from typing import Any

from infra.local.grpc import CallFailed, Peer, fields, number_field, text_field

_SUBSCRIBE = "/filer_pb.SeaweedFiler/SubscribeLocalMetadata"


class LogUnavailable(Exception):
    """The filer cannot be reached, or ended the stream."""


@dataclass(frozen=True)
class MetadataEntry:
    """A file as the filer knows it."""

    name: str
    is_directory: bool
    size: int
    content_type: str
    etag: str
    """As S3 shows it; empty if the filer keeps no MD5 (multipart uploads made before an ETag was stored)."""
    modified_ns: int
    extended: dict[str, bytes]


@dataclass(frozen=True)
class ObjectChange:
    """One line of the log. `new` without `old` is a creation, both an update, `old` alone a removal, neither a heartbeat."""

    time_ns: int
    folder: str
    old: MetadataEntry | None
    new: MetadataEntry | None


@dataclass(frozen=True)
class MetadataLog:
    """The log of the filer behind `peer`."""

    peer: Peer

    async def changes(self, *, path_prefix: str, since_ns: int) -> AsyncGenerator[ObjectChange, None]:
        """What changed under `path_prefix` after `since_ns` (nanoseconds since 1970), then what changes, as it does.

        Now and then a heartbeat says how far the log has been read. Ends by raising LogUnavailable only.
        """
        try:
            async for message in self.peer.stream(_SUBSCRIBE, _subscription(path_prefix, since_ns)):
                for change in _changes(message):
                    yield change
        except CallFailed as lost:
            raise LogUnavailable(str(lost)) from None
        raise LogUnavailable("the filer ended the stream")


def _subscription(path_prefix: str, since_ns: int) -> bytes:
    """SubscribeMetadataRequest: client_name, path_prefix, since_ns, client_id, client_epoch, client_supports_idle_heartbeat."""
    return b"".join(
        (
            text_field(1, "docuvault"),
            text_field(2, path_prefix),
            number_field(3, since_ns),
            number_field(7, 1 + secrets.randbelow(2**31 - 2)),
            number_field(9, 1),
            number_field(13, 1),
        )
    )


def _changes(message: bytes) -> Iterator[ObjectChange]:
    """SubscribeMetadataResponse: directory, event_notification, ts_ns, and more of the same in `events`."""
    folder, time_ns, old, new = "", 0, None, None
    later: list[bytes] = []
    for number, value in fields(message):
        if number == 1:
            folder = value.decode()
        elif number == 2:
            for inner, entry in fields(value):
                if inner == 1:
                    old = _entry(entry)
                elif inner == 2:
                    new = _entry(entry)
                elif inner == 4:
                    folder = entry.decode() or folder
        elif number == 3:
            time_ns = value
        elif number == 4:
            later.append(value)
    yield ObjectChange(time_ns, folder, old, new)
    for further in later:
        yield from _changes(further)


def _entry(message: bytes) -> MetadataEntry:
    name, is_directory, content, chunk_end = "", False, b"", 0
    attributes: dict[int, Any] = {}
    extended: dict[str, bytes] = {}
    for number, value in fields(message):
        if number == 1:
            name = value.decode(errors="surrogateescape")
        elif number == 2:
            is_directory = bool(value)
        elif number == 3:
            chunk = dict(fields(value))
            chunk_end = max(chunk_end, chunk.get(2, 0) + chunk.get(3, 0))
        elif number == 4:
            attributes = dict(fields(value))
        elif number == 5:
            pair = dict(fields(value))
            extended[pair.get(1, b"").decode()] = pair.get(2, b"")
        elif number == 9:
            content = value
    return MetadataEntry(
        name=name,
        is_directory=is_directory,
        size=max(attributes.get(1, 0), chunk_end, len(content)),
        content_type=attributes.get(7, b"").decode(errors="replace"),
        etag=extended.get("Seaweed-X-Amz-ETag", b"").decode(errors="replace").strip('"') or attributes.get(14, b"").hex(),
        modified_ns=attributes.get(2, 0) * 10**9 + attributes.get(19, 0),
        extended=extended,
    )
