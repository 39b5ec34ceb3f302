"""PostgreSQL goes away and comes back."""

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from infra.local.postgres import Postgres
from shared.db import Database
from shared.errors import Unavailable
from shared.ids import new_id
from tests.loop_time import loop_seconds


@pytest.fixture
async def postgres(tmp_path: Path) -> AsyncIterator[Postgres]:
    """A PostgreSQL of this test's own, not migrated."""
    server = Postgres(tmp_path / "postgresql", tmp_path, durable=False)
    await server.start()
    await server.prepare()
    yield server
    await server.kill()


@pytest.fixture
async def database(postgres: Postgres) -> AsyncIterator[Database]:
    opened = Database(postgres.url(), pool_size=4)
    yield opened
    await opened.close()


async def _work(db: Database) -> None:
    async with db.tenant(new_id()) as tx:
        await tx.fetch_value("SELECT count(*) FROM documents")


async def _until_gone(db: Database) -> None:
    """A connection's process may answer once more before it notices that the server was killed."""
    async with asyncio.timeout(60):
        with pytest.raises(Unavailable):
            while True:
                await _work(db)


async def test_after_a_restart_the_next_request_works(postgres: Postgres, database: Database) -> None:
    await asyncio.gather(*(_work(database) for _ in range(20)))
    for end in (postgres.stop, postgres.kill):
        await end()
        await postgres.start()
        # All of the pool's connections are dead, and nobody may notice.
        await asyncio.gather(*(_work(database) for _ in range(20)))


async def test_a_restart_while_requests_come_in_is_waited_for(postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    # PostgreSQL is back within three seconds where the machine has nothing else to do.
    monkeypatch.setattr(sys.modules[Database.__module__], "DOWN_WAIT_SECONDS", 60.0)
    database = Database(postgres.url(), pool_size=4)
    try:
        await _work(database)
        await postgres.stop()
        waiting = [asyncio.create_task(_work(database)) for _ in range(10)]
        await asyncio.sleep(0)
        await postgres.start()
        await asyncio.gather(*waiting)
    finally:
        await database.close()


async def test_a_transaction_that_an_outage_cuts_off_is_unavailable(postgres: Postgres, database: Database) -> None:
    with pytest.raises(Unavailable) as cut_off:
        async with asyncio.timeout(60), database.tenant(new_id()) as tx:
            await postgres.kill()
            while True:  # its process may answer once more before it notices that the server is gone
                await tx.fetch_value("SELECT 1")
    assert cut_off.value.headers["Retry-After"] == "5"


async def test_while_it_is_down_every_call_is_unavailable_within_seconds_and_once_it_is_back_they_work(
    postgres: Postgres, database: Database
) -> None:
    await _work(database)
    await postgres.kill()
    await _until_gone(database)
    async with loop_seconds() as spent:
        results = await asyncio.gather(*(_work(database) for _ in range(20)), return_exceptions=True)
        assert spent() < 8
    assert {type(result) for result in results} == {Unavailable}
    with pytest.raises(Unavailable):
        await database.ping()
    await postgres.start()
    await asyncio.gather(*(_work(database) for _ in range(20)))


async def test_a_pool_that_was_first_used_while_it_was_down_finds_it_once_it_is_up(postgres: Postgres) -> None:
    await postgres.stop()
    database = Database(postgres.url(), pool_size=2)
    try:
        with pytest.raises(Unavailable):
            await _work(database)
        await postgres.start()
        await _work(database)
    finally:
        await database.close()


async def test_without_free_connections_on_the_server_a_call_is_unavailable(postgres: Postgres, database: Database) -> None:
    import psycopg

    held = []
    with pytest.raises(psycopg.OperationalError):
        while True:
            held.append(await psycopg.AsyncConnection.connect(postgres.url()))
    try:
        with pytest.raises(Unavailable):
            await _work(database)
    finally:
        for connection in held:
            await connection.close()
    await _work(database)


async def test_a_full_disk_is_unavailable_and_says_so(db: Database) -> None:
    with pytest.raises(Unavailable, match="disk is full"):
        async with db.tenant(new_id()) as tx:
            await tx.execute("DO $$ BEGIN RAISE EXCEPTION 'no room' USING ERRCODE = 'disk_full'; END $$")
