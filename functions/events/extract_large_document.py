"""A stored document is not quick to read: does what `extract_document` does, after all that is quick."""

from shared.documents import reading
from shared.documents.step_events import document_of
from shared.faas import Event, on_event


@on_event("document.large", queue="large")
async def extract_large_document(event: Event) -> None:
    await reading.read_in_full(*document_of(event))
