"""Ending tasks for certain."""

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any

AGAIN_SECONDS = 1.0


async def end(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancels `tasks` and returns once all are over; what they raise is not raised here.

    Before Python 3.12 `asyncio.wait_for`, which psycopg stands on, swallows a cancellation that comes together with its result; a task that
    runs for ever would then never hear of it. So it is told again.
    """
    pending = {task for task in tasks if not task.done()}
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=AGAIN_SECONDS)


async def last_act(work: Coroutine[Any, Any, None]) -> None:
    """For a `finally`: does `work`, which must end by itself, to its end, though `end` tells the task again meanwhile."""
    working = asyncio.ensure_future(work)
    while not working.done():
        try:
            await asyncio.wait([working])
        except asyncio.CancelledError:
            continue  # it is ending already
    working.result()
