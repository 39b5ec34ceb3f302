"""Deliveries of events, as admins see them, and one more try for those that were given up."""

from uuid import UUID

from shared import audit
from shared.admin.models import DeliveryForAdmins, DeliveryQuery
from shared.api import id_lists
from shared.api.models import Page
from shared.audit import AuditAction, Caller, entries
from shared.db import Database
from shared.errors import Conflict, NotFound
from shared.events import DELIVERIES_CHANNEL

_SHOWN = """
    SELECT deliveries.id, events.type AS event_type, function, queue, state, attempts, last_error, deliveries.created_at, available_at
    FROM deliveries JOIN events ON events.id = event_id
    """


class DeliveryDone(Conflict):
    code, title = "delivery_done", "This delivery has been made"


async def list_page(db: Database, query: DeliveryQuery) -> Page[DeliveryForAdmins]:
    """A page of everyone's deliveries in a state (or of all), newest first. Raises InvalidCursor."""
    binding = {"list": "deliveries", "state": query.state}
    before = id_lists.last_id(query.cursor, binding) or entries.AFTER_ALL
    # The state as a literal of ours: only then the partial indexes are used.
    state = f"state = '{query.state}' AND" if query.state is not None else ""
    async with db.system() as tx:
        items = await tx.fetch_all(
            f"{_SHOWN} WHERE {state} deliveries.id < %(before)s ORDER BY deliveries.id DESC LIMIT %(limit)s",
            {"before": before, "limit": query.limit + 1},
            row=DeliveryForAdmins,
        )
    return id_lists.page(items, query.limit, binding)


async def retry(db: Database, caller: Caller, delivery_id: UUID) -> DeliveryForAdmins:
    """Has a delivery that was given up made again, as if it were the first time; one that is on its way stays on it.

    Raises NotFound, DeliveryDone.
    """
    async with db.system() as tx:
        queue = await tx.fetch_value(
            """
            UPDATE deliveries SET state = 'ready', attempts = 0, available_at = now(), finished_at = NULL
            WHERE id = %(id)s AND state = 'dead'
            RETURNING queue
            """,
            {"id": delivery_id},
        )
        delivery = await tx.fetch_one(f"{_SHOWN} WHERE deliveries.id = %(id)s", {"id": delivery_id}, row=DeliveryForAdmins)
        if delivery is None:
            raise NotFound
        if delivery.state == "done":
            raise DeliveryDone
        if queue is not None:
            tx.wake(DELIVERIES_CHANNEL, queue)
            await audit.record_call(
                tx, caller, AuditAction.ADMIN_DELIVERY_RETRIED, target=delivery_id, detail={"function": delivery.function}
            )
    return delivery
