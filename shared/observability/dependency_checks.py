"""Whether the services everything stands on respond, asked side by side and remembered for a second, so that a flood costs them nothing."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args
from weakref import WeakKeyDictionary

from shared.observability.remembered import Remembered, TooSlow, within

if TYPE_CHECKING:
    from shared.storage import StorageBackend

TIMEOUT_SECONDS = 2.0
REMEMBERED_SECONDS = 1.0
READ_SECONDS = 1.5
"""A store that looks for the bytes of an object in vain may take long to give up."""
WRITTEN_EVERY_SECONDS = 60.0
"""How often something is stored to see whether it can be: each time costs the store a sync of its disk."""


@dataclass(frozen=True)
class CheckResult:
    """`detail` says what is wrong in words that give nothing away (no addresses, no credentials)."""

    ok: bool
    latency_ms: float
    detail: str | None = None


class Unhealthy(Exception):
    """A service responds, but does not do its work; the message says which part of it, as `detail`."""


Dependency = Literal["database", "object_store", "redis"]

_written_at: "WeakKeyDictionary[StorageBackend, float]" = WeakKeyDictionary()


async def check_all() -> dict[Dependency, CheckResult]:
    """Each dependency, within two seconds."""
    results = await asyncio.gather(_database_result.get(), _object_store_result.get(), _redis_result.get())
    return dict(zip(get_args(Dependency), results, strict=True))


async def check_database() -> CheckResult:
    """The database alone, within two seconds."""
    return await _database_result.get()


async def _timed(check: Callable[[], Awaitable[None]]) -> CheckResult:
    started = time.perf_counter()
    detail = None
    try:
        await within(TIMEOUT_SECONDS, check())
    except TooSlow:
        detail = f"did not answer within {TIMEOUT_SECONDS:.0f} seconds"
    except Unhealthy as wrong:
        detail = str(wrong)
    except Exception as wrong:
        detail = f"cannot be reached ({type(wrong).__name__})"
    return CheckResult(detail is None, round((time.perf_counter() - started) * 1000, 2), detail)


async def _database() -> None:
    from shared.db import database

    await database().ping()


async def _object_store() -> None:
    from shared.storage import object_store

    await check_store(object_store())


async def check_store(store: "StorageBackend") -> None:
    """Raises Unhealthy if objects cannot be read or stored, though the bucket is there, and StorageUnavailable if it cannot be reached."""
    from shared.storage import ObjectMissing, StorageUnavailable
    from shared.storage.object_keys import HEALTH_READ, HEALTH_WRITE

    await store.ping()
    try:
        async with asyncio.timeout(READ_SECONDS):
            await store.read(HEALTH_READ, limit=1024)
    except ObjectMissing:
        # Only then: it gets lost when documents do, and then stays unreadable for everybody to see.
        await _write(store, HEALTH_READ)
    except (StorageUnavailable, TimeoutError):
        raise Unhealthy("answers, but its objects cannot be read") from None
    written_at = _written_at.get(store)
    if written_at is None or time.monotonic() - written_at >= WRITTEN_EVERY_SECONDS:
        await _write(store, HEALTH_WRITE)
        _written_at[store] = time.monotonic()


async def _write(store: "StorageBackend", key: str) -> None:
    from shared.storage import StorageUnavailable

    try:
        await store.put(key, b"ok", content_type="text/plain")
    except StorageUnavailable:
        raise Unhealthy("answers, but nothing can be stored in it") from None


async def _redis() -> None:
    from shared.redis_client import redis_client

    await redis_client().ping()


# Three values, not one mapping: who asks for the database alone needs the settings of nothing else (infra/knative/needs.py).
_database_result = Remembered(REMEMBERED_SECONDS, lambda: _timed(_database))
_object_store_result = Remembered(REMEMBERED_SECONDS, lambda: _timed(_object_store))
_redis_result = Remembered(REMEMBERED_SECONDS, lambda: _timed(_redis))
