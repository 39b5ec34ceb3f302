"""What is dead goes; what lives, or is still needed to say no, stays. Where nobody else prunes: what they are at would be passed over."""

import asyncio

from shared.db import Database
from shared.events import pruning as event_pruning
from shared.events import publish
from shared.events.catalogue import EmailRequested
from shared.identity import pruning, sessions
from shared.identity.client import Client
from shared.ids import new_id


async def test_expired_sessions_go_and_living_ones_stay(own_instance: Database, browser: Client) -> None:
    owner = new_id()
    async with own_instance.system() as tx:
        await tx.execute("INSERT INTO users (id, email, password_hash) VALUES (%s, 'a@example.org', '!')", (owner,))
        living, _ = await sessions.create(tx, owner, browser)
        expired, _ = await sessions.create(tx, owner, browser)
        ended, _ = await sessions.create(tx, owner, browser)
        await tx.execute("UPDATE sessions SET expires_at = now() - interval '1 second' WHERE id = %s", (expired,))
        await tx.execute("UPDATE sessions SET ended_at = now() - interval '1 day' WHERE id = %s", (ended,))
    assert await pruning.prune(own_instance) == 1
    async with own_instance.system() as tx:
        left = await tx.fetch_value("SELECT array_agg(id) FROM sessions WHERE user_id = %s", (owner,))
    assert set(left) == {living, ended}


async def test_pruning_does_not_wait_for_somebody_who_is_just_signing_in(own_instance: Database) -> None:
    places = [new_id().bytes, new_id().bytes]
    async with own_instance.system() as tx:
        await tx.execute(
            "INSERT INTO attempts SELECT bucket, 1, now(), NULL, now() - interval '2 days' FROM unnest(%s::bytea[]) AS bucket", (places,)
        )
    async with own_instance.system() as signing_in:
        # One of the two places that a sign-in locks, one after the other: pruning would hold the other and wait for this one.
        await signing_in.execute("SELECT FROM attempts WHERE bucket = %s FOR UPDATE", (places[0],))
        async with asyncio.timeout(10):
            await pruning.prune(own_instance)
    async with own_instance.system() as tx:
        assert await tx.fetch_value("SELECT array_agg(bucket) FROM attempts WHERE bucket = ANY(%s)", (places,)) == places[:1]
    await pruning.prune(own_instance)
    async with own_instance.system() as tx:
        assert await tx.fetch_value("SELECT count(*) FROM attempts WHERE bucket = ANY(%s)", (places,)) == 0


async def test_revocations_go_once_no_token_can_need_them(own_instance: Database) -> None:
    old, new = f"sid:{new_id()}", f"sid:{new_id()}"
    async with own_instance.system() as tx:
        await tx.execute(
            "INSERT INTO revocations VALUES (%(old)s, now() - interval '1 second'), (%(new)s, now() + interval '1 minute')",
            {"old": old, "new": new},
        )
    await pruning.prune(own_instance)
    async with own_instance.system() as tx:
        left = await tx.fetch_value("SELECT array_agg(key) FROM revocations WHERE key IN (%s, %s)", (old, new))
    assert left == [new]


async def test_deliveries_go_a_week_after_they_were_done_and_dead_letters_stay(db: Database) -> None:
    async with db.system() as tx:
        events = [
            await publish(tx, EmailRequested(owner_id=None, mail_id=new_id())),
            await publish(tx, EmailRequested(owner_id=None, mail_id=new_id())),
        ]
        await tx.execute("UPDATE events SET created_at = now() - interval '8 days' WHERE id = ANY(%s)", (events,))
        for event, state in zip(events, ("done", "dead"), strict=True):
            await tx.execute(
                "UPDATE deliveries SET state = %s, finished_at = now() - interval '8 days' WHERE event_id = %s", (state, event)
            )
    await event_pruning.prune(db)
    async with db.system() as tx:
        assert await tx.fetch_value("SELECT array_agg(id) FROM events WHERE id = ANY(%s)", (events,)) == events[1:]
        assert await tx.fetch_value("SELECT count(*) FROM deliveries WHERE event_id = ANY(%s)", (events,)) == 1
