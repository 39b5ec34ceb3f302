"""The sessions of an account, as its owner sees and ends them."""

from datetime import datetime
from uuid import UUID

from shared import audit
from shared.api import cursors
from shared.api.models import Page, ResponseModel
from shared.audit import AuditAction
from shared.db import Database
from shared.errors import InvalidCursor
from shared.identity import revocation, sessions
from shared.identity.client import Client


class SessionItem(ResponseModel):
    id: UUID
    created_at: datetime
    last_used_at: datetime
    user_agent: str
    ip: str
    current: bool


async def page(db: Database, user_id: UUID, current: UUID | None, *, limit: int, cursor: str | None) -> Page[SessionItem]:
    """A page of the sessions that last, newest first. Raises InvalidCursor."""
    binding = {"list": "sessions", "owner": user_id}
    before = last_id(cursor, binding)
    async with db.system() as tx:
        found = await sessions.of_user(tx, user_id, limit=limit + 1, before=before)
    items = [
        SessionItem(
            id=session.id,
            created_at=session.created_at,
            last_used_at=session.last_used_at,
            user_agent=session.user_agent,
            ip=session.ip,
            current=session.id == current,
        )
        for session in found[:limit]
    ]
    more = len(found) > limit
    return Page[SessionItem](items=items, next_cursor=cursors.encode([str(items[-1].id)], binding) if more else None)


async def revoke(db: Database, client: Client, user_id: UUID, session_id: UUID) -> bool:
    """Ends a session of the account at once; whether there was one."""
    async with db.system() as tx:
        ended = await sessions.end(tx, user_id, [session_id], sessions.EndReason.REVOKED)
        if ended:
            await audit.record(
                tx,
                AuditAction.SESSION_REVOKED,
                actor=user_id,
                owner=user_id,
                target=str(session_id),
                address=client.address,
                user_agent=client.user_agent,
            )
    await revocation.settled()
    return bool(ended)


async def revoke_others(db: Database, client: Client, user_id: UUID, current: UUID | None) -> None:
    """Ends all sessions of the account but the current one, at once."""
    async with db.system() as tx:
        ended = await sessions.end_all(tx, user_id, sessions.EndReason.REVOKED, but=current)
        await audit.record(
            tx,
            AuditAction.SESSION_REVOKED,
            actor=user_id,
            owner=user_id,
            address=client.address,
            user_agent=client.user_agent,
            detail={"others": ended},
        )
    await revocation.settled()


def last_id(cursor: str | None, binding: dict[str, object]) -> UUID | None:
    """The id that the page before ended with. Raises InvalidCursor."""
    if cursor is None:
        return None
    try:
        (last,) = cursors.decode(cursor, binding)
        return UUID(last)
    except (ValueError, TypeError, AttributeError):
        raise InvalidCursor from None
