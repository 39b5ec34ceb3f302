"""Changes to one account at once wait for one another, and never for each other."""

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest
from argon2 import PasswordHasher

from shared.db import Database
from shared.identity import accounts, one_time, password_change, passwords, resets, second_factor, sign_in, throttle, token_list
from shared.identity.client import Client
from shared.identity.errors import InvalidCredentials
from shared.ids import new_id
from shared.keys import base64url
from tests.identity.authenticator import challenge, enrol
from tests.identity.browser import Browser, new_person
from tests.identity.waiting import until_others_wait

NEW = "a wholly different secret"


async def test_a_second_factor_and_a_change_of_password_at_once_both_end(db: Database, browser: Client) -> None:
    person = await new_person()
    app, _ = await enrol(db, person)
    token = await challenge(person, Browser())
    async with db.system() as holding:
        await accounts.lock(holding, UUID(person.id))
        changing = asyncio.create_task(password_change.change(db, browser, UUID(person.id), None, person.password, NEW))
        await until_others_wait(db, holding, 1)
        answering = asyncio.create_task(second_factor.verify(db, browser, token, code=app.code(), backup_code=None))
        await until_others_wait(db, holding, 2)
    outcomes = await asyncio.gather(changing, answering, return_exceptions=True)
    # The change made the challenge void.
    assert [type(outcome).__name__ for outcome in outcomes] == ["str", "InvalidCode"]


async def test_a_reset_and_a_change_of_password_at_once_both_end(db: Database, browser: Client) -> None:
    person = await new_person()
    token = base64url(new_id().bytes)
    async with db.system() as tx:
        await one_time.grant(tx, token, UUID(person.id), "password_reset", timedelta(hours=1))
    async with db.system() as holding:
        await accounts.lock(holding, UUID(person.id))
        changing = asyncio.create_task(password_change.change(db, browser, UUID(person.id), None, person.password, NEW))
        await until_others_wait(db, holding, 1)
        resetting = asyncio.create_task(resets.reset(db, browser, token, f"{NEW} by link"))
        await until_others_wait(db, holding, 2)
    outcomes = await asyncio.gather(changing, resetting, return_exceptions=True)
    # The change made the link void.
    assert [type(outcome).__name__ for outcome in outcomes] == ["str", "InvalidToken"]


async def test_no_api_token_slips_in_while_a_reset_ends_them_all(db: Database, browser: Client) -> None:
    person = await new_person()
    token = base64url(new_id().bytes)
    async with db.system() as tx:
        await one_time.grant(tx, token, UUID(person.id), "password_reset", timedelta(hours=1))
        session_id = await tx.fetch_value("SELECT id FROM sessions WHERE user_id = %s", (person.id,))
    async with db.system() as holding:
        await accounts.lock(holding, UUID(person.id))
        resetting = asyncio.create_task(resets.reset(db, browser, token, NEW))
        await until_others_wait(db, holding, 1)
        making = asyncio.create_task(
            token_list.create(db, browser, UUID(person.id), session_id, name="x", scopes=["account:read"], expires_at=None)
        )
        await until_others_wait(db, holding, 2)
    outcomes = await asyncio.gather(resetting, making, return_exceptions=True)
    assert [type(outcome).__name__ for outcome in outcomes] == ["NoneType", "Unauthenticated"]
    async with db.system() as tx:
        assert await tx.fetch_value("SELECT count(*) FROM api_tokens WHERE user_id = %s", (person.id,)) == 0


async def test_sign_ins_at_once_all_succeed_though_the_first_replaces_the_hash(db: Database, browser: Client) -> None:
    person = await new_person()
    async with db.system() as tx:
        old = PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1).hash(person.password)
        assert await accounts.store_password(tx, UUID(person.id), old)
    async with db.system() as holding:
        await accounts.lock(holding, UUID(person.id))
        signing_in = [asyncio.create_task(sign_in.with_password(db, browser, person.email, person.password)) for _ in range(2)]
        # Both have found the password right.
        await until_others_wait(db, holding, 2)
    assert [type(outcome).__name__ for outcome in await asyncio.gather(*signing_in, return_exceptions=True)] == ["SignedIn"] * 2


async def test_a_sign_in_with_a_password_that_was_changed_meanwhile_is_refused(db: Database, browser: Client) -> None:
    person = await new_person()
    other = await passwords.hash_password(NEW)
    async with db.system() as holding:
        await accounts.lock(holding, UUID(person.id))
        assert await accounts.store_password(holding, UUID(person.id), other)
        signing_in = asyncio.create_task(sign_in.with_password(db, browser, person.email, person.password))
        await until_others_wait(db, holding, 1)
    with pytest.raises(InvalidCredentials):
        await signing_in


async def test_of_many_first_guesses_at_once_each_waits_for_the_one_before(db: Database, browser: Client) -> None:
    counted = throttle.buckets("password", f"{new_id().hex}@example.org", browser, owner=None)

    async def guess() -> int:
        async with db.system() as tx:
            standing = await throttle.standing(tx, counted, lock=True)
            await throttle.count_failure(tx, counted, standing)
            return standing.wait_seconds

    async with db.system() as tx:
        first = await throttle.standing(tx, counted, lock=True)
        guesses = [asyncio.create_task(guess()) for _ in range(4)]
        await until_others_wait(db, tx, 4)
        for _ in range(throttle.FREE + 1):
            await throttle.count_failure(tx, counted, first)
    assert all(await asyncio.gather(*guesses))
