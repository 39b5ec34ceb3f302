"""The system in a few numbers, for admins and for Prometheus; of nobody in particular."""

from dataclasses import dataclass

import psycopg

from shared.admin.models import QueueStats, Stats
from shared.config import settings
from shared.db import Database, database
from shared.errors import Unavailable
from shared.events import queues
from shared.events.queues import QueueState
from shared.observability import dependency_checks
from shared.observability.measurements import Metric
from shared.observability.remembered import Remembered, TooSlow, within

REMEMBERED_SECONDS = 5.0
"""What Prometheus, and whoever else asks, gets without asking PostgreSQL again."""


@dataclass(frozen=True)
class _Totals:
    users: int
    documents: int
    bytes: int


_SystemNumbers = tuple[_Totals, list[QueueState]]


async def get(db: Database) -> Stats:
    """As it is now. Accounts that are being deleted count no more. Raises Unavailable."""
    totals, states = await _read(db)
    return Stats(
        users=totals.users,
        documents=totals.documents,
        bytes=totals.bytes,
        queues=[
            QueueStats(
                queue=each.queue, ready=each.ready, running=each.running, dead=each.dead, oldest_seconds=round(each.oldest_seconds, 1)
            )
            for each in states
        ],
    )


async def metrics() -> list[Metric]:
    """The same as a few seconds ago, as far as this process was given what it takes, and what of that responds."""
    found: list[Metric] = []
    given = settings()
    if not given.has("database"):
        return found
    if given.has("store") and given.has("redis"):
        checks = await dependency_checks.check_all()
        found.append(
            Metric(
                "docuvault_dependency_up",
                "gauge",
                "Whether what everything stands on responds and works.",
                [({"dependency": name}, int(check.ok)) for name, check in checks.items()],
            )
        )
    if (await dependency_checks.check_database()).ok and (numbers := await _recent.get()) is not None:
        totals, states = numbers
        found += (
            Metric("docuvault_users", "gauge", "Accounts.", [({}, totals.users)]),
            Metric("docuvault_documents", "gauge", "Documents, those in the trash included.", [({}, totals.documents)]),
            Metric("docuvault_document_bytes", "gauge", "What the documents take.", [({}, totals.bytes)]),
            Metric(
                "docuvault_deliveries",
                "gauge",
                "Deliveries of events that have not ended well, by queue and state.",
                [
                    ({"queue": each.queue, "state": state}, getattr(each, state))
                    for each in states
                    for state in ("ready", "waiting", "running", "dead")
                ],
            ),
            Metric(
                "docuvault_oldest_delivery_seconds",
                "gauge",
                "How long the delivery has waited that has waited longest, by queue; dead ones left out.",
                [({"queue": each.queue}, each.oldest_seconds) for each in states],
            ),
        )
    return found


async def _read(db: Database) -> _SystemNumbers:
    async with db.system() as tx:
        totals = await tx.fetch_one(
            """
            SELECT (SELECT count(*) FROM users WHERE deleted_at IS NULL) AS users,
                coalesce(sum(documents), 0)::bigint AS documents, coalesce(sum(bytes_used), 0)::bigint AS bytes
            FROM account_usage
            """,
            row=_Totals,
        )
        assert totals is not None
        return totals, await queues.states(tx)


async def _numbers() -> _SystemNumbers | None:
    """None if the database does not respond in time."""
    try:
        return await within(dependency_checks.TIMEOUT_SECONDS, _read(database()))
    except (Unavailable, psycopg.Error, TooSlow):
        return None


_recent = Remembered(REMEMBERED_SECONDS, _numbers)
