"""Redis loses everything: nothing that was ended, spent or used is good again, not for one request."""

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis

from infra.local.valkey import Valkey
from shared.config import settings
from shared.db import Database, database
from shared.identity import resets
from shared.ids import new_id
from tests.identity.authenticator import challenge, enrol
from tests.identity.browser import Browser, Person, new_person
from tests.identity.guessing import HELD_UP, guess


@pytest.fixture
def with_own_valkey(own_valkey: Valkey, monkeypatch: pytest.MonkeyPatch) -> Iterator[Valkey]:
    """A Valkey that may be flushed and stopped, for whatever runs on an event loop of its own."""
    monkeypatch.setenv("REDIS_URL", own_valkey.url)
    settings.cache_clear()
    yield own_valkey
    monkeypatch.undo()
    settings.cache_clear()


async def _as_another_process(work: Any) -> None:
    """Runs `work()` on an event loop of its own: with connections, caches and limits of its own."""
    failed: list[BaseException] = []

    async def run() -> None:
        try:
            await work()
        finally:
            await database().close()

    def thread() -> None:
        try:
            asyncio.run(run())
        except BaseException as error:
            failed.append(error)

    running = threading.Thread(target=thread)
    running.start()
    while running.is_alive():
        await asyncio.sleep(0.05)
    if failed:
        raise failed[0]


async def _spent(db: Database) -> list[tuple[str, str, dict[str, Any]]]:
    """Of everything that ends, one that has ended: its name, and the request that must be refused."""
    person, gone = await new_person(), await new_person()
    app, codes = await enrol(db, person)
    spent: list[tuple[str, str, dict[str, Any]]] = []

    def bearer(name: str, token: str) -> None:
        spent.append((name, "GET /api/account", {"headers": {"authorization": f"Bearer {token}"}}))

    bearer("access token of a signed-out session", gone.browser.access_token)
    spent.append(("signed-out refresh cookie", "POST /api/auth/refresh", _cookie(gone)))
    await gone.browser.post("/api/auth/logout")

    api_token = (await person.browser.post("/api/auth/tokens", json={"name": "x", "scopes": ["account:read"]})).json()
    bearer("revoked API token", api_token["token"])
    await person.browser.delete(f"/api/auth/tokens/{api_token['id']}")

    browser = Browser()
    code, token = app.code(), await challenge(person, browser)
    assert (await browser.second_factor(token, code=code)).status_code == 200
    spent.append(("answered challenge", "POST /api/auth/second-factor", {"json": {"challenge_token": token, "code": app.code(1)}}))
    fresh = await challenge(person, Browser())
    spent.append(("used code", "POST /api/auth/second-factor", {"json": {"challenge_token": fresh, "code": code}}))
    assert (await browser.second_factor(await challenge(person, browser), backup_code=codes[0])).status_code == 200
    fresh = await challenge(person, Browser())
    spent.append(("used backup code", "POST /api/auth/second-factor", {"json": {"challenge_token": fresh, "backup_code": codes[0]}}))

    other = await new_person()
    async with db.system() as tx:
        values = await resets.prepare(tx, new_id(), "password_reset", other.email, {})
    assert values is not None
    link = {"token": values["url"].partition("token=")[2], "new_password": "a wholly different secret"}
    bearer("access token from before a reset", other.browser.access_token)
    assert (await Browser().post("/api/auth/password/reset", json=link)).status_code == 204
    spent.append(("used reset link", "POST /api/auth/password/reset", {"json": link}))

    robbed = await new_person()
    stolen = _cookie(robbed)
    await robbed.browser.refresh()
    await robbed.browser.refresh()
    bearer("access token of a family that ended", robbed.browser.access_token)
    assert (await Browser().post("/api/auth/refresh", **stolen)).status_code == 401
    spent.append(("refresh cookie of a family that ended", "POST /api/auth/refresh", _cookie(robbed)))
    return spent


def _cookie(person: Person) -> dict[str, Any]:
    return {"headers": {"cookie": f"docuvault_refresh={person.browser.cookie}"}}


async def _refused(name: str, request: str, arguments: dict[str, Any]) -> None:
    method, path = request.split()
    answer = await Browser().request(method, path, **arguments)
    assert answer.status_code == 401, f"{name}: {answer.text}"


async def _spent_elsewhere() -> list[tuple[str, str, dict[str, Any]]]:
    """Ended by another process: whoever is asked has not seen it end."""
    spent: list[tuple[str, str, dict[str, Any]]] = []

    async def work() -> None:
        spent.extend(await _spent(database()))

    await _as_another_process(work)
    return spent


async def test_nothing_spent_is_good_again_after_a_flush(db: Database, with_own_valkey: Valkey) -> None:
    spent = await _spent_elsewhere()

    async def work() -> None:
        person = await new_person()
        flushing = Redis.from_url(with_own_valkey.url)
        for name, request, arguments in spent:
            # What Redis holds is known to be whole, and then it is gone.
            assert (await person.browser.get("/api/account")).status_code == 200
            await flushing.flushall()
            await _refused(name, request, arguments)
        await flushing.aclose()

    await _as_another_process(work)


async def test_nor_where_redis_is_gone(db: Database, with_own_valkey: Valkey) -> None:
    spent = await _spent_elsewhere()
    await with_own_valkey.kill()

    async def work() -> None:
        for name, request, arguments in spent:
            await _refused(name, request, arguments)
        # And people sign in, and are slowed down when they guess, as ever.
        person = await new_person()
        assert (await person.browser.get("/api/account")).status_code == 200
        assert await guess(database(), Browser(), person.email) == HELD_UP

    await _as_another_process(work)


async def test_a_flush_gives_nobody_more_guesses(db: Database, with_own_valkey: Valkey) -> None:
    async def work() -> None:
        person, guessing = await new_person(), Browser()
        flushing = Redis.from_url(with_own_valkey.url)

        async def ask(password: str) -> httpx.Response:
            answer = await guessing.login(person.email, password)
            await flushing.flushall()
            return answer

        assert await guess(database(), guessing, person.email, ask) == HELD_UP
        await flushing.aclose()

    await _as_another_process(work)
