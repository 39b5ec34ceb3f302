"""The one place that publishes events: the transactional outbox.

An event and its deliveries (one a subscribed function) are rows of the caller's own transaction, so a fact and its consequences are
committed together or not at all. Brokers are woken after the commit.
"""

from collections.abc import Mapping
from uuid import UUID

from psycopg.types.json import Jsonb

from shared.db import Transaction
from shared.events.event import Event
from shared.events.subscriptions import SUBSCRIPTIONS, Subscription
from shared.ids import new_id

DELIVERIES_CHANNEL = "docuvault_deliveries"


async def publish(
    tx: Transaction, event: Event, *, cost: int = 0, subscriptions: Mapping[str, tuple[Subscription, ...]] = SUBSCRIPTIONS
) -> UUID | None:
    """Writes the event and its deliveries; the event's id, or None if one with its `dedup_key` was already published.

    Of what an owner has waiting in a queue, what has the lowest `cost` is delivered first. One round trip.
    """
    event_id = new_id()
    targets = subscriptions.get(event.type, ())
    published: UUID | None = await tx.fetch_value(
        """
        WITH event AS (
            INSERT INTO events (id, type, owner_id, subject, data, dedup_key)
            VALUES (%(id)s, %(type)s, %(owner)s, %(subject)s, %(data)s, %(dedup_key)s)
            ON CONFLICT (dedup_key) DO NOTHING
            RETURNING id
        ), delivery AS (
            INSERT INTO deliveries (id, event_id, function, queue, owner_id, cost)
            SELECT target.id, event.id, target.function, target.queue, %(owner)s, %(cost)s
            FROM event, unnest(%(ids)s::uuid[], %(functions)s::text[], %(queues)s::text[]) AS target (id, function, queue)
        )
        SELECT id FROM event
        """,
        {
            "id": event_id,
            "type": event.type,
            "owner": event.owner_id,
            "subject": event.subject,
            "data": Jsonb(event.data()),
            "dedup_key": event.dedup_key,
            "cost": cost,
            "ids": [new_id() for _ in targets],
            "functions": [target.function for target in targets],
            "queues": [target.queue for target in targets],
        },
    )
    if published is not None and targets:
        for queue in {target.queue for target in targets}:
            tx.wake(DELIVERIES_CHANNEL, queue)
    return published
