"""What every test may ask for. Integration tests run on the real services, which the first of them starts (tests/services.py).

`db`, `redis` and `services` give the run's shared services: a test makes its own rows under its own `owner`, and flushes, stops and counts
nothing that is shared. Tests that restart or flush things take `own_services` or `own_valkey`.
"""

import os
import secrets
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import hypothesis
import pytest

from tests import services as run_services

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from infra.local.valkey import Valkey
    from shared.db import Database
    from tests.services import Services

_holder = pytest.StashKey[subprocess.Popen[bytes]]()


def pytest_configure(config: pytest.Config) -> None:
    # By default an example that takes 200 ms fails its test, which says something of the machine alone.
    hypothesis.settings.register_profile("docuvault", deadline=None)
    hypothesis.settings.load_profile("docuvault")
    # Before anything reads the settings: pytest-xdist's workers inherit the environment of the process that starts them.
    if hasattr(config, "workerinput"):
        run_services.set_apart(int(config.workerinput["workerid"].removeprefix("gw")))
    else:
        config.stash[_holder] = run_services.prepare()


def pytest_unconfigure(config: pytest.Config) -> None:
    holder = config.stash.get(_holder, None)
    if holder is not None:
        run_services.finish(holder)


@pytest.fixture(scope="session")
def services() -> None:
    """PostgreSQL (migrated), Valkey and the S3 store, as the settings name them."""
    run_services.wait_until_started()


@pytest.fixture(scope="session")
async def db(services: None) -> "AsyncIterator[Database]":
    """The database, as functions see it: `async with db.tenant(owner) as tx`."""
    from shared.db import database

    opened = database()
    yield opened
    await opened.close()


@pytest.fixture
async def new_owner(db: "Database") -> Callable[[], Awaitable[UUID]]:
    """Makes a fresh user row; its id."""
    from shared.ids import new_id

    async def make() -> UUID:
        owner_id = new_id()
        async with db.system() as tx:
            await tx.execute(
                "INSERT INTO users (id, email, password_hash) VALUES (%(id)s, %(email)s, %(hash)s)",
                {"id": owner_id, "email": f"{owner_id.hex}@example.org", "hash": "!"},
            )
        return owner_id

    return make


@pytest.fixture
async def owner(new_owner: Callable[[], Awaitable[UUID]]) -> UUID:
    """A fresh user: each test is a tenant of its own."""
    return await new_owner()


@pytest.fixture
async def other_owner(new_owner: Callable[[], Awaitable[UUID]]) -> UUID:
    """A second fresh user, who must not see the first one's things."""
    return await new_owner()


@pytest.fixture
async def redis(services: None) -> "Redis":
    """A client of the shared Valkey. Use keys of your own; never flush."""
    from shared.redis_client import redis_client

    return redis_client()


@pytest.fixture
async def own_valkey(tmp_path: Path) -> "AsyncIterator[Valkey]":
    """A Valkey of this test alone: flush it, stop it, start it again. `own_valkey.url` is its REDIS_URL."""
    from infra.local.ports import free_port_block
    from infra.local.valkey import Valkey

    valkey = Valkey(tmp_path / "valkey", tmp_path, free_port_block(1), secrets.token_hex(20))
    await valkey.start()
    yield valkey
    await valkey.kill()


@pytest.fixture
async def start_services(tmp_path: Path) -> "AsyncIterator[Callable[..., Awaitable[Services]]]":
    """Starts services of this test alone: `await start_services(store="minio", notify=True)`; `store` is `seaweedfs` by default.

    `.environ()`, `.postgres`, `.valkey`, `.store`, each with start, stop and kill. With `notify`, what is put into the bucket is
    announced on the Redis list. Where MinIO cannot be had, the test is skipped with the reason.
    """
    started: list[Services] = []

    async def start(*, store: str = "seaweedfs", notify: bool = True) -> "Services":
        own = run_services.services_in(tmp_path / f"services{len(started)}", run_services.own_plan(), store=store, notify=notify)
        started.append(own)
        await own.start()
        return own

    yield start
    for own in started:
        await own.kill()


@pytest.fixture
async def own_services(start_services: "Callable[..., Awaitable[Services]]") -> "Services":
    """PostgreSQL, Valkey and S3 store (announcing what is put) of this test alone, to be restarted and flushed at will."""
    return await start_services()


@pytest.fixture
def with_secret_key() -> Iterator[Callable[[str], None]]:
    """`with_secret_key("new,old")`: this process's SECRET_KEY, for the rest of the test."""
    from shared import keys
    from shared.config import settings

    before = os.environ["SECRET_KEY"]

    def change(value: str) -> None:
        os.environ["SECRET_KEY"] = value
        settings.cache_clear()
        keys.signing_keys.cache_clear()
        keys.internal_keys.cache_clear()

    yield change
    change(before)
