"""Sessions: a sign-in that lasts (30 days since the last use, 90 in all), by a refresh token that changes at every use.

A refresh token is `session id, generation, 32 secret bytes, tag`, base64url. The tag (an HMAC) tells one that we issued from one that was
made up, so that only a genuine token can end a session. Only the hashes of the present token and of its predecessor are stored; the
successor's secret is an HMAC over session, generation and the token presented, so it can be given again without being stored.

A spent token yields its successor once more only as the immediate predecessor, within 10 s, while the successor is unused: two tabs that
refresh at once both stay signed in. Any other spent token ends the whole family, decided under a lock on the session.
"""

import hashlib
import hmac
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum, StrEnum
from uuid import UUID

from shared.db import Transaction
from shared.identity import accounts, revocation
from shared.identity.client import Client
from shared.identity.models import SessionItem
from shared.ids import new_id
from shared.keys import base64url, from_base64url, internal_keys

LIFETIME = timedelta(days=30)
"""Since the last use."""
MAX_AGE = timedelta(days=90)
"""Since the sign-in, however much it is used: then everybody signs in again (OWASP ASVS 5.0, 7.3.2; the number is ours)."""
GRACE = timedelta(seconds=10)
"""How long a spent token yields its unused successor again."""

_SECRET_BYTES = 32
_TAG_BYTES = 16
_BODY_BYTES = 16 + 4 + _SECRET_BYTES


class EndReason(StrEnum):
    """Why a session ended."""

    SIGNED_OUT = "signed_out"
    REVOKED = "revoked"
    REUSED = "refresh_token_reused"
    PASSWORD_RESET = "password_reset"  # noqa: S105
    PASSWORD_CHANGED = "password_changed"  # noqa: S105
    SECOND_FACTOR_CHANGED = "second_factor_changed"
    ACCOUNT_DISABLED = "account_disabled"
    ACCOUNT_DELETED = "account_deleted"
    BY_ADMIN = "by_admin"


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """A refresh token that we issued (its tag is right)."""

    session_id: UUID
    generation: int
    text: str

    @property
    def hash(self) -> bytes:
        """What is stored of it."""
        return hashlib.sha256(self.text.encode()).digest()


class RotationOutcome(Enum):
    """What became of a refresh token that was presented."""

    ROTATED = "rotated"
    UNKNOWN = "unknown"
    """Never ours, or of a session that is gone."""
    EXPIRED = "expired"
    """Of a session that was not used for too long, or is too old."""
    ENDED = "ended"
    """Of a session that has ended."""
    REUSED = "reused"
    """Spent: the session ended just now because of it."""


@dataclass(frozen=True, slots=True)
class Rotation:
    """The outcome of presenting a refresh token; `token` if it was rotated, ids if the session is known."""

    outcome: RotationOutcome
    session_id: UUID | None = None
    user_id: UUID | None = None
    token: str | None = None


@dataclass(frozen=True)
class _SessionRow:
    user_id: UUID
    token_hash: bytes
    previous_hash: bytes | None
    generation: int
    ended: bool
    expired: bool
    in_grace: bool
    usable: bool


async def create(tx: Transaction, user_id: UUID, client: Client) -> tuple[UUID, str]:
    """A new session with a new id and its first refresh token (system transaction).

    The caller holds the user's row `FOR SHARE`, so that no session slips in while all are being ended.
    """
    session_id = new_id()
    token = _token(session_id, 1, secrets.token_bytes(_SECRET_BYTES))
    await tx.execute(
        """
        INSERT INTO sessions (id, user_id, token_hash, expires_at, user_agent, ip)
        VALUES (%(id)s, %(user)s, %(hash)s, now() + %(lifetime)s, %(agent)s, %(ip)s)
        """,
        {
            "id": session_id,
            "user": user_id,
            "hash": token.hash,
            "lifetime": LIFETIME,
            "agent": client.shown_user_agent,
            "ip": client.address,
        },
    )
    return session_id, token.text


async def rotate(tx: Transaction, text: str, client: Client) -> Rotation:
    """Spends a refresh token for its successor, under a lock on its session (system transaction).

    The transaction must be committed whatever the outcome; after REUSED, follow with `revocation.propagated()`.
    """
    presented = parse(text)
    if presented is None:
        return Rotation(RotationOutcome.UNKNOWN)
    row = await tx.fetch_one(
        """
        SELECT sessions.user_id, token_hash, previous_hash, generation, ended_at IS NOT NULL AS ended, expires_at <= now() AS expired,
               clock_timestamp() - rotated_at <= %(grace)s AS in_grace, NOT users.disabled AND users.deleted_at IS NULL AS usable
        FROM sessions JOIN users ON users.id = sessions.user_id
        WHERE sessions.id = %(id)s
        FOR UPDATE OF sessions
        """,
        {"id": presented.session_id, "grace": GRACE},
        row=_SessionRow,
    )
    if row is None:
        return Rotation(RotationOutcome.UNKNOWN)
    session_id, user_id = presented.session_id, row.user_id
    if row.expired and not row.ended:
        return Rotation(RotationOutcome.EXPIRED, session_id, user_id)
    if row.ended or not row.usable:
        return Rotation(RotationOutcome.ENDED, session_id, user_id)
    if hmac.compare_digest(presented.hash, row.token_hash):
        successor = _successor(presented, internal_keys("refresh token")[0])
        await tx.execute(
            """
            UPDATE sessions
            SET token_hash = %(hash)s, previous_hash = token_hash, generation = generation + 1, rotated_at = clock_timestamp(),
                last_used_at = now(), expires_at = least(now() + %(lifetime)s, created_at + %(max_age)s),
                user_agent = %(agent)s, ip = %(ip)s
            WHERE id = %(id)s
            """,
            {
                "id": session_id,
                "hash": successor.hash,
                "lifetime": LIFETIME,
                "max_age": MAX_AGE,
                "agent": client.shown_user_agent,
                "ip": client.address,
            },
        )
        return Rotation(RotationOutcome.ROTATED, session_id, user_id, successor.text)
    # The successor is unused exactly while the token presented is the one just before it.
    if row.in_grace and row.previous_hash is not None and hmac.compare_digest(presented.hash, row.previous_hash):
        for key in internal_keys("refresh token"):
            successor = _successor(presented, key)
            if hmac.compare_digest(successor.hash, row.token_hash):
                return Rotation(RotationOutcome.ROTATED, session_id, user_id, successor.text)
    await end(tx, user_id, [session_id], EndReason.REUSED)
    return Rotation(RotationOutcome.REUSED, session_id, user_id)


async def owner_of_current(tx: Transaction, token: RefreshToken) -> UUID | None:
    """Whose session it is, if the token is the present one or its predecessor (system transaction)."""
    owner: UUID | None = await tx.fetch_value(
        "SELECT user_id FROM sessions WHERE id = %(id)s AND %(hash)s IN (token_hash, previous_hash) AND ended_at IS NULL",
        {"id": token.session_id, "hash": token.hash},
    )
    return owner


async def of_user(tx: Transaction, user_id: UUID, current: UUID | None, *, limit: int, before: UUID | None = None) -> list[SessionItem]:
    """Sessions that last, newest first, those before the session `before` (system transaction)."""
    return await tx.fetch_all(
        """
        SELECT id, created_at, last_used_at, user_agent, ip, id IS NOT DISTINCT FROM %(current)s::uuid AS current
        FROM sessions
        WHERE user_id = %(user)s AND ended_at IS NULL AND expires_at > now() AND (%(before)s::uuid IS NULL OR id < %(before)s)
        ORDER BY id DESC
        LIMIT %(limit)s
        """,
        {"user": user_id, "current": current, "before": before, "limit": limit},
        row=SessionItem,
    )


async def end(tx: Transaction, user_id: UUID, session_ids: Iterable[UUID], reason: EndReason) -> int:
    """Ends sessions of a user at once, their access tokens included; how many. Follow with `revocation.propagated()`."""
    ended = await tx.fetch_value(
        """
        WITH ended AS (
            UPDATE sessions SET ended_at = now(), end_reason = %(reason)s
            WHERE id = ANY(%(ids)s) AND user_id = %(user)s AND ended_at IS NULL
            RETURNING id
        )
        SELECT array_agg(id) FROM ended
        """,
        {"ids": list(session_ids), "user": user_id, "reason": reason.value},
    )
    return await _revoke(tx, ended or [])


async def end_all(tx: Transaction, user_id: UUID, reason: EndReason, *, but: UUID | None = None) -> int:
    """Ends all sessions of a user, `but` one; how many. Locks the user's row, so that none is made meanwhile.

    Follow with `revocation.propagated()`.
    """
    await accounts.lock(tx, user_id)
    ended = await tx.fetch_value(
        """
        WITH ended AS (
            UPDATE sessions SET ended_at = now(), end_reason = %(reason)s
            WHERE user_id = %(user)s AND id IS DISTINCT FROM %(but)s AND ended_at IS NULL
            RETURNING id
        )
        SELECT array_agg(id) FROM ended
        """,
        {"user": user_id, "but": but, "reason": reason.value},
    )
    return await _revoke(tx, ended or [])


async def is_recent(tx: Transaction, user_id: UUID, session_id: UUID, within: timedelta) -> bool:
    """Whether a session of the user's that has not ended began, by signing in, within that time (system transaction)."""
    recent: bool = await tx.fetch_value(
        """
        SELECT EXISTS (
            SELECT FROM sessions
            WHERE id = %(id)s AND user_id = %(user)s AND ended_at IS NULL AND created_at > clock_timestamp() - %(within)s
        )
        """,
        {"id": session_id, "user": user_id, "within": within},
    )
    return recent


async def hold(tx: Transaction, user_id: UUID, session_id: UUID | None) -> bool:
    """Whether the session still goes on; it is not ended before this transaction is over (system transaction)."""
    await accounts.lock(tx, user_id)
    goes_on: bool = await tx.fetch_value(
        "SELECT EXISTS (SELECT FROM sessions WHERE id = %(id)s AND user_id = %(user)s AND ended_at IS NULL)",
        {"id": session_id, "user": user_id},
    )
    return goes_on


def parse(text: str) -> RefreshToken | None:
    """The token if we issued it, with any of our keys; else None."""
    raw = from_base64url(text) if len(text) <= 200 else None
    if raw is None or len(raw) != _BODY_BYTES + _TAG_BYTES:
        return None
    body, tag = raw[:_BODY_BYTES], raw[_BODY_BYTES:]
    if not any(hmac.compare_digest(tag, _tag(key, body)) for key in internal_keys("refresh token")):
        return None
    return RefreshToken(UUID(bytes=body[:16]), int.from_bytes(body[16:20], "big"), text)


async def _revoke(tx: Transaction, session_ids: list[UUID]) -> int:
    await revocation.record(tx, [revocation.session_key(session_id) for session_id in session_ids])
    return len(session_ids)


def _token(session_id: UUID, generation: int, secret: bytes, key: bytes | None = None) -> RefreshToken:
    body = session_id.bytes + generation.to_bytes(4, "big") + secret
    return RefreshToken(session_id, generation, base64url(body + _tag(key or internal_keys("refresh token")[0], body)))


def _successor(token: RefreshToken, key: bytes) -> RefreshToken:
    generation = token.generation + 1
    material = b"successor\0" + token.session_id.bytes + generation.to_bytes(4, "big") + token.text.encode()
    return _token(token.session_id, generation, hmac.digest(key, material, hashlib.sha256), key)


def _tag(key: bytes, body: bytes) -> bytes:
    return hmac.digest(key, b"tag\0" + body, hashlib.sha256)[:_TAG_BYTES]
