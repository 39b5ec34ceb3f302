"""A stored document is not quick to read: does what `extract_document` does, after all that is quick."""

from shared.db import TenantDatabase, database
from shared.documents import extract_step
from shared.events.catalogue import DocumentLarge
from shared.faas import on_event


@on_event(DocumentLarge, queue="large")
async def extract_large_document(event: DocumentLarge) -> None:
    await extract_step.read_in_full(TenantDatabase(database(), event.owner_id), event.document_id, event.revision)
