"""On `cloud.folder`: the files of a folder in a cloud become documents."""

from shared.cloud import imports
from shared.db import TenantDatabase, database
from shared.errors import NotFound
from shared.events.catalogue import CloudFolderChosen
from shared.faas import Rejected, on_event
from shared.storage import NameRefused


@on_event(CloudFolderChosen, queue="documents")
async def import_cloud_folder(event: CloudFolderChosen) -> None:
    try:
        await imports.grow_folder(TenantDatabase(database(), event.owner_id), event.connection_id, event.path, depth=event.depth)
    except (NameRefused, NotFound) as refused:
        raise Rejected(refused.detail) from None
