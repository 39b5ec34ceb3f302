"""SeaweedFS's filer metadata log: every change of every object, in order, resumable from a time.

The log is read by gRPC (`SubscribeLocalMetadata` of weed/pb/filer.proto), a stream over HTTP/2. One request and two nested messages
are all we need of it, so they are encoded and decoded here instead of carrying the gRPC runtime and generated code along.
"""

import asyncio
import secrets
import ssl
import struct
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_SUBSCRIBE = "/filer_pb.SeaweedFiler/SubscribeLocalMetadata"
_WINDOW_BYTES = 2**20


class LogUnavailable(Exception):
    """The filer cannot be reached, or ended the stream."""


@dataclass(frozen=True)
class Entry:
    """A file as the filer knows it."""

    name: str
    is_directory: bool
    size: int
    content_type: str
    etag: str
    """As S3 shows it; empty where the filer keeps no MD5 (multipart uploads made before an ETag was stored)."""
    modified_ns: int
    extended: dict[str, bytes]


@dataclass(frozen=True)
class Change:
    """One line of the log. `new` without `old` is a creation, both an update, `old` alone a removal, neither a heartbeat."""

    time_ns: int
    folder: str
    old: Entry | None
    new: Entry | None


@dataclass(frozen=True)
class MetadataLog:
    """A filer on loopback, that knows us by a certificate (which is its own as well)."""

    grpc_port: int
    certificate: Path
    key: Path

    async def changes(self, *, path_prefix: str, since_ns: int) -> AsyncGenerator[Change, None]:
        """What changed under `path_prefix` after `since_ns` (nanoseconds since 1970), then what changes, as it does.

        Now and then a heartbeat says how far the log has been read. Ends by raising LogUnavailable only.
        """
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.grpc_port, ssl=self._tls())
        except (OSError, ssl.SSLError) as refused:
            raise LogUnavailable(str(refused)) from None
        try:
            request = _subscription(path_prefix, since_ns)
            async for message in _server_stream(reader, writer, f"127.0.0.1:{self.grpc_port}", _SUBSCRIBE, request):
                for change in _changes(message):
                    yield change
        except (OSError, ssl.SSLError, asyncio.IncompleteReadError) as lost:
            raise LogUnavailable(str(lost)) from None
        finally:
            writer.close()
        raise LogUnavailable("the filer ended the stream")

    def _tls(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self.certificate)
        context.load_cert_chain(self.certificate, self.key)
        context.set_alpn_protocols(["h2"])
        return context


async def _server_stream(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, authority: str, path: str, request: bytes
) -> AsyncIterator[bytes]:
    """The messages of one gRPC call with a single request (gRPC over HTTP/2: 1 byte compressed-flag, 4 bytes length, message)."""
    import h2.config
    import h2.connection
    import h2.events
    import h2.exceptions
    import h2.settings

    connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
    connection.initiate_connection()
    connection.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: _WINDOW_BYTES})
    connection.increment_flow_control_window(_WINDOW_BYTES)
    headers = [(":method", "POST"), (":scheme", "http"), (":path", path), (":authority", authority)]
    connection.send_headers(1, [*headers, ("te", "trailers"), ("content-type", "application/grpc")])
    connection.send_data(1, struct.pack(">BI", 0, len(request)) + request, end_stream=True)
    writer.write(connection.data_to_send())
    pending = b""
    while received := await reader.read(65_536):
        try:
            events = connection.receive_data(received)
        except h2.exceptions.ProtocolError as broken:
            raise LogUnavailable(f"the filer's stream broke off ({broken})") from None
        for event in events:
            if isinstance(event, h2.events.DataReceived):
                connection.acknowledge_received_data(event.flow_controlled_length or 0, 1)
                pending += event.data or b""
            elif isinstance(event, (h2.events.ResponseReceived, h2.events.TrailersReceived)):
                fields = {bytes(name): bytes(value) for name, value in event.headers or ()}
                if fields.get(b"grpc-status", b"0") != b"0" or fields.get(b":status", b"200") != b"200":
                    raise LogUnavailable(fields.get(b"grpc-message", b"no reason given").decode(errors="replace"))
            elif isinstance(event, (h2.events.StreamEnded, h2.events.StreamReset, h2.events.ConnectionTerminated)):
                return
        writer.write(connection.data_to_send())
        while len(pending) >= 5:
            length = int.from_bytes(pending[1:5], "big")
            if len(pending) < 5 + length:
                break
            message, pending = pending[5 : 5 + length], pending[5 + length :]
            yield message


def _subscription(path_prefix: str, since_ns: int) -> bytes:
    """SubscribeMetadataRequest: client_name, path_prefix, since_ns, client_id, client_epoch, client_supports_idle_heartbeat."""
    return b"".join(
        (
            _text_field(1, "docuvault"),
            _text_field(2, path_prefix),
            _number_field(3, since_ns),
            _number_field(7, 1 + secrets.randbelow(2**31 - 2)),
            _number_field(9, 1),
            _number_field(13, 1),
        )
    )


def _changes(message: bytes) -> Iterator[Change]:
    """SubscribeMetadataResponse: directory, event_notification, ts_ns, and more of the same in `events`."""
    folder, time_ns, old, new = "", 0, None, None
    later: list[bytes] = []
    for number, value in _fields(message):
        if number == 1:
            folder = value.decode()
        elif number == 2:
            for inner, entry in _fields(value):
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
    yield Change(time_ns, folder, old, new)
    for further in later:
        yield from _changes(further)


def _entry(message: bytes) -> Entry:
    name, is_directory, content, chunk_end = "", False, b"", 0
    attributes: dict[int, Any] = {}
    extended: dict[str, bytes] = {}
    for number, value in _fields(message):
        if number == 1:
            name = value.decode(errors="surrogateescape")
        elif number == 2:
            is_directory = bool(value)
        elif number == 3:
            chunk = dict(_fields(value))
            chunk_end = max(chunk_end, chunk.get(2, 0) + chunk.get(3, 0))
        elif number == 4:
            attributes = dict(_fields(value))
        elif number == 5:
            pair = dict(_fields(value))
            extended[pair.get(1, b"").decode()] = pair.get(2, b"")
        elif number == 8:
            content = value
    return Entry(
        name=name,
        is_directory=is_directory,
        size=max(attributes.get(1, 0), chunk_end, len(content)),
        content_type=attributes.get(7, b"").decode(errors="replace"),
        etag=extended.get("Seaweed-X-Amz-ETag", b"").decode(errors="replace").strip('"') or attributes.get(14, b"").hex(),
        modified_ns=attributes.get(2, 0) * 10**9 + attributes.get(19, 0),
        extended=extended,
    )


def _fields(message: bytes) -> Iterator[tuple[int, Any]]:
    """Field numbers and raw values of a protobuf message (https://protobuf.dev/programming-guides/encoding/)."""
    position = 0
    while position < len(message):
        tag, position = _varint(message, position)
        kind = tag & 7
        value: int | bytes
        if kind == 0:
            value, position = _varint(message, position)
        else:
            if kind == 2:
                length, position = _varint(message, position)
            elif kind in (1, 5):
                length = 8 if kind == 1 else 4
            else:
                raise LogUnavailable(f"a message of the metadata log has a field of the unknown kind {kind}")
            value, position = message[position : position + length], position + length
        yield tag >> 3, value


def _varint(message: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if not byte & 0x80:
            return value, position
        shift += 7


def _number_field(number: int, value: int) -> bytes:
    return _encoded(number << 3) + _encoded(value)


def _text_field(number: int, value: str) -> bytes:
    encoded = value.encode()
    return _encoded(number << 3 | 2) + _encoded(len(encoded)) + encoded


def _encoded(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
