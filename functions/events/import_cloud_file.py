"""On `cloud.file`: brings the bytes of a file in a cloud to the document that it becomes."""

from uuid import UUID

from shared.cloud import imports
from shared.db import TenantDatabase, database
from shared.faas import Event, Rejected, on_event


@on_event("cloud.file", queue="documents")
async def import_cloud_file(event: Event) -> None:
    if event.owner_id is None:
        raise Rejected("the event names no owner")
    try:
        document_id = UUID(str(event.data["document_id"]))
    except (KeyError, ValueError):
        raise Rejected("the event names no document") from None
    await imports.fetch(TenantDatabase(database(), event.owner_id), document_id)
