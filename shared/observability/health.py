"""Whether the services everything stands on answer, asked side by side and remembered for a second, so that a flood costs them nothing."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from weakref import WeakKeyDictionary

TIMEOUT_SECONDS = 2.0
REMEMBERED_SECONDS = 1.0


@dataclass(frozen=True)
class Check:
    """`detail` says what is wrong in words that give nothing away (no addresses, no credentials)."""

    ok: bool
    latency_ms: float
    detail: str | None = None


@dataclass
class _Remembered:
    at: float
    checks: dict[str, Check]


_remembered: WeakKeyDictionary[asyncio.AbstractEventLoop, _Remembered] = WeakKeyDictionary()
_locks: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()


async def check_all() -> dict[str, Check]:
    """`database`, `object_store` and `redis`, each within two seconds."""
    loop = asyncio.get_running_loop()
    async with _locks.setdefault(loop, asyncio.Lock()):
        known = _remembered.get(loop)
        if known is None or time.monotonic() - known.at > REMEMBERED_SECONDS:
            names = ("database", "object_store", "redis")
            checks = await asyncio.gather(_timed(_database), _timed(_object_store), _timed(_redis))
            known = _remembered[loop] = _Remembered(time.monotonic(), dict(zip(names, checks, strict=True)))
        return known.checks


async def _timed(check: Callable[[], Awaitable[None]]) -> Check:
    started = time.perf_counter()
    detail = None
    checking = asyncio.ensure_future(check())
    checking.add_done_callback(lambda ended: ended.cancelled() or ended.exception())  # else what it ends with later is reported as lost
    try:
        # Its end after that is not waited for: a query that is cancelled asks the server to stop, and waits for the answer.
        await asyncio.wait((checking,), timeout=TIMEOUT_SECONDS)
        if checking.done():
            checking.result()
        else:
            detail = f"did not answer within {TIMEOUT_SECONDS:.0f} seconds"
    except Exception as wrong:
        detail = f"cannot be reached ({type(wrong).__name__})"
    finally:
        checking.cancel()
    return Check(detail is None, round((time.perf_counter() - started) * 1000, 2), detail)


async def _database() -> None:
    from shared.db import database

    await database().ping()


async def _object_store() -> None:
    from shared.storage.object_store import object_store

    await object_store().ping()


async def _redis() -> None:
    from shared.redis_client import redis_client

    await redis_client().ping()
