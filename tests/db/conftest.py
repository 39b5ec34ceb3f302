"""What the database's tests share: databases of their own in the run's PostgreSQL."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from shared.config import settings


@dataclass(frozen=True)
class OwnDatabase:
    """A database of one test's own."""

    name: str

    def url(self, role: str) -> str:
        return _url(role, self.name)

    async def connect(self, role: str) -> psycopg.AsyncConnection[Any]:
        return await psycopg.AsyncConnection.connect(self.url(role), autocommit=True)


def _url(role: str, database: str) -> str:
    parts = urlsplit(settings().database_url)
    return urlunsplit(parts._replace(netloc=f"{role}@{parts.netloc.rpartition('@')[2]}", path=f"/{database}"))


@pytest.fixture
async def empty_database(services: None) -> AsyncIterator[Callable[[], Awaitable[OwnDatabase]]]:
    """Makes databases as infra/postgres/roles.sql does: owned by docuvault_migrate, no migration run yet."""
    made: list[str] = []
    async with await psycopg.AsyncConnection.connect(_url("postgres", "postgres"), autocommit=True) as superuser:

        async def make() -> OwnDatabase:
            name = f"own_{secrets.token_hex(6)}"
            made.append(name)
            await superuser.execute(f"CREATE DATABASE {name} OWNER docuvault_migrate")
            await superuser.execute(f"REVOKE ALL ON DATABASE {name} FROM PUBLIC")
            await superuser.execute(f"GRANT CONNECT ON DATABASE {name} TO docuvault_app, docuvault_system")
            return OwnDatabase(name)

        yield make
        for name in made:
            await superuser.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def superuser(services: None) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
    """A connection that may do anything to the run's PostgreSQL; touch nothing that is not your own."""
    async with await psycopg.AsyncConnection.connect(
        _url("postgres", urlsplit(settings().database_url).path.removeprefix("/")), autocommit=True
    ) as connection:
        yield connection


Listener = Callable[[str], Awaitable["asyncio.Queue[str]"]]


@pytest.fixture
async def listen(services: None) -> AsyncIterator[Listener]:
    """`heard = await listen(channel)`: a queue of the payloads that come on it."""
    connections: list[psycopg.AsyncConnection[Any]] = []
    tasks: list[asyncio.Task[None]] = []

    async def start(channel: str) -> asyncio.Queue[str]:
        heard: asyncio.Queue[str] = asyncio.Queue()
        connection = await psycopg.AsyncConnection.connect(settings().database_url, autocommit=True)
        connections.append(connection)
        await connection.execute(f'LISTEN "{channel}"')

        async def hear() -> None:
            async for notification in connection.notifies():
                heard.put_nowait(notification.payload)

        tasks.append(asyncio.create_task(hear()))
        return heard

    yield start
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for connection in connections:
        await connection.close()
