"""On `document.move`: brings a document's original to the place its owner has chosen."""

import logging

from shared.cloud import copying, moves
from shared.db import TenantDatabase, database
from shared.errors import NotFound
from shared.events.catalogue import MoveRequested
from shared.faas import Rejected, on_event
from shared.storage import NameRefused

log = logging.getLogger("docuvault.cloud")


@on_event(MoveRequested, queue="documents")
async def move_stored_document(event: MoveRequested) -> None:
    try:
        outcome = await moves.carry_out(TenantDatabase(database(), event.owner_id), event.document_id, event.move_id)
    except (NameRefused, NotFound, copying.SourceChanged) as refused:
        raise Rejected(refused.detail) from None
    log.info("document moved", extra={"fields": {"outcome": outcome}})
