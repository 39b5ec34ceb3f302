"""The one place that writes audit lines, and reads them."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from shared.audit.actions import AuditAction, AuditOutcome
from shared.audit.caller import Caller, Origin
from shared.db import Transaction
from shared.ids import new_id

AFTER_ALL = UUID(int=2**128 - 1)
"""Stands for no line to begin before: with `IS NULL OR` a prepared statement reads all lines before the page's first one again."""
MAX_PERSONAL = 512
"""Characters kept of an address, a user agent, a mail address."""


@dataclass(frozen=True)
class AuditEntry:
    """One line, with the personal data beside it while that is not erased."""

    id: UUID
    at: datetime
    actor_id: UUID | None
    owner_id: UUID | None
    action: str
    target: str | None
    outcome: str
    ip: str | None
    user_agent: str | None
    email: str | None
    detail: dict[str, Any]


async def record(
    tx: Transaction,
    event: AuditAction,
    *,
    outcome: AuditOutcome = AuditOutcome.SUCCESS,
    actor: UUID | None = None,
    owner: UUID | None = None,
    target: str | None = None,
    origin: Origin | None = None,
    email: str | None = None,
    detail: Mapping[str, Any] | None = None,
) -> None:
    """Writes a line in the caller's transaction; one round trip.

    `actor` did it, `owner` is the account it concerns (in a tenant's transaction: the tenant). `origin` and `email` are personal
    and go beside the line; `detail` (JSON) and `target` go into it for good: nothing personal, and never a secret.
    """
    address, user_agent = (origin.address, origin.user_agent) if origin is not None else (None, None)
    await tx.execute(
        """
        WITH line AS (
            INSERT INTO audit_lines (id, action, outcome, actor_id, owner_id, target, detail, commitment)
            VALUES (
                %(id)s, %(action)s, %(outcome)s, %(actor)s, %(owner)s, %(target)s, %(detail)s,
                CASE WHEN %(salt)s::bytea IS NOT NULL THEN audit_commitment(%(salt)s, %(ip)s, %(user_agent)s, %(email)s) END
            )
        )
        INSERT INTO audit_personal (line_id, owner_id, salt, ip, user_agent, email)
        SELECT %(id)s, %(owner)s, %(salt)s::bytea, %(ip)s, %(user_agent)s, %(email)s
        WHERE %(salt)s::bytea IS NOT NULL
        """,
        {
            "id": new_id(),
            "action": event.value,
            "outcome": outcome.value,
            "actor": actor,
            "owner": owner,
            "target": target,
            "detail": Jsonb(dict(detail or {})),
            "salt": secrets.token_bytes(16) if address or user_agent or email else None,
            "ip": _bounded(address),
            "user_agent": _bounded(user_agent),
            "email": _bounded(email),
        },
    )


async def record_call(
    tx: Transaction, caller: Caller | None, event: AuditAction, *, target: UUID | None = None, detail: Mapping[str, Any] | None = None
) -> None:
    """Writes that the caller did this to something of its own, or to its account; nothing if nobody asked for it (the system tidies up)."""
    if caller is None:
        return
    await record(
        tx,
        event,
        actor=caller.user_id,
        owner=caller.user_id,
        target=None if target is None else str(target),
        origin=caller,
        detail={**(detail or {}), **({} if caller.api_token is None else {"api_token": str(caller.api_token)})},
    )


async def record_calls(
    tx: Transaction,
    owner: UUID,
    caller: Caller | None,
    event: AuditAction,
    *,
    targets: Sequence[UUID],
    detail: Mapping[str, Any] | None = None,
) -> None:
    """As `record_call`, a line for each of several targets in one round trip; without a caller the system did it to the owner's things."""
    salts = [secrets.token_bytes(16) if caller is not None and (caller.address or caller.user_agent) else None for _ in targets]
    await tx.execute(
        """
        WITH target AS (
            SELECT * FROM unnest(%(ids)s::uuid[], %(targets)s::text[], %(salts)s::bytea[]) AS target (id, target, salt)
        ), line AS (
            INSERT INTO audit_lines (id, action, outcome, actor_id, owner_id, target, detail, commitment)
            SELECT id, %(action)s, %(outcome)s, %(actor)s, %(owner)s, target, %(detail)s,
                CASE WHEN salt IS NOT NULL THEN audit_commitment(salt, %(ip)s, %(user_agent)s, NULL) END
            FROM target
        )
        INSERT INTO audit_personal (line_id, owner_id, salt, ip, user_agent)
        SELECT id, %(owner)s, salt, %(ip)s, %(user_agent)s FROM target WHERE salt IS NOT NULL
        """,
        {
            "ids": [new_id() for _ in targets],
            "targets": [str(target) for target in targets],
            "salts": salts,
            "action": event.value,
            "outcome": AuditOutcome.SUCCESS.value,
            "actor": None if caller is None else caller.user_id,
            "owner": owner,
            "detail": Jsonb(
                {**(detail or {}), **({} if caller is None or caller.api_token is None else {"api_token": str(caller.api_token)})}
            ),
            "ip": None if caller is None else _bounded(caller.address),
            "user_agent": None if caller is None else _bounded(caller.user_agent),
        },
    )


async def of_account(tx: Transaction, owner: UUID, *, limit: int, before: UUID | None = None) -> list[AuditEntry]:
    """An account's own lines, newest first, those before the line `before`."""
    return await tx.fetch_all(
        """
        SELECT id, at, actor_id, audit_lines.owner_id, action, target, outcome, ip, user_agent, email, detail
        FROM audit_lines LEFT JOIN audit_personal ON line_id = id
        WHERE audit_lines.owner_id = %(owner)s AND id < %(before)s
        ORDER BY id DESC
        LIMIT %(limit)s
        """,
        {"owner": owner, "before": before or AFTER_ALL, "limit": limit},
        row=AuditEntry,
    )


async def erase_personal(tx: Transaction, account: UUID, *, email: str | None = None) -> int:
    """Forgets what the log says about a person; the lines stay, and the chain stays whole (system transaction).

    With `email`, lines that belong to no account but name that address are forgotten, too.
    """
    erased: int = await tx.fetch_value(
        "SELECT audit_erase_personal(%(account)s::uuid, %(email)s::text)", {"account": account, "email": email}
    )
    return erased


def _bounded(text: str | None) -> str | None:
    """One printable line: what a client sends must not be able to stop the log."""
    if not text:
        return None
    return "".join(character for character in text if character.isprintable()).encode("utf-8", "ignore").decode()[:MAX_PERSONAL]
