"""The hash chain over the audit lines: sealing and checking it.

hash(n) = SHA-256(hash(n-1) || text(n)), where the text is what `audit_line_text` prints: changing, removing, adding or reordering sealed
lines breaks it. So that none are cut off the end either, the place the chain has come to (`audit_head`) is signed with a key of SECRET_KEY,
which is not in the database, and the chain always goes on from there. Lines are sealed within a second; only the loss of that last second
cannot be shown. (Whoever owns the schema and had kept an older signed head could put both back: the signed daily export shows that.)
"""

import asyncio
import hashlib
import hmac
import logging
from dataclasses import dataclass
from uuid import UUID

import psycopg

from shared.db import Database, Transaction
from shared.errors import Unavailable
from shared.keys import internal_keys

log = logging.getLogger("docuvault.audit")

INTERVAL_SECONDS = 0.5
BATCH = 1000
CHECKED_AT_ONCE = 50_000
"""Lines of one statement of `verify`: about a second."""


@dataclass(frozen=True)
class Verification:
    """`first_bad` is the first line (or, if it is gone, its place: `after` so many) that does not fit."""

    ok: bool
    checked: int
    first_bad: str | None


@dataclass(frozen=True)
class _ChainPlace:
    seq: int
    hash: bytes


@dataclass(frozen=True)
class _Bad:
    seq: int
    line_id: UUID


@dataclass(frozen=True)
class _Sealed:
    sealed: int
    old_seq: int | None
    old_hash: bytes | None
    old_signature: bytes | None
    new_seq: int | None
    new_hash: bytes | None


@dataclass(frozen=True)
class _ChainEnd:
    seq: int
    hash: bytes
    signature: bytes | None
    last_seq: int
    last_hash: bytes


async def seal(db: Database) -> int:
    """Links all lines that wait into the chain; how many (0 also while another sealer is at it)."""
    total = 0
    while True:
        async with db.system() as tx:
            done = await tx.fetch_one("SELECT * FROM audit_seal(%(most)s)", {"most": BATCH}, row=_Sealed)
            assert done is not None
            await _sign(tx, done)
        total += max(0, done.sealed)
        if done.sealed < BATCH:
            return total


async def _sign(tx: Transaction, done: _Sealed) -> None:
    """Signs the head that a sealing led to; never one that goes on from a head we did not sign: `verify` must go on finding that."""
    if done.old_seq is None or done.old_hash is None or done.new_seq is None or done.new_hash is None:
        return
    if not _is_signed(done.old_seq, done.old_hash, done.old_signature):
        log.error("the head of the audit log was changed by somebody, or SECRET_KEY lost the key that signed it")
        return
    signature = _signature(internal_keys("audit head")[0], done.new_seq, done.new_hash)
    if done.new_seq > 0 and signature != done.old_signature:
        await tx.execute("SELECT audit_sign(%(signature)s)", {"signature": signature})


def _is_signed(seq: int, head: bytes, signature: bytes | None) -> bool:
    if signature is None:
        return seq == 0
    return any(hmac.compare_digest(signature, _signature(key, seq, head)) for key in internal_keys("audit head"))


def _signature(key: bytes, seq: int, head: bytes) -> bytes:
    return hmac.digest(key, seq.to_bytes(8, "big") + head, hashlib.sha256)


async def keep_sealing(db: Database, stop: asyncio.Event) -> None:
    """Seals twice a second until `stop`; any number may run at once. For the broker's process."""
    while not stop.is_set():
        try:
            await seal(db)
        except (Unavailable, psycopg.Error) as failed:
            # The lines wait.
            log.warning("audit lines could not be sealed just now: %s", str(failed).partition("\n")[0])
        try:
            async with asyncio.timeout(INTERVAL_SECONDS):
                await stop.wait()
        except TimeoutError:
            continue


async def verify(tx: Transaction, *, at_once: int = CHECKED_AT_ONCE) -> Verification:
    """Checks the whole chain, that no line was slipped in beside it, and the personal data that is still there (system transaction).

    Reads the chain `at_once` lines a statement, so that no statement runs longer however long the log is.
    """
    checked: int = await tx.fetch_value("SELECT count(*) FROM audit_seals")
    prior = _ChainPlace(0, b"")
    while (reached := await _range_end(tx, prior.seq, at_once)) is not None:
        bad = await _first_bad(tx, prior, reached.seq)
        if bad is not None:
            return Verification(False, checked, str(bad.line_id))
        prior = reached
    beside = await tx.fetch_value(
        """
        SELECT id FROM audit_lines
        WHERE NOT EXISTS (SELECT FROM audit_seals WHERE line_id = id) AND NOT EXISTS (SELECT FROM audit_queue WHERE line_id = id)
        ORDER BY id
        LIMIT 1
        """
    )
    if beside is not None:
        return Verification(False, checked, str(beside))
    end = await tx.fetch_one(
        """
        SELECT coalesce(head.seq, 0) AS seq, coalesce(head.hash, '\\x') AS hash, signature,
               coalesce(last.seq, 0) AS last_seq, coalesce(last.hash, '\\x') AS last_hash
        FROM (SELECT 1) AS here
        LEFT JOIN LATERAL (SELECT seq, hash, signature FROM audit_head ORDER BY seq DESC LIMIT 1) AS head ON true
        LEFT JOIN LATERAL (SELECT seq, hash FROM audit_seals ORDER BY seq DESC LIMIT 1) AS last ON true
        """,
        row=_ChainEnd,
    )
    assert end is not None
    if (end.seq, end.hash) != (end.last_seq, end.last_hash) or not _is_signed(end.seq, end.hash, end.signature):
        return Verification(False, checked, f"after {end.last_seq}")
    return Verification(True, checked, None)


async def _range_end(tx: Transaction, after: int, most: int) -> _ChainPlace | None:
    """The last line of the range that follows `after`; None if there is none."""
    return await tx.fetch_one(
        """
        SELECT seq, hash FROM (SELECT seq, hash FROM audit_seals WHERE seq > %(after)s ORDER BY seq LIMIT %(most)s) AS following
        ORDER BY seq DESC LIMIT 1
        """,
        {"after": after, "most": most},
        row=_ChainPlace,
    )


async def _first_bad(tx: Transaction, prior: _ChainPlace, last: int) -> _Bad | None:
    """The first line after `prior`, up to `last`, that does not follow from the one before it or is not what was committed to."""
    return await tx.fetch_one(
        """
        WITH chain AS (
            SELECT seq, line_id, hash, lag(seq, 1, %(prior_seq)s::bigint) OVER by_seq AS before,
                   lag(hash, 1, %(prior_hash)s::bytea) OVER by_seq AS prior
            FROM audit_seals WHERE seq > %(prior_seq)s AND seq <= %(last)s WINDOW by_seq AS (ORDER BY seq)
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
        {"prior_seq": prior.seq, "prior_hash": prior.hash, "last": last},
        row=_Bad,
    )
