"""A document was stored: its text by page, language, thumbnail and search index make it `extracted`, or slower steps follow."""

from shared.db import TenantDatabase, database
from shared.documents import extract_step
from shared.events.catalogue import DocumentStored
from shared.faas import on_event


@on_event(DocumentStored, queue="documents")
async def extract_document(event: DocumentStored) -> None:
    await extract_step.read(TenantDatabase(database(), event.owner_id), event.document_id, event.revision)
