"""A gRPC client as small as the embedded store needs it: one request, a stream of responses.

A handful of calls with a few fields each are all that is asked of the store, so their messages are encoded and decoded by hand instead of
carrying the gRPC runtime and generated code along.
"""

import asyncio
import ssl
import struct
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_WINDOW_BYTES = 2**20


class CallFailed(Exception):
    """The server cannot be reached, refused the call or broke it off."""


@dataclass(frozen=True)
class Peer:
    """A gRPC server on loopback that knows us by a certificate, which is its own as well."""

    port: int
    certificate: Path
    key: Path

    async def call(self, method: str, request: bytes, *, seconds: float) -> bytes:
        """The response to a unary call. Raises CallFailed, also when none comes within `seconds`."""
        try:
            async with asyncio.timeout(seconds), aclosing(self.stream(method, request)) as responses:
                async for response in responses:
                    return response
        except TimeoutError:
            raise CallFailed(f"no response within {seconds:.0f} s") from None
        return b""

    async def stream(self, method: str, request: bytes) -> AsyncGenerator[bytes, None]:
        """The responses to a call. Raises CallFailed."""
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port, ssl=self._tls())
        except (OSError, ssl.SSLError) as refused:
            raise CallFailed(str(refused)) from None
        try:
            async for message in _server_stream(reader, writer, f"127.0.0.1:{self.port}", method, request):
                yield message
        except (OSError, ssl.SSLError, asyncio.IncompleteReadError) as lost:
            raise CallFailed(str(lost)) from None
        finally:
            writer.close()

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
    pending, ended = b"", False
    while received := await reader.read(65_536):
        try:
            events = connection.receive_data(received)
        except h2.exceptions.ProtocolError as broken:
            raise CallFailed(f"the stream broke off ({broken})") from None
        for event in events:
            if isinstance(event, h2.events.DataReceived):
                connection.acknowledge_received_data(event.flow_controlled_length or 0, 1)
                pending += event.data or b""
            elif isinstance(event, (h2.events.ResponseReceived, h2.events.TrailersReceived)):
                fields = {bytes(name): bytes(value) for name, value in event.headers or ()}
                if fields.get(b"grpc-status", b"0") != b"0" or fields.get(b":status", b"200") != b"200":
                    raise CallFailed(fields.get(b"grpc-message", b"no reason given").decode(errors="replace"))
            elif isinstance(event, (h2.events.StreamEnded, h2.events.StreamReset, h2.events.ConnectionTerminated)):
                ended = True
        writer.write(connection.data_to_send())
        while len(pending) >= 5:
            length = int.from_bytes(pending[1:5], "big")
            if len(pending) < 5 + length:
                break
            message, pending = pending[5 : 5 + length], pending[5 + length :]
            yield message
        if ended:
            return


def fields(message: bytes) -> Iterator[tuple[int, Any]]:
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
                raise CallFailed(f"a message has a field of the unknown kind {kind}")
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


def number_field(number: int, value: int) -> bytes:
    """An integer or a boolean."""
    return _encoded(number << 3) + _encoded(value)


def text_field(number: int, value: str) -> bytes:
    """A string."""
    return bytes_field(number, value.encode())


def bytes_field(number: int, encoded: bytes) -> bytes:
    """Bytes, or a nested message."""
    return _encoded(number << 3 | 2) + _encoded(len(encoded)) + encoded


def _encoded(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
