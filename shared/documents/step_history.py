"""The history of a document: every step taken for it, one row a revision and step.

A step is recorded in the transaction that commits its result. Long steps are also marked `running` when they begin, so that a worker
that dies in the middle leaves its attempt behind.
"""

from datetime import datetime
from typing import Literal
from uuid import UUID

from shared.db import TenantDatabase, Transaction
from shared.documents.models import Step, StepState
from shared.errors import NotFound

StepName = Literal["upload", "extract", "classify", "move"]


async def begin(tx: Transaction, *, owner_id: UUID, document_id: UUID, revision: int, step: StepName) -> None:
    """Marks the step as running and counts the attempt. Call it in a short transaction of its own (`asynchronously`)."""
    await tx.execute(
        """
        INSERT INTO document_steps AS s (document_id, owner_id, revision, step, state)
        VALUES (%(document)s, %(owner)s, %(revision)s, %(step)s, 'running')
        ON CONFLICT (document_id, revision, step) DO UPDATE
        SET state = 'running', attempts = s.attempts + 1, started_at = now(), duration_ms = NULL, detail = NULL
        """,
        {"document": document_id, "owner": owner_id, "revision": revision, "step": step},
    )


async def progress(tx: Transaction, *, owner_id: UUID, document_id: UUID, revision: int, step: StepName, detail: str) -> None:
    """Says how far the step has come that comes in parts; it begins (again) if it is not running."""
    await tx.execute(
        """
        INSERT INTO document_steps AS s (document_id, owner_id, revision, step, state, detail)
        VALUES (%(document)s, %(owner)s, %(revision)s, %(step)s, 'running', %(detail)s)
        ON CONFLICT (document_id, revision, step) DO UPDATE
        SET state = 'running', detail = excluded.detail, duration_ms = NULL,
            attempts = s.attempts + (s.state <> 'running')::integer,
            started_at = CASE WHEN s.state = 'running' THEN s.started_at ELSE now() END
        """,
        {"document": document_id, "owner": owner_id, "revision": revision, "step": step, "detail": detail},
    )


async def record(
    tx: Transaction,
    *,
    owner_id: UUID,
    document_id: UUID,
    revision: int,
    step: StepName,
    state: StepState,
    started_at: datetime | None = None,
    detail: str | None = None,
) -> None:
    """Records how the step ended; the duration counts from `started_at`, or from `begin`. `detail` is for people."""
    await tx.execute(
        """
        INSERT INTO document_steps AS s (document_id, owner_id, revision, step, state, started_at, duration_ms, detail)
        VALUES (
            %(document)s, %(owner)s, %(revision)s, %(step)s, %(state)s, coalesce(%(started_at)s, clock_timestamp()),
            greatest(0, extract(epoch FROM clock_timestamp() - coalesce(%(started_at)s, clock_timestamp())) * 1000)::integer, %(detail)s
        )
        ON CONFLICT (document_id, revision, step) DO UPDATE
        SET state = excluded.state,
            attempts = s.attempts + (s.state <> 'running')::integer,
            started_at = CASE WHEN s.state = 'running' THEN s.started_at ELSE excluded.started_at END,
            duration_ms = CASE
                WHEN s.state = 'running' THEN least(2147483647, extract(epoch FROM clock_timestamp() - s.started_at) * 1000)::integer
                ELSE excluded.duration_ms
            END,
            detail = excluded.detail
        """,
        {
            "document": document_id,
            "owner": owner_id,
            "revision": revision,
            "step": step,
            "state": state,
            "started_at": started_at,
            "detail": detail,
        },
    )


async def history(db: TenantDatabase, document_id: UUID) -> list[Step]:
    """Every step taken for one of the owner's documents, oldest first. Raises NotFound."""
    async with db.transaction() as tx:
        if not await tx.fetch_value(
            "SELECT true FROM documents WHERE owner_id = %(owner)s AND id = %(id)s", {"owner": db.owner_id, "id": document_id}
        ):
            raise NotFound
        return await tx.fetch_all(
            """
            SELECT step, state, attempts, started_at, duration_ms, detail
            FROM document_steps
            WHERE owner_id = %(owner)s AND document_id = %(id)s
            ORDER BY started_at, revision, step
            """,
            {"owner": db.owner_id, "id": document_id},
            row=Step,
        )
