"""On `document.extracted`: finds the document's topics by the owner's AI provider, and makes it `ready`."""

from shared.documents import classify_step
from shared.faas import Event, on_event
from shared.faas.document_events import document_of


@on_event("document.extracted", queue="documents")
async def classify_document(event: Event) -> None:
    db, document_id, revision = document_of(event)
    await classify_step.classify(db, document_id=document_id, revision=revision)
