"""A stored document has scanned pages: recognises the text on some of them, until none is left and it is `extracted`."""

from shared.documents import recognize_step
from shared.faas import Event, on_event
from shared.faas.document_events import document_of, parts_done


@on_event("document.scanned", queue="recognition")
async def recognize_pages(event: Event) -> None:
    await recognize_step.recognize_slice(*document_of(event), parts_done(event))
