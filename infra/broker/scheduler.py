"""The clock: publishes `schedule.{name}` events at the ticks of the schedules that functions declare, in UTC.

A tick is published once however many brokers run: only the one that advances `schedule_ticks` publishes, with the key `name@tick`. The last
tick missed while everything was down is published on start; a schedule seen for the first time starts with its next tick. While a tick
waits to be taken up, the following ones are passed over, and one that failed and waits for its next try is superseded by the tick after it:
one run makes up for all of them. The time is PostgreSQL's: brokers' own clocks may differ.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

import psycopg
from apscheduler.triggers.cron import CronTrigger  # type: ignore[import-untyped]

from infra.broker import deliveries
from shared.admin.schedules import next_tick
from shared.db import Database, Transaction
from shared.errors import Unavailable
from shared.events import publish
from shared.events.catalogue import Tick
from shared.events.subscriptions import SCHEDULES, SUBSCRIPTIONS, Subscription

log = logging.getLogger("docuvault.broker")

RETRY_SECONDS = 1.0
LONGEST_SLEEP_SECONDS = 30.0
"""The wall clock may be set while we sleep."""
_LOOK_BACK = tuple(timedelta(days=days) for days in (1 / 24, 1, 8, 32, 366))


class Clock:
    """Publishes ticks until cancelled; `published` is called after each that made an event."""

    def __init__(
        self,
        database: Database,
        published: Callable[[], None],
        schedules: Mapping[str, str] = SCHEDULES,
        subscriptions: Mapping[str, tuple[Subscription, ...]] = SUBSCRIPTIONS,
    ) -> None:
        self._database = database
        self._published = published
        self._schedules = schedules
        self._triggers = {name: CronTrigger.from_crontab(cron, timezone=UTC) for name, cron in schedules.items()}
        self._subscriptions = subscriptions

    async def run(self) -> None:
        """Runs until cancelled."""
        while True:
            try:
                async with self._database.system() as tx:
                    moment: datetime = await tx.fetch_value("SELECT clock_timestamp()")
                for name in self._triggers:
                    await self.publish_due(name, moment)
            except (Unavailable, psycopg.Error) as lost:
                log.warning("ticks wait for the database", extra={"fields": {"reason": str(lost)}})
                await asyncio.sleep(RETRY_SECONDS)
                continue
            following = min((next_tick(cron, moment) for cron in self._schedules.values()), default=moment + timedelta(days=1))
            await asyncio.sleep(min((following - moment).total_seconds(), LONGEST_SLEEP_SECONDS))

    async def publish_due(self, name: str, moment: datetime) -> bool:
        """Publishes the latest tick of `name` up to `moment` unless it was published before; whether it did. Raises Unavailable."""
        tick = last_tick(self._triggers[name], moment)
        if tick is None:
            return False
        async with self._database.system(deliveries.SETTINGS) as tx:
            previous: datetime | None = await tx.fetch_value("SELECT last_tick FROM schedule_ticks WHERE name = %(name)s", {"name": name})
            if previous is not None and previous >= tick:
                if previous > moment:
                    # The clock ran ahead and was set right. What is published again by that has a key that is taken.
                    await tx.execute(
                        "UPDATE schedule_ticks SET last_tick = %(tick)s WHERE name = %(name)s AND last_tick = %(previous)s",
                        {"name": name, "tick": tick, "previous": previous},
                    )
                return False
            advanced = await tx.execute(
                """
                INSERT INTO schedule_ticks (name, last_tick) VALUES (%(name)s, %(tick)s)
                ON CONFLICT (name) DO UPDATE SET last_tick = excluded.last_tick WHERE schedule_ticks.last_tick < excluded.last_tick
                """,
                {"name": name, "tick": tick},
            )
            if not advanced or previous is None:
                return False
            event = Tick(name=name, tick=tick)
            queues = [target.queue for target in self._subscriptions.get(event.type, ())]
            if await _still_waits(tx, name, queues):
                return False
            await _supersede(tx, name)
            published = await publish(tx, event, subscriptions=self._subscriptions)
        if published is not None:
            self._published()
        return published is not None


async def _still_waits(tx: Transaction, name: str, queues: list[str]) -> bool:
    """Whether an earlier tick has not been taken up yet: with functions unreachable for hours, ticks do not pile up."""
    # By queue and lane, so that however much else is ready is not read.
    waiting: bool = await tx.fetch_value(
        """
        SELECT EXISTS (
            SELECT FROM deliveries
            WHERE state = 'ready' AND queue = ANY (%(queues)s) AND lane = '00000000-0000-0000-0000-000000000000' AND function = %(name)s
        )
        """,
        {"name": name, "queues": queues},
    )
    return waiting


async def _supersede(tx: Transaction, name: str) -> None:
    """Ends earlier ticks that failed and wait for another try: through a long outage they would pile up, and end as dead letters."""
    await tx.execute(
        """
        UPDATE deliveries SET state = 'done', finished_at = now()
        WHERE id = ANY (ARRAY(
            SELECT id FROM deliveries WHERE state = 'waiting' AND function = %(name)s AND owner_id IS NULL FOR UPDATE SKIP LOCKED
        ))
        """,
        {"name": name},
    )


def last_tick(trigger: CronTrigger, moment: datetime) -> datetime | None:
    """The latest tick up to and including `moment`, or None if there was none in a year."""
    for window in _LOOK_BACK:
        latest: datetime | None = None
        tick: datetime | None = trigger.get_next_fire_time(None, moment - window)
        while tick is not None and tick <= moment:
            latest = tick
            tick = trigger.get_next_fire_time(tick, tick + timedelta(microseconds=1))
        if latest is not None:
            return latest
    return None
