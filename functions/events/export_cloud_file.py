"""On `cloud.export`: makes the copy of a document in a folder of a cloud."""

from uuid import UUID

from shared.cloud import exports
from shared.db import TenantDatabase, database
from shared.errors import NotFound
from shared.faas import Event, Rejected, on_event
from shared.storage import NameRefused


@on_event("cloud.export", queue="documents")
async def export_cloud_file(event: Event) -> None:
    if event.owner_id is None:
        raise Rejected("the event names no owner")
    try:
        export_id = UUID(str(event.data["export_id"]))
    except (KeyError, ValueError):
        raise Rejected("the event names no export") from None
    try:
        await exports.carry_out(TenantDatabase(database(), event.owner_id), export_id)
    except (NameRefused, NotFound) as refused:
        raise Rejected(refused.detail) from None
