"""How full the queues of deliveries are (system transaction)."""

from dataclasses import dataclass

from shared.db import Transaction
from shared.time_budgets import DELIVERY_SECONDS


@dataclass(frozen=True)
class QueueState:
    """Deliveries of one queue: to be made now, after a pause (they failed), under way, given up; `oldest_seconds`: how long the one that
    has waited longest for its end has; 0 if there is none."""

    queue: str
    ready: int = 0
    waiting: int = 0
    running: int = 0
    dead: int = 0
    oldest_seconds: float = 0.0


async def states(tx: Transaction) -> list[QueueState]:
    """Of every queue, in their usual order."""
    # By a state each, so that the partial indexes are used: what is done is by far the most.
    each = " UNION ALL ".join(
        f"SELECT queue, '{state}' AS state, created_at FROM deliveries WHERE state = '{state}'"
        for state in ("ready", "waiting", "running", "dead")
    )
    rows = await tx.fetch_all(
        f"""
        SELECT queue, count(*) FILTER (WHERE state = 'ready') AS ready, count(*) FILTER (WHERE state = 'waiting') AS waiting,
            count(*) FILTER (WHERE state = 'running') AS running, count(*) FILTER (WHERE state = 'dead') AS dead,
            coalesce(greatest(extract(epoch FROM now() - min(created_at) FILTER (WHERE state <> 'dead')), 0), 0)::float8 AS oldest_seconds
        FROM ({each}) AS open
        GROUP BY queue
        """,
        row=QueueState,
    )
    known = {row.queue: row for row in rows}
    return [known.get(queue) or QueueState(queue) for queue in DELIVERY_SECONDS]
