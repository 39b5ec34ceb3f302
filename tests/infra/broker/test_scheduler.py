"""Ticks are published once however many brokers run, and the last one missed is made up for."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from apscheduler.triggers.cron import CronTrigger  # type: ignore[import-untyped]

from infra.broker.cancellation import end
from infra.broker.deliveries import SETTINGS
from infra.broker.scheduler import Clock, _still_waits, _supersede, last_tick
from shared.admin.schedules import next_tick
from shared.clock import now
from shared.db import Database
from shared.events.subscriptions import Subscription
from shared.ids import new_id
from tests.infra.broker.conftest import Outbox, rows_read
from tests.infra.broker.waiting import until

NOON = datetime(2026, 11, 24, 12, 0, 30, tzinfo=UTC)
SUBSCRIPTIONS = {"schedule.sweep": (Subscription("sweep", "system"),)}


def clock_of(outbox: Outbox, cron: str = "*/30 * * * *", database: Database | None = None) -> Clock:
    return Clock(database or outbox.database, lambda: None, {"sweep": cron}, SUBSCRIPTIONS)


@pytest.mark.parametrize(
    ("cron", "last", "following"),
    [
        ("* * * * *", "2026-11-24T12:00:00", "2026-11-24T12:01:00"),
        ("*/30 * * * *", "2026-11-24T12:00:00", "2026-11-24T12:30:00"),
        ("0 0 * * *", "2026-11-24T00:00:00", "2026-11-25T00:00:00"),
        ("0 3 * * mon", "2026-11-23T03:00:00", "2026-11-30T03:00:00"),
        ("0 0 1 1 *", "2026-01-01T00:00:00", "2027-01-01T00:00:00"),
    ],
)
def test_ticks_follow_the_schedule_in_utc(cron: str, last: str, following: str) -> None:
    trigger = CronTrigger.from_crontab(cron, timezone=UTC)
    assert last_tick(trigger, NOON) == datetime.fromisoformat(last).replace(tzinfo=UTC)
    assert next_tick(cron, NOON) == datetime.fromisoformat(following).replace(tzinfo=UTC)


def test_a_moment_that_is_a_tick_counts_as_reached() -> None:
    cron = "0 12 * * *"
    noon = NOON.replace(second=0)
    assert last_tick(CronTrigger.from_crontab(cron, timezone=UTC), noon) == noon
    assert next_tick(cron, noon) == noon + timedelta(days=1)


async def test_a_new_schedule_starts_with_its_next_tick(outbox: Outbox) -> None:
    clock = clock_of(outbox)
    assert not await clock.publish_due("sweep", NOON)
    assert not await clock.publish_due("sweep", NOON + timedelta(minutes=1))
    assert await clock.publish_due("sweep", NOON + timedelta(minutes=30))
    row = await outbox.one()
    assert (row["function"], row["queue"], row["owner_id"]) == ("sweep", "system", None)
    assert await outbox.value("SELECT dedup_key FROM events") == "sweep@2026-11-24T12:30:00Z"
    assert await outbox.value("SELECT data FROM events") == {"tick": "2026-11-24T12:30:00Z"}


async def test_of_ticks_missed_while_everything_was_down_the_last_one_is_published(outbox: Outbox) -> None:
    await clock_of(outbox).publish_due("sweep", NOON)
    after_outage = NOON + timedelta(days=3, minutes=45)
    assert await clock_of(outbox).publish_due("sweep", after_outage)
    assert not await clock_of(outbox).publish_due("sweep", after_outage)
    assert await outbox.value("SELECT dedup_key FROM events") == "sweep@2026-11-27T12:30:00Z"


async def test_replicas_publish_a_tick_once(outbox: Outbox) -> None:
    await clock_of(outbox).publish_due("sweep", NOON)
    replicas = [Database(outbox.url) for _ in range(5)]
    published = await asyncio.gather(
        *[clock_of(outbox, database=database).publish_due("sweep", NOON + timedelta(hours=1)) for database in replicas]
    )
    assert sorted(published) == [False, False, False, False, True]
    assert await outbox.states() == {"ready": 1}
    for database in replicas:
        await database.close()


async def test_a_clock_set_back_publishes_nothing_twice(outbox: Outbox) -> None:
    clock = clock_of(outbox)
    await clock.publish_due("sweep", NOON)
    await clock.publish_due("sweep", NOON + timedelta(hours=2))
    assert not await clock.publish_due("sweep", NOON + timedelta(hours=1))
    assert not await clock.publish_due("sweep", NOON + timedelta(hours=2))


async def test_ticks_do_not_pile_up_while_nobody_takes_them(outbox: Outbox) -> None:
    clock = clock_of(outbox)
    await clock.publish_due("sweep", NOON)
    published = [await clock.publish_due("sweep", NOON + timedelta(minutes=30 * number)) for number in range(1, 5)]
    assert published == [True, False, False, False]
    await outbox.execute("UPDATE deliveries SET state = 'done'")
    assert await clock.publish_due("sweep", NOON + timedelta(hours=5))


async def test_a_tick_that_waits_for_another_try_is_superseded_by_the_next(outbox: Outbox) -> None:
    clock = clock_of(outbox)
    await clock.publish_due("sweep", NOON)
    for number in range(1, 4):
        assert await clock.publish_due("sweep", NOON + timedelta(minutes=30 * number))
        assert await outbox.states() == {"ready": 1} | ({"done": number - 1} if number > 1 else {})
        await outbox.execute("UPDATE deliveries SET state = 'waiting', available_at = now() + interval '1 hour' WHERE state = 'ready'")


async def test_a_superseded_tick_takes_no_other_delivery_with_it(outbox: Outbox) -> None:
    clock = clock_of(outbox)
    await clock.publish_due("sweep", NOON)
    await outbox.publish("other", queue="system")
    await outbox.publish("sweep", queue="system", owner=new_id())
    await outbox.execute("UPDATE deliveries SET state = 'waiting', available_at = now() + interval '1 hour'")
    assert await clock.publish_due("sweep", NOON + timedelta(minutes=30))
    assert await outbox.states() == {"waiting": 2, "ready": 1}


async def test_a_clock_that_ran_a_year_ahead_and_was_set_right_holds_up_no_schedule(outbox: Outbox) -> None:
    clock = clock_of(outbox)
    await clock.publish_due("sweep", NOON)
    assert await clock.publish_due("sweep", NOON + timedelta(days=365))
    await outbox.execute("UPDATE deliveries SET state = 'done'")
    assert not await clock.publish_due("sweep", NOON + timedelta(minutes=1))
    assert await clock.publish_due("sweep", NOON + timedelta(minutes=30))
    assert await outbox.value("SELECT count(*) FROM events WHERE dedup_key = 'sweep@2026-11-24T12:30:00Z'") == 1


async def test_a_tick_reads_nothing_of_what_else_was_published(outbox: Outbox) -> None:
    await outbox.fill(20_000, "done")
    await outbox.fill(20_000, "ready")
    async with outbox.database.system(SETTINGS) as tx:
        before = await rows_read(tx)
        assert not await _still_waits(tx, "sweep", ["system"])
        await _supersede(tx, "sweep")
        assert await rows_read(tx) - before < 10


async def test_a_running_clock_makes_up_for_the_missed_tick_on_start(outbox: Outbox) -> None:
    await clock_of(outbox).publish_due("sweep", now() - timedelta(hours=2))
    woken = asyncio.Event()
    task = asyncio.create_task(Clock(outbox.database, woken.set, {"sweep": "*/30 * * * *"}, SUBSCRIPTIONS).run())
    await asyncio.wait_for(woken.wait(), 60)
    await end([task])

    async def published() -> bool:
        return await outbox.states() == {"ready": 1}

    await until(published)
