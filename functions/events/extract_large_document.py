"""A stored document is not quick to read: does what `extract_document` does, after all that is quick."""

from shared.documents import extract_step
from shared.faas import Event, on_event
from shared.faas.document_events import document_of


@on_event("document.large", queue="large")
async def extract_large_document(event: Event) -> None:
    await extract_step.read_in_full(*document_of(event))
