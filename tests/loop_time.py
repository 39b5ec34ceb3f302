"""Time as an event loop lives it, for bounds that say something of the code and nothing of the machine."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

_TICK_SECONDS = 0.05


@asynccontextmanager
async def loop_seconds() -> AsyncIterator[Callable[[], float]]:
    """`spent()`: the seconds that the event loop was free for since; none pass while the machine stands still."""
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(_TICK_SECONDS)
            ticks += 1

    ticking = asyncio.create_task(tick())
    try:
        yield lambda: ticks * _TICK_SECONDS
    finally:
        ticking.cancel()
        await asyncio.gather(ticking, return_exceptions=True)
