"""Transactions: what is kept, what is undone, and that a connection is never handed on in a bad state."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass
from uuid import UUID

import psycopg
import pytest

from shared.config import settings
from shared.db import Database, TenantDatabase
from shared.errors import NotFound
from shared.ids import new_id

ADD = "INSERT INTO idempotency_keys (owner_id, operation, key, request_hash, state) VALUES (%s, 'test', %s, '', 'done')"


@dataclass(frozen=True)
class Row:
    number: int
    name: str


@pytest.fixture
async def one_connection(services: None) -> AsyncIterator[Database]:
    """A database whose pool has one connection, so that whatever happens to it shows."""
    opened = Database(settings().database_url, pool_size=1)
    yield opened
    await opened.close()


async def _count(db: Database, owner: UUID) -> int:
    async with db.tenant(owner) as tx:
        return int(await tx.fetch_value("SELECT count(*) FROM idempotency_keys WHERE owner_id = %s", [owner]))


async def _add(db: Database, owner: UUID, name: str = "x") -> None:
    async with db.tenant(owner) as tx:
        await tx.execute(ADD, [owner, name])


async def test_rows_come_as_what_was_asked_for(db: Database, owner: UUID) -> None:
    async with db.tenant(owner) as tx:
        sql = "SELECT * FROM (VALUES (1, 'a'), (2, 'b')) AS v (number, name) WHERE number >= %(least)s ORDER BY number"
        assert await tx.fetch_all(sql, {"least": 1}, row=Row) == [Row(1, "a"), Row(2, "b")]
        assert await tx.fetch_one(sql, {"least": 2}, row=Row) == Row(2, "b")
        assert await tx.fetch_one(sql, {"least": 3}, row=Row) is None
        assert await tx.fetch_value("SELECT %s::int", [7]) == 7
        assert await tx.fetch_value("SELECT 1 WHERE false") is None


async def test_what_is_committed_is_kept_and_callbacks_run(db: Database, owner: UUID) -> None:
    told: list[str] = []
    async with db.tenant(owner) as tx:
        assert await tx.execute(ADD, [owner, new_id().hex]) == 1
        tx.after_commit(lambda: told.append("committed"))
        assert told == []
    assert told == ["committed"]
    assert await _count(db, owner) == 1


async def test_after_a_failure_nothing_is_kept_and_no_callback_runs(db: Database, owner: UUID) -> None:
    told: list[str] = []
    with pytest.raises(NotFound):
        async with db.tenant(owner) as tx:
            await tx.execute(ADD, [owner, new_id().hex])
            tx.after_commit(lambda: told.append("committed"))
            raise NotFound
    assert told == []
    assert await _count(db, owner) == 0


async def test_a_statements_failure_that_was_caught_does_not_pass_for_a_commit(db: Database, owner: UUID) -> None:
    with pytest.raises(psycopg.errors.InFailedSqlTransaction):
        async with db.tenant(owner) as tx:
            await tx.execute(ADD, [owner, new_id().hex])
            with pytest.raises(psycopg.errors.DivisionByZero):
                await tx.execute("SELECT 1/0")
    assert await _count(db, owner) == 0


async def test_tenants_one_after_another_on_one_connection_do_not_mix(one_connection: Database, owner: UUID, other_owner: UUID) -> None:
    for number in range(20):
        tenant = (owner, other_owner)[number % 2]
        async with one_connection.tenant(tenant) as tx:
            assert await tx.fetch_value("SELECT current_setting('app.user')::uuid") == tenant
            assert await tx.fetch_value("SELECT current_user") == "docuvault_app"
        async with one_connection.system() as tx:
            assert await tx.fetch_value("SELECT current_user") == "docuvault_system"


async def test_a_tenant_database_has_one_owner(db: Database, owner: UUID) -> None:
    tenant = TenantDatabase(db, owner)
    assert tenant.owner_id == owner
    async with tenant.transaction() as tx:
        assert await tx.fetch_value("SELECT current_setting('app.user')::uuid") == owner


async def test_a_tenant_must_be_an_id(db: Database) -> None:
    with pytest.raises(ValueError, match="badly formed"):
        async with db.tenant("'; DROP TABLE users; --"):  # type: ignore[arg-type]
            pass


@pytest.mark.parametrize("statement", ["SELECT pg_sleep(20)", "SELECT 1"])
async def test_a_request_cancelled_in_mid_query_leaves_a_good_connection(one_connection: Database, owner: UUID, statement: str) -> None:
    for _ in range(5):
        working = asyncio.Event()

        async def work(working: asyncio.Event = working) -> None:
            async with one_connection.tenant(owner) as tx:
                await tx.execute(ADD, [owner, new_id().hex])
                working.set()
                while True:
                    await tx.execute(statement)

        task = asyncio.create_task(work())
        async with asyncio.timeout(60):
            await working.wait()
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            async with asyncio.timeout(60):
                await task
    assert await _count(one_connection, owner) == 0
    await _add(one_connection, owner)
    assert await _count(one_connection, owner) == 1


async def test_requests_cancelled_at_any_moment_lose_no_connection(services: None, owner: UUID) -> None:
    db = Database(settings().database_url, pool_size=2)
    try:
        for turn in range(60):
            tasks = [asyncio.create_task(_add(db, owner, f"{turn}.{number}")) for number in range(4)]
            for _ in range(turn):
                await asyncio.sleep(0)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        async with asyncio.timeout(60), db.tenant(owner) as tx, db.tenant(owner) as second:
            assert await tx.fetch_value("SELECT current_setting('app.user')::uuid") == owner
            assert await second.fetch_value("SELECT current_setting('app.user')::uuid") == owner
    finally:
        await db.close()


async def test_a_cancellation_is_heard_also_while_the_other_connections_are_looked_at(
    services: None, owner: UUID, superuser: psycopg.AsyncConnection[object]
) -> None:
    database = Database(settings().database_url, pool_size=2)
    try:
        async with database.tenant(owner) as one, database.tenant(owner) as other:
            ended, halted = [int(await tx.fetch_value("SELECT pg_backend_pid()")) for tx in (other, one)]
        # The first in the pool was ended by the server, the second says nothing.
        await superuser.execute("SELECT pg_terminate_backend(%s, 5000)", [ended])
        os.kill(halted, signal.SIGSTOP)
        counting = asyncio.create_task(_count(database, owner))
        try:
            while database._pool.get_stats()["pool_available"]:
                await asyncio.sleep(0)
            counting.cancel()
        finally:
            os.kill(halted, signal.SIGCONT)
        with pytest.raises(asyncio.CancelledError):
            await counting
        assert await asyncio.gather(*(_count(database, owner) for _ in range(4))) == [0] * 4
    finally:
        await database.close()


async def test_more_transactions_than_connections_wait_for_their_turn(services: None, owner: UUID) -> None:
    db = Database(settings().database_url, pool_size=2)
    try:
        await asyncio.gather(*(_add(db, owner, str(number)) for number in range(50)))
        assert await _count(db, owner) == 50
        async with db.system() as tx:
            open_now = await tx.fetch_value(
                "SELECT count(*) FROM pg_stat_activity WHERE usename = 'docuvault_app' AND pid = pg_backend_pid()"
            )
        assert open_now == 1
    finally:
        await db.close()


async def test_one_statement_may_run_half_a_minute_at_most(db: Database, owner: UUID) -> None:
    async with db.tenant(owner) as tx:
        assert await tx.fetch_value("SELECT current_setting('statement_timeout')") == "30s"
        assert await tx.fetch_value("SELECT current_setting('idle_in_transaction_session_timeout')") == "1min"
        assert await tx.fetch_value("SELECT current_setting('TimeZone')") == "UTC"


async def test_a_statement_that_runs_out_of_time_is_no_outage(one_connection: Database, owner: UUID) -> None:
    with pytest.raises(psycopg.errors.QueryCanceled):
        async with one_connection.tenant(owner) as tx:
            await tx.execute("SET LOCAL statement_timeout = '10ms'")
            await tx.execute("SELECT pg_sleep(5)")
    await _add(one_connection, owner)


async def test_a_connection_that_the_server_ended_is_replaced_before_anyone_notices(
    one_connection: Database, owner: UUID, superuser: psycopg.AsyncConnection[object]
) -> None:
    for _ in range(3):
        async with one_connection.tenant(owner) as tx:
            process = await tx.fetch_value("SELECT pg_backend_pid()")
        await superuser.execute("SELECT pg_terminate_backend(%s, 5000)", [process])
        await _add(one_connection, owner, str(process))
    assert await _count(one_connection, owner) == 3


async def test_what_was_passed_over_when_a_pipeline_failed_is_prepared_anew(one_connection: Database, owner: UUID) -> None:
    async def run(text: str) -> None:
        async with one_connection.tenant(owner) as tx, tx.pipeline():
            await tx.execute("SELECT %s::int", [text])
            await tx.execute("SELECT 'what follows'")

    # psycopg forgets what it has prepared at the first ROLLBACK of a connection alone, and prepares what is executed for the third time.
    for text in ("no number", "7", "7", "no number"):
        with pytest.raises(psycopg.DataError) if text != "7" else contextlib.nullcontext():
            await run(text)
    await run("7")
