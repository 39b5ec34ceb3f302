"""Audit lines and exports, as clients ask for them and see them."""

from datetime import date, datetime
from typing import Any, Self
from uuid import UUID

from pydantic import Field

from shared.api.models import Moment, PageQuery, ResponseModel, SingleLine
from shared.audit.entries import AuditEntry


class AuditExport(ResponseModel):
    """One day's file; `size` in bytes."""

    date: date
    lines: int
    size: int


class SecurityEvent(ResponseModel):
    """Something that happened to the account; `actor` is who did it if that is known."""

    id: UUID
    at: datetime
    actor: UUID | None
    action: str
    target: str | None
    outcome: str
    ip: str | None
    user_agent: str | None
    detail: dict[str, Any]

    @classmethod
    def of(cls, entry: AuditEntry) -> Self:
        """As the API shows it."""
        return cls(
            id=entry.id,
            at=entry.at,
            actor=entry.actor_id,
            action=entry.action,
            target=entry.target,
            outcome=entry.outcome,
            ip=entry.ip,
            user_agent=entry.user_agent,
            detail=entry.detail,
        )


class AuditQuery(PageQuery):
    """Which lines: those of an actor, of an action, `after` (inclusive) and `before` (exclusive) a time."""

    actor: UUID | None = None
    action: SingleLine | None = Field(default=None, max_length=100)
    after: Moment | None = None
    before: Moment | None = None
