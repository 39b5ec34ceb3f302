"""The sessions of an account, as its owner sees and ends them."""

from uuid import UUID

from shared import audit
from shared.api import id_lists
from shared.api.models import Page
from shared.audit import AuditAction
from shared.db import Database
from shared.identity import revocation, sessions
from shared.identity.client import Client
from shared.identity.models import SessionItem


async def page(db: Database, user_id: UUID, current: UUID | None, *, limit: int, cursor: str | None) -> Page[SessionItem]:
    """A page of the sessions that last, newest first. Raises InvalidCursor."""
    binding = {"list": "sessions", "owner": user_id}
    before = id_lists.last_id(cursor, binding)
    async with db.system() as tx:
        items = await sessions.of_user(tx, user_id, current, limit=limit + 1, before=before)
    return id_lists.page(items, limit, binding)


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
                origin=client,
            )
    await revocation.propagated()
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
            origin=client,
            detail={"others": ended},
        )
    await revocation.propagated()
