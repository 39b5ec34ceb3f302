"""The hash chain over the audit lines: sealing and checking it.

hash(n) = SHA-256(hash(n-1) || text(n)), where the text is what `audit_line_text` prints: changing, removing, adding or reordering sealed
lines breaks it. Lines are sealed within a second; only the loss of that last second cannot be shown.
"""

import asyncio
import logging
from dataclasses import dataclass
from uuid import UUID

import psycopg

from shared.db import Database, Transaction
from shared.errors import Unavailable

log = logging.getLogger("docuvault.audit")

INTERVAL_SECONDS = 0.5
BATCH = 1000


@dataclass(frozen=True)
class Verification:
    """`first_bad` is the first line (or, where it is gone, its place) that does not fit."""

    ok: bool
    checked: int
    first_bad: str | None


@dataclass(frozen=True)
class _Bad:
    seq: int
    line_id: UUID


async def seal(db: Database) -> int:
    """Links all lines that wait into the chain; how many (0 also while another sealer is at it)."""
    total = 0
    while True:
        async with db.system() as tx:
            sealed: int = await tx.fetch_value("SELECT audit_seal(%(most)s)", {"most": BATCH})
        total += max(0, sealed)
        if sealed < BATCH:
            return total


async def keep_sealing(db: Database, stop: asyncio.Event) -> None:
    """Seals twice a second until `stop`; any number may run at once. For the broker's process."""
    while not stop.is_set():
        try:
            await seal(db)
        except (Unavailable, psycopg.Error) as failed:
            # Also while the schema is still being made. The lines wait.
            log.warning("audit lines could not be sealed just now: %s", str(failed).partition("\n")[0])
        try:
            async with asyncio.timeout(INTERVAL_SECONDS):
                await stop.wait()
        except TimeoutError:
            continue


async def verify(tx: Transaction) -> Verification:
    """Checks the whole chain, that no line was slipped in beside it, and the personal data that is still there (system transaction)."""
    checked: int = await tx.fetch_value("SELECT count(*) FROM audit_seals")
    bad = await tx.fetch_one(
        """
        WITH chain AS (
            SELECT seq, line_id, hash, lag(seq, 1, 0::bigint) OVER by_seq AS before, lag(hash, 1, '\\x'::bytea) OVER by_seq AS prior
            FROM audit_seals WINDOW by_seq AS (ORDER BY seq)
        )
        SELECT seq, chain.line_id
        FROM chain
        LEFT JOIN audit_lines AS line ON line.id = chain.line_id
        LEFT JOIN audit_personal AS personal ON personal.line_id = chain.line_id
        WHERE seq <> before + 1
           OR line.id IS NULL
           OR hash <> sha256(prior || convert_to(audit_line_text(line, seq), 'UTF8'))
           OR (personal.line_id IS NOT NULL
               AND line.commitment IS DISTINCT FROM audit_commitment(personal.salt, personal.ip, personal.user_agent, personal.email))
        ORDER BY seq
        LIMIT 1
        """,
        row=_Bad,
    )
    if bad is not None:
        return Verification(False, checked, str(bad.line_id))
    beside = await tx.fetch_value(
        """
        SELECT id FROM audit_lines
        WHERE at < clock_timestamp() - interval '1 minute' AND NOT EXISTS (SELECT FROM audit_seals WHERE line_id = id)
        ORDER BY id
        LIMIT 1
        """
    )
    if beside is not None:
        return Verification(False, checked, str(beside))
    return Verification(True, checked, None)
