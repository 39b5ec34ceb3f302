"""A broker and a database that is still being migrated."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from infra.broker import schema
from infra.broker.broker import run_broker
from infra.broker.schema import needed_version, until_migrated
from infra.postgres.migrate import MIGRATIONS, migrate
from shared.config import settings
from shared.db import Database
from tests.db.conftest import OwnDatabase
from tests.db.conftest import empty_database as empty_database
from tests.infra.broker.waiting import until

Waiting = tuple[OwnDatabase, Database]


@pytest.fixture
async def unmigrated(empty_database: Callable[[], Awaitable[OwnDatabase]]) -> AsyncIterator[Waiting]:
    own = await empty_database()
    database = Database(own.url("docuvault_app"))
    yield own, database
    await database.close()


def _all_but_the_last(folder: Path) -> Path:
    for file in sorted(MIGRATIONS.glob("*.sql"))[:-1]:
        shutil.copy(file, folder)
    return folder


async def test_it_waits_for_the_last_migration_and_no_longer(unmigrated: Waiting, tmp_path: Path) -> None:
    own, database = unmigrated
    waiting = asyncio.create_task(until_migrated(database, asyncio.Event()))
    await migrate(own.url("docuvault_migrate"), migrations=_all_but_the_last(tmp_path))
    assert not waiting.done()
    await migrate(own.url("docuvault_migrate"))
    async with asyncio.timeout(30):
        assert await waiting


async def test_a_later_schema_is_as_good(unmigrated: Waiting) -> None:
    own, database = unmigrated
    await migrate(own.url("docuvault_migrate"))
    async with await own.connect("docuvault_migrate") as connection:
        await connection.execute("INSERT INTO schema_migrations (version) VALUES (%s)", [f"{int(needed_version()) + 1:04}"])
    assert await until_migrated(database, asyncio.Event())


async def test_a_wait_that_is_long_says_what_is_missing(
    unmigrated: Waiting, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(schema, "WORTH_SAYING_SECONDS", 0)
    stop = asyncio.Event()
    waiting = asyncio.create_task(until_migrated(unmigrated[1], stop))
    await until(lambda: bool(_said(caplog)))
    stop.set()
    assert not await waiting
    assert _said(caplog) == [
        f"waiting for a database with the migrations up to {needed_version()}: `python -m infra.postgres.migrate` makes it"
    ]


async def test_a_broker_without_its_schema_begins_nothing_and_can_be_stopped(unmigrated: Waiting, caplog: pytest.LogCaptureFixture) -> None:
    stop = asyncio.Event()
    running = asyncio.create_task(run_broker(settings().model_copy(update={"database_url": unmigrated[0].url("docuvault_app")}), stop))
    await asyncio.sleep(0)
    stop.set()
    async with asyncio.timeout(30):
        await running
    assert _said(caplog) == []


def _said(caplog: pytest.LogCaptureFixture) -> list[str]:
    """By the broker: others share this process, and a pool of connections says when one takes long."""
    return [record.getMessage() for record in caplog.records if record.name == schema.log.name]
