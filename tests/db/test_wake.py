"""Wake-ups: after the commit, gathered, and never a reason to fail."""

import asyncio
import secrets
from uuid import UUID

import psycopg
import pytest

from shared.config import settings
from shared.db import Database
from shared.db.wake import Waker
from shared.errors import NotFound
from tests.db.conftest import Listener


@pytest.fixture
async def channel() -> str:
    return f"t_{secrets.token_hex(6)}"


async def test_listeners_are_woken_after_the_commit(db: Database, owner: UUID, listen: Listener, channel: str) -> None:
    heard = await listen(channel)
    async with db.tenant(owner) as tx:
        tx.wake(channel, "payload")
        assert heard.empty()
    assert await heard.get() == "payload"


async def test_nobody_is_woken_where_nothing_was_committed(db: Database, owner: UUID, listen: Listener, channel: str) -> None:
    heard = await listen(channel)
    with pytest.raises(NotFound):
        async with db.tenant(owner) as tx:
            tx.wake(channel, "failed")
            raise NotFound
    async with db.tenant(owner) as tx:
        tx.wake(channel, "committed")
    assert await heard.get() == "committed"


async def test_equal_wake_ups_are_sent_once_and_different_ones_all(db: Database, listen: Listener, channel: str) -> None:
    heard = await listen(channel)
    waker = Waker(settings().database_url)
    for number in range(1000):
        waker.wake([(channel, "same"), (channel, f"only {number % 10}")])
    waker.wake([(channel, "last")])
    await waker.close()
    payloads: list[str] = []
    while not payloads or payloads[-1] != "last":
        payloads.append(await heard.get())
    assert sorted(payloads) == sorted(["same", "last", *(f"only {number}" for number in range(10))])


async def test_what_is_woken_while_another_is_sent_comes_after_it(db: Database, listen: Listener, channel: str) -> None:
    heard = await listen(channel)
    waker = Waker(settings().database_url)
    waker.wake([(channel, "one")])
    assert await heard.get() == "one"
    waker.wake([(channel, "two")])
    assert await heard.get() == "two"
    await waker.close()


async def test_a_lost_connection_is_opened_again_for_the_next_wake_up(
    listen: Listener, channel: str, superuser: psycopg.AsyncConnection[object]
) -> None:
    heard = await listen(channel)
    waker = Waker(settings().database_url)
    waker.wake([(channel, "one")])
    await heard.get()
    assert waker._connection is not None
    await superuser.execute("SELECT pg_terminate_backend(%s, 5000)", [waker._connection.info.backend_pid])
    async with asyncio.timeout(60):
        waker.wake([(channel, "may be lost")])
        while heard.empty():
            waker.wake([(channel, "two")])
            await asyncio.sleep(0.005)
    await waker.close()


async def test_what_is_woken_while_the_connection_turns_out_to_be_lost_is_sent_on_the_next(
    listen: Listener, channel: str, superuser: psycopg.AsyncConnection[object]
) -> None:
    heard = await listen(channel)
    waker = Waker(settings().database_url)
    waker.wake([(channel, "one")])
    assert await heard.get() == "one"
    assert waker._task is not None
    assert waker._connection is not None
    await waker._task
    await superuser.execute("SELECT pg_terminate_backend(%s, 60000)", [waker._connection.info.backend_pid])
    waker.wake([(channel, "lost")])
    await asyncio.sleep(0)
    waker.wake([(channel, "two")])
    async with asyncio.timeout(60):
        assert await heard.get() == "two"
    await waker.close()


async def test_with_postgresql_gone_a_wake_up_is_dropped_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    waker = Waker("postgresql://nobody@127.0.0.1:1/none")
    waker.wake([("channel", "lost")])
    await waker.close()
    assert "listeners will poll" in caplog.text
