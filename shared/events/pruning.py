"""Removing what was delivered long ago. For the hourly schedule; dead letters stay until an admin has seen to them."""

from shared.db import Database

KEPT_DAYS = 7
REJECTS_KEPT_DAYS = 30
REJECTS_KEPT = 10_000
"""Of what came on the Redis list and was no notification: whoever floods it does not fill the disk. Their ids go on counting all."""
BATCH = 10_000
"""Rows removed in a transaction."""

_DEAD = {
    "deliveries": f"state = 'done' AND finished_at < now() - interval '{KEPT_DAYS} days'",
    "events": f"created_at < now() - interval '{KEPT_DAYS} days' AND NOT EXISTS (SELECT FROM deliveries WHERE event_id = events.id)",
    "bucket_event_rejects": f"""
        created_at < now() - interval '{REJECTS_KEPT_DAYS} days' OR id <= (SELECT max(id) FROM bucket_event_rejects) - {REJECTS_KEPT}
        """,
}
"""Which rows of which table, in this order."""


async def prune(db: Database) -> int:
    """Removes deliveries that were done a week ago, events that nothing waits for, and old garbage; how many rows."""
    total = 0
    for table, dead in _DEAD.items():
        removed = BATCH
        while removed == BATCH:
            async with db.system() as tx:
                # By their places, found once and by the indexes: the planner's statistics may be of a moment when the tables were all but
                # empty, and then a join reads all of them for each row.
                await tx.execute("SET LOCAL enable_seqscan = off")
                removed = await tx.execute(
                    f"""
                    DELETE FROM {table}
                    WHERE ctid = ANY (ARRAY(SELECT ctid FROM {table} WHERE {dead} LIMIT {BATCH} FOR UPDATE SKIP LOCKED))
                    """
                )
            total += removed
    return total
