"""Waiting for a server to take connections."""

import asyncio
from collections.abc import Callable

PATIENCE_SECONDS = 60


def _nothing() -> None:
    return


async def until_open(port: int, check: Callable[[], None] = _nothing) -> None:
    """Returns once somebody takes connections at the port of this machine; `check` raises what makes waiting pointless."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            check()
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.02)
            else:
                writer.close()
                return
