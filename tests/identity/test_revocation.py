"""Revocations hold after a flush, a restart from a snapshot, and without Redis."""

import asyncio
from uuid import UUID

import pytest
from redis.asyncio import Redis

from infra.local.valkey import Valkey
from shared.config import settings
from shared.db import Database
from shared.errors import Unavailable
from shared.identity import revocation
from shared.identity.revocation import Revocations, session_key
from shared.identity.revocation_copy import MARKER, TOP_UP_SECONDS
from shared.ids import new_id


async def _revoke(db: Database, key: str) -> None:
    """As another process would that could not tell Redis."""
    async with db.system() as tx:
        await tx.execute("INSERT INTO revocations (key, expires_at) VALUES (%(key)s, now() + interval '15 minutes')", {"key": key})


async def test_what_is_not_revoked_passes(view: Revocations) -> None:
    assert not await view.is_revoked(session_key(new_id()))


async def test_a_process_knows_what_was_revoked_before_it_started(view: Revocations, db: Database) -> None:
    key = session_key(new_id())
    await _revoke(db, key)
    assert await view.is_revoked("sid:other", key)


async def test_after_a_flush_no_revoked_token_passes(view: Revocations, db: Database, own_valkey: Valkey) -> None:
    key = session_key(new_id())
    await _revoke(db, key)
    client = Redis.from_url(own_valkey.url)
    assert not await view.is_revoked("sid:warm")
    for _ in range(5):
        await client.flushall()
        assert await view.is_revoked(key)
    await client.aclose()


async def test_a_flush_in_the_middle_of_filling_is_noticed(db: Database, own_valkey: Valkey) -> None:
    keys = [session_key(new_id()) for _ in range(30)]
    for key in keys:
        await _revoke(db, key)
    client = Redis.from_url(own_valkey.url)

    async def flush() -> None:
        for _ in range(60):
            await client.flushall()
            await asyncio.sleep(0)

    async def check() -> None:
        for key in keys:
            view = Revocations(own_valkey.url, db)
            assert await view.is_revoked(key)
            await view.close()

    await asyncio.gather(flush(), check())
    await client.aclose()


async def test_a_server_restarted_from_a_snapshot_is_not_believed(view: Revocations, db: Database, own_valkey: Valkey) -> None:
    assert not await view.is_revoked("sid:warm")
    key = session_key(new_id())
    await _revoke(db, key)
    await own_valkey.kill()
    await own_valkey.start()
    client = Redis.from_url(own_valkey.url)
    # As in a snapshot: the marker of the server's earlier life.
    await client.set(MARKER, view._copy._run_id)
    assert await view.is_revoked(key)
    await client.aclose()


async def test_without_redis_postgresql_is_asked(view: Revocations, db: Database, own_valkey: Valkey) -> None:
    assert not await view.is_revoked("sid:warm")
    key = session_key(new_id())
    await _revoke(db, key)
    await own_valkey.kill()
    assert await view.is_revoked(key)
    assert not await view.is_revoked(session_key(new_id()))


async def test_without_either_the_call_fails_closed(own_valkey: Valkey) -> None:
    nowhere = Database("postgresql://nobody@127.0.0.1:1/none")
    nowhere._pool.timeout = 0.2
    view = Revocations("redis://127.0.0.1:1", nowhere)
    with pytest.raises(Unavailable):
        await view.is_revoked("sid:any")
    await nowhere.close()


async def test_what_this_process_revoked_is_refused_at_once_and_elsewhere_once_propagated(
    db: Database, own_valkey: Valkey, owner: UUID
) -> None:
    here, elsewhere = Revocations(own_valkey.url, db), Revocations(own_valkey.url, db)
    key = session_key(new_id())
    assert not await elsewhere.is_revoked(key)
    await _revoke(db, key)
    here.propagate([key])
    assert await here.is_revoked(key)
    await here.close()
    await elsewhere.close()


async def test_what_a_process_could_not_tell_redis_before_it_died_is_known_within_half_a_minute(view: Revocations, db: Database) -> None:
    keys = [session_key(new_id()) for _ in range(3)]
    assert not await view.is_revoked(keys[0])
    for key in keys:
        await _revoke(db, key)
    assert not await view.is_revoked(keys[0])
    view._copy._filled_at -= TOP_UP_SECONDS + 1
    assert [await view.is_revoked(key) for key in keys] == [True] * 3


async def test_a_thousand_revocations_are_copied(view: Revocations, db: Database) -> None:
    keys = [session_key(new_id()) for _ in range(1200)]
    async with db.system() as tx:
        await tx.execute(
            "INSERT INTO revocations SELECT key, now() + interval '15 minutes' FROM unnest(%(keys)s::text[]) AS key", {"keys": keys}
        )
    assert all(await asyncio.gather(*(view.is_revoked(key) for key in keys)))


async def test_ending_a_session_does_not_wait_for_a_redis_that_is_known_to_be_gone(db: Database) -> None:
    view = Revocations("redis://127.0.0.1:1", db)
    assert not await view.is_revoked("sid:any")
    view._failing = True
    view._tried.set()
    view._own["sid:x"] = asyncio.get_running_loop().time() + 60
    view._unsent.add("sid:x")
    await asyncio.wait_for(view.propagated(), 0.1)
    assert await view.is_revoked("sid:x")


async def test_a_fresh_process_asks_postgresql_first(db: Database, caplog: pytest.LogCaptureFixture) -> None:
    view, key = Revocations("redis://127.0.0.1:1", db, postponed=60), session_key(new_id())
    await _revoke(db, key)
    assert await view.is_revoked(key)
    assert not await view.is_revoked("sid:any")
    assert "Redis cannot be used" not in caplog.text


async def test_recording_and_settling_reaches_the_shared_redis(db: Database) -> None:
    key = session_key(new_id())
    assert not await revocation.revocations().is_revoked(key)
    async with db.system() as tx:
        await revocation.record(tx, [key])
    await revocation.propagated()
    elsewhere = Revocations(settings().redis_url, db)
    assert await elsewhere.is_revoked(key)
    await elsewhere.close()


async def test_many_checks_at_once_share_their_round_trips(view: Revocations, db: Database, own_valkey: Valkey) -> None:
    await view.is_revoked("sid:warm")
    client = Redis.from_url(own_valkey.url)
    before = (await client.info("commandstats"))["cmdstat_mget"]["calls"]
    await asyncio.gather(*(view.is_revoked(f"sid:{number}") for number in range(1000)))
    after = (await client.info("commandstats"))["cmdstat_mget"]["calls"]
    assert after - before <= 3
    await client.aclose()
