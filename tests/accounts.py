"""Accounts, as tests bring them to their end."""

from uuid import UUID

from functions.events.delete_account_data import delete_account_data
from shared.events.catalogue import AccountDeleted
from shared.faas.declarations import EVENT_FUNCTIONS


async def erase(owner: UUID) -> None:
    """What a worker does on AccountDeleted."""
    await EVENT_FUNCTIONS[delete_account_data.__name__].handler(AccountDeleted(owner_id=owner))
