"""Whether the servers of this machine respond yet."""

import asyncio
import io
import socket
import time
from collections.abc import Awaitable, Callable
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import cast

from infra import processes
from infra.processes import StartError

START_SECONDS = 60.0
POLL_SECONDS = 0.02
_RESPONSE_BYTES = 2**20


async def until_ready(name: str, process: asyncio.subprocess.Process, log: Path, is_ready: Callable[[], Awaitable[bool]]) -> None:
    """Returns once `is_ready()`. Raises StartError if the process ends before that, or after `START_SECONDS`."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.returncode is not None:
            raise StartError(f"{name} did not start: {processes.last_line(log)} (more in {log})")
        if await is_ready():
            return
        await asyncio.sleep(POLL_SECONDS)
    raise StartError(f"{name} did not answer within {START_SECONDS:.0f} s (see {log})")


async def exchange(port: int, request: bytes, until: bytes | None, *, host: str = "127.0.0.1") -> bytes:
    """What a server sends within a second, up to `until`, or to its end; nothing if it does not."""
    writer = None
    try:
        async with asyncio.timeout(1):
            reader, writer = await asyncio.open_connection(host, port, limit=_RESPONSE_BYTES)
            writer.write(request)
            return await (reader.read() if until is None else reader.readuntil(until))
    except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        return b""
    finally:
        if writer is not None:
            writer.close()


async def get(port: int, path: str, *, host: str = "127.0.0.1") -> tuple[int, bytes]:
    """Status and body of an HTTP response that is whole within a second; status 0 if there is none."""
    return await ask(port, f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n".encode(), host=host)


async def ask(port: int, request: bytes, *, host: str = "127.0.0.1") -> tuple[int, bytes]:
    """As `get`, for a request that is written out and asks for the connection to be closed."""
    received = _Received(await exchange(port, request, None, host=host))
    try:
        response = HTTPResponse(cast(socket.socket, received), method="GET")
        response.begin()
        return response.status, response.read()
    except (HTTPException, ValueError):
        return 0, b""


async def is_ok(port: int, path: str) -> bool:
    """Whether a server on loopback responds to a GET with 200."""
    status, _ = await get(port, path)
    return status == 200


class _Received:
    """What the parser of the standard library takes for a socket."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def makefile(self, _mode: str) -> io.BytesIO:
        return io.BytesIO(self._content)
