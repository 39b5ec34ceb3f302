"""A document was stored: its text by page, language, thumbnail and search index make it `extracted`, or slower steps follow."""

from shared.documents import extract_step
from shared.faas import Event, on_event
from shared.faas.document_events import document_of


@on_event("document.stored", queue="documents")
async def extract_document(event: Event) -> None:
    await extract_step.read(*document_of(event))
