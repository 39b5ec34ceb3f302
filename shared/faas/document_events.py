"""The events that wake a document's steps, as the functions they wake understand them."""

from uuid import UUID

from shared.db import TenantDatabase, database
from shared.faas import Event, Rejected


def document_of(event: Event) -> tuple[TenantDatabase, UUID, int]:
    """The owner's database, and the id and the revision of the document that the event is about. Raises Rejected where it names none."""
    if event.owner_id is None:
        raise Rejected("the event names no owner")
    try:
        return TenantDatabase(database(), event.owner_id), UUID(str(event.data["document_id"])), int(event.data["revision"])
    except (KeyError, TypeError, ValueError):
        raise Rejected("the event names no document and revision") from None


def parts_done(event: Event) -> int:
    """How many parts of the step were done when the event was published. Raises Rejected where it does not say."""
    try:
        return int(event.data["done"])
    except (KeyError, TypeError, ValueError):
        raise Rejected("the event does not say how much is done") from None
