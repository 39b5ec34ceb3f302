"""Audit lines as their account's owner sees them."""

from shared.api import id_lists
from shared.api.models import Page
from shared.audit import entries
from shared.audit.models import SecurityEvent
from shared.db import TenantDatabase


async def of_account(db: TenantDatabase, *, limit: int, cursor: str | None) -> Page[SecurityEvent]:
    """A page of the account's own lines, newest first. Raises InvalidCursor."""
    binding = {"list": "security_events", "owner": db.owner_id}
    before = id_lists.last_id(cursor, binding)
    async with db.transaction() as tx:
        lines = await entries.of_account(tx, db.owner_id, limit=limit + 1, before=before)
    return id_lists.page([SecurityEvent.of(line) for line in lines], limit, binding)
