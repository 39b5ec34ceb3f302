"""A name server that does not answer holds nobody up for long, nor more than one thread."""

import asyncio
from typing import Any

import pytest
from aiohttp.abc import ResolveResult
from aiohttp.resolver import ThreadedResolver

from shared.storage.name_lookup import NameLookup


async def test_nobody_waits_longer_than_allowed_and_a_question_is_asked_once() -> None:
    asked: list[str] = []
    answered = asyncio.Event()

    async def ask(host: str, port: int, family: Any) -> list[ResolveResult]:
        asked.append(host)
        await answered.wait()
        raise OSError("no such name")

    names = NameLookup(0.01, ask)
    for _ in range(3):
        with pytest.raises(TimeoutError):
            await names.resolve("store", 9000)
    with pytest.raises(TimeoutError):
        await names.resolve("another", 9000)
    assert asked == ["store", "another"]

    patient = NameLookup(60, ask)
    waiting = asyncio.create_task(patient.resolve("store", 9000))
    answered.set()
    with pytest.raises(OSError, match="no such name"):
        await waiting


async def test_a_name_that_is_known_is_found_and_asked_for_anew_later() -> None:
    names = NameLookup(60, ThreadedResolver().resolve)
    for _ in range(2):
        assert [found["host"] for found in await names.resolve("127.0.0.1", 9000)] == ["127.0.0.1"]
