"""On `cloud.file`: brings the bytes of a file in a cloud to the document that it becomes."""

from shared.cloud import imports
from shared.db import TenantDatabase, database
from shared.events.catalogue import CloudFileChosen
from shared.faas import on_event


@on_event(CloudFileChosen, queue="documents")
async def import_cloud_file(event: CloudFileChosen) -> None:
    await imports.fetch(TenantDatabase(database(), event.owner_id), event.document_id)
