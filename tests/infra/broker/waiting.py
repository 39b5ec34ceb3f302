"""Waiting for a condition instead of for a time."""

import asyncio
import time
from collections.abc import Awaitable, Callable


async def until(condition: Callable[[], Awaitable[object] | object], *, seconds: float = 60, every: float = 0.01) -> None:
    """Returns once `condition` holds, asked `every` so many seconds. Raises TimeoutError after `seconds`: many, for machines that stall."""
    deadline = time.monotonic() + seconds
    while True:
        held = condition()
        if isinstance(held, Awaitable):
            held = await held
        if held:
            return
        if time.monotonic() > deadline:
            raise TimeoutError("the condition never held")
        await asyncio.sleep(every)
