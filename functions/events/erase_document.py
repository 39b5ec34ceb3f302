"""A document was purged: removes what the object store has of it."""

from shared.documents import purging
from shared.events.catalogue import DocumentPurged
from shared.faas import on_event


@on_event(DocumentPurged, queue="documents")
async def erase_document(event: DocumentPurged) -> None:
    await purging.erase(event.owner_id, event.object_keys)
