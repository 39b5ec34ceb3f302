"""Limits hold across processes, cost little, and stay when Redis goes."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from uuid import UUID

import pytest

from infra.local.valkey import Valkey
from shared import rate_limits
from shared.config import settings
from shared.errors import RateLimited
from shared.faas import AtOnce, Call, RequestModel, Response
from shared.rate_limits import Limiter
from tests.faas.asgi import Exchange, ask, declared, scope, serving


async def granted(spending: list[Callable[[], object]]) -> int:
    """How many of these calls were let through."""
    results = await asyncio.gather(*(call() for call in spending), return_exceptions=True)  # type: ignore[call-overload]
    assert all(result is None or isinstance(result, RateLimited) for result in results), results
    return sum(result is None for result in results)


class Clock:
    """Seconds since the epoch, as the test says."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def subject(services: None) -> str:
    return secrets.token_hex(8)


def limiter(clock: Clock | None = None, *, redis_url: str = "") -> Limiter:
    # On a machine that is busy with other tests an answer may take long; that says nothing about Redis.
    return Limiter(redis_url or settings().redis_url, clock=clock or Clock(), patience=30)


async def test_two_processes_together_grant_what_the_window_has_and_no_more(subject: str) -> None:
    processes = [limiter(), limiter()]

    async def client(number: int) -> int:
        passed = 0
        for _ in range(60):
            passed += await granted([lambda: processes[number % 2].spend("t", "1000/minute", subject)])
        return passed

    passed = sum(await asyncio.gather(*(client(number) for number in range(40))))
    # A hundredth at most lies unspent in each process's lease.
    assert 980 <= passed <= 1000


async def test_many_calls_at_once_do_not_use_up_more_than_they_are(subject: str) -> None:
    process = limiter()
    for _ in range(10):
        assert await granted([lambda: process.spend("t", "3000/minute", subject)] * 100) == 100
    assert await granted([lambda: limiter().spend("t", "3000/minute", subject)] * 1900) == 1900


async def test_a_small_limit_is_exact(subject: str) -> None:
    first, second = limiter(), limiter()
    assert await granted([lambda: first.spend("t", "7/minute", subject), lambda: second.spend("t", "7/minute", subject)] * 20) == 7


async def test_what_is_left_of_a_lease_ends_with_its_window(subject: str) -> None:
    clock = Clock()
    process = limiter(clock)
    for _ in range(20):
        await process.spend("t", "1000/minute", subject)
    clock.now += 60
    assert await granted([lambda: process.spend("t", "1000/minute", subject)] * 1200) == 1000


async def test_the_next_window_grants_again(subject: str) -> None:
    clock = Clock()
    process = limiter(clock)
    assert await granted([lambda: process.spend("t", "5/minute", subject)] * 9) == 5
    clock.now += 59 - clock.now % 60
    assert await granted([lambda: process.spend("t", "5/minute", subject)]) == 0
    clock.now += 2
    assert await granted([lambda: process.spend("t", "5/minute", subject)] * 9) == 5


async def test_subjects_and_kinds_are_counted_apart(subject: str) -> None:
    process = limiter()
    assert await granted([lambda: process.hit("a", "1/minute", subject)] * 2) == 1
    assert await granted([lambda: process.hit("b", "1/minute", subject)] * 2) == 1
    assert await granted([lambda: process.hit("a", "1/minute", f"{subject}2")] * 2) == 1


async def test_retry_after_is_the_rest_of_the_window(subject: str) -> None:
    process = limiter(Clock(1_800_000_000.0 - 1_800_000_000.0 % 300 + 100.5))
    await process.hit("t", "1/5 minutes", subject)
    with pytest.raises(RateLimited) as limited:
        await process.hit("t", "1/5 minutes", subject)
    assert limited.value.headers == {"Retry-After": "200"}


async def test_once_a_window_is_used_up_nobody_asks_redis_any_more(own_valkey: Valkey, subject: str) -> None:
    process = limiter(redis_url=own_valkey.url)
    assert await granted([lambda: process.spend("t", "1/minute", subject)] * 2) == 1
    await own_valkey.stop()
    assert await granted([lambda: process.spend("t", "1/minute", subject)] * 50) == 0


async def test_with_redis_down_each_process_counts_for_itself_and_returns_to_redis_once_it_is_back(
    own_valkey: Valkey, subject: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(rate_limits, "RETRY_REDIS_SECONDS", 0.01)
    clock = Clock()
    first, second = (limiter(clock, redis_url=own_valkey.url) for _ in range(2))
    await first.hit("t", "3/minute", subject)
    await own_valkey.stop()
    assert await granted([lambda: first.hit("t", "3/minute", subject)] * 10) == 3
    assert await granted([lambda: second.hit("t", "3/minute", subject)] * 10) == 3
    assert "counted in this process" in caplog.text
    await own_valkey.start()
    clock.now += 60
    async with asyncio.timeout(60):
        while "Redis is back" not in caplog.text:
            await first.hit("t", "1000000/minute", subject)
            await asyncio.sleep(0.005)
    assert await granted([lambda: first.hit("t", "4/minute", f"{subject}x"), lambda: first.hit("t", "4/minute", f"{subject}x")] * 4) == 4


async def test_what_a_fresh_process_lets_through_at_once_is_counted_a_moment_later(subject: str) -> None:
    fresh = Limiter(settings().redis_url, clock=Clock(), postponed=0.01, patience=30)
    paying = fresh._paying
    assert paying is not None
    assert await granted([lambda: fresh.spend("t", "3/minute", subject)] * 2) == 2
    await paying
    assert await granted([lambda: fresh.spend("t", "3/minute", subject)] * 10) == 1


async def test_a_flushed_redis_starts_the_window_anew_and_nothing_breaks(own_valkey: Valkey, subject: str) -> None:
    from redis.asyncio import Redis

    process = limiter(redis_url=own_valkey.url)
    assert await granted([lambda: process.hit("t", "2/minute", subject)] * 3) == 2
    async with Redis.from_url(own_valkey.url) as client:
        await client.flushall()
        await client.script_flush()
    assert await granted([lambda: process.hit("t", "2/minute", subject)] * 3) == 2


async def test_leases_are_bounded(subject: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_limits, "KEPT_LEASES", 10)
    process = limiter()
    for number in range(30):
        await process.spend("t", "1000/minute", f"{subject}{number}")
    assert len(process._leases) == 10


async def test_a_call_cancelled_while_it_waits_leaves_the_others_going(subject: str) -> None:
    process = limiter()
    tasks = [asyncio.create_task(process.spend("t", "1000/minute", subject)) for _ in range(20)]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [result for result in results[1::2] if result is not None] == []
    await process.spend("t", "1000/minute", subject)


# ---- as a client sees them


@pytest.fixture
async def one_window(services: None) -> AsyncIterator[None]:
    """The functions' limits in this process, by a clock that comes to no midnight."""
    loop = asyncio.get_running_loop()
    before = rate_limits._limiters.pop(loop, None)
    rate_limits._limiters[loop] = limiter()
    yield
    del rate_limits._limiters[loop]
    if before is not None:
        rate_limits._limiters[loop] = before


async def ping(call: Call) -> Response:
    return Response.no_content()


async def test_an_address_that_asks_too_often_is_told_when_to_come_back(one_window: None, with_settings: Callable[..., None]) -> None:
    with_settings(RATE_LIMIT_ADDRESS="3/day")
    app = serving(declared("GET", "/ping", ping))
    address = f"2001:db8:{secrets.token_hex(2)}:{secrets.token_hex(2)}::1"
    heard = [await ask(app, "GET", "/ping", client=(address, 1)) for _ in range(4)]
    assert [one.status for one in heard] == [204, 204, 204, 429]
    assert heard[3].code == "rate_limited"
    assert 0 < int(str(heard[3].header("retry-after"))) <= 86400


async def test_ipv6_addresses_of_one_network_share_a_limit(one_window: None, with_settings: Callable[..., None]) -> None:
    with_settings(RATE_LIMIT_ADDRESS="3/day")
    app = serving(declared("GET", "/ping", ping))
    network = f"2001:db8:{secrets.token_hex(2)}:{secrets.token_hex(2)}"
    heard = [await ask(app, "GET", "/ping", client=(f"{network}::{number}", 1)) for number in range(4)]
    assert heard[3].status == 429


async def test_an_account_is_counted_wherever_it_calls_from(
    one_window: None, owner: UUID, bearer: Callable[..., dict[str, str]], with_settings: Callable[..., None]
) -> None:
    with_settings(RATE_LIMIT_ACCOUNT="3/day")
    app = serving(declared("GET", "/ping", ping, auth="user"))
    heard = [await ask(app, "GET", "/ping", headers=bearer(owner), client=(f"198.51.100.{number}", 1)) for number in range(4)]
    assert [one.status for one in heard] == [204, 204, 204, 429]


class Wish(RequestModel):
    name: str


async def test_a_named_limit_counts_only_what_fits(one_window: None, with_settings: Callable[..., None]) -> None:
    with_settings(RATE_LIMIT_LOGIN="2/day")
    app = serving(declared("POST", "/login", ping, rate_limits=["login"], body=Wish))
    address = f"2001:db8:{secrets.token_hex(2)}:{secrets.token_hex(2)}::1"
    misfits: tuple[Any, ...] = ({}, {"name": 1}, [], "x")
    junk = [await ask(app, "POST", "/login", json=body, client=(address, 1)) for body in misfits * 3]
    assert {one.status for one in junk} == {422}
    heard = [await ask(app, "POST", "/login", json={"name": "x"}, client=(address, 1)) for _ in range(3)]
    assert [one.status for one in heard] == [204, 204, 429]


async def test_a_named_limit_comes_on_top(one_window: None, with_settings: Callable[..., None]) -> None:
    with_settings(RATE_LIMIT_LOGIN="2/day")
    app = serving(declared("POST", "/login", ping, rate_limits=["login"]), declared("GET", "/ping", ping))
    address = f"2001:db8:{secrets.token_hex(2)}:{secrets.token_hex(2)}::1"
    heard = [await ask(app, "POST", "/login", client=(address, 1)) for _ in range(3)]
    assert [one.status for one in heard] == [204, 204, 429]
    assert (await ask(app, "GET", "/ping", client=(address, 1))).status == 204


async def test_without_a_token_it_is_401_until_the_address_has_used_up_its_limit(
    one_window: None, with_settings: Callable[..., None]
) -> None:
    with_settings(RATE_LIMIT_ADDRESS="3/day")
    app = serving(declared("GET", "/ping", ping, auth="user"))
    address = _fresh_address()
    heard = [await ask(app, "GET", "/ping", client=(address, 1), headers=_junk(number)) for number in range(5)]
    assert [one.status for one in heard] == [401, 401, 401, 429, 429]
    assert int(str(heard[3].header("retry-after"))) > 0


async def test_a_neighbour_behind_the_same_address_shuts_nobody_out_who_is_signed_in(
    one_window: None,
    owner: UUID,
    bearer: Callable[..., dict[str, str]],
    api_token: Callable[..., Awaitable[dict[str, str]]],
    with_settings: Callable[..., None],
) -> None:
    with_settings(RATE_LIMIT_ADDRESS="3/day", RATE_LIMIT_SECOND_FACTOR="2/day")
    app = serving(
        declared("GET", "/ping", ping, auth="user", scope="documents:read"),
        declared("POST", "/second", ping, auth="user", rate_limits=["second_factor"]),
        declared("GET", "/open", ping),
    )
    client = (_fresh_address(), 1)
    for number in range(10):
        await ask(app, "GET", "/ping", client=client, headers=_junk(number))
        await ask(app, "POST", "/second", client=client, headers=_junk(number))
    assert (await ask(app, "GET", "/open", client=client)).status == 429
    for headers in (bearer(owner), await api_token(owner, "documents:read")):
        # Not even while a flood of tokens that are none is being looked at.
        flood = [asyncio.create_task(ask(app, "GET", "/ping", client=client, headers=_junk(number))) for number in range(50)]
        assert (await ask(app, "GET", "/ping", client=client, headers=headers)).status == 204
        assert {one.status for one in await asyncio.gather(*flood)} == {429}
    assert (await ask(app, "POST", "/second", client=client, headers=bearer(owner))).status == 204


async def test_an_account_and_an_address_have_so_many_requests_at_once(
    services: None, owner: UUID, other_owner: UUID, bearer: Callable[..., dict[str, str]]
) -> None:
    go_on = asyncio.Event()

    async def slow(call: Call) -> Response:
        await go_on.wait()
        return Response.no_content()

    app = serving(declared("GET", "/slow", slow, auth="user", at_once=AtOnce(account=2, address=3)))
    address, other_address = _fresh_address(), _fresh_address()

    def begin(who: UUID, where: str, method: str = "GET") -> Exchange:
        exchange = Exchange(app, scope(method, "/slow", headers=bearer(who), client=(where, 1)))
        exchange.send(b"")
        return exchange

    held = [begin(owner, address), begin(owner, other_address), begin(other_owner, address, "HEAD"), begin(other_owner, address)]
    for refused in (begin(owner, other_address), begin(other_owner, address)):
        heard = await refused.end()
        assert (heard.status, heard.code) == (429, "rate_limited")
        assert int(str(heard.header("retry-after"))) > 0
    go_on.set()
    assert [(await one.end()).status for one in held] == [204] * 4
    # All of it was given back.
    again = [begin(owner, address), begin(owner, address), begin(other_owner, address)]
    assert [(await one.end()).status for one in again] == [204] * 3


def _fresh_address() -> str:
    return f"2001:db8:{secrets.token_hex(2)}:{secrets.token_hex(2)}::1"


def _junk(number: int) -> dict[str, str]:
    """No token at all, and such as are none."""
    return [{}, {"authorization": "Bearer x"}, {"authorization": "Bearer dvt_" + "a" * 49}, {"authorization": "Basic YTph"}][number % 4]
