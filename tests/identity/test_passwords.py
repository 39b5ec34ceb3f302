"""Hashing: a bounded number at once, and a bounded number that wait."""

import asyncio
import os
import threading
from collections.abc import Iterator

import pytest

from shared.config import settings
from shared.errors import Unavailable
from shared.identity import passwords


@pytest.fixture
def cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Hashes that cost a few milliseconds."""
    monkeypatch.setenv("ARGON2_MEMORY_KIB", "8192")
    monkeypatch.setenv("ARGON2_TIME", "1")
    settings.cache_clear()
    yield
    monkeypatch.undo()
    settings.cache_clear()


async def test_a_storm_is_bounded_and_whoever_is_too_many_is_told_when_to_come_back(cheap_hashes: None) -> None:
    outcomes = await asyncio.gather(
        *(passwords.verify_password("a password", None) for _ in range(passwords.MAX_WAITING + 40)), return_exceptions=True
    )
    refused = [outcome for outcome in outcomes if isinstance(outcome, Unavailable)]
    assert len(refused) == 40
    assert all(int(refusal.headers["Retry-After"]) >= 1 for refusal in refused)
    assert outcomes.count(passwords.Verdict(False)) == passwords.MAX_WAITING
    # Once they are done, there is room again.
    assert not (await passwords.verify_password("a password", None)).right


async def test_no_more_are_hashed_at_once_than_there_are_processors(cheap_hashes: None) -> None:
    await asyncio.gather(*(passwords.hash_password("a password") for _ in range(64)))
    hashing = [thread for thread in threading.enumerate() if thread.name.startswith("argon2")]
    assert 1 <= len(hashing) <= len(os.sched_getaffinity(0))


async def test_by_default_the_parameters_are_owasps() -> None:
    assert (await passwords.hash_password("a password")).startswith("$argon2id$v=19$m=19456,t=2,p=1$")


async def test_an_account_without_a_password_is_entered_with_none() -> None:
    for stored in ("!", "", "$argon2id$broken"):
        assert not (await passwords.verify_password("!", stored or None)).right


async def test_nobodys_hash_costs_what_everybodys_does(monkeypatch: pytest.MonkeyPatch) -> None:
    for kib in ("9216", "8192"):
        monkeypatch.setenv("ARGON2_MEMORY_KIB", kib)
        settings.cache_clear()
        assert passwords._no_ones_hash().split("$")[:4] == (await passwords.hash_password("a password")).split("$")[:4]
    monkeypatch.undo()
    settings.cache_clear()
