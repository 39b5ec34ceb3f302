"""A document was purged: removes what the object store has of it."""

from shared.documents import purging
from shared.faas import Event, Rejected, on_event


@on_event("document.purged", queue="documents")
async def erase_document(event: Event) -> None:
    keys = event.data.get("object_keys")
    if event.owner_id is None or not isinstance(keys, list):
        raise Rejected("the event names no owner, or no objects")
    await purging.erase(event.owner_id, [str(key) for key in keys])
