"""What identity's tests share."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from infra.local.valkey import Valkey
from infra.postgres.migrate import migrate
from shared.db import Database, database
from shared.db.database import _databases
from shared.identity import revocation
from shared.identity.client import Client
from shared.identity.revocation import Revocations
from tests.db.conftest import OwnDatabase
from tests.db.conftest import empty_database as empty_database


@pytest.fixture
def browser() -> Client:
    """A client of no special kind."""
    return Client("192.0.2.7", "Browser/1.0", "en")


@pytest.fixture
async def view(db: Database, own_valkey: Valkey) -> AsyncIterator[Revocations]:
    """A process's view of revocations, on a Valkey of the test's own: one that is there answers, however busy the machine is."""
    made = Revocations(own_valkey.url, db, patience=30)
    yield made
    await made.close()


@pytest.fixture
async def own_instance(empty_database: Callable[[], Awaitable[OwnDatabase]]) -> AsyncIterator[Database]:
    """A database of this test's own, which the functions of this process work on: for what holds for everybody, other tests' people too."""
    made = await empty_database()
    await migrate(made.url("docuvault_migrate"))
    revocation.revocations()  # keeps the database that it was made with
    loop, shared = asyncio.get_running_loop(), database()
    opened = _databases[loop] = Database(made.url("docuvault_app"))
    yield opened
    _databases[loop] = shared
    await opened.close()
