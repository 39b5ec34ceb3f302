"""Changes to one account at once wait for one another, and never for each other."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import UUID

from shared.db import Database
from shared.identity import accounts, one_time, password_change, resets, second_factor, throttle
from shared.identity.client import Client
from shared.identity.keys import base64url
from shared.ids import new_id
from tests.identity.authenticator import challenge, enrol
from tests.identity.browser import Browser, Person, new_person

NEW = "a wholly different secret"


@asynccontextmanager
async def _holding(db: Database, person: Person) -> AsyncIterator[Callable[[int], Awaitable[None]]]:
    """Holds somebody's account until left; what it gives returns once so many others wait behind it, directly or not."""
    async with db.system() as tx:
        await accounts.lock(tx, UUID(person.id))
        ours = await tx.fetch_value("SELECT pg_backend_pid()")
        yield lambda count: _waiting(db, ours, count)


async def _waiting(db: Database, pid: int, count: int) -> None:
    async with asyncio.timeout(20):
        while len(await _behind(db, pid)) < count:
            await asyncio.sleep(0.01)


async def _behind(db: Database, pid: int) -> set[int]:
    async with db.system() as tx:  # each time anew: a transaction sees one moment of pg_stat_activity
        cursor = await tx.connection.execute(
            "SELECT pid, pg_blocking_pids(pid) FROM pg_stat_activity WHERE cardinality(pg_blocking_pids(pid)) > 0"
        )
        blocked = {waits: set(by) for waits, by in await cursor.fetchall()}
    behind = {pid}
    while more := {waits for waits, by in blocked.items() if by & behind} - behind:
        behind |= more
    return behind - {pid}


async def test_a_second_factor_and_a_change_of_password_at_once_both_end(db: Database, browser: Client) -> None:
    person = await new_person()
    app, _ = await enrol(db, person)
    token = await challenge(person, Browser())
    async with _holding(db, person) as waiting:
        changing = asyncio.create_task(password_change.change(db, browser, UUID(person.id), None, person.password, NEW))
        await waiting(1)
        answering = asyncio.create_task(second_factor.verify(db, browser, token, code=app.code(), backup_code=None))
        await waiting(2)
    outcomes = await asyncio.gather(changing, answering, return_exceptions=True)
    # The change made the challenge void.
    assert [type(outcome).__name__ for outcome in outcomes] == ["NoneType", "InvalidCode"]


async def test_a_reset_and_a_change_of_password_at_once_both_end(db: Database, browser: Client) -> None:
    person = await new_person()
    token = base64url(new_id().bytes)
    async with db.system() as tx:
        await one_time.grant(tx, token, UUID(person.id), "password_reset", timedelta(hours=1))
    async with _holding(db, person) as waiting:
        changing = asyncio.create_task(password_change.change(db, browser, UUID(person.id), None, person.password, NEW))
        await waiting(1)
        resetting = asyncio.create_task(resets.reset(db, browser, token, f"{NEW} by link"))
        await waiting(2)
    outcomes = await asyncio.gather(changing, resetting, return_exceptions=True)
    # The change made the link void.
    assert [type(outcome).__name__ for outcome in outcomes] == ["NoneType", "InvalidToken"]


async def test_of_many_first_guesses_at_once_each_waits_for_the_one_before(db: Database, browser: Client) -> None:
    counted = throttle.buckets("password", f"{new_id().hex}@example.org", browser, user_id=None)

    async def guess() -> int:
        async with db.system() as tx:
            standing = await throttle.standing(tx, counted, lock=True)
            await throttle.count_failure(tx, counted, standing)
            return standing.wait_seconds

    async with db.system() as tx:
        first = await throttle.standing(tx, counted, lock=True)
        guesses = [asyncio.create_task(guess()) for _ in range(4)]
        await _waiting(db, await tx.fetch_value("SELECT pg_backend_pid()"), 4)
        for _ in range(throttle.FREE + 1):
            await throttle.count_failure(tx, counted, first)
    assert all(await asyncio.gather(*guesses))
