"""Refresh tokens under real concurrency, and over a rotation of SECRET_KEY."""

import asyncio
import base64
import os
from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

import pytest

from shared import keys
from shared.db import Database
from shared.identity import revocation, sessions
from shared.identity.client import Client
from shared.identity.sessions import Rotation, RotationOutcome


async def _new(db: Database, owner: UUID, browser: Client) -> str:
    async with db.system() as tx:
        _, token = await sessions.create(tx, owner, browser)
    return token


async def _rotate(db: Database, token: str, browser: Client) -> Rotation:
    async with db.system() as tx:
        return await sessions.rotate(tx, token, browser)


async def test_two_hundred_sessions_refresh_at_once_and_none_is_lost(db: Database, owner: UUID, browser: Client) -> None:
    tokens = [await _new(db, owner, browser) for _ in range(200)]
    for _ in range(3):
        rotations = await asyncio.gather(*(_rotate(db, token, browser) for token in tokens))
        assert {rotation.outcome for rotation in rotations} == {RotationOutcome.ROTATED}
        renewed = [rotation.token for rotation in rotations if rotation.token]
        assert len(set(renewed)) == 200
        tokens = renewed


async def test_many_tabs_at_once_get_one_successor(db: Database, owner: UUID, browser: Client) -> None:
    token = await _new(db, owner, browser)
    for _ in range(5):
        rotations = await asyncio.gather(*(_rotate(db, token, browser) for _ in range(12)))
        successors = {rotation.token for rotation in rotations}
        assert len(successors) == 1
        found = successors.pop()
        assert found is not None
        token = found


async def test_once_the_successor_is_used_the_predecessor_is_a_thiefs(db: Database, owner: UUID, browser: Client) -> None:
    first = await _new(db, owner, browser)
    second = (await _rotate(db, first, browser)).token
    assert second is not None
    third = (await _rotate(db, second, browser)).token
    assert third is not None
    assert (await _rotate(db, first, browser)).outcome is RotationOutcome.REUSED
    assert (await _rotate(db, third, browser)).outcome is RotationOutcome.ENDED
    async with db.system() as tx:
        session = sessions.parse(first)
        assert session is not None
        key = revocation.session_key(session.session_id)
        assert await tx.fetch_value("SELECT count(*) FROM revocations WHERE key = %s", (key,)) == 1


async def test_owner_and_thief_at_once_end_with_nobody_signed_in_twice(db: Database, owner: UUID, browser: Client) -> None:
    """Whoever comes second with a spent token ends the session: at most one line of successors lives on."""
    thief = Client("198.51.100.1", "Thief", "xx")
    for _ in range(5):
        stolen = await _new(db, owner, browser)
        a, b = await asyncio.gather(_rotate(db, stolen, browser), _rotate(db, stolen, thief))
        assert a.token == b.token
        assert a.token is not None
        first, second = await asyncio.gather(_rotate(db, a.token, browser), _rotate(db, a.token, thief))
        assert first.token == second.token
        assert first.token is not None
        # From here on the two part: the one goes on, the other comes back with what it has.
        await _rotate(db, first.token, browser)
        assert (await _rotate(db, a.token, thief)).outcome is RotationOutcome.REUSED


async def test_a_made_up_token_ends_nothing(db: Database, owner: UUID, browser: Client) -> None:
    token = await _new(db, owner, browser)
    raw = keys.from_base64url(token)
    assert raw is not None
    for position in (0, 16, 20, 40, 60):
        forged = bytearray(raw)
        forged[position] ^= 1
        assert (await _rotate(db, keys.base64url(bytes(forged)), browser)).outcome is RotationOutcome.UNKNOWN
    assert (await _rotate(db, token, browser)).outcome is RotationOutcome.ROTATED


async def test_a_session_that_was_not_used_for_thirty_days_is_over(db: Database, owner: UUID, browser: Client) -> None:
    token = await _new(db, owner, browser)
    async with db.system() as tx:
        assert await tx.fetch_value("SELECT expires_at - created_at = interval '30 days' FROM sessions WHERE user_id = %s", (owner,))
        await tx.execute("UPDATE sessions SET expires_at = now() WHERE user_id = %s", (owner,))
    assert (await _rotate(db, token, browser)).outcome is RotationOutcome.EXPIRED


@pytest.mark.parametrize(("age", "lasts"), [(59, 30), (61, 29), (89, 1)])
async def test_a_session_is_over_ninety_days_after_its_sign_in_however_much_it_is_used(
    db: Database, owner: UUID, browser: Client, age: int, lasts: int
) -> None:
    token = await _new(db, owner, browser)
    async with db.system() as tx:
        await tx.execute("UPDATE sessions SET created_at = now() - %s * interval '1 day' WHERE user_id = %s", (age, owner))
        rotated = await sessions.rotate(tx, token, browser)
        left = await tx.fetch_value("SELECT expires_at - now() FROM sessions WHERE user_id = %s", (owner,))
    assert rotated.outcome is RotationOutcome.ROTATED
    assert left == timedelta(days=lasts)


async def test_tokens_are_stored_as_hashes_only(db: Database, owner: UUID, browser: Client) -> None:
    token = await _new(db, owner, browser)
    successor = (await _rotate(db, token, browser)).token
    assert successor is not None
    raw = [keys.from_base64url(text) for text in (token, successor)]
    async with db.system() as tx:
        row = await tx.fetch_value("SELECT s::text FROM sessions AS s WHERE user_id = %s", (owner,))
    for text, data in zip((token, successor), raw, strict=True):
        assert data is not None
        assert text not in row
        assert data[20:52].hex() not in row


async def test_the_second_tab_gets_the_successor_also_while_the_key_rotates(
    db: Database, owner: UUID, browser: Client, with_secret_key: Callable[[str], None]
) -> None:
    old = os.environ["SECRET_KEY"]
    token = await _new(db, owner, browser)
    first = await _rotate(db, token, browser)
    with_secret_key(f"{base64.b64encode(os.urandom(32)).decode()},{old}")
    second = await _rotate(db, token, browser)
    assert first.token == second.token
    assert second.token is not None
    assert (await _rotate(db, second.token, browser)).outcome is RotationOutcome.ROTATED
