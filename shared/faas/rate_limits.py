"""How often: per client address and per account, counted in Redis by the `limits` library, so that they hold across processes.

The general limits are leased: a process takes a handful of a window's tokens at once (at most a hundredth, growing with demand) and
spends them without asking, so that most requests cost no round trip and no window ever grants more than it has. Named limits (sign-in,
registration and the like) are counted one by one. With Redis down every process counts on its own: limits then hold per process,
nobody is locked out and nothing is unlimited.
"""

import asyncio
import logging
import time
from collections import OrderedDict
from functools import lru_cache
from typing import TYPE_CHECKING
from uuid import UUID
from weakref import WeakKeyDictionary

from shared.config import settings
from shared.errors import RateLimited
from shared.faas.addresses import network

if TYPE_CHECKING:
    from limits import RateLimitItem
    from limits.aio.strategies import FixedWindowRateLimiter

log = logging.getLogger("docuvault.rate_limits")

KEPT_LEASES = 20_000
RETRY_REDIS_SECONDS = 5.0


async def count_address(address: str) -> None:
    """One request from `address`. Raises RateLimited."""
    await _limiter().spend("address", settings().rate_limit_address, network(address))


async def count_account(account: UUID) -> None:
    """One request of `account`. Raises RateLimited."""
    await _limiter().spend("account", settings().rate_limit_account, str(account))


async def count_named(name: str, address: str) -> None:
    """One request from `address` against `RATE_LIMIT_<NAME>`. Raises RateLimited."""
    await _limiter().hit(name, getattr(settings(), f"rate_limit_{name}"), network(address))


class _Lease:
    __slots__ = ("expires", "size", "tokens")

    def __init__(self, size: int, expires: float) -> None:
        self.tokens = self.size = size
        self.expires = expires


class Limiter:
    """The running event loop's view of the limits."""

    def __init__(self, redis_url: str) -> None:
        self._redis_url = redis_url
        self._shared: FixedWindowRateLimiter | None = None
        self._local: FixedWindowRateLimiter | None = None
        self._redis_down_until = 0.0
        self._leases: OrderedDict[tuple[str, str], _Lease] = OrderedDict()

    async def spend(self, kind: str, rate: str, subject: str) -> None:
        """One token of `subject`'s window. Raises RateLimited when there is none."""
        key = (kind, subject)
        now = time.monotonic()
        lease = self._leases.get(key)
        if lease is not None and lease.tokens > 0 and lease.expires > now:
            lease.tokens -= 1
            return
        item = _item(rate)
        busy = lease is not None and lease.expires > now
        size = min(lease.size * 2 if lease is not None and busy else 1, max(1, item.amount // 100))
        if size > 1 and not await self._hit(item, kind, subject, size):
            size = 1
            await self.hit(kind, rate, subject)
        elif size == 1:
            await self.hit(kind, rate, subject)
        lease = _Lease(size, now + item.get_expiry() / 10)
        lease.tokens -= 1
        self._leases[key] = lease
        self._leases.move_to_end(key)
        if len(self._leases) > KEPT_LEASES:
            self._leases.popitem(last=False)

    async def hit(self, kind: str, rate: str, subject: str) -> None:
        """Counts one. Raises RateLimited with the seconds until the window ends."""
        item = _item(rate)
        if not await self._hit(item, kind, subject, 1):
            raise RateLimited(await self._seconds_left(item, kind, subject))

    async def _hit(self, item: "RateLimitItem", kind: str, subject: str, cost: int) -> bool:
        limiter = self._limiter()
        try:
            return await limiter.hit(item, kind, subject, cost=cost)
        except Exception as lost:
            if limiter is self._local:
                raise
            self._lose_redis(lost)
            return await self._limiter().hit(item, kind, subject, cost=cost)

    async def _seconds_left(self, item: "RateLimitItem", kind: str, subject: str) -> int:
        limiter = self._limiter()
        try:
            window = await limiter.get_window_stats(item, kind, subject)
        except Exception as lost:
            self._lose_redis(lost)
            return item.get_expiry()
        return max(1, round(window.reset_time - time.time() + 0.5))

    def _lose_redis(self, lost: Exception) -> None:
        if time.monotonic() >= self._redis_down_until:
            log.warning("Redis is not there, limits are counted in this process: %s", type(lost).__name__)
        self._redis_down_until = time.monotonic() + RETRY_REDIS_SECONDS

    def _limiter(self) -> "FixedWindowRateLimiter":
        if time.monotonic() < self._redis_down_until:
            if self._local is None:
                from limits.aio.storage import MemoryStorage
                from limits.aio.strategies import FixedWindowRateLimiter

                self._local = FixedWindowRateLimiter(MemoryStorage())
            return self._local
        if self._shared is None:
            from limits.aio.storage import RedisStorage
            from limits.aio.strategies import FixedWindowRateLimiter

            url = self._redis_url.replace("unix://", "redis+unix://", 1)
            storage = RedisStorage(
                f"async+{url}",
                implementation="redispy",
                key_prefix="docuvault:limits",
                socket_connect_timeout=1.0,
                socket_timeout=2.0,
            )
            self._shared = FixedWindowRateLimiter(storage)
        return self._shared


_limiters: WeakKeyDictionary[asyncio.AbstractEventLoop, Limiter] = WeakKeyDictionary()


def _limiter() -> Limiter:
    loop = asyncio.get_running_loop()
    limiter = _limiters.get(loop)
    if limiter is None:
        limiter = _limiters[loop] = Limiter(settings().redis_url)
    return limiter


@lru_cache(maxsize=64)
def _item(rate: str) -> "RateLimitItem":
    from limits import parse

    return parse(rate)
