"""On `cloud.export`: makes the copy of a document in a folder of a cloud."""

from shared.cloud import exports
from shared.db import TenantDatabase, database
from shared.errors import NotFound
from shared.events.catalogue import ExportRequested
from shared.faas import Rejected, on_event
from shared.storage import NameRefused


@on_event(ExportRequested, queue="documents")
async def export_cloud_file(event: ExportRequested) -> None:
    try:
        await exports.carry_out(TenantDatabase(database(), event.owner_id), event.export_id)
    except (NameRefused, NotFound) as refused:
        raise Rejected(refused.detail) from None
