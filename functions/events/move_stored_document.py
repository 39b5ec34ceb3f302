"""On `document.move`: brings a document's original to the place its owner has chosen."""

import logging
from uuid import UUID

from shared.cloud import moves
from shared.db import TenantDatabase, database
from shared.errors import NotFound
from shared.faas import Event, Rejected, on_event
from shared.storage import NameRefused

log = logging.getLogger("docuvault.cloud")


@on_event("document.move", queue="documents")
async def move_stored_document(event: Event) -> None:
    if event.owner_id is None:
        raise Rejected("the event names no owner")
    try:
        document_id, move_id = UUID(str(event.data["document_id"])), UUID(str(event.data["move_id"]))
    except (KeyError, ValueError):
        raise Rejected("the event names no document and move") from None
    try:
        outcome = await moves.carry_out(TenantDatabase(database(), event.owner_id), document_id, move_id)
    except (NameRefused, NotFound) as refused:
        raise Rejected(refused.detail) from None
    log.info("document moved", extra={"fields": {"outcome": outcome}})
