"""Guessing until one is held up, however slow the machine is: the first wait is a second, which a busy machine may let pass."""

from collections.abc import Awaitable, Callable

import httpx

from shared.db import Database
from shared.identity import throttle
from shared.identity.client import Client
from tests.identity.browser import Browser

HELD_UP = [401] * (throttle.FREE + 1) + [429]
"""What guesses are answered: five are free, the sixth is what the seventh has to wait for."""


async def guess(db: Database, browser: Browser, email: str, ask: Callable[[str], Awaitable[httpx.Response]] | None = None) -> list[int]:
    """Guesses an account's password (with `ask`, or by signing in) until it has to wait, which is then for an hour; the statuses."""
    statuses: list[int] = []
    while 429 not in statuses and len(statuses) < 2 * len(HELD_UP):
        password = f"wrong password {len(statuses)}"
        answer = await (ask(password) if ask is not None else browser.login(email, password))
        statuses.append(answer.status_code)
        await wait_longer(db, browser, "password", email)
    return statuses


async def wait_longer(db: Database, browser: Browser, purpose: str, account: str) -> None:
    """Whatever this browser has to wait for before its next attempt at an account, it waits an hour longer for."""
    client = Client(browser.address, "", "", browser.cookies.get("docuvault_device"))
    async with db.system() as tx:
        await tx.execute(
            "UPDATE attempts SET blocked_until = blocked_until + interval '1 hour' WHERE bucket = ANY(%s)",
            (throttle.candidates(purpose, account, client),),
        )
