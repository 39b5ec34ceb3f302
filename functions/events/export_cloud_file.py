"""On `cloud.export`: makes the copy of a document in a folder of a cloud."""

from shared.cloud import exports
from shared.db import TenantDatabase, database
from shared.events.catalogue import ExportRequested
from shared.faas import on_event


@on_event(ExportRequested, queue="documents")
async def export_cloud_file(event: ExportRequested) -> None:
    await exports.carry_out(TenantDatabase(database(), event.owner_id), event.export_id)
