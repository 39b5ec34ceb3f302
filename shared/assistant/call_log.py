"""The record of every call out: who was asked, how much, at what cost and with what outcome; a hash of what was sent, never the text."""

import csv
import io
from collections.abc import AsyncIterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal
from uuid import UUID

from shared.ai.prompts import Prompt
from shared.ai.provider import CallOutcome, Usage
from shared.ai.registry import ProviderChoice
from shared.api import cursors
from shared.api.models import Page
from shared.assistant.budgets import MONTH
from shared.assistant.models import AICall, MonthlyUsage
from shared.db import Database, TenantDatabase, Transaction
from shared.errors import InvalidCursor
from shared.ids import new_id

LOST_AFTER_SECONDS = 120.0
"""Beyond the time that a call may take: then its process is gone, and what it reserved counts as spent."""


ExportFormat = Literal["jsonl", "csv"]
CONTENT_TYPES: dict[ExportFormat, str] = {"jsonl": "application/jsonl", "csv": "text/csv; charset=utf-8"}
EXPORTED_AT_A_TIME = 1_000


async def begin(
    tx: Transaction, owner_id: UUID, choice: ProviderChoice, prompt: Prompt, *, document_id: UUID | None, reserved: Decimal, seconds: float
) -> UUID:
    """Records a call that is about to go out; for system transactions."""
    call_id = new_id()
    await tx.execute(
        f"""
        INSERT INTO ai_calls
            (id, owner_id, document_id, kind, provider, model, base_url, characters, sha256, paid_by, month, reserved_usd,
             outcome, lost_from)
        VALUES (
            %(id)s, %(owner)s, %(document)s, %(kind)s, %(provider)s, %(model)s, %(base_url)s, %(characters)s, %(sha256)s, %(paid_by)s,
            {MONTH}, %(reserved)s, 'running', now() + make_interval(secs => %(seconds)s)
        )
        """,
        {
            "id": call_id,
            "owner": owner_id,
            "document": document_id,
            "kind": prompt.kind,
            "provider": choice.provider,
            "model": choice.model,
            "base_url": choice.base_url,
            "characters": prompt.characters,
            "sha256": prompt.sha256(),
            "paid_by": "owner" if choice.own else "system",
            "reserved": reserved,
            "seconds": seconds + LOST_AFTER_SECONDS,
        },
    )
    return call_id


async def end(tx: Transaction, call_id: UUID, outcome: CallOutcome, usage: Usage, cost: Decimal) -> None:
    """Records how a call ended; gives back what it held and counts what it cost, in the month that it began in. Once; for system
    transactions."""
    # Each part reads from the one before it, so that the owner's row is locked before the system's.
    await tx.execute(
        """
        WITH ended AS (
            UPDATE ai_calls
            SET outcome = %(outcome)s, input_tokens = %(input)s, output_tokens = %(output)s, cost_usd = %(cost)s, lost_from = NULL,
                duration_ms = least(2147483647, extract(epoch FROM clock_timestamp() - at) * 1000)
            WHERE id = %(id)s AND lost_from IS NOT NULL
            RETURNING owner_id, month, reserved_usd, paid_by
        ), settled AS (
            UPDATE ai_spending AS s SET reserved = greatest(0, s.reserved - ended.reserved_usd), spent = s.spent + %(cost)s
            FROM ended WHERE s.owner_id = ended.owner_id AND s.month = ended.month
            RETURNING ended.month, ended.reserved_usd, ended.paid_by
        )
        UPDATE ai_system_spending AS s SET reserved = greatest(0, s.reserved - settled.reserved_usd), spent = s.spent + %(cost)s
        FROM settled WHERE s.month = settled.month AND settled.paid_by = 'system'
        """,
        {"id": call_id, "outcome": outcome, "input": usage.input_tokens, "output": usage.output_tokens, "cost": cost},
    )


async def end_lost(db: Database) -> int:
    """Ends calls whose process is gone: what they reserved counts as spent, for nobody knows better. How many."""
    async with db.system() as tx:
        lost = await tx.fetch_all("SELECT id, reserved_usd FROM ai_calls WHERE lost_from < now() ORDER BY lost_from LIMIT 500", row=_Lost)
    for call in lost:
        async with db.system() as tx:
            await end(tx, call.id, "lost", Usage(), call.reserved_usd)
    return len(lost)


async def page(db: TenantDatabase, *, limit: int, cursor: str | None) -> Page[AICall]:
    """The owner's calls, newest first. Raises InvalidCursor."""
    binding = {"list": "ai calls", "owner": str(db.owner_id)}
    before = None
    if cursor is not None:
        values = cursors.decode(cursor, binding)
        if len(values) != 1:
            raise InvalidCursor
        before = UUID(values[0])
    found = await _before(db, before, limit + 1)
    items = found[:limit]
    return Page[AICall](items=items, next_cursor=cursors.encode([str(items[-1].id)], binding) if len(found) > limit else None)


async def exported(db: TenantDatabase, form: ExportFormat) -> AsyncIterator[bytes]:
    """All of the owner's calls, newest first: a line each, as `AICall` names its members; CSV has the names in its first line."""
    before: UUID | None = None
    if form == "csv":
        yield _csv_lines([list(AICall.model_fields)])
    while calls := await _before(db, before, EXPORTED_AT_A_TIME):
        if form == "csv":
            yield _csv_lines([[_cell(value) for value in call.model_dump(mode="json").values()] for call in calls])
        else:
            yield "".join(f"{call.model_dump_json()}\n" for call in calls).encode()
        before = calls[-1].id


def _csv_lines(rows: list[list[str]]) -> bytes:
    written = io.StringIO()
    csv.writer(written).writerows(rows)  # by RFC 4180
    return written.getvalue().encode()


def _cell(value: object) -> str:
    """What a spreadsheet would take for a formula (a model's name is free text) begins with an apostrophe."""
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


async def _before(db: TenantDatabase, before: UUID | None, limit: int) -> list[AICall]:
    async with db.transaction() as tx:
        return await tx.fetch_all(
            """
            SELECT id, at, document_id, kind, provider, model, characters, sha256, input_tokens, output_tokens, cost_usd::float8, outcome
            FROM ai_calls
            WHERE owner_id = %(owner)s AND (%(before)s::uuid IS NULL OR id < %(before)s)
            ORDER BY id DESC LIMIT %(limit)s
            """,
            {"owner": db.owner_id, "before": before, "limit": limit},
            row=AICall,
        )


async def usage(db: TenantDatabase, *, limit: int, cursor: str | None) -> Page[MonthlyUsage]:
    """What each model cost the owner in each month, the newest first. Raises InvalidCursor."""
    binding = {"list": "ai usage", "owner": str(db.owner_id)}
    after: list[str] = [] if cursor is None else [str(value) for value in cursors.decode(cursor, binding)]
    if len(after) not in (0, 3):
        raise InvalidCursor
    month, provider, model = after or ["9999-99", "", ""]
    async with db.transaction() as tx:
        found = await tx.fetch_all(
            """
            SELECT * FROM (
                SELECT month, provider, model, count(*)::integer AS calls,
                    sum(input_tokens)::bigint AS input_tokens, sum(output_tokens)::bigint AS output_tokens,
                    sum(cost_usd)::float8 AS cost_usd
                FROM ai_calls WHERE owner_id = %(owner)s GROUP BY 1, 2, 3
            ) AS used
            WHERE month < %(month)s OR (month = %(month)s AND (provider, model) > (%(provider)s, %(model)s))
            ORDER BY month DESC, provider, model LIMIT %(limit)s
            """,
            {"owner": db.owner_id, "month": month, "provider": provider, "model": model, "limit": limit + 1},
            row=MonthlyUsage,
        )
    items = found[:limit]
    last = [items[-1].month, items[-1].provider, items[-1].model] if len(found) > limit else None
    return Page[MonthlyUsage](items=items, next_cursor=cursors.encode(last, binding) if last else None)


@dataclass(frozen=True)
class _Lost:
    id: UUID
    reserved_usd: Decimal
