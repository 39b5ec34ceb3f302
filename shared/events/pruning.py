"""Removing what was delivered long ago. For the hourly schedule; dead letters stay until an admin has seen to them."""

from shared.db import Database

KEPT_DAYS = 7
REJECTS_KEPT_DAYS = 30
REJECTS_KEPT = 10_000
"""Of what came on the Redis list and was no notification: whoever floods it does not fill the disk. Their ids go on counting all."""
BATCH = 10_000
"""Rows removed in a transaction."""

_STATEMENTS = (
    f"""
    DELETE FROM deliveries WHERE id IN (
        SELECT id FROM deliveries WHERE state = 'done' AND finished_at < now() - interval '{KEPT_DAYS} days' LIMIT {BATCH}
    )
    """,
    f"""
    DELETE FROM events WHERE id IN (
        SELECT id FROM events
        WHERE created_at < now() - interval '{KEPT_DAYS} days'
          AND NOT EXISTS (SELECT FROM deliveries WHERE event_id = events.id)
        LIMIT {BATCH}
    )
    """,
    f"""
    DELETE FROM bucket_event_rejects WHERE id IN (
        SELECT id FROM bucket_event_rejects
        WHERE created_at < now() - interval '{REJECTS_KEPT_DAYS} days'
          OR id <= (SELECT max(id) FROM bucket_event_rejects) - {REJECTS_KEPT}
        LIMIT {BATCH}
    )
    """,
)


async def prune(db: Database) -> int:
    """Removes deliveries that were done a week ago, events that nothing waits for, and old garbage; how many rows."""
    total = 0
    for statement in _STATEMENTS:
        removed = BATCH
        while removed == BATCH:
            async with db.system() as tx:
                removed = await tx.execute(statement)
            total += removed
    return total
