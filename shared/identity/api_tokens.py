"""API tokens: for programs, with scopes, shown once, stored as a hash.

`dvt_`, 43 characters (32 random bytes, base64url), 6 characters (CRC-32 of what stands before, in base 62): a secret scanner finds them by
their form and drops look-alikes by their checksum, and a mistyped one is refused without a query.
"""

import hashlib
import re
import secrets
import string
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from shared.db import Transaction, database
from shared.errors import LimitReached, Unauthenticated
from shared.identity import revocation
from shared.identity.models import TokenItem
from shared.ids import new_id
from shared.keys import base64url

MAX_TOKENS = 100
"""Of one account, not counting those that were revoked."""
PREFIX = "dvt_"
PATTERN = re.compile(r"dvt_[A-Za-z0-9_-]{43}[0-9A-Za-z]{6}")
_BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase


@dataclass(frozen=True)
class FoundToken:
    """Whose token it is, and what it may do."""

    id: UUID
    user_id: UUID
    role: str
    scopes: list[str]
    expires_at: datetime | None


async def create(tx: Transaction, user_id: UUID, *, name: str, scopes: Sequence[str], expires_at: datetime | None) -> tuple[TokenItem, str]:
    """A new token and, this once, its text. `tx` is a system transaction. Raises LimitReached."""
    count = await tx.fetch_value("SELECT count(*) FROM api_tokens WHERE user_id = %(user)s AND revoked_at IS NULL", {"user": user_id})
    if count >= MAX_TOKENS:
        raise LimitReached(f"There may be {MAX_TOKENS} API tokens: revoke one that is not used any more.")
    text = new_token()
    token = await tx.fetch_one(
        """
        INSERT INTO api_tokens (id, user_id, name, scopes, token_hash, expires_at)
        VALUES (%(id)s, %(user)s, %(name)s, %(scopes)s, %(hash)s, %(expires)s)
        RETURNING id, name, scopes, expires_at, created_at, last_used_at
        """,
        {
            "id": new_id(),
            "user": user_id,
            "name": name,
            "scopes": sorted(set(scopes)),
            "hash": _hash(text),
            "expires": expires_at,
        },
        row=TokenItem,
    )
    assert token is not None
    return token, text


async def of_user(tx: Transaction, user_id: UUID, *, limit: int, before: UUID | None = None) -> list[TokenItem]:
    """Tokens that are not revoked, newest first, those before the token `before` (system transaction)."""
    return await tx.fetch_all(
        """
        SELECT id, name, scopes, expires_at, created_at, last_used_at
        FROM api_tokens
        WHERE user_id = %(user)s AND revoked_at IS NULL AND (%(before)s::uuid IS NULL OR id < %(before)s)
        ORDER BY id DESC
        LIMIT %(limit)s
        """,
        {"user": user_id, "before": before, "limit": limit},
        row=TokenItem,
    )


async def revoke(tx: Transaction, user_id: UUID, token_id: UUID) -> bool:
    """Ends a token at once; whether there was one. Follow with `revocation.propagated()`."""
    ended = await tx.execute(
        "UPDATE api_tokens SET revoked_at = now() WHERE id = %(id)s AND user_id = %(user)s AND revoked_at IS NULL",
        {"id": token_id, "user": user_id},
    )
    if ended:
        await revocation.record(tx, [revocation.api_token_key(token_id)])
    return bool(ended)


async def revoke_all(tx: Transaction, user_id: UUID) -> None:
    """Ends all tokens of a user (its password changed, its account disabled or deleted). Follow with `revocation.propagated()`."""
    ended = await tx.fetch_value(
        """
        WITH ended AS (
            UPDATE api_tokens SET revoked_at = now() WHERE user_id = %(user)s AND revoked_at IS NULL RETURNING id
        )
        SELECT array_agg(id) FROM ended
        """,
        {"user": user_id},
    )
    await revocation.record(tx, [revocation.api_token_key(token_id) for token_id in ended or ()])


async def find(text: str) -> FoundToken:
    """The token of that text, which may be cached for a while. Raises Unauthenticated."""
    if not is_well_formed(text):
        raise Unauthenticated("This is not an API token of ours.")
    async with database().system() as tx:
        found = await tx.fetch_one(
            """
            UPDATE api_tokens SET last_used_at = now()
            FROM users
            WHERE token_hash = %(hash)s AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())
              AND users.id = user_id AND NOT users.disabled AND users.deleted_at IS NULL
            RETURNING api_tokens.id, user_id, role, scopes, expires_at
            """,
            {"hash": _hash(text)},
            row=FoundToken,
        )
    if found is None:
        raise Unauthenticated("This API token is unknown, expired or revoked.")
    return found


def new_token() -> str:
    """A random token with its checksum."""
    body = PREFIX + base64url(secrets.token_bytes(32))
    return body + _checksum(body)


def is_well_formed(text: str) -> bool:
    """Whether form and checksum are those of an API token."""
    return PATTERN.fullmatch(text) is not None and _checksum(text[:-6]) == text[-6:]


def _checksum(body: str) -> str:
    number = zlib.crc32(body.encode("ascii"))
    digits = ""
    for _ in range(6):
        number, digit = divmod(number, 62)
        digits = _BASE62[digit] + digits
    return digits


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
