"""One account's requests wait for one another, never another's for them."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any
from uuid import UUID

import pytest

from shared.errors import RateLimited
from shared.faas import Call, Response, turns
from shared.faas.turns import AT_ONCE, WAITING_AT_MOST
from shared.identity import tokens
from shared.identity.client import Client
from shared.ids import new_id
from tests.faas.asgi import Heard, ask, declared, serving

BROWSER = Client("192.0.2.1", "tests", "en")
Asking = Callable[[UUID], Coroutine[Any, Any, Heard]]


class Held:
    """What `t_held` does: it counts who came, and answers once `opened`."""

    def __init__(self) -> None:
        self.opened = asyncio.Event()
        self.came: list[UUID] = []


@pytest.fixture
def held(services: None) -> tuple[Held, Asking]:
    state = Held()

    async def t_held(call: Call) -> Response:
        state.came.append(call.user.user_id)
        await state.opened.wait()
        return Response.content(b"", "text/plain")

    app = serving(declared("GET", "/t/held", t_held, auth="user", scope="account:read", returns="text/plain"))

    async def asking(account: UUID) -> Heard:
        token, _ = tokens.issue(account, "user", new_id(), BROWSER)
        headers = {"authorization": f"Bearer {token}", "user-agent": BROWSER.user_agent, "accept-language": BROWSER.accept_language}
        return await ask(app, "GET", "/t/held", headers=headers)

    return state, asking


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.005)


async def test_an_accounts_requests_wait_for_one_another_and_anothers_do_not(held: tuple[Held, Asking]) -> None:
    state, asking = held
    greedy, another = new_id(), new_id()
    sent = [asyncio.create_task(asking(greedy)) for _ in range(3 * AT_ONCE)]
    await _until(lambda: len(state.came) == AT_ONCE)
    theirs = asyncio.create_task(asking(another))
    await _until(lambda: another in state.came)
    assert state.came.count(greedy) == AT_ONCE
    state.opened.set()
    assert {heard.status for heard in await asyncio.gather(*sent, theirs)} == {200}
    assert state.came.count(greedy) == 3 * AT_ONCE


async def test_turns_are_given_back_however_their_requests_end(held: tuple[Held, Asking]) -> None:
    state, asking = held
    account = new_id()
    sent = [asyncio.create_task(asking(account)) for _ in range(3 * AT_ONCE)]
    await _until(lambda: len(state.came) == AT_ONCE)
    for task in sent:
        task.cancel()
    await asyncio.gather(*sent, return_exceptions=True)
    state.opened.set()
    assert {heard.status for heard in await asyncio.gather(*(asking(account) for _ in range(2 * AT_ONCE)))} == {200}


async def test_a_turn_that_comes_as_its_waiting_is_cancelled_is_handed_on() -> None:
    account = new_id()
    assert all(turns.begin(account) is None for _ in range(AT_ONCE))
    first, second = turns.begin(account), turns.begin(account)
    assert first is not None
    assert second is not None
    waiting = asyncio.create_task(turns.wait(account, first))
    await asyncio.sleep(0)
    turns.end(account)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert second.done()
    for _ in range(AT_ONCE):
        turns.end(account)
    assert turns.begin(account) is None
    turns.end(account)


async def test_so_many_wait_at_most() -> None:
    account = new_id()
    assert all(turns.begin(account) is None for _ in range(AT_ONCE))
    waiting = [turns.begin(account) for _ in range(WAITING_AT_MOST)]
    with pytest.raises(RateLimited):
        turns.begin(account)
    for _ in (*waiting, *range(AT_ONCE)):
        turns.end(account)
    assert turns.begin(account) is None
    turns.end(account)
