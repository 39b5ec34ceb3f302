"""What must be refused though its signature is good: sessions, access tokens and API tokens that were ended.

PostgreSQL (`revocations`) is the truth, Redis a fast copy (`revocation_copy`). If Redis cannot be reached, PostgreSQL is asked; if neither
can, the call fails (closed). A check costs one round trip, shared by all that are waiting at that moment. A process that was started for a
request asks PostgreSQL at first (`shared.redis_client.postpone`).

Revoking: `record()` in the transaction that ends the thing, then `await propagated()` before the response. The copy is written after the
commit, and tried again until Redis has it; should the process die before that, the others top the copy up within half a minute.
"""

import asyncio
import logging
import time
from collections.abc import Iterable
from datetime import timedelta
from uuid import UUID
from weakref import WeakKeyDictionary

from shared.config import settings
from shared.db import Database, Transaction, database
from shared.identity.revocation_copy import MAX_KEYS_AT_ONCE, PREFIX, RETRY_SECONDS, TIMEOUT_SECONDS, CopyUnavailable, RevocationCopy
from shared.redis_client import postponed

log = logging.getLogger("docuvault.identity")

KEPT = timedelta(minutes=16)
"""How long a revocation is kept: an access token's life and a minute for clocks that differ. API tokens are cached for less."""


def session_key(session_id: UUID) -> str:
    """Refuses every access token of a session."""
    return f"sid:{session_id}"


def access_token_key(token_id: UUID) -> str:
    """Refuses one access token."""
    return f"jti:{token_id}"


def api_token_key(token_id: UUID) -> str:
    """Refuses an API token that processes still have in their cache."""
    return f"tid:{token_id}"


async def record(tx: Transaction, keys: Iterable[str]) -> None:
    """Revokes `keys` when `tx` commits: at once in this process, in Redis as soon as `propagated()` returns."""
    revoked = list(keys)
    if not revoked:
        return
    await tx.execute(
        """
        INSERT INTO revocations (key, expires_at)
        SELECT key, now() + %(kept)s FROM unnest(%(keys)s::text[]) AS key
        ON CONFLICT (key) DO UPDATE SET expires_at = excluded.expires_at
        """,
        {"keys": revoked, "kept": KEPT},
    )
    tx.after_commit(lambda: revocations().propagate(revoked))


async def propagated() -> None:
    """Returns once Redis has what was revoked here, or is known to be unreachable (then it is tried again in the background)."""
    await revocations().propagated()


class Revocations:
    """One event loop's view: the batch that is waiting, the copy, what this process itself revoked.

    Redis is left alone for the first `postponed` seconds, and is not waited for longer than `patience` seconds.
    """

    def __init__(self, redis_url: str, db: Database, *, postponed: float = 0.0, patience: float = TIMEOUT_SECONDS) -> None:
        self._db = db
        self._copy = RevocationCopy(redis_url, self._live, postponed=postponed, patience=patience)
        self._waiting: list[tuple[tuple[str, ...], asyncio.Future[bool]]] = []
        self._asking: asyncio.Task[None] | None = None
        self._own: dict[str, float] = {}
        self._unsent: set[str] = set()
        self._sending: asyncio.Task[None] | None = None
        self._tried = asyncio.Event()
        self._failing = False

    async def is_revoked(self, *keys: str) -> bool:
        """Whether any of `keys` is revoked. Raises Unavailable if neither Redis nor PostgreSQL responds."""
        for key in keys:
            if key in self._own:
                return True
        future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append((keys, future))
        if self._asking is None:
            self._asking = asyncio.create_task(self._ask())
        return await future

    def propagate(self, keys: Iterable[str]) -> None:
        """Takes note of what was just revoked in PostgreSQL and starts writing it to Redis."""
        now = time.monotonic()
        if len(self._own) > 10_000:
            self._own = {key: until for key, until in self._own.items() if until > now}
        for key in keys:
            self._own[key] = now + KEPT.total_seconds()
            self._unsent.add(key)
        if not self._failing:
            self._tried.clear()
        if self._sending is None or self._sending.done():
            self._sending = asyncio.create_task(self._send())

    async def propagated(self) -> None:
        """See `propagated()` of this module."""
        while self._unsent and not self._tried.is_set():
            await self._tried.wait()

    async def close(self) -> None:
        """Closes the connection; the next check opens another."""
        await self._copy.close()

    async def _ask(self) -> None:
        """Looks batch after batch up until nobody waits; what arrives meanwhile makes the next."""
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:MAX_KEYS_AT_ONCE], self._waiting[MAX_KEYS_AT_ONCE:]
                try:
                    revoked = await self._revoked(list({key for keys, _ in batch for key in keys}))
                except Exception as failed:
                    for _, future in batch:
                        if not future.done():
                            future.set_exception(failed)
                    continue
                for keys, future in batch:
                    if not future.done():
                        future.set_result(not revoked.isdisjoint(keys))
        finally:
            self._asking = None

    async def _revoked(self, keys: list[str]) -> set[str]:
        try:
            return await self._copy.revoked(keys)
        except CopyUnavailable:
            return await self._revoked_in_postgres(keys)

    async def _revoked_in_postgres(self, keys: list[str]) -> set[str]:
        async with self._db.system() as tx:
            revoked = await tx.fetch_value("SELECT array_agg(key) FROM revocations WHERE key = ANY(%(keys)s)", {"keys": keys})
        return set(revoked or ())

    async def _live(self, since: timedelta) -> list[tuple[str, int]]:
        """What was revoked within `since`, with the seconds it still has to be kept."""
        async with self._db.system() as tx:
            cursor = await tx.connection.execute(
                """
                SELECT key, greatest(1, ceil(extract(epoch FROM expires_at - now())))::bigint
                FROM revocations WHERE expires_at > now() + %(left)s
                """,
                {"left": KEPT - min(since, KEPT)},
            )
            return await cursor.fetchall()

    async def _send(self) -> None:
        from redis.exceptions import RedisError

        from shared.redis_client import redis_client

        client = redis_client()
        while self._unsent:
            keys = list(self._unsent)[:MAX_KEYS_AT_ONCE]
            try:
                async with asyncio.timeout(TIMEOUT_SECONDS), client.pipeline(transaction=False) as pipeline:
                    for key in keys:
                        pipeline.set(PREFIX + key, "1", ex=int(KEPT.total_seconds()))
                    await pipeline.execute()
                self._unsent.difference_update(keys)
                self._failing = False
            except (RedisError, OSError, TimeoutError) as lost:
                log.warning("Redis did not take a revocation, it is tried again: %s", type(lost).__name__)
                self._failing = True
                self._tried.set()
                now = time.monotonic()
                self._unsent = {key for key in self._unsent if self._own.get(key, 0) > now}
                await asyncio.sleep(RETRY_SECONDS)
        self._tried.set()


_views: WeakKeyDictionary[asyncio.AbstractEventLoop, Revocations] = WeakKeyDictionary()


def revocations() -> Revocations:
    """The running event loop's view."""
    loop = asyncio.get_running_loop()
    view = _views.get(loop)
    if view is None:
        view = _views[loop] = Revocations(settings().redis_url, database(), postponed=postponed())
    return view
