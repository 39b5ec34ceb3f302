"""On `cloud.folder`: the files of a folder in a cloud become documents."""

from uuid import UUID

from shared.cloud import imports
from shared.db import TenantDatabase, database
from shared.errors import NotFound
from shared.faas import Event, Rejected, on_event


@on_event("cloud.folder", queue="documents")
async def import_cloud_folder(event: Event) -> None:
    if event.owner_id is None:
        raise Rejected("the event names no owner")
    try:
        connection_id, path, depth = UUID(str(event.data["connection_id"])), str(event.data["path"]), int(event.data["depth"])
    except (KeyError, ValueError):
        raise Rejected("the event names no folder") from None
    try:
        await imports.grow_folder(TenantDatabase(database(), event.owner_id), connection_id, path, depth=depth)
    except NotFound as gone:
        raise Rejected(gone.detail) from None
