"""Tokens that are good once, for one purpose, for a while: second-factor challenges and password resets. Stored as hashes."""

import hashlib
import secrets
from datetime import timedelta
from typing import Literal
from uuid import UUID

from shared import rate_limits
from shared.db import Transaction
from shared.identity.client import Client
from shared.keys import base64url

TokenPurpose = Literal["second_factor", "password_reset"]

MAX_LENGTH = 64
MAX_FAILURES = 5
"""Wrong codes that a challenge stands."""


async def create(tx: Transaction, user_id: UUID, purpose: TokenPurpose, lifetime: timedelta) -> str:
    """A new token (system transaction)."""
    text = base64url(secrets.token_bytes(32))
    await tx.execute(
        """
        INSERT INTO one_time_tokens (token_hash, user_id, purpose, expires_at)
        VALUES (%(hash)s, %(user)s, %(purpose)s, now() + %(lifetime)s)
        """,
        {"hash": _hash(text), "user": user_id, "purpose": purpose, "lifetime": lifetime},
    )
    return text


async def grant(tx: Transaction, text: str, user_id: UUID, purpose: TokenPurpose, lifetime: timedelta) -> bool:
    """Makes a token of `text`, or, if it is one already, has its time begin anew; False if it is used or void already.

    The user's other tokens of that purpose are void from now on. The caller holds the user's row (system transaction).
    """
    granted = await tx.execute(
        """
        INSERT INTO one_time_tokens AS known (token_hash, user_id, purpose, expires_at)
        VALUES (%(hash)s, %(user)s, %(purpose)s, now() + %(lifetime)s)
        ON CONFLICT (token_hash) DO UPDATE SET expires_at = excluded.expires_at WHERE known.used_at IS NULL
        """,
        {"hash": _hash(text), "user": user_id, "purpose": purpose, "lifetime": lifetime},
    )
    if granted:
        await tx.execute(
            """
            UPDATE one_time_tokens SET used_at = now()
            WHERE user_id = %(user)s AND purpose = %(purpose)s AND used_at IS NULL AND token_hash <> %(hash)s
            """,
            {"hash": _hash(text), "user": user_id, "purpose": purpose},
        )
    return bool(granted)


async def whose(tx: Transaction, text: str, purpose: TokenPurpose) -> UUID | None:
    """Whose token it is while it is good (system transaction)."""
    owner: UUID | None = await tx.fetch_value(
        """
        SELECT user_id FROM one_time_tokens
        WHERE token_hash = %(hash)s AND purpose = %(purpose)s AND used_at IS NULL AND expires_at > clock_timestamp()
          AND failures < %(most)s
        """,
        {"hash": _hash(text), "purpose": purpose, "most": MAX_FAILURES},
    )
    return owner


async def attempt(tx: Transaction, text: str, purpose: TokenPurpose) -> UUID | None:
    """Takes one of the token's few attempts, before anything is checked; whose token it is (system transaction)."""
    owner: UUID | None = await tx.fetch_value(
        """
        UPDATE one_time_tokens SET failures = failures + 1
        WHERE token_hash = %(hash)s AND purpose = %(purpose)s AND used_at IS NULL AND expires_at > clock_timestamp()
          AND failures < %(most)s
        RETURNING user_id
        """,
        {"hash": _hash(text), "purpose": purpose, "most": MAX_FAILURES},
    )
    return owner


async def lock(tx: Transaction, text: str, purpose: TokenPurpose) -> bool:
    """Whether the token is good still; nobody else uses it before this transaction ends (system transaction)."""
    found = await tx.fetch_value(
        """
        SELECT 1 FROM one_time_tokens
        WHERE token_hash = %(hash)s AND purpose = %(purpose)s AND used_at IS NULL AND expires_at > clock_timestamp()
        FOR UPDATE
        """,
        {"hash": _hash(text), "purpose": purpose},
    )
    return found is not None


async def use(tx: Transaction, text: str, purpose: TokenPurpose) -> UUID | None:
    """Uses the token up; whose it was, or None if it is not good (any more): of many at once, one gets it (system transaction)."""
    owner: UUID | None = await tx.fetch_value(
        """
        UPDATE one_time_tokens SET used_at = now()
        WHERE token_hash = %(hash)s AND purpose = %(purpose)s AND used_at IS NULL AND expires_at > clock_timestamp()
        RETURNING user_id
        """,
        {"hash": _hash(text), "purpose": purpose},
    )
    return owner


async def void(tx: Transaction, user_id: UUID) -> None:
    """Makes all of a user's tokens void. The caller holds the user's row (system transaction)."""
    await tx.execute("UPDATE one_time_tokens SET used_at = now() WHERE user_id = %(user)s AND used_at IS NULL", {"user": user_id})


async def count_void(client: Client) -> None:
    """Counts a request whose token is not good. Raises RateLimited after too many of them from one network.

    Only such requests are asked for this count: a token that is good has attempts of its own, which no neighbour can use up.
    """
    await rate_limits.count_named("second_factor", client.address)


def _hash(text: str) -> bytes:
    return hashlib.sha256(text[:MAX_LENGTH].encode("utf-8", "surrogatepass")).digest()
