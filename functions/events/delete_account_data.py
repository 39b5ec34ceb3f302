"""On `account.deleted`: removes every object, row and credential of the account, as often as it takes."""

from uuid import UUID

from shared.db import database
from shared.faas import Event, Rejected, on_event
from shared.identity import deletion
from shared.storage import object_store


@on_event("account.deleted", queue="documents")
async def delete_account_data(event: Event) -> None:
    try:
        user_id = UUID(str(event.data["user_id"]))
    except (KeyError, ValueError):
        raise Rejected("the event names no account") from None
    await deletion.erase(database(), object_store(), user_id)
