"""Attacks by connections: ones that say nothing, trickle, or do not read, on real servers.

The limits are those of `infra.connection_limits` and `shared.faas.requests`, shortened; at their real size where the number is the attack.
"""

import asyncio
import contextlib
import re
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from uuid import UUID

import httpx
import pytest

from shared.db import Database
from tests.faas.conftest import bearer as bearer
from tests.infra.broker.waiting import until
from tests.infra.gateway.conftest import Running, Start, appears
from tests.infra.gateway.conftest import folder as folder
from tests.infra.gateway.conftest import start as start
from tests.infra.worker.process import WorkerProcess

PATIENCE_SECONDS = 20
PROMPT_SECONDS = 5
HEAD = b"GET /t/caller HTTP/1.1\r\nHost: vault.test\r\n"
SHORT = "64, idle_seconds=1, unread_seconds=2"
REAL_GATEWAY = "infra.gateway.app:create"

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Crowd:
    """Connections of one client, from an address of the loopback network."""

    def __init__(self) -> None:
        self.streams: list[Stream] = []

    async def open(self, port: int, number: int = 1, *, address: str = "127.0.0.1", say: bytes = b"") -> list[Stream]:
        """Opens some, and says this on each."""
        opened: list[Stream] = []
        for _ in range(number):
            stream = await asyncio.open_connection("127.0.0.1", port, local_addr=(address, 0))
            self.streams.append(stream)
            opened.append(stream)
            stream[1].write(say)
        return opened

    def close(self) -> None:
        for _, writer in self.streams:
            writer.transport.abort()


@pytest.fixture
def crowd() -> Iterator[Crowd]:
    made = Crowd()
    yield made
    made.close()


async def closed(reader: asyncio.StreamReader) -> bytes:
    """What came until the server closed the connection."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        try:
            return await reader.read()
        except ConnectionResetError:
            return b""


async def trickle(writer: asyncio.StreamWriter, piece: bytes) -> None:
    """Sends this ten times a second until the server has had enough."""
    with contextlib.suppress(ConnectionError):
        while True:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.1)


async def response(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], bytes]:
    """The next response of a connection that goes on."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        status = int(head.split(" ")[1])
        headers = {name.lower(): value for name, value in re.findall(r"^([\w-]+): (.*)\r$", head, re.MULTILINE)}
        return status, headers, await reader.readexactly(int(headers.get("content-length", "0")))


async def problem_of(server: Running, request: bytes) -> tuple[int, str]:
    """Status and code of the response to these bytes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(request)
    status, headers, body = await response(reader)
    writer.close()
    code = re.search(rb'"code": "(\w+)"', body) if headers.get("content-type") == "application/problem+json" else None
    return status, code[1].decode() if code else ""


# ---- what neither asks nor goes


@pytest.mark.parametrize("said", [b"", HEAD, HEAD + b"\r\n"], ids=["no byte", "half a header", "kept alive"])
async def test_a_connection_that_says_nothing_more_is_closed(start: Start, crowd: Crowd, said: bytes) -> None:
    server = await start(limits=SHORT)
    [(reader, _)] = await crowd.open(server.port, say=said)
    heard = await closed(reader)
    assert heard.startswith(b"HTTP/1.1 200") is said.endswith(b"\r\n\r\n")


async def test_a_header_that_trickles_is_not_waited_for(start: Start, crowd: Crowd) -> None:
    server = await start(limits=SHORT)
    [(reader, writer)] = await crowd.open(server.port, say=HEAD + b"X-Long: ")
    trickling = asyncio.create_task(trickle(writer, b"x"))
    assert await closed(reader) == b""
    trickling.cancel()


SHORT_BODIES = "import shared.faas.requests as r; r.SILENT_SECONDS = 0.5; r.GRACE_SECONDS = 0.5; r.BODY_TIMEOUT_SECONDS = 1"


@pytest.mark.parametrize("path", ["/t/json", "/t/size"])
@pytest.mark.parametrize("piece", [b"", b"1\r\nx\r\n"], ids=["stops", "trickles"])
async def test_a_body_that_does_not_come_is_408_and_the_end_of_its_connection(start: Start, crowd: Crowd, path: str, piece: bytes) -> None:
    server = await start(limits=SHORT, setup=SHORT_BODIES)
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{{\r\n"
    [(reader, writer)] = await crowd.open(server.port, say=head.encode())
    trickling = asyncio.create_task(trickle(writer, piece)) if piece else None
    status, headers, body = await response(reader)
    assert (status, headers["connection"]) == (408, "close")
    assert b'"code": "body_timeout"' in body
    await closed(reader)
    if trickling is not None:
        trickling.cancel()


async def test_a_slow_body_that_keeps_coming_is_taken(start: Start) -> None:
    server = await start(limits=SHORT, setup=SHORT_BODIES)

    async def slowly() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield bytes(4096)
            await asyncio.sleep(0.1)

    async with server.client() as client:
        assert (await client.post("/t/size", content=slowly())).text == str(20 * 4096)


def _reading_little(port: int) -> socket.socket:
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect(("127.0.0.1", port))
    client.sendall(HEAD.replace(b"/t/caller", b"/t/endless") + b"\r\n")
    return client


async def test_a_client_that_does_not_read_its_response_is_let_go(start: Start, folder: Path) -> None:
    server = await start(limits=SHORT)
    with _reading_little(server.port):
        await appears(folder / "closed")


async def test_a_client_that_reads_slowly_but_reads_is_served_on(start: Start, folder: Path) -> None:
    server = await start(limits=SHORT)
    with _reading_little(server.port) as client:
        client.setblocking(False)
        ends = time.monotonic() + 6  # three times what it takes to be let go
        while time.monotonic() < ends:
            assert await asyncio.get_running_loop().sock_recv(client, 4096)
            await asyncio.sleep(0.05)
    assert "did not read" not in server.log.read_text()


# ---- what is in order


async def test_an_event_stream_goes_on_for_longer_than_a_connection_may_be_idle(start: Start, folder: Path) -> None:
    server = await start(limits=SHORT)
    async with server.client() as client, client.stream("GET", "/t/ticks") as ticks:
        chunks = ticks.aiter_raw()
        assert await anext(chunks) == b"data: first\n\n"
        await asyncio.sleep(2.5)
        (folder / "second").touch()
        assert await anext(chunks) == b"data: second\n\n"


async def test_pipelined_requests_are_answered_in_their_order(start: Start, crowd: Crowd) -> None:
    server = await start(limits=SHORT)
    requests = b"".join(b"GET /t/items/%d HTTP/1.1\r\nHost: x\r\n\r\n" % number for number in range(50))
    [(reader, _)] = await crowd.open(server.port, say=requests)
    assert [(await response(reader))[2] for _ in range(50)] == [str(number).encode() for number in range(50)]


async def test_a_connection_that_keeps_asking_is_kept(start: Start, crowd: Crowd) -> None:
    server = await start(limits=SHORT)
    [(reader, writer)] = await crowd.open(server.port)
    for _ in range(10):
        writer.write(HEAD + b"\r\n")
        assert (await response(reader))[0] == 200
        await asyncio.sleep(0.3)


# ---- too many of them


async def test_a_flood_pushes_out_itself_and_nobody_else(start: Start, crowd: Crowd, folder: Path) -> None:
    server = await start(limits="64, idle_seconds=60")
    [(reader, writer)] = await crowd.open(server.port, say=HEAD + b"\r\n")
    await response(reader)
    async with server.client() as client:
        slow = asyncio.create_task(client.get("/t/slow"))
        await appears(folder / "entered")
        flood = await crowd.open(server.port, 300, address="127.0.0.2")
        # Somebody new is taken, from the flood's own address, too.
        for address in ("127.0.0.1", "127.0.0.2"):
            [(new, _)] = await crowd.open(server.port, address=address, say=HEAD + b"\r\n")
            assert (await response(new))[0] == 200
        await closed(flood[0][0])
        # A neighbour's idle connection is still there, and what is under way goes on.
        writer.write(HEAD + b"\r\n")
        assert (await response(reader))[0] == 200
        (folder / "go").touch()
        assert (await slow).text == "done"


async def test_requests_that_hold_all_connections_make_room_as_well(start: Start, crowd: Crowd) -> None:
    server = await start(limits="64, idle_seconds=60")
    begun = b"POST /t/size HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nx"
    await crowd.open(server.port, 150, address="127.0.0.2", say=begun)
    [(reader, _)] = await crowd.open(server.port, say=HEAD + b"\r\n")
    assert (await response(reader))[0] == 200


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.2"])
async def test_1100_idle_connections_stop_no_signed_in_user(
    start: Start, crowd: Crowd, db: Database, owner: UUID, bearer: Callable[..., dict[str, str]], address: str
) -> None:
    server = await start(REAL_GATEWAY)
    await crowd.open(server.port, 1100, address=address)
    async with server.client() as client:
        began = time.monotonic()
        answer = await client.get("/api/account", headers=bearer(owner))
        assert (answer.status_code, answer.json()["id"]) == (200, str(owner))
        assert time.monotonic() - began < PROMPT_SECONDS


async def test_1100_idle_connections_stop_no_event(services: None, crowd: Crowd) -> None:
    worker = WorkerProcess()
    await worker.start()
    try:
        await until(worker.serves)
        await crowd.open(worker.port, 1100)
        async with httpx.AsyncClient(base_url=worker.url, timeout=PATIENCE_SECONDS) as client:
            assert (await client.get("/health")).status_code == 200
    finally:
        await worker.kill()


async def test_idle_connections_do_not_hold_up_a_stop(start: Start, crowd: Crowd) -> None:
    server = await start()
    await crowd.open(server.port, 20)
    await crowd.open(server.port, 20, say=HEAD)
    for reader, _ in await crowd.open(server.port, 20, say=HEAD + b"\r\n"):
        await response(reader)
    server.process.terminate()
    async with asyncio.timeout(10):
        assert await server.process.wait() == 0


async def test_the_guard_itself_takes_nothing(start: Start, crowd: Crowd) -> None:
    server = await start(setup="import infra.connection_limits as c; c.LOOK_EVERY_SECONDS = 0.01")
    descriptors = Path(f"/proc/{server.process.pid}/fd")
    for reader, _ in await crowd.open(server.port, 20, say=HEAD + b"\r\n"):
        await response(reader)
    before = len(list(descriptors.iterdir()))
    await asyncio.sleep(1)
    # One that it looks at may be doubled just now.
    assert len(list(descriptors.iterdir())) <= before + 2


# ---- event streams


async def test_one_users_streams_are_capped_and_others_have_theirs(
    start: Start, db: Database, owner: UUID, other_owner: UUID, bearer: Callable[..., dict[str, str]]
) -> None:
    server = await start(REAL_GATEWAY)
    async with contextlib.AsyncExitStack() as streams, server.client() as client:

        async def opened(who: UUID) -> httpx.Response:
            return await streams.enter_async_context(client.stream("GET", "/api/documents/events", headers=bearer(who)))

        answers = [await opened(owner) for _ in range(13)]
        assert [answer.status_code for answer in answers] == [200] * 12 + [429]
        assert int(answers[-1].headers["retry-after"]) > 0
        assert (await opened(other_owner)).status_code == 200
        assert (await client.get("/api/documents", headers=bearer(owner))).status_code == 200
        # What was closed makes room.
        await answers[0].aclose()
        async with asyncio.timeout(PATIENCE_SECONDS):
            while (await opened(owner)).status_code != 200:
                await asyncio.sleep(0.05)


# ---- what the server is spoken to in


async def test_http_2_is_not_spoken_without_tls(start: Start, crowd: Crowd) -> None:
    server = await start(limits=SHORT)
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
    [(reader, _)] = await crowd.open(server.port, say=preface)
    assert b"\0" not in await closed(reader)  # neither a settings frame nor anything else of HTTP/2
    upgrade = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n\r\n"
    [(reader, _)] = await crowd.open(server.port, say=HEAD + upgrade)
    assert (await response(reader))[0] == 200


@pytest.mark.parametrize(
    ("request_line_and_headers", "problem"),
    [
        (b"GET /t/caller HTTP/1.1\r\n", (400, "malformed_request")),
        (b"GET /t/caller HTTP/1.1\r\nHost:\r\n", (400, "malformed_request")),
        (b"GET /t/caller HTTP/1.1\r\nHost: a\r\nHost: b\r\n", (400, "malformed_request")),
        (b"GET /t/caller HTTP/1.1\r\nHost: a\r\nhost: a\r\n", (400, "malformed_request")),
        (b"GET /t/caller HTTP/1.1\r\nHost: a,b\r\n", (400, "malformed_request")),
        (b"GET /t/caller HTTP/1.1\r\nHost: a\tb\r\n", (400, "malformed_request")),
        (b"GET /t/caller HTTP/1.1\r\nHost: a/b?c\r\n", (400, "malformed_request")),
        (b"GET /t/caller HTTP/1.1\r\nHost: user@a\r\n", (400, "malformed_request")),
        (b"GET /t/caller HTTP/1.1\r\nHost: " + b"a" * 301 + b"\r\n", (400, "malformed_request")),
        (b"GET /t/caller HTTP/1.0\r\nHost: a\r\nHost: a\r\n", (400, "malformed_request")),
        (b"GET /t/caller HTTP/1.0\r\n", (200, "")),
        (b"GET /t/items/" + b"x" * 9000 + b" HTTP/1.1\r\nHost: x\r\n", (414, "uri_too_long")),
        (b"GET /t/caller?a=" + b"x" * 9000 + b" HTTP/1.1\r\nHost: x\r\n", (414, "uri_too_long")),
        (HEAD + b"X-Long: " + b"x" * 40_000 + b"\r\n", (431, "headers_too_large")),
        (HEAD + b"".join(b"X-%d: %s\r\n" % (number, b"x" * 700) for number in range(60)), (431, "headers_too_large")),
        # Beyond what the server itself reads there is no problem: openapi.yaml says so.
        (HEAD + b"X-Long: " + b"x" * 200_000 + b"\r\n", (431, "")),
        (HEAD + b"".join(b"X-%d: x\r\n" % number for number in range(120)), (431, "")),
        (b"GET /t\0/ HTTP/1.1\r\nHost: x\r\n", (400, "")),
    ],
    ids=lambda value: repr(value[:40]) if isinstance(value, bytes) else None,
)
async def test_what_is_no_proper_request_is_refused(start: Start, request_line_and_headers: bytes, problem: tuple[int, str]) -> None:
    server = await start(limits=SHORT)
    assert await problem_of(server, request_line_and_headers + b"\r\n") == problem
