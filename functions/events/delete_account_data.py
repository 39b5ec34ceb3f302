"""An account was deleted: removes every object, row and credential of it, as often as it takes."""

from shared.db import database
from shared.events.catalogue import AccountDeleted
from shared.faas import on_event
from shared.identity import deletion
from shared.storage import object_store


@on_event(AccountDeleted, queue="documents")
async def delete_account_data(event: AccountDeleted) -> None:
    await deletion.erase(database(), object_store(), event.owner_id)
