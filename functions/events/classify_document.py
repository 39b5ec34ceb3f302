"""A document's text is there: finds its topics by the owner's AI provider, and makes it `ready`."""

from shared.db import TenantDatabase, database
from shared.documents import classify_step
from shared.events.catalogue import DocumentExtracted
from shared.faas import on_event


@on_event(DocumentExtracted, queue="documents")
async def classify_document(event: DocumentExtracted) -> None:
    db = TenantDatabase(database(), event.owner_id)
    await classify_step.classify(db, document_id=event.document_id, revision=event.revision)
