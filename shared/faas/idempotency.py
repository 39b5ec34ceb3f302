"""`Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header): per caller and operation, for 24 hours.

The first call with a key reserves it and keeps its response; a replay gets that response again. Only successes are kept: after a failure
the key is free again, and so it is once the document (or topic) that the response is about has been deleted. A response that holds a secret
is not kept, its replay is 409 `already_done`. If PostgreSQL goes away before a response is kept, the caller still gets it; a replay is
carried out again then, two minutes later.

A key stands for one request: another one with the same key is 422 `idempotency_key_reused`. What a request is known by covers all that
was sent, also in a body that is streamed: there it is complete only at the end, so a replay is read to its end before it gets its response.
"""

import asyncio
import hashlib
import hmac
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

import psycopg
from psycopg.types.json import Jsonb

from shared.api.response import Response
from shared.db import Database, TenantDatabase
from shared.errors import AlreadyDone, Conflict, DomainError, Unavailable, ValidationFailed
from shared.faas.declarations import EndpointDeclaration
from shared.faas.fingerprints import StreamFingerprint
from shared.keys import internal_keys

log = logging.getLogger("docuvault.http")

KEPT_HOURS = 24
ABANDONED_AFTER_SECONDS = 120
"""A first call that has neither ended nor renewed its reservation by then (its process died) no longer blocks its key."""
RENEW_SECONDS = 30.0
"""How often a call that takes long does so: a large document may come in for an hour."""
KEY_LENGTH = 255


class FirstStillRuns(Conflict):
    code, title = "idempotency_conflict", "The first request with this Idempotency-Key is still running"


class KeyReused(ValidationFailed):
    code, title = "idempotency_key_reused", "This Idempotency-Key was used for another request"


@dataclass(frozen=True)
class _StoredResponse:
    request_hash: bytes
    state: str
    status: int | None
    headers: list[list[str]] | None
    body: bytes | None


async def once(
    db: TenantDatabase,
    declaration: EndpointDeclaration,
    key: str,
    request: bytes | StreamFingerprint,
    run: Callable[[], Awaitable[Response]],
    *,
    renew_seconds: float = RENEW_SECONDS,
) -> Response:
    """`run`'s response, or the one it gave before. Raises FirstStillRuns, KeyReused, AlreadyDone, ValidationFailed.

    `request` is what the request is known by; for a streamed one, `run` reads the body from `request.passed_on()`.
    """
    if not 1 <= len(key) <= KEY_LENGTH or not key.isprintable():
        raise ValidationFailed(
            f"Idempotency-Key must have 1 to {KEY_LENGTH} printable characters.",
            errors=[{"loc": ["header", "Idempotency-Key"], "msg": f"must have 1 to {KEY_LENGTH} printable characters"}],
        )
    kept = await _reserve(db, declaration.name, key, _keyed(request) if isinstance(request, bytes) else _STREAMED)
    if isinstance(kept, _StoredResponse):
        streams = not isinstance(request, bytes)
        if not (streams and kept.state == "running") and not await _is_same(request, kept.request_hash):
            raise KeyReused("Use a new Idempotency-Key for a new request.", errors=[])
        if kept.state == "running":
            raise FirstStillRuns("Wait for the first request to end, then repeat this one.", headers={"Retry-After": "1"})
        if kept.state == "secret":
            raise AlreadyDone
        headers = [(name, value) for name, value in kept.headers or []]
        return Response(kept.status or 200, kept.body or b"", [*headers, ("idempotent-replayed", "true")])
    reservation = _Reservation(db, declaration.name, key, kept)
    try:
        async with reservation.renewed(renew_seconds):
            response = await run()
    except BaseException:
        await reservation.release()
        raise
    if response.status >= 400 or not isinstance(response.body, bytes):
        await reservation.release()
    else:
        try:
            request_hash = _keyed(request) if isinstance(request, bytes) else await _of_stream(request)
            await reservation.keep(response, request_hash, secret=declaration.secret_answer)
        except DomainError as error:
            # It was carried out: to say otherwise would have it carried out again.
            log.warning("a response could not be kept for its Idempotency-Key", extra={"fields": {"function": declaration.name}})
            if not isinstance(error, Unavailable):
                await reservation.release()
    return response


_STREAMED = b""
"""Stands for the hash of a streamed request until its end."""
_SIZE_BYTES = 8


def _keyed(request: bytes) -> bytes:
    """The hash that is stored: keyed, because a request may hold a password."""
    return hmac.digest(internal_keys("idempotency")[-1], request, hashlib.sha256)


async def _of_stream(request: StreamFingerprint, *, at_most: int | None = None) -> bytes | None:
    """The hash that is stored of a streamed request, and its size, by which a longer one is known before its end."""
    digest = await request.digest(at_most=at_most)
    return None if digest is None else _keyed(digest) + request.size.to_bytes(_SIZE_BYTES, "big")


async def _is_same(request: bytes | StreamFingerprint, request_hash: bytes) -> bool:
    if isinstance(request, bytes):
        return hmac.compare_digest(_keyed(request), request_hash)
    if len(request_hash) != hashlib.sha256().digest_size + _SIZE_BYTES:
        return False  # stored by a version that did not read streams
    size = int.from_bytes(request_hash[-_SIZE_BYTES:], "big")
    return await _of_stream(request, at_most=size) == request_hash


async def prune(db: Database) -> int:
    """Forgets responses kept for longer than they are good; how many. For the hourly schedule."""
    async with db.system() as tx:
        return await tx.execute(f"DELETE FROM idempotency_keys WHERE created_at < now() - interval '{KEPT_HOURS} hours'")


async def _reserve(db: TenantDatabase, operation: str, key: str, digest: bytes) -> _StoredResponse | datetime:
    """When the key became ours, by which we know it as ours later; else what is kept under it."""
    async with db.transaction() as tx:
        parameters = {"owner": db.owner_id, "operation": operation, "key": key, "hash": digest}
        reserved_at: datetime | None = await tx.fetch_value(
            f"""
            INSERT INTO idempotency_keys AS kept (owner_id, operation, key, request_hash, state)
            VALUES (%(owner)s, %(operation)s, %(key)s, %(hash)s, 'running')
            ON CONFLICT (owner_id, operation, key) DO UPDATE
            SET request_hash = excluded.request_hash, state = 'running', created_at = now(), status = NULL, headers = NULL, body = NULL,
                subject = NULL
            WHERE kept.created_at < now() - interval '{KEPT_HOURS} hours'
               OR (kept.state = 'running' AND kept.created_at < now() - interval '{ABANDONED_AFTER_SECONDS} seconds')
            RETURNING created_at
            """,
            parameters,
        )
        if reserved_at is not None:
            return reserved_at
        kept = await tx.fetch_one(
            """
            SELECT request_hash, state, status, headers, body FROM idempotency_keys
            WHERE owner_id = %(owner)s AND operation = %(operation)s AND key = %(key)s
            """,
            parameters,
            row=_StoredResponse,
        )
    if kept is None:
        raise FirstStillRuns("The first request with this key has just failed; repeat this one.", headers={"Retry-After": "1"})
    return kept


class _Reservation:
    """A key that is ours: as long as it was reserved when we last did so, nobody has taken it over."""

    def __init__(self, db: TenantDatabase, operation: str, key: str, reserved_at: datetime) -> None:
        self._db = db
        self._parameters = {"owner": db.owner_id, "operation": operation, "key": key}
        self._reserved_at = reserved_at

    @asynccontextmanager
    async def renewed(self, every: float) -> AsyncIterator[None]:
        """Keeps the key from being taken for abandoned meanwhile."""
        ended = asyncio.Event()
        renewing = asyncio.create_task(self._renew(every, ended))
        try:
            yield
        finally:
            # Not cancelled: whether a renewal that is under way was carried out must be known.
            ended.set()
            await renewing

    async def _renew(self, every: float, ended: asyncio.Event) -> None:
        while not ended.is_set():
            try:
                async with asyncio.timeout(every):
                    await ended.wait()
            except TimeoutError:
                try:
                    if not await self._was_renewed():
                        return
                except (DomainError, psycopg.Error):
                    continue  # PostgreSQL is away; there is time for more attempts

    async def _was_renewed(self) -> bool:
        async with self._db.transaction() as tx:
            reserved_at: datetime | None = await tx.fetch_value(
                """
                UPDATE idempotency_keys SET created_at = clock_timestamp()
                WHERE owner_id = %(owner)s AND operation = %(operation)s AND key = %(key)s AND created_at = %(reserved_at)s
                RETURNING created_at
                """,
                self._parameters | {"reserved_at": self._reserved_at},
            )
        if reserved_at is None:
            return False
        self._reserved_at = reserved_at
        return True

    async def keep(self, response: Response, request_hash: bytes | None, *, secret: bool) -> None:
        """Keeps the response for replays of the request. Raises Unavailable."""
        async with self._db.transaction() as tx:
            await tx.execute(
                """
                UPDATE idempotency_keys
                SET state = %(state)s, status = %(status)s, headers = %(headers)s, body = %(body)s, request_hash = %(hash)s,
                    subject = %(subject)s
                WHERE owner_id = %(owner)s AND operation = %(operation)s AND key = %(key)s AND created_at = %(reserved_at)s
                """,
                self._parameters
                | {
                    "reserved_at": self._reserved_at,
                    "hash": request_hash,
                    "subject": response.subject,
                    "state": "secret" if secret else "done",
                    "status": response.status,
                    "headers": None if secret else Jsonb([list(header) for header in response.headers]),
                    "body": None if secret else response.body,
                },
            )

    async def release(self) -> None:
        """Frees the key."""
        try:
            async with self._db.transaction() as tx:
                await tx.execute(
                    """
                    DELETE FROM idempotency_keys
                    WHERE owner_id = %(owner)s AND operation = %(operation)s AND key = %(key)s AND created_at = %(reserved_at)s
                        AND state = 'running'
                    """,
                    self._parameters | {"reserved_at": self._reserved_at},
                )
        except DomainError:
            pass  # The key frees itself after ABANDONED_AFTER_SECONDS.
