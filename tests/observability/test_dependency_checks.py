"""Whether what everything stands on answers."""

import asyncio

from shared.observability import dependency_checks


async def test_a_check_that_cannot_even_be_cancelled_in_time_is_not_waited_for() -> None:
    told, go_on = asyncio.Event(), asyncio.Event()

    async def silent() -> None:
        """As a query of a server that is frozen: to be cancelled it needs the server, too."""
        try:
            await go_on.wait()
        except asyncio.CancelledError:
            told.set()
            await go_on.wait()
            raise

    async with asyncio.timeout(dependency_checks.TIMEOUT_SECONDS + 3):
        checked = await dependency_checks._timed(silent)
    assert (checked.ok, checked.detail) == (False, "did not answer within 2 seconds")
    await told.wait()
    go_on.set()


async def test_a_check_that_fails_says_how_and_gives_nothing_away() -> None:
    async def refused() -> None:
        raise ConnectionRefusedError("postgres.example.org refused")

    checked = await dependency_checks._timed(refused)
    assert (checked.ok, checked.detail) == (False, "cannot be reached (ConnectionRefusedError)")
