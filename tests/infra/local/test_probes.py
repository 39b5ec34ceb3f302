"""How the services of this machine are asked whether they respond yet."""

import asyncio

import pytest

from infra.local.probes import get


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        (b'HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n{"a": {}}}}', (200, b'{"a": {}}}}')),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n{}}\r\n2\r\n}}\r\n0\r\n\r\n", (200, b"{}}}}")),
        (b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n", (503, b"")),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n{", (0, b"")),
        (b"SSH-2.0\r\n", (0, b"")),
        (b"", (0, b"")),
    ],
    ids=["by length", "in chunks", "not ready", "cut off", "no HTTP", "nothing"],
)
async def test_a_response_is_read_to_its_end_whatever_stands_in_it(response: bytes, expected: tuple[int, bytes]) -> None:
    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(response)
        writer.close()

    async with await asyncio.start_server(respond, "127.0.0.1", 0) as server:
        assert await get(server.sockets[0].getsockname()[1], "/health") == expected


async def test_a_server_that_does_not_listen_or_stays_silent_has_no_response() -> None:
    async def ignore(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await writer.drain()

    async with await asyncio.start_server(ignore, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        assert await get(port, "/health") == (0, b"")
    assert await get(port, "/health") == (0, b"")
