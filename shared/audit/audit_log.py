"""The whole audit log, as admins see it."""

from datetime import datetime, timedelta
from uuid import UUID

from shared.api import id_lists
from shared.api.models import Page
from shared.audit import chain, daily_exports, entries
from shared.audit.actions import AuditAction, AuditOutcome
from shared.audit.caller import Caller
from shared.audit.chain import Verification
from shared.audit.entries import AuditEntry
from shared.audit.models import AuditQuery, SecurityEvent
from shared.db import Database
from shared.ids import first_id_at

CLOCK_DIFFERENCE = timedelta(hours=1)
"""How far a line's id (made by the application's clock) may be from its time (PostgreSQL's): what lies further away is not read."""


async def list_page(db: Database, query: AuditQuery) -> Page[SecurityEvent]:
    """A page of everyone's lines, newest first. Raises InvalidCursor."""
    binding = {"list": "audit_log", **query.model_dump(mode="json", exclude={"limit", "cursor"})}
    before_id = id_lists.last_id(query.cursor, binding) or entries.AFTER_ALL
    async with db.system() as tx:
        lines = await tx.fetch_all(
            """
            SELECT id, at, actor_id, audit_lines.owner_id, action, target, outcome, ip, user_agent, email, detail
            FROM audit_lines LEFT JOIN audit_personal ON line_id = id
            WHERE id < %(before_id)s AND id >= %(first_id)s
              AND (%(actor)s::uuid IS NULL OR actor_id = %(actor)s)
              AND (%(action)s::text IS NULL OR action = %(action)s)
              AND (%(after)s::timestamptz IS NULL OR at >= %(after)s)
              AND (%(before)s::timestamptz IS NULL OR at < %(before)s)
            ORDER BY id DESC
            LIMIT %(limit)s
            """,
            {
                "before_id": min(before_id, _bound(query.before, CLOCK_DIFFERENCE, entries.AFTER_ALL)),
                "first_id": _bound(query.after, -CLOCK_DIFFERENCE, UUID(int=0)),
                "actor": query.actor,
                "action": query.action,
                "after": query.after,
                "before": query.before,
                "limit": query.limit + 1,
            },
            row=AuditEntry,
        )
    return id_lists.page([SecurityEvent.of(line) for line in lines], query.limit, binding)


async def verify(db: Database, caller: Caller) -> Verification:
    """Checks the chain, and that it still goes through every place that an export was signed at; audited. Raises StorageUnavailable."""
    async with db.system() as tx:
        result = await chain.verify(tx)
    if result.ok and (contradiction := await daily_exports.first_contradiction(db)) is not None:
        result = Verification(False, result.checked, contradiction)
    async with db.system() as tx:
        await entries.record(
            tx,
            AuditAction.AUDIT_VERIFIED,
            outcome=AuditOutcome.SUCCESS if result.ok else AuditOutcome.FAILURE,
            actor=caller.user_id,
            owner=caller.user_id,
            origin=caller,
            detail={"checked": result.checked} | ({} if result.first_bad is None else {"first_bad": result.first_bad}),
        )
    return result


def _bound(moment: datetime | None, difference: timedelta, otherwise: UUID) -> UUID:
    if moment is None:
        return otherwise
    try:
        return first_id_at(moment + difference)
    except OverflowError:
        return otherwise
