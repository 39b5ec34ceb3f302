"""Results that are worth remembering for a moment, and waiting that ends in time, so that a flood of requests costs a service nothing."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar
from weakref import WeakKeyDictionary

T = TypeVar("T")


class TooSlow(Exception):
    """It has not ended within the time that it was given."""


async def within(seconds: float, work: Awaitable[T]) -> T:
    """What `work` returns or raises. Raises TooSlow after `seconds`; it is then cancelled, and its end is not waited for.

    A query that is cancelled asks the server to stop, and waits for its response.
    """
    working = asyncio.ensure_future(work)
    working.add_done_callback(lambda ended: ended.cancelled() or ended.exception())  # else what it ends with later is reported as lost
    try:
        await asyncio.wait((working,), timeout=seconds)
        if not working.done():
            raise TooSlow
        return working.result()
    finally:
        working.cancel()


@dataclass
class _OfLoop(Generic[T]):
    lock: asyncio.Lock
    latest: tuple[float, T] | None = None
    """Until when it is good, and what it is."""


class Remembered(Generic[T]):
    """What `make` returned is the result for so many seconds, in each event loop; those who ask meanwhile wait for one another."""

    def __init__(self, seconds: float, make: Callable[[], Awaitable[T]]) -> None:
        self._seconds = seconds
        self._make = make
        self._of_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, _OfLoop[T]] = WeakKeyDictionary()

    async def get(self) -> T:
        """Raises what `make` raises, which is not remembered."""
        of_loop = self._of_loop.setdefault(asyncio.get_running_loop(), _OfLoop(asyncio.Lock()))
        async with of_loop.lock:
            if of_loop.latest is None or time.monotonic() > of_loop.latest[0]:
                value = await self._make()
                of_loop.latest = time.monotonic() + self._seconds, value
            return of_loop.latest[1]
