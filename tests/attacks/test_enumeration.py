"""No single answer tells whether an address has an account: not by status, body, headers or time."""

import time
from collections.abc import Awaitable, Callable

import httpx
import pytest

from shared.db import Database
from tests.identity.browser import Browser, new_address, new_person
from tests.identity.guessing import HELD_UP, guess

PAIRS = 40
"""Measurements of each kind, taken in turn."""
SIGMAS = 4.5
"""How far from chance is too far: once in 150,000 runs by chance alone."""

Ask = Callable[[str], Awaitable[httpx.Response]]


async def _login(email: str) -> httpx.Response:
    return await Browser().login(email, "wrong password!")


async def _register(email: str) -> httpx.Response:
    return await Browser().post("/api/auth/register", json={"email": email, "password": "another long password"})


async def _forgot(email: str) -> httpx.Response:
    return await Browser().post("/api/auth/password/forgot", json={"email": email})


asking = pytest.mark.parametrize("ask", [_login, _register, _forgot])


def _chance_of_being_slower(some: list[float], others: list[float]) -> float:
    """How often one of `some` is greater than one of `others` (Mann and Whitney's U as a share): 0.5 where both are of one kind."""
    return sum((a > b) + (a == b) / 2 for a in some for b in others) / (len(some) * len(others))


@asking
async def test_known_and_unknown_addresses_take_the_same_time(ask: Ask, db: Database) -> None:
    async def spent(email: str) -> float:
        started = time.perf_counter()
        await ask(email)
        return time.perf_counter() - started

    known: list[float] = []
    unknown: list[float] = []
    people = [await new_person(signed_in=False) for _ in range(PAIRS // 2)]
    await ask(new_address())
    for turn in range(PAIRS):
        # The one first, then the other: what else the machine does falls on both.
        for kind in (known, unknown) if turn % 2 else (unknown, known):
            kind.append(await spent(people[turn // 2].email if kind is known else new_address()))
    by_chance = ((2 * PAIRS + 1) / (12 * PAIRS * PAIRS)) ** 0.5
    assert abs(_chance_of_being_slower(known, unknown) - 0.5) < SIGMAS * by_chance


@asking
async def test_known_and_unknown_addresses_get_the_same_answer(ask: Ask, db: Database) -> None:
    person = await new_person(signed_in=False)
    known, unknown = await ask(person.email), await ask(new_address())
    assert known.status_code == unknown.status_code
    assert [name for name in known.headers if name != "set-cookie"] == list(unknown.headers)
    own = ("request_id",)
    assert [v for k, v in known.json().items() if k not in own] == [v for k, v in unknown.json().items() if k not in own]


async def test_known_and_unknown_addresses_are_slowed_down_alike(db: Database) -> None:
    person = await new_person(signed_in=False)

    assert await guess(db, Browser(), person.email) == await guess(db, Browser(), new_address()) == HELD_UP
