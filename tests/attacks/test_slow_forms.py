"""Attacks by form uploads that begin and then hardly go on: what they hold is reserved, bounded, and nobody else's."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from uuid import UUID

import pytest

from shared.db import Database
from tests.faas.conftest import bearer as bearer
from tests.infra.gateway.conftest import Start
from tests.infra.gateway.conftest import folder as folder
from tests.infra.gateway.conftest import start as start

PATIENCE_SECONDS = 60
LENGTH = 100_000_000
SENT = 1_900_000
UPLOADS = 60
BEARABLE_MEGABYTES = 60
"""Of 60 uploads; they held 135 when each held what it had sent."""
BOUNDARY = "b"
FORM = f"multipart/form-data; boundary={BOUNDARY}"
BEGIN = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\nContent-Type: text/plain\r\n\r\n'.encode()
END = f"\r\n--{BOUNDARY}--\r\n".encode()

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Begin = Callable[[int, dict[str, str], int], Awaitable[Stream]]


@pytest.fixture
async def begin() -> AsyncIterator[Begin]:
    """`await begin(port, headers, sent)`: an upload of LENGTH bytes that stops after `sent`."""
    writers: list[asyncio.StreamWriter] = []

    async def upload(port: int, headers: dict[str, str], sent: int) -> Stream:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writers.append(writer)
        told = {"host": "vault.test", "content-type": FORM, "content-length": str(LENGTH), **headers}
        head = "".join(f"{name}: {value}\r\n" for name, value in told.items())
        writer.write(f"POST /api/documents/upload HTTP/1.1\r\n{head}\r\n".encode() + BEGIN)
        left = sent
        while left > 0:
            writer.write(os.urandom(min(left, 100_000)))
            await writer.drain()
            left -= 100_000
        return reader, writer

    yield upload
    for writer in writers:
        writer.transport.abort()


def _megabytes(process: int) -> float:
    with open(f"/proc/{process}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) / 1024


async def _reserved(db: Database, owners: list[UUID]) -> int:
    async with db.system() as tx:
        reserved = await tx.fetch_value("SELECT sum(bytes_reserved)::bigint FROM account_usage WHERE owner_id = ANY(%(o)s)", {"o": owners})
    return int(reserved or 0)


async def test_uploads_that_stop_in_the_middle_hold_little_and_have_reserved_it(
    start: Start, db: Database, new_owner: Callable[[], Awaitable[UUID]], bearer: Callable[..., dict[str, str]], begin: Begin
) -> None:
    server = await start("infra.gateway.app:create")
    owners = [await new_owner() for _ in range(5)]
    async with server.client() as client:
        small = {"file": ("small.txt", b"a line of text", "text/plain")}
        (await client.post("/api/documents/upload", files=small, headers=bearer(owners[0]))).raise_for_status()
    before = _megabytes(server.process.pid)
    await asyncio.gather(*(begin(server.port, bearer(owners[number % 5]), SENT) for number in range(UPLOADS)))
    async with asyncio.timeout(PATIENCE_SECONDS):
        while await _reserved(db, owners) < UPLOADS * LENGTH:
            await asyncio.sleep(0.1)
    assert _megabytes(server.process.pid) - before < BEARABLE_MEGABYTES


async def test_an_account_has_so_many_uploads_at_once_and_others_have_theirs(
    start: Start, owner: UUID, other_owner: UUID, bearer: Callable[..., dict[str, str]], begin: Begin
) -> None:
    server = await start("infra.gateway.app:create")
    for _ in range(16):
        await begin(server.port, bearer(owner), 10)
    async with server.client() as client:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while (refused := await client.post("/api/documents/upload", files={"file": b""}, headers=bearer(owner))).status_code != 429:
                await asyncio.sleep(0.05)
        assert int(refused.headers["retry-after"]) > 0
        files = {"file": ("letter.txt", b"a letter of another's", "text/plain")}
        assert (await client.post("/api/documents/upload", files=files, headers=bearer(other_owner))).status_code == 201


async def test_an_upload_that_trickles_is_given_up_and_leaves_nothing(
    start: Start, db: Database, owner: UUID, bearer: Callable[..., dict[str, str]], begin: Begin
) -> None:
    server = await start("infra.gateway.app:create", setup="import shared.faas.requests as r; r.SILENT_SECONDS = 1; r.GRACE_SECONDS = 1")
    reader, writer = await begin(server.port, bearer(owner), 200_000)

    async def trickle() -> None:
        while True:
            writer.write(b"x")
            await asyncio.sleep(0.1)

    async with asyncio.timeout(PATIENCE_SECONDS):
        while not await _reserved(db, [owner]):
            await asyncio.sleep(0.05)
        # What came fast before buys no time.
        trickling = asyncio.create_task(trickle())
        assert (await reader.readline()).split()[1] == b"408"
        trickling.cancel()
        while await _reserved(db, [owner]):
            await asyncio.sleep(0.05)
