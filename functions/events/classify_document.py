"""On `document.extracted`: finds the document's topics by the owner's AI provider, and makes it `ready`."""

from uuid import UUID

from shared.db import TenantDatabase, database
from shared.documents import classification
from shared.faas import Event, Rejected, on_event


@on_event("document.extracted", queue="documents")
async def classify_document(event: Event) -> None:
    if event.owner_id is None:
        raise Rejected("the event names no owner")
    try:
        document_id, revision = UUID(str(event.data["document_id"])), int(event.data["revision"])
    except (KeyError, TypeError, ValueError):
        raise Rejected("the event names no document and revision") from None
    await classification.classify(TenantDatabase(database(), event.owner_id), document_id=document_id, revision=revision)
