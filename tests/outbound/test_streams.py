"""Connections of HTTP clients, on the event loop that tests use and on the one that the service runs on, plain and with TLS."""

import asyncio
import gc
import socket
import ssl
import struct
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvloop

from infra.local.certificates import ensure_certificate
from shared.outbound import UrlGuard
from shared.outbound.clients import CONNECTIONS_KEPT, client, finish
from shared.outbound.streams import READ_AHEAD_BYTES

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
LONG = 5 * 2**20
Loop = Callable[[], asyncio.AbstractEventLoop]

pytestmark = pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])


async def _heard(reader: asyncio.StreamReader) -> bytes:
    """The body of the next request."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = next((line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), b":0")
    return await reader.readexactly(int(length.partition(b":")[2]))


def _response(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(_response(await _heard(reader)))
        await writer.drain()


@asynccontextmanager
async def _serving(serve: Serve, tls: ssl.SSLContext | None = None) -> AsyncIterator[tuple[str, list[int]]]:
    """The server's address, and how many connections there were so far."""
    count = [0]

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        count[0] += 1
        try:
            await serve(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=tls)
    try:
        yield f"{'http' if tls is None else 'https'}://localhost:{server.sockets[0].getsockname()[1]}/", count
    finally:
        server.close()


def _client(*, seconds: float = 10) -> httpx.AsyncClient:
    return client(UrlGuard(["localhost"]), seconds=seconds, response_bytes=2**30)


def _run(loop: Loop, work: Callable[[], Any]) -> None:
    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(asyncio.wait_for(work(), 60))


@pytest.fixture
def tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    ensure_certificate(certificate, key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    return context


@pytest.mark.parametrize("encrypted", [False, True], ids=["plain", "tls"])
def test_bodies_of_every_length_come_back_as_they_were_sent(loop: Loop, tls: ssl.SSLContext, encrypted: bool) -> None:
    async def work() -> None:
        async with _serving(_echo, tls if encrypted else None) as (url, connections), _client() as http:
            for length in (0, 1, 65_535, 65_536, 262_145, READ_AHEAD_BYTES - 1, READ_AHEAD_BYTES + 1, LONG, 7):
                body = bytes(range(256)) * (length // 256 + 1)
                response = await http.post(url, content=body[:length])
                assert response.content == body[:length]
            assert connections == [2], "one is kept; after a body that bypasses the parser there is another"

    _run(loop, work)


@pytest.mark.parametrize("encrypted", [False, True], ids=["plain", "tls"])
def test_a_connection_that_the_server_has_closed_is_not_used_again(loop: Loop, tls: ssl.SSLContext, encrypted: bool) -> None:
    async def work() -> None:
        closed = asyncio.Semaphore(0)

        async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(_response(await _heard(reader)))
            writer.close()
            await writer.wait_closed()
            closed.release()

        async with _serving(once, tls if encrypted else None) as (url, connections), _client() as http:
            for number in range(1, 4):
                assert (await http.post(url, content=b"heron")).content == b"heron"
                assert connections == [number]
                await closed.acquire()

    _run(loop, work)


def test_a_slow_reader_holds_the_sender_up(loop: Loop) -> None:
    sent = [0]

    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _heard(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % 2**34)
        while True:
            writer.write(bytes(2**20))
            await writer.drain()
            sent[0] += 2**20

    async def work() -> None:
        async with _serving(endless) as (url, _), _client() as http, http.stream("GET", url) as response:
            await anext(aiter(response.aiter_raw()))
            before = -1
            while before != sent[0]:
                before = sent[0]
                await asyncio.sleep(0.2)
            assert before < 32 * 2**20, "what the kernel holds, and the little that is read ahead"

    _run(loop, work)


def test_a_server_that_is_silent_is_waited_for_no_longer_than_was_said(loop: Loop) -> None:
    async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    async def deaf(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await asyncio.sleep(30)

    async def work() -> None:
        async with _serving(silent) as (url, _), _client(seconds=0.3) as http:
            with pytest.raises(httpx.ReadTimeout):
                await http.get(url)
        async with _serving(deaf) as (url, _), _client(seconds=0.3) as http:
            with pytest.raises(httpx.WriteTimeout):
                await http.post(url, content=_many(2**16))

    _run(loop, work)


def test_a_connection_that_breaks_is_said_after_what_came(loop: Loop) -> None:
    async def breaking(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _heard(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nheron")
        await writer.drain()
        await reader.read(1)  # until the client has read so much
        writer.get_extra_info("socket").setsockopt(*_RESET)
        writer.close()

    async def work() -> None:
        async with _serving(breaking) as (url, _), _client() as http, http.stream("GET", url) as response:
            parts = aiter(response.aiter_raw())
            assert await anext(parts) == b"heron"
            await response.extensions["network_stream"].write(b"!")
            with pytest.raises(httpx.HTTPError):
                await anext(parts)

    _run(loop, work)


def test_who_is_cancelled_leaves_no_connection_in_the_middle_of_a_response(loop: Loop) -> None:
    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            body = await _heard(reader)
            if body == b"slow":
                await asyncio.sleep(0.3)
            writer.write(_response(body))

    async def work() -> None:
        async with _serving(slow) as (url, connections), _client() as http:
            for _ in range(3):
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.1):
                        await http.post(url, content=b"slow")
                assert (await http.post(url, content=b"quick")).content == b"quick"
            assert connections[0] == 4

    _run(loop, work)


def test_requests_at_once_share_their_connections_afterwards(loop: Loop) -> None:
    async def work() -> None:
        async with _serving(_echo) as (url, connections), _client() as http:
            for _ in range(5):
                bodies = [b"%d" % number for number in range(8)]
                responses = await asyncio.gather(*(http.post(url, content=body) for body in bodies))
                assert [response.content for response in responses] == bodies
            assert connections == [8]
            request = http.build_request("POST", url, content=b"left")
            await finish(await http.send(request, stream=True))
            assert (await http.post(url, content=b"next")).content == b"next"
            assert connections == [8]

    _run(loop, work)


def test_what_a_request_sent_is_let_go_with_its_response(loop: Loop) -> None:
    async def work() -> None:
        async with _serving(_echo) as (url, _), _client() as http:
            response = await http.send(http.build_request("POST", url, content=b"a chunk of sixteen megabytes"), stream=True)
            request = weakref.ref(response.request)
            await finish(response)
            del response
            assert request() is None

    gc.disable()  # so that none of it goes but by itself
    try:
        _run(loop, work)
    finally:
        gc.enable()


_RESET = (socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
"""Of a socket: closing it breaks the connection."""


async def _many(count: int) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield bytes(2**16)


def test_only_so_many_connections_wait_for_a_next_request(loop: Loop) -> None:
    opened: list[asyncio.StreamReader] = []

    async def counted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        opened.append(reader)
        try:
            await _echo(reader, writer)
        finally:
            opened.remove(reader)

    async def work() -> None:
        async with _serving(counted) as (url, _), _client() as http:
            await asyncio.gather(*(http.post(url, content=b"heron") for _ in range(CONNECTIONS_KEPT + 5)))
            async with asyncio.timeout(10):
                while len(opened) > CONNECTIONS_KEPT:
                    await asyncio.sleep(0.01)
            await http.aclose()
            async with asyncio.timeout(10):
                while opened:
                    await asyncio.sleep(0.01)

    _run(loop, work)
