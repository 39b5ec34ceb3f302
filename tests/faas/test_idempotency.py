"""`Idempotency-Key`: a request repeated is carried out once."""

import asyncio
import os
import secrets
from collections.abc import Callable, Coroutine
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from infra.local.postgres import Postgres
from shared.db import Database, TenantDatabase
from shared.errors import Conflict
from shared.faas import Call, RequestModel, Response, ResponseModel, idempotency
from shared.ids import new_id
from tests.faas.asgi import App, Exchange, Heard, ask, declared, scope, serving

Bearer = Callable[..., dict[str, str]]


class NewThing(RequestModel):
    name: str


class Thing(ResponseModel):
    number: int
    name: str


class Shop:
    """Functions that count how often they were carried out."""

    def __init__(self) -> None:
        self.carried_out = 0
        self.failure: Exception | None = None
        self.go_on: asyncio.Event | None = None
        self.entered = asyncio.Event()

    async def _work(self) -> int:
        self.carried_out += 1
        number = self.carried_out
        self.entered.set()
        if self.go_on is not None:
            await self.go_on.wait()
        if self.failure is not None:
            raise self.failure
        return number

    def app(self) -> App:
        async def make_thing(call: Call[NewThing]) -> Response:
            thing = Thing(number=await self._work(), name=call.body.name)
            return Response.json(thing, status=201, headers=[("location", f"/things/{thing.number}")])

        async def make_other(call: Call[NewThing]) -> Thing:
            return Thing(number=await self._work(), name=call.body.name)

        async def make_secret(call: Call[NewThing]) -> Thing:
            return Thing(number=await self._work(), name="the secret")

        async def in_shop(call: Call[NewThing]) -> Thing:
            return Thing(number=await self._work(), name=str(call.path.shop_id))

        async def no_answer(call: Call[NewThing]) -> None:
            await self._work()

        options: dict[str, Any] = {"auth": "user", "body": NewThing, "returns": Thing, "idempotent": True}
        return serving(
            declared("POST", "/things", make_thing, **options),
            declared("POST", "/others", make_other, **options),
            declared("POST", "/secrets", make_secret, **options, secret_answer=True),
            declared("POST", "/shops/{shop_id}/things", in_shop, **options),
            declared("POST", "/nothing", no_answer, auth="user", body=NewThing, idempotent=True),
        )


@pytest.fixture
async def shop() -> Shop:
    return Shop()


@pytest.fixture
def post(shop: Shop, owner: UUID, bearer: Bearer) -> Callable[..., Coroutine[Any, Any, Heard]]:
    app = shop.app()
    key = secrets.token_hex(8)

    async def ask_for(path: str = "/things", *, name: str = "x", key: str | None = key, who: UUID = owner) -> Heard:
        headers = bearer(who) | ({} if key is None else {"idempotency-key": key})
        return await ask(app, "POST", path, json={"name": name}, headers=headers)

    return ask_for


Post = Callable[..., Coroutine[Any, Any, Heard]]


async def test_a_replay_gives_the_first_answer_again(post: Post, shop: Shop) -> None:
    first, second = await post(), await post()
    assert shop.carried_out == 1
    assert (second.status, second.body) == (first.status, first.body) == (201, b'{"number":1,"name":"x"}')
    assert second.header("location") == first.header("location") == "/things/1"
    assert second.header("content-type") == "application/json"
    assert (first.header("idempotent-replayed"), second.header("idempotent-replayed")) == (None, "true")


async def test_an_answer_without_a_body_is_replayed_too(post: Post, shop: Shop) -> None:
    assert [(await post("/nothing")).status for _ in range(2)] == [204, 204]
    assert shop.carried_out == 1


async def test_without_a_key_each_request_is_carried_out(post: Post, shop: Shop) -> None:
    await post(key=None)
    await post(key=None)
    assert shop.carried_out == 2


async def test_the_same_key_with_another_body_is_422(post: Post, shop: Shop) -> None:
    await post(name="x")
    heard = await post(name="y")
    assert (heard.status, heard.code) == (422, "idempotency_key_reused")
    assert shop.carried_out == 1


async def test_the_same_key_at_another_address_of_the_operation_is_422(post: Post, shop: Shop) -> None:
    await post(f"/shops/{UUID(int=1)}/things")
    assert (await post(f"/shops/{UUID(int=2)}/things")).code == "idempotency_key_reused"


async def test_keys_belong_to_one_caller_and_one_operation(post: Post, shop: Shop, other_owner: UUID) -> None:
    assert (await post()).status == 201
    assert (await post("/others")).status == 200
    assert (await post(who=other_owner)).status == 201
    assert shop.carried_out == 3


async def test_while_the_first_still_runs_the_second_is_409(post: Post, shop: Shop) -> None:
    shop.go_on = asyncio.Event()
    first = asyncio.create_task(post())
    await shop.entered.wait()
    second = await post()
    assert (second.status, second.code) == (409, "idempotency_conflict")
    assert second.header("retry-after") == "1"
    assert (await post(name="y")).code == "idempotency_key_reused"
    shop.go_on.set()
    assert (await first).status == 201
    assert (await post()).header("idempotent-replayed") == "true"


async def test_of_many_at_once_one_is_carried_out(post: Post, shop: Shop) -> None:
    heard = await asyncio.gather(*(post() for _ in range(20)))
    assert shop.carried_out == 1
    assert {one.status for one in heard} <= {201, 409}


@pytest.mark.parametrize("failure", [Conflict("not now"), RuntimeError("crash")])
async def test_after_a_failure_the_key_is_free_again(post: Post, shop: Shop, failure: Exception) -> None:
    shop.failure = failure
    assert (await post()).status in (409, 500)
    shop.failure = None
    assert (await post(name="another body")).status == 201
    assert shop.carried_out == 2


async def test_a_request_that_is_cut_off_frees_its_key(shop: Shop, owner: UUID, bearer: Bearer) -> None:
    shop.go_on = asyncio.Event()
    app, headers = shop.app(), {**bearer(owner), "idempotency-key": secrets.token_hex(8)}
    exchange = Exchange(app, scope("POST", "/things", headers=headers))
    exchange.send(b'{"name": "x"}')
    await shop.entered.wait()
    exchange.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await exchange.end()
    shop.go_on = None
    assert (await ask(app, "POST", "/things", json={"name": "x"}, headers=headers)).status == 201


async def test_an_answer_that_holds_a_secret_is_not_kept(post: Post, shop: Shop, db: Database, owner: UUID) -> None:
    assert (await post("/secrets")).json()["name"] == "the secret"
    heard = await post("/secrets")
    assert (heard.status, heard.code) == (409, "already_done")
    assert shop.carried_out == 1
    async with db.tenant(owner) as tx:
        assert await tx.fetch_value("SELECT body FROM idempotency_keys WHERE owner_id = %s", [owner]) is None


async def test_a_key_is_kept_for_a_day(post: Post, shop: Shop, db: Database, owner: UUID) -> None:
    await post()
    await _age(db, owner, "23 hours 59 minutes")
    assert (await post()).header("idempotent-replayed") == "true"
    await _age(db, owner, "2 minutes")
    assert (await post(name="another body")).status == 201
    assert shop.carried_out == 2


async def test_a_first_request_whose_process_died_blocks_its_key_for_two_minutes(post: Post, shop: Shop, db: Database, owner: UUID) -> None:
    await post()
    async with db.tenant(owner) as tx:
        await tx.execute("UPDATE idempotency_keys SET state = 'running' WHERE owner_id = %s", [owner])
    assert (await post()).code == "idempotency_conflict"
    await _age(db, owner, "121 seconds")
    assert (await post()).status == 201


async def test_a_first_request_that_ends_after_it_was_given_up_does_not_replace_the_second_ones_answer(
    post: Post, shop: Shop, db: Database, owner: UUID
) -> None:
    shop.go_on = asyncio.Event()
    first = asyncio.create_task(post())
    await shop.entered.wait()
    await _age(db, owner, "121 seconds")
    blocked, shop.go_on = shop.go_on, None
    second = await post()
    assert second.json()["number"] == 2
    blocked.set()
    assert (await first).status == 201
    assert (await post()).body == second.body


async def test_a_first_request_that_takes_longer_than_that_keeps_its_key(shop: Shop, db: Database, owner: UUID) -> None:
    declaration = declared("POST", "/things", _nothing, auth="user", idempotent=True)
    shop.go_on = asyncio.Event()

    async def once() -> Response:
        async def run() -> Response:
            return Response(201, str(await shop._work()).encode())

        return await idempotency.once(TenantDatabase(db, owner), declaration, "key", b"request", run, renew_seconds=0.01)

    async def reserved_at() -> datetime:
        async with db.tenant(owner) as tx:
            moment: datetime = await tx.fetch_value("SELECT created_at FROM idempotency_keys WHERE owner_id = %s", [owner])
        return moment

    first = asyncio.create_task(once())
    await shop.entered.wait()
    began = await reserved_at()
    async with asyncio.timeout(20):
        while await reserved_at() == began:
            await asyncio.sleep(0.01)
    with pytest.raises(idempotency.FirstStillRuns):
        await once()
    shop.go_on.set()
    assert (await first).body == (await once()).body == b"1"
    assert shop.carried_out == 1


async def test_an_answer_about_something_that_was_deleted_is_not_replayed(shop: Shop, db: Database, owner: UUID, bearer: Bearer) -> None:
    made: list[UUID] = []

    async def make_topic(call: Call[NewThing]) -> Thing:
        made.append(new_id())
        async with call.db.transaction() as tx:
            await tx.execute(
                "INSERT INTO topics (id, owner_id, name, name_key) VALUES (%s, %s, %s, %s)", [made[-1], owner, str(made[-1]), str(made[-1])]
            )
        return Thing(number=await shop._work(), name=call.body.name)

    app = serving(
        declared("POST", "/t", make_topic, auth="user", body=NewThing, returns=Thing, idempotent=True, subject=lambda _: made[-1])
    )
    headers = {**bearer(owner), "idempotency-key": "k"}
    for _ in range(2):
        assert (await ask(app, "POST", "/t", json={"name": "x"}, headers=headers)).status == 200
    assert shop.carried_out == 1
    async with db.tenant(owner) as tx:
        await tx.execute("DELETE FROM topics WHERE id = %s", [made[0]])
    again = await ask(app, "POST", "/t", json={"name": "x"}, headers=headers)
    assert (again.status, again.header("idempotent-replayed"), shop.carried_out) == (200, None, 2)


async def test_what_is_stored_of_a_request_cannot_be_guessed_from_outside(
    post: Post, db: Database, owner: UUID, with_secret_key: Callable[[str], None]
) -> None:
    async def stored() -> bytes:
        async with db.tenant(owner) as tx:
            request_hash: bytes = await tx.fetch_value("SELECT request_hash FROM idempotency_keys WHERE owner_id = %s", [owner])
        return bytes(request_hash)

    old, new = os.environ["SECRET_KEY"], secrets.token_hex(32)
    assert (await post(name="a password")).status == 201
    before = await stored()
    with_secret_key(f"{new},{old}")  # rotated, still good for what was stored before
    assert (await post(name="a password")).header("idempotent-replayed") == "true"
    async with db.tenant(owner) as tx:
        await tx.execute("DELETE FROM idempotency_keys WHERE owner_id = %s", [owner])
    with_secret_key(new)
    assert (await post(name="a password")).status == 201
    assert await stored() != before


async def test_keys_are_forgotten_after_their_day(post: Post, db: Database, owner: UUID) -> None:
    await post(key="old")
    await _age(db, owner, "24 hours 1 minute")
    await post(key="new")
    assert await idempotency.prune(db) >= 1
    async with db.tenant(owner) as tx:
        assert await tx.fetch_value("SELECT array_agg(key) FROM idempotency_keys") == ["new"]


async def test_what_was_carried_out_is_answered_though_the_answer_cannot_be_kept(tmp_path: Path) -> None:
    postgres = Postgres(tmp_path / "postgres", tmp_path, durable=False)
    await postgres.start()
    await postgres.prepare()
    database, owner = Database(postgres.url(), pool_size=1), new_id()
    async with database.system() as tx:
        await tx.execute("INSERT INTO users (id, email, password_hash) VALUES (%s, 'a@example.org', '!')", [owner])
    declaration = declared("POST", "/things", _nothing, auth="user", idempotent=True)

    async def run() -> Response:
        await postgres.kill()
        return Response(201, b"made")

    try:
        answer = await idempotency.once(TenantDatabase(database, owner), declaration, "key", b"request", run)
        assert (answer.status, answer.body) == (201, b"made")
    finally:
        await database.close()
        await postgres.kill()


async def _nothing(call: Call[None]) -> None:
    """Is not called."""


@pytest.mark.parametrize("key", ["", "x" * 256, "tab\there", "\x7f"])
async def test_a_key_of_another_form_is_422(post: Post, shop: Shop, key: str) -> None:
    heard = await post(key=key)
    assert (heard.status, heard.code) == (422, "validation_failed")
    assert heard.json()["errors"][0]["loc"] == ["header", "Idempotency-Key"]
    assert shop.carried_out == 0


async def test_a_body_that_does_not_fit_does_not_use_the_key_up(shop: Shop, owner: UUID, bearer: Bearer) -> None:
    app, headers = shop.app(), {**bearer(owner), "idempotency-key": secrets.token_hex(8)}
    assert (await ask(app, "POST", "/things", json={"nome": "x"}, headers=headers)).status == 422
    assert (await ask(app, "POST", "/things", json={"name": "x"}, headers=headers)).status == 201


async def _age(db: Database, owner: UUID, by: str) -> None:
    async with db.tenant(owner) as tx:
        await tx.execute("UPDATE idempotency_keys SET created_at = created_at - %s::interval WHERE owner_id = %s", [by, owner])
