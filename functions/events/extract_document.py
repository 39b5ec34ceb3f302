"""A document was stored: its text by page, language, thumbnail and search index make it `extracted`."""

from uuid import UUID

from shared.db import TenantDatabase, database
from shared.documents import reading
from shared.faas import Event, Rejected, on_event


@on_event("document.stored", queue="documents")
async def extract_document(event: Event) -> None:
    if event.owner_id is None:
        raise Rejected("the event names no owner")
    try:
        document_id, revision = UUID(str(event.data["document_id"])), int(event.data["revision"])
    except (KeyError, TypeError, ValueError):
        raise Rejected("the event names no document and revision") from None
    await reading.read(TenantDatabase(database(), event.owner_id), document_id, revision)
