"""Audit lines as their account's owner sees them."""

from uuid import UUID

from shared.api import cursors
from shared.api.models import Page
from shared.audit import entries
from shared.audit.models import SecurityEvent
from shared.db import TenantDatabase
from shared.errors import InvalidCursor


async def of_account(db: TenantDatabase, *, limit: int, cursor: str | None) -> Page[SecurityEvent]:
    """A page of the account's own lines, newest first. Raises InvalidCursor."""
    binding = {"list": "security_events", "owner": db.owner_id}
    before: UUID | None = None
    if cursor is not None:
        try:
            (last,) = cursors.decode(cursor, binding)
            before = UUID(last)
        except (ValueError, TypeError, AttributeError):
            raise InvalidCursor from None
    async with db.transaction() as tx:
        found = await entries.of_account(tx, db.owner_id, limit=limit + 1, before=before)
    items = [SecurityEvent.of(line) for line in found[:limit]]
    more = len(found) > limit
    return Page[SecurityEvent](items=items, next_cursor=cursors.encode([str(items[-1].id)], binding) if more else None)
