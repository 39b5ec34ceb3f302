"""Removing what was delivered long ago. For the hourly schedule; dead letters stay until an admin has seen to them."""

from shared.db import Database

KEPT_DAYS = 7
BATCH = 10_000


async def prune(db: Database) -> int:
    """Removes deliveries that were done a week ago, and events that nothing waits for; how many rows."""
    async with db.system() as tx:
        deliveries = await tx.execute(
            f"""
            DELETE FROM deliveries WHERE id IN (
                SELECT id FROM deliveries WHERE state = 'done' AND finished_at < now() - interval '{KEPT_DAYS} days' LIMIT {BATCH}
            )
            """
        )
        events = await tx.execute(
            f"""
            DELETE FROM events WHERE id IN (
                SELECT id FROM events
                WHERE created_at < now() - interval '{KEPT_DAYS} days'
                  AND NOT EXISTS (SELECT FROM deliveries WHERE event_id = events.id)
                LIMIT {BATCH}
            )
            """
        )
        return deliveries + events
