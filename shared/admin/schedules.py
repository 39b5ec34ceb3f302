"""What runs by the clock: when it ran last, how that went, when it is due; and running it now."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from shared import audit
from shared.admin.models import Schedule
from shared.audit import AuditAction, Caller
from shared.clock import now
from shared.db import Database, Transaction
from shared.errors import NotFound
from shared.events import publish
from shared.events.catalogue import Tick
from shared.events.subscriptions import SCHEDULES


@dataclass(frozen=True)
class _LastRun:
    name: str
    started_at: datetime | None
    duration_ms: int | None
    outcome: Literal["done", "failed", "running"]


async def get_all(db: Database, schedules: Mapping[str, str] = SCHEDULES) -> list[Schedule]:
    """Every schedule, by name."""
    async with db.system() as tx:
        runs = await _last_runs(tx, list(schedules))
    return [_shown(name, cron, runs.get(name)) for name, cron in sorted(schedules.items())]


async def run(db: Database, caller: Caller, name: str, schedules: Mapping[str, str] = SCHEDULES) -> Schedule:
    """Has the schedule run now; nothing more if it waits to be run already. Raises NotFound."""
    if name not in schedules:
        raise NotFound("There is no such schedule.")
    async with db.system() as tx:
        await tx.execute("SELECT pg_advisory_xact_lock(hashtextextended('run schedule ' || %(name)s, 0))", {"name": name})
        waits = await tx.fetch_value(
            "SELECT EXISTS (SELECT FROM deliveries WHERE queue = 'system' AND function = %(name)s AND state IN ('ready', 'running'))",
            {"name": name},
        )
        if not waits:
            await publish(tx, Tick(name=name, tick=now()))
        await audit.record(tx, AuditAction.ADMIN_SCHEDULE_RUN, actor=caller.user_id, owner=caller.user_id, target=name, origin=caller)
        runs = await _last_runs(tx, [name])
    return _shown(name, schedules[name], runs.get(name))


async def _last_runs(tx: Transaction, names: list[str]) -> dict[str, _LastRun]:
    """The last run of each that has begun, as the brokers saw it. What was done a week ago is forgotten."""
    rows = await tx.fetch_all(
        """
        SELECT schedule.name, last.started_at,
            (extract(epoch FROM last.finished_at - last.started_at) * 1000)::integer AS duration_ms,
            CASE last.state WHEN 'done' THEN 'done' WHEN 'running' THEN 'running' ELSE 'failed' END AS outcome
        FROM unnest(%(names)s::text[]) AS schedule (name)
        CROSS JOIN LATERAL (
            SELECT state, started_at, finished_at FROM deliveries
            WHERE queue = 'system' AND function = schedule.name AND started_at IS NOT NULL
            ORDER BY id DESC LIMIT 1
        ) AS last
        """,
        {"names": names},
        row=_LastRun,
    )
    return {row.name: row for row in rows}


def _shown(name: str, cron: str, last: _LastRun | None) -> Schedule:
    return Schedule(
        name=name,
        schedule=cron,
        last_run_at=last.started_at if last else None,
        last_duration_ms=last.duration_ms if last else None,
        last_outcome=last.outcome if last else None,
        next_run_at=next_tick(cron, now()),
    )


def next_tick(cron: str, moment: datetime) -> datetime:
    """The first tick after `moment`, in UTC."""
    from apscheduler.triggers.cron import CronTrigger  # type: ignore[import-untyped]

    trigger = CronTrigger.from_crontab(cron, timezone=UTC)
    tick: datetime | None = trigger.get_next_fire_time(None, moment + timedelta(microseconds=1))
    return tick if tick is not None else moment + timedelta(days=1)
