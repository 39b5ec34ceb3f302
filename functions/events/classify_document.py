"""On `document.extracted`: finds the document's topics by the owner's AI provider, and makes it `ready`."""

from shared.documents import classification
from shared.documents.step_events import document_of
from shared.faas import Event, on_event


@on_event("document.extracted", queue="documents")
async def classify_document(event: Event) -> None:
    db, document_id, revision = document_of(event)
    await classification.classify(db, document_id=document_id, revision=revision)
