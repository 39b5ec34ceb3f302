"""On `cloud.look`: new files of a watched folder in a cloud become documents."""

from shared.cloud import watching
from shared.db import TenantDatabase, database
from shared.events.catalogue import LookDue
from shared.faas import on_event


@on_event(LookDue, queue="documents")
async def look_into_folder(event: LookDue) -> None:
    await watching.look(TenantDatabase(database(), event.owner_id), event.folder_id, event.looks)
