"""The daily exports: one file a UTC day, `.audit/{date}.jsonl` in the bucket, JSON Lines, signed.

Each line but the last is an audit line as the chain hashed it (`audit_line_text`), with its hash: `{"hash": hex, "line": {...}}`, in the
order of the chain. A file holds the lines written on its day, and those of earlier days that were sealed only after their own day's export
(a transaction that ran over midnight), so every sealed line stands in exactly one file. The last line is `{"signature": JWS}`: an ES256 JWS
(RFC 7515, compact) by a key of jwks.json over `{"date", "lines", "sha256", "chain": {"seq", "hash"}}`; `sha256` is that of all bytes before
the last line, `chain` the place that the whole chain had reached. Whoever keeps the files can show what was removed or rewritten in the
database later; personal data (address, user agent, mail address) is not in them, only its commitment.
"""

import hashlib
import json
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from shared import clock
from shared.api.models import Page, PageQuery
from shared.api.short_lists import page
from shared.audit import chain
from shared.audit.actions import AuditAction
from shared.audit.caller import Caller
from shared.audit.entries import record
from shared.audit.models import AuditExport
from shared.db import Database, Transaction
from shared.errors import NotFound
from shared.keys import signing_keys
from shared.storage import ObjectMissing, object_store
from shared.storage.object_keys import AuditExportKey

log = logging.getLogger("docuvault.audit")

CONTENT_TYPE = "application/jsonl"
BATCH = 2000
"""Lines read at a time."""
SIGNATURE_TYPE = "audit-export+jws"
"""`typ` of the signature (RFC 8725, section 3.11): no other token of ours passes for one."""
LONGEST_SIGNATURE = 4096
"""Bytes of a file's last line at most."""


@dataclass(frozen=True)
class _Claim:
    """Which lines a day's file has: those up to `sealed_to` of its day, and earlier ones after `previous_sealed_to`."""

    sealed_to: int
    previous_sealed_to: int
    first_of_day: int | None
    finished: bool


@dataclass(frozen=True)
class _Line:
    seq: int
    text: str
    hash: str


@dataclass(frozen=True)
class _SignedEnd:
    seq: int
    hash: str


async def export_missing(db: Database, *, up_to: date) -> list[date]:
    """Exports each day up to `up_to` that has no export yet, also days without lines; the days that were exported.

    The first is the day of the first line. Raises Unavailable or StorageUnavailable: what is missing then is made by the next run.
    """
    await chain.seal(db)
    async with db.system() as tx:
        first: date | None = await tx.fetch_value(
            """
            SELECT coalesce(
                (SELECT min(day) FROM audit_exports WHERE finished_at IS NULL),
                (SELECT max(day) + 1 FROM audit_exports),
                (SELECT (min(at) AT TIME ZONE 'UTC')::date FROM audit_lines)
            )
            """
        )
    day = up_to if first is None else first
    exported = []
    while day <= up_to:
        if await _export(db, day):
            exported.append(day)
        day += timedelta(days=1)
    return exported


async def _export(db: Database, day: date) -> bool:
    """Makes one day's export; False if it is there already."""
    claim = await _claim(db, day)
    if claim.finished:
        return False
    file = _File(db, day, claim)
    stored = await object_store().put_stream(str(AuditExportKey(day)), file.chunks(), content_type=CONTENT_TYPE)
    async with db.system() as tx:
        await tx.execute(
            """
            UPDATE audit_exports SET lines = %(lines)s, size = %(size)s, finished_at = clock_timestamp()
            WHERE day = %(day)s AND finished_at IS NULL
            """,
            {"day": day, "lines": file.lines, "size": stored.size},
        )
    log.info("audit lines exported", extra={"fields": {"day": day.isoformat(), "lines": file.lines, "bytes": stored.size}})
    return True


async def _claim(db: Database, day: date) -> _Claim:
    """Decides, once, how far this day's export goes."""
    async with db.system() as tx:
        await tx.execute(
            """
            INSERT INTO audit_exports (day, sealed_to)
            VALUES (%(day)s, greatest((SELECT max(seq) FROM audit_seals), (SELECT max(sealed_to) FROM audit_exports), 0))
            ON CONFLICT (day) DO NOTHING
            """,
            {"day": day},
        )
        claim = await tx.fetch_one(
            """
            SELECT sealed_to, finished_at IS NOT NULL AS finished,
                   coalesce((SELECT sealed_to FROM audit_exports AS earlier WHERE earlier.day < made.day ORDER BY day DESC LIMIT 1), 0)
                       AS previous_sealed_to,
                   (SELECT min(seq) FROM audit_lines JOIN audit_seals ON line_id = id WHERE at >= %(start)s AND at < %(end)s)
                       AS first_of_day
            FROM audit_exports AS made WHERE day = %(day)s
            """,
            {"day": day, **_bounds(day)},
            row=_Claim,
        )
    assert claim is not None
    return claim


def _bounds(day: date) -> dict[str, datetime]:
    start = datetime.combine(day, time(), UTC)
    return {"start": start, "end": start + timedelta(days=1)}


class _File:
    """A day's file, as chunks of bytes; `lines` counts the audit lines in it."""

    def __init__(self, db: Database, day: date, claim: _Claim) -> None:
        self._db = db
        self._day = day
        self._claim = claim
        self._digest = hashlib.sha256()
        self.lines = 0

    async def chunks(self) -> AsyncIterator[bytes]:
        digest = hashlib.sha256()
        claim = self._claim
        first = claim.previous_sealed_to + 1
        after = (first if claim.first_of_day is None else min(first, claim.first_of_day)) - 1
        while batch := await self._batch(after):
            content = b"".join(_entry(line) for line in batch)
            digest.update(content)
            self.lines += len(batch)
            after = batch[-1].seq
            yield content
        yield await self._signature(digest.hexdigest())

    async def _batch(self, after: int) -> list[_Line]:
        async with self._db.system() as tx:
            return await tx.fetch_all(
                """
                SELECT seq, audit_line_text(line, seq) AS text, encode(hash, 'hex') AS hash
                FROM audit_seals JOIN audit_lines AS line ON line.id = line_id
                WHERE seq > %(after)s AND seq <= %(sealed_to)s AND at < %(end)s AND (at >= %(start)s OR seq > %(previous_sealed_to)s)
                ORDER BY seq
                LIMIT %(limit)s
                """,
                {
                    "after": after,
                    "sealed_to": self._claim.sealed_to,
                    "previous_sealed_to": self._claim.previous_sealed_to,
                    "limit": BATCH,
                    **_bounds(self._day),
                },
                row=_Line,
            )

    async def _signature(self, sha256: str) -> bytes:
        import jwt

        async with self._db.system() as tx:
            head = await _place(tx, self._claim.sealed_to)
        payload = {
            "date": self._day.isoformat(),
            "lines": self.lines,
            "sha256": sha256,
            "chain": {"seq": self._claim.sealed_to, "hash": head},
        }
        key = signing_keys()[0]
        signed = jwt.encode(payload, key.private, algorithm="ES256", headers={"kid": key.kid, "typ": SIGNATURE_TYPE})
        return json.dumps({"signature": signed}, separators=(",", ":")).encode() + b"\n"


def _entry(line: _Line) -> bytes:
    return f'{{"hash":"{line.hash}","line":{line.text}}}\n'.encode()


async def _place(tx: Transaction, seq: int) -> str:
    """The chain's hash at `seq`, in hex; empty before its first line, and if that line is gone."""
    hash_at_end: str | None = await tx.fetch_value("SELECT encode(hash, 'hex') FROM audit_seals WHERE seq = %(seq)s", {"seq": seq})
    return hash_at_end or ""


async def list_page(db: Database, query: PageQuery) -> Page[AuditExport]:
    """The finished exports, newest first. Raises InvalidCursor."""
    async with db.system() as tx:
        exports = await tx.fetch_all(
            "SELECT day AS date, lines, size FROM audit_exports WHERE finished_at IS NOT NULL ORDER BY day DESC", row=AuditExport
        )
    return page(exports, query, {"list": "audit_exports"})


async def open_export(db: Database, day: str, caller: Caller) -> tuple[AuditExport, AsyncIterator[bytes]]:
    """A day's export and its file's bytes; `day` as RFC 3339's full-date; audited. Raises NotFound."""
    try:
        wanted = date.fromisoformat(day)
    except ValueError:
        raise NotFound from None
    if wanted.isoformat() != day:
        raise NotFound
    async with db.system() as tx:
        export = await tx.fetch_one(
            "SELECT day AS date, lines, size FROM audit_exports WHERE day = %(day)s AND finished_at IS NOT NULL",
            {"day": wanted},
            row=AuditExport,
        )
    if export is None or await object_store().stat(str(AuditExportKey(wanted))) is None:
        raise NotFound
    async with db.system() as tx:
        await record(
            tx,
            AuditAction.AUDIT_EXPORT_DOWNLOADED,
            actor=caller.user_id,
            owner=caller.user_id,
            origin=caller,
            detail={"date": day},
        )
    return export, object_store().stream(str(AuditExportKey(wanted)))


async def first_contradiction(db: Database) -> str | None:
    """The first export whose file is gone, is not signed by us, or names a place of the chain that the chain no longer has.

    That shows what the chain alone cannot: that its end, and the signed head with it, were set back to an earlier state. Only the
    signatures of the files are read, not all of their lines. Raises StorageUnavailable.
    """
    async with db.system() as tx:
        exports = await tx.fetch_all(
            "SELECT day AS date, lines, size FROM audit_exports WHERE finished_at IS NOT NULL ORDER BY day", row=AuditExport
        )
    days = [export.date for export in exports]
    yesterday = clock.now().date() - timedelta(days=1)
    if exports:
        # Files that the table does not know: the table may have been set back, too.
        day = exports[-1].date + timedelta(days=1)
        while day <= yesterday and await object_store().stat(str(AuditExportKey(day))) is not None:
            days.append(day)
            day += timedelta(days=1)
    for day in days:
        signed = await _signed_place(day)
        if signed is None:
            return f"export of {day.isoformat()}"
        async with db.system() as tx:
            if await _place(tx, signed.seq) != signed.hash:
                return f"export of {day.isoformat()}"
    return None


async def _signed_place(day: date) -> _SignedEnd | None:
    """What the signature of a day's file says of the chain; None if there is none of ours."""
    import jwt

    stored = await object_store().stat(str(AuditExportKey(day)))
    if stored is None or stored.size == 0:
        return None
    try:
        start = max(0, stored.size - LONGEST_SIGNATURE)
        end = b"".join([chunk async for chunk in object_store().stream(str(AuditExportKey(day)), start=start)])
        token = json.loads(end.rstrip(b"\n").rpartition(b"\n")[2])["signature"]
        header = jwt.get_unverified_header(token)
        key = next((key for key in signing_keys() if key.kid == header.get("kid")), None)
        if key is None or header.get("typ") != SIGNATURE_TYPE:
            return None
        claims: dict[str, Any] = jwt.decode(token, key.public, algorithms=["ES256"])
        if claims["date"] != day.isoformat():
            return None
        return _SignedEnd(int(claims["chain"]["seq"]), str(claims["chain"]["hash"]))
    except (ObjectMissing, jwt.InvalidTokenError, ValueError, KeyError, TypeError):
        return None
