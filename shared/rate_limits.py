"""How often: per client address and per account, counted in Redis by the `limits` library, so that they hold across processes.

A limit holds for windows of the clock: `300/5 minutes` starts anew at :00, :05, :10. The general limits are leased: a process takes a
handful of a window's tokens at once (at most a hundredth, growing with demand) and spends them without asking, so that most requests
cost no round trip; unspent ones end with their window, so no window ever grants more than it has. Named limits (sign-in, registration and
the like) are counted one by one. With Redis down every process counts on its own: limits then hold per process, nobody is locked out
and nothing is unlimited. A process that was started for a request counts it behind the response (`shared.redis_client.postpone`).
"""

import asyncio
import logging
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable
from contextlib import AbstractAsyncContextManager, nullcontext
from functools import lru_cache
from typing import TYPE_CHECKING
from uuid import UUID
from weakref import WeakKeyDictionary

from shared.config import settings
from shared.errors import RateLimited
from shared.networks import network
from shared.redis_client import ANSWER_TIMEOUT_SECONDS, postponed

if TYPE_CHECKING:
    from limits import RateLimitItem
    from limits.aio.storage import Storage

log = logging.getLogger("docuvault.rate_limits")

KEPT_LEASES = 20_000
IN_TURN = 2
"""How many tokens from addresses that have used up their limits are verified at once: an unknown API token costs a database query."""
RETRY_REDIS_SECONDS = 5.0


async def count_address(address: str) -> None:
    """One request from `address`. Raises RateLimited."""
    await _limiter().spend("address", settings().rate_limit_address, network(address))


async def count_account(account: UUID) -> None:
    """One request of `account`. Raises RateLimited."""
    await _limiter().spend("account", settings().rate_limit_account, account)


def in_turn_if_used_up(address: str) -> AbstractAsyncContextManager[None]:
    """For what strangers can make us do: at once, or a few at a time if `address` has used up its present window."""
    limiter = _limiter()
    return limiter.in_turn if limiter.is_used_up("address", settings().rate_limit_address, network(address)) else _AT_ONCE


async def count_named(name: str, address: str) -> None:
    """One request from `address` against `RATE_LIMIT_<NAME>`. Raises RateLimited."""
    await _limiter().hit(name, getattr(settings(), f"rate_limit_{name}"), network(address))


_AT_ONCE: AbstractAsyncContextManager[None] = nullcontext()


class _TokenLease:
    """What this process holds of one subject's window. `size` is what it took last; `refill` is held by whoever takes more."""

    __slots__ = ("refill", "size", "tokens", "used_up", "waiting", "window")

    def __init__(self, window: int) -> None:
        self.window = window
        self.tokens = 0
        self.size = 0
        self.used_up = False
        self.waiting = 0
        self.refill = asyncio.Lock()


class Limiter:
    """One event loop's view of the limits; `clock` gives seconds since the epoch.

    Redis is left alone for the first `postponed` seconds, and is down if it does not respond within `patience` seconds.
    """

    def __init__(
        self,
        redis_url: str,
        *,
        clock: Callable[[], float] = time.time,
        postponed: float = 0.0,
        patience: float = ANSWER_TIMEOUT_SECONDS,
    ) -> None:
        self._redis_url = redis_url
        self._patience = patience
        self._clock = clock
        self._owed: Counter[tuple[str, str, Hashable]] = Counter()
        self._paying = asyncio.create_task(self._pay(postponed)) if postponed else None
        self._shared: Storage | None = None
        self._local: Storage | None = None
        self._retry_redis_at = 0.0
        self._leases: OrderedDict[tuple[str, Hashable], _TokenLease] = OrderedDict()

        self.in_turn: AbstractAsyncContextManager[None] = asyncio.Semaphore(IN_TURN)

    def is_used_up(self, kind: str, rate: str, subject: Hashable) -> bool:
        """Whether this process knows that there are no more tokens in the subject's present window."""
        lease = self._leases.get((kind, subject))
        return lease is not None and lease.used_up and not lease.tokens and lease.window == int(self._clock() / _item(rate).get_expiry())

    async def spend(self, kind: str, rate: str, subject: Hashable) -> None:
        """One token of `subject`'s present window, from the lease on it. Raises RateLimited when there is none."""
        if self._paying is not None:
            self._owed[kind, rate, subject] += 1
            return
        item = _item(rate)
        seconds = item.get_expiry()
        window = int(self._clock() / seconds)
        key = (kind, subject)
        lease = self._leases.get(key)
        if lease is None or lease.window != window:
            lease = self._leases[key] = _TokenLease(window)
            self._leases.move_to_end(key)
            if len(self._leases) > KEPT_LEASES:
                self._leases.popitem(last=False)
        while not lease.tokens:
            if lease.used_up:
                raise self._limited(item)
            lease.waiting += 1
            try:
                async with lease.refill:
                    if not lease.tokens and not lease.used_up:
                        await self._refill(lease, item, kind, subject)
            finally:
                lease.waiting -= 1
        lease.tokens -= 1

    async def hit(self, kind: str, rate: str, subject: Hashable) -> None:
        """Counts one. Raises RateLimited with the seconds until the window ends."""
        item = _item(rate)
        if not await self._take(item, kind, subject, int(self._clock() / item.get_expiry()), 1):
            raise self._limited(item)

    async def _pay(self, after: float) -> None:
        """Counts what was spent within the first `after` seconds; from then on there is no credit."""
        await asyncio.sleep(after)
        self._paying = None
        for (kind, rate, subject), spent in self._owed.items():
            item = _item(rate)
            await self._take(item, kind, subject, int(self._clock() / item.get_expiry()), spent)
        self._owed.clear()

    async def _refill(self, lease: _TokenLease, item: "RateLimitItem", kind: str, subject: Hashable) -> None:
        """Takes twice what was taken last, or as many as wait, of at most a hundredth of the window."""
        lease.size = min(max(lease.size * 2, lease.waiting), max(1, item.amount // 100))
        granted = await self._take(item, kind, subject, lease.window, lease.size)
        lease.tokens += granted
        lease.used_up = granted < lease.size

    async def _take(self, item: "RateLimitItem", kind: str, subject: Hashable, window: int, wanted: int) -> int:
        """Counts `wanted` at once; how many of them the window still had."""
        key, seconds = item.key_for(kind, str(subject), window), item.get_expiry()
        count = await self._count(key, seconds, wanted)
        return max(0, min(wanted, item.amount - (count - wanted)))

    async def _count(self, key: str, seconds: int, amount: int) -> int:
        if time.monotonic() >= self._retry_redis_at:
            from redis.exceptions import RedisError

            was_down = self._retry_redis_at > 0
            if was_down:
                # One request tries Redis again; the others go on counting here until it has answered.
                self._retry_redis_at = time.monotonic() + RETRY_REDIS_SECONDS
            try:
                count = await self._redis().incr(key, seconds, amount=amount)
            except (RedisError, OSError) as lost:
                if not was_down:
                    log.warning("Redis is not there, limits are counted in this process: %s", type(lost).__name__)
                self._retry_redis_at = time.monotonic() + RETRY_REDIS_SECONDS
            else:
                if was_down:
                    log.warning("Redis is back, limits are counted there again")
                    self._retry_redis_at = 0.0
                return count
        if self._local is None:
            from limits.aio.storage import MemoryStorage

            self._local = MemoryStorage()
        return await self._local.incr(key, seconds, amount=amount)

    def _redis(self) -> "Storage":
        if self._shared is None:
            from limits.aio.storage import RedisStorage

            class OnlyRedis(RedisStorage):
                # Else it imports every client of this kind that it finds: a tenth of a cold start.
                DEPENDENCIES = {"redis": None}  # noqa: RUF012

            url = self._redis_url.replace("unix://", "redis+unix://", 1)
            self._shared = OnlyRedis(
                f"async+{url}",
                implementation="redispy",
                key_prefix="docuvault:limits",
                socket_connect_timeout=self._patience,
                socket_timeout=self._patience,
            )
        return self._shared

    def _limited(self, item: "RateLimitItem") -> RateLimited:
        seconds = item.get_expiry()
        return RateLimited(int(seconds - self._clock() % seconds) + 1)


_limiters: WeakKeyDictionary[asyncio.AbstractEventLoop, Limiter] = WeakKeyDictionary()


def _limiter() -> Limiter:
    loop = asyncio.get_running_loop()
    limiter = _limiters.get(loop)
    if limiter is None:
        limiter = _limiters[loop] = Limiter(settings().redis_url, postponed=postponed())
    return limiter


@lru_cache(maxsize=64)
def _item(rate: str) -> "RateLimitItem":
    from limits import parse

    return parse(rate)
