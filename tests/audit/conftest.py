"""What the audit log's tests share: a log of their own, to be tampered with."""

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from infra.postgres.migrate import migrate
from shared.db import Database
from tests.db.conftest import OwnDatabase
from tests.db.conftest import empty_database as empty_database


@pytest.fixture
async def own_database(empty_database: Callable[[], Awaitable[OwnDatabase]]) -> OwnDatabase:
    """A database with the whole schema."""
    made = await empty_database()
    await migrate(made.url("docuvault_migrate"))
    return made


@pytest.fixture
async def own_log(own_database: OwnDatabase) -> AsyncIterator[Database]:
    """The application's view of it, for a chain that nobody else adds to."""
    opened = Database(own_database.url("docuvault_app"))
    yield opened
    await opened.close()
