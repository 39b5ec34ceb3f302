"""A document was stored: its text by page, language, thumbnail and search index make it `extracted`, or slower steps follow."""

from shared.documents import reading
from shared.documents.step_events import document_of
from shared.faas import Event, on_event


@on_event("document.stored", queue="documents")
async def extract_document(event: Event) -> None:
    await reading.read(*document_of(event))
