"""An account was deleted: removes every object, row and credential of it, as often as it takes."""

from shared.db import TenantDatabase, database
from shared.documents import erasure
from shared.events.catalogue import AccountDeleted
from shared.faas import on_event
from shared.identity import deletion
from shared.storage import object_store


@on_event(AccountDeleted, queue="documents")
async def delete_account_data(event: AccountDeleted) -> None:
    while not await deletion.erase(database(), event.owner_id, holds_any=erasure.any_left):
        await erasure.erase_all(TenantDatabase(database(), event.owner_id), object_store())
