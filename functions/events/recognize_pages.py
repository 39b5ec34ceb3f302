"""A stored document has scanned pages: recognises the text on some of them, until none is left and it is `extracted`."""

from shared.db import TenantDatabase, database
from shared.documents import recognize_step
from shared.events.catalogue import DocumentScanned
from shared.faas import on_event


@on_event(DocumentScanned, queue="recognition")
async def recognize_pages(event: DocumentScanned) -> None:
    await recognize_step.recognize_slice(TenantDatabase(database(), event.owner_id), event.document_id, event.revision, event.done)
