"""A growing delay after failed attempts, instead of a lock-out.

Counted per account and client network: five attempts are free, then 1 s, doubling to 15 minutes. So that many networks together cannot
guess either, the account as a whole is counted too: twenty free, then 1 s, doubling to 30 s at most; a device or network from which the
account has signed in before is not held up by that, and a known device has a count of its own, so nobody can lock another out.

A device is known by a cookie. It is good for the password it was made under, and a browser that signs in again from the same network gets
the same one: whoever signs in a hundred times has one count, not a hundred, and none once the password is a new one.

Kept in PostgreSQL: holds across processes and through any failure of Redis; with PostgreSQL gone nobody can sign in anyway (closed).
Whoever guesses many times at once learns no more: an outcome is given only if nothing is to be waited for after the password was
checked, either.
"""

import hashlib
import hmac
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from psycopg import AsyncCursor
from psycopg.rows import class_row

from shared.db import Transaction
from shared.errors import RateLimited
from shared.identity.accounts import StoredCredentials
from shared.identity.client import Client
from shared.keys import base64url, from_base64url, internal_keys

FREE = 5
MAX_SECONDS = 15 * 60
ACCOUNT_FREE = 20
ACCOUNT_MAX_SECONDS = 30
FORGOTTEN_AFTER_HOURS = 24
"""Failures are forgotten after as much quiet."""
KNOWN_DAYS = 90
"""How long a network counts as known after a sign-in from it."""
_RENEW_DAYS = 89
_DEVICE_BYTES = 16
_DEVICE_TAG_BYTES = 16


@dataclass(frozen=True, slots=True)
class Buckets:
    """What an attempt is counted under: its own place (network or device), and the account as a whole."""

    own: bytes
    account: bytes
    known_device: bool


@dataclass(frozen=True, slots=True)
class Standing:
    """How matters stand: seconds to wait, and whether success has anything to write."""

    wait_seconds: int
    known: bool
    clean: bool


@dataclass(frozen=True)
class Count:
    """The failures counted in one place."""

    bucket: bytes
    failures: int
    wait: float
    known: bool
    fresh: bool


def buckets(purpose: str, account: str, client: Client, *, owner: StoredCredentials | None) -> Buckets:
    """Where an attempt at `account` (an address, with an `owner` or not) by `client` is counted. Only keyed hashes are stored."""
    device = known_device(client.device, owner.id, owner.password_generation) if owner is not None else None
    name = account.strip().casefold()
    own = f"device\0{device}" if device else f"network\0{client.network}"
    return Buckets(_key(purpose, name, own), _key(purpose, name, "account"), device is not None)


async def standing(tx: Transaction, counted: Buckets, *, lock: bool = False) -> Standing:
    """How long `counted` has to wait (0: not at all); with `lock`, decided one after the other (system transaction)."""
    return judge(await (await ask(tx, [counted.own, counted.account], lock=lock)).fetchall(), counted)


def candidates(purpose: str, account: str, client: Client) -> list[bytes]:
    """All places where an attempt may turn out to be counted: for `ask`, while it is not known yet whose account it is."""
    name = account.strip().casefold()
    places = [f"network\0{client.network}", "account"]
    if client.device and (raw := from_base64url(client.device)) is not None and len(raw) == _DEVICE_BYTES + _DEVICE_TAG_BYTES:
        places.append(f"device\0{raw[:_DEVICE_BYTES].hex()}")
    return [_key(purpose, name, place) for place in places]


async def ask(tx: Transaction, places: list[bytes], *, lock: bool = False) -> AsyncCursor[Count]:
    """Sends the question that `judge` needs the rows of; in a pipeline it travels with others (system transaction)."""
    if lock:
        # What is not there cannot be locked: of many first guesses at once, each would find nothing to wait for.
        await tx.execute(
            """
            INSERT INTO attempts (bucket, failures, blocked_until)
            SELECT bucket, 0, '-infinity' FROM unnest(%(buckets)s::bytea[]) AS bucket ORDER BY bucket
            ON CONFLICT DO NOTHING
            """,
            {"buckets": places},
        )
    cursor = tx.connection.cursor(row_factory=class_row(Count))
    question: Any = f"""
        SELECT bucket, failures, extract(epoch FROM blocked_until - clock_timestamp())::float AS wait,
               coalesce(known_until > now(), false) AS known,
               coalesce(known_until > now() + interval '{_RENEW_DAYS} days', false) AS fresh
        FROM attempts WHERE bucket = ANY(%(buckets)s) ORDER BY bucket {"FOR UPDATE" if lock else ""}
        """
    await cursor.execute(question, {"buckets": places})
    return cursor


def judge(rows: Sequence[Count], counted: Buckets) -> Standing:
    """How matters stand, from the counts of at least the places in `counted`."""
    own = next((row for row in rows if row.bucket == counted.own), None)
    account = next((row for row in rows if row.bucket == counted.account), None)
    known_device = counted.known_device or (own is not None and own.known)
    wait = max(own.wait if own else 0.0, 0.0 if known_device or account is None else account.wait)
    clean = own is not None and own.fresh and own.failures == 0
    return Standing(math.ceil(max(0.0, wait)), known_device, clean)


def refuse_if_waiting(found: Standing) -> None:
    """Raises RateLimited while there is anything to wait for."""
    if found.wait_seconds > 0:
        raise RateLimited(found.wait_seconds, f"Too many failed attempts; try again in {found.wait_seconds} seconds.")


async def count_failure(tx: Transaction, counted: Buckets, found: Standing) -> None:
    """One more failure; the next attempt may have to wait for it (system transaction)."""
    await _count(tx, counted.own, FREE, MAX_SECONDS)
    if not found.known:
        await _count(tx, counted.account, ACCOUNT_FREE, ACCOUNT_MAX_SECONDS)


async def count_success(tx: Transaction, counted: Buckets, found: Standing) -> None:
    """Forgets the failures of this place; it is known from now on. What others did to the account stays counted."""
    if found.clean:
        return
    await tx.execute(
        f"""
        INSERT INTO attempts (bucket, failures, blocked_until, known_until)
        VALUES (%(bucket)s, 0, '-infinity', now() + interval '{KNOWN_DAYS} days')
        ON CONFLICT (bucket) DO UPDATE
        SET failures = 0, blocked_until = '-infinity', known_until = excluded.known_until, updated_at = now()
        """,
        {"bucket": counted.own},
    )


def device_cookie(client: Client, user_id: UUID, password_generation: int) -> str:
    """The cookie that makes a client's device known to an account for as long as the password stays the same."""
    key = internal_keys("known device")[0]
    seen = f"{user_id}\0{client.network}\0{client.fingerprint}".encode()
    device = hmac.digest(key, seen, hashlib.sha256)[:_DEVICE_BYTES]
    return base64url(device + _device_tag(key, user_id, password_generation, device))


def known_device(cookie: str | None, user_id: UUID, password_generation: int) -> str | None:
    """The device's id if the cookie is genuine, of this account, and made under its present password."""
    raw = from_base64url(cookie) if cookie and len(cookie) <= 64 else None
    if raw is None or len(raw) != _DEVICE_BYTES + _DEVICE_TAG_BYTES:
        return None
    device, tag = raw[:_DEVICE_BYTES], raw[_DEVICE_BYTES:]
    if any(hmac.compare_digest(tag, _device_tag(key, user_id, password_generation, device)) for key in internal_keys("known device")):
        return device.hex()
    return None


async def _count(tx: Transaction, bucket: bytes, free: int, max_seconds: int) -> None:
    await tx.execute(
        f"""
        INSERT INTO attempts AS known (bucket, failures, blocked_until)
        VALUES (%(bucket)s, 1, '-infinity')
        ON CONFLICT (bucket) DO UPDATE SET
            failures = CASE WHEN known.updated_at < now() - interval '{FORGOTTEN_AFTER_HOURS} hours' THEN 1 ELSE known.failures + 1 END,
            blocked_until = CASE
                WHEN known.updated_at < now() - interval '{FORGOTTEN_AFTER_HOURS} hours' OR known.failures < %(free)s THEN '-infinity'
                ELSE clock_timestamp() + least(%(most)s, power(2, least(known.failures - %(free)s, 20))) * interval '1 second'
            END,
            updated_at = now()
        """,
        {"bucket": bucket, "free": free, "most": max_seconds},
    )


def _key(purpose: str, account: str, place: str) -> bytes:
    # With the last key, which stays longest: rotating SECRET_KEY must not forgive anybody.
    text = f"{purpose}\0{account}\0{place}".encode("utf-8", "surrogatepass")
    return hmac.digest(internal_keys("attempts")[-1], text, hashlib.sha256)


def _device_tag(key: bytes, user_id: UUID, password_generation: int, device: bytes) -> bytes:
    signed = user_id.bytes + password_generation.to_bytes(4, "big") + device
    return hmac.digest(key, signed, hashlib.sha256)[:_DEVICE_TAG_BYTES]
