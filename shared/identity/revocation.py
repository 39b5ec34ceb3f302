"""What must be refused though its signature is good: sessions, access tokens and API tokens that were ended.

PostgreSQL (`revocations`) is the truth, Redis a fast copy. The copy is believed only while its marker equals the server's `run_id` and
after this process has filled it from PostgreSQL once on its present connection; a flush, a restart from a snapshot or a lost connection
therefore cost one rebuild and never let a revoked token pass. With Redis unreachable PostgreSQL is asked; with both gone the call fails
(closed). A check costs one `MGET`, shared by all that are waiting at that moment. A process that was started for a request asks PostgreSQL
at first (`shared.redis_client.postpone`).

Revoking: `record()` in the transaction that ends the thing, then `await settled()` before the answer. The copy is written after the commit,
and tried again until Redis has it; should the process die before that, the others top the copy up within half a minute.
"""

import asyncio
import logging
import time
from collections.abc import Iterable
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID
from weakref import WeakKeyDictionary

from shared.config import settings
from shared.db import Database, Transaction, database
from shared.redis_client import postponed

if TYPE_CHECKING:
    from redis.asyncio.connection import AbstractConnection

log = logging.getLogger("docuvault.identity")

KEPT = timedelta(minutes=16)
"""How long a revocation is kept: an access token's life and a minute for clocks that differ. API tokens are cached for less."""
PREFIX = "docuvault:revoked:"
MARKER = "docuvault:revocations:run_id"
TIMEOUT_SECONDS = 0.5
RETRY_SECONDS = 1.0
"""How long Redis is left alone after it failed."""
TOP_UP_SECONDS = 30.0
"""How often a process adds the newest revocations to the copy, in case whoever revoked could not tell Redis and died."""
MAX_KEYS_AT_ONCE = 500


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
    """Revokes `keys` when `tx` commits: at once in this process, in Redis as soon as `settled()` returns."""
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
    tx.after_commit(lambda: revocations().spread(revoked))


async def settled() -> None:
    """Returns once Redis has what was revoked here, or is known to be unreachable (then it is tried again in the background)."""
    await revocations().settled()


class _RedisFailed(Exception):
    """Redis cannot be asked just now."""


class Revocations:
    """One event loop's view: the batch that is waiting, the connection, what this process itself revoked.

    Redis is left alone for the first `postponed` seconds, and is not waited for longer than `patience` seconds.
    """

    def __init__(self, redis_url: str, db: Database, *, postponed: float = 0.0, patience: float = TIMEOUT_SECONDS) -> None:
        self._redis_url = redis_url
        self._db = db
        self._patience = patience
        self._waiting: list[tuple[tuple[str, ...], asyncio.Future[bool]]] = []
        self._asking: asyncio.Task[None] | None = None
        self._connection: AbstractConnection | None = None
        self._run_id = b""
        self._retry_at = time.monotonic() + postponed
        self._own: dict[str, float] = {}
        self._unsent: set[str] = set()
        self._sending: asyncio.Task[None] | None = None
        self._tried = asyncio.Event()
        self._failing = False
        self._filled_at = 0.0

    async def is_revoked(self, *keys: str) -> bool:
        """Whether any of `keys` is revoked. Raises Unavailable where neither Redis nor PostgreSQL answers."""
        for key in keys:
            if key in self._own:
                return True
        future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append((keys, future))
        if self._asking is None:
            self._asking = asyncio.create_task(self._ask())
        return await future

    def spread(self, keys: Iterable[str]) -> None:
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

    async def settled(self) -> None:
        """See `settled()` of this module."""
        while self._unsent and not self._tried.is_set():
            await self._tried.wait()

    async def close(self) -> None:
        """Closes the connection; the next check opens another."""
        if self._connection is not None:
            connection, self._connection = self._connection, None
            await connection.disconnect(nowait=True)

    async def _ask(self) -> None:
        """Answers batch after batch until nobody waits; what arrives while one is asked makes the next."""
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
        if time.monotonic() >= self._retry_at:
            try:
                return await self._revoked_in_redis(keys)
            except _RedisFailed:
                pass
        return await self._revoked_in_postgres(keys)

    async def _revoked_in_postgres(self, keys: list[str]) -> set[str]:
        async with self._db.system() as tx:
            found = await tx.fetch_value("SELECT array_agg(key) FROM revocations WHERE key = ANY(%(keys)s)", {"keys": keys})
        return set(found or ())

    async def _revoked_in_redis(self, keys: list[str]) -> set[str]:
        names = [PREFIX + key for key in keys]
        for _ in range(2):
            if self._connection is None:
                await self._connect_and_fill()
            elif time.monotonic() - self._filled_at > TOP_UP_SECONDS:
                await self._top_up()
            answer = await self._command("MGET", MARKER, *names)
            if answer is None:
                continue  # the connection was stale: once more on a fresh one
            if answer[0] == self._run_id:
                return {key for key, found in zip(keys, answer[1:], strict=True) if found is not None}
            await self._fill()
            answer = await self._command("MGET", MARKER, *names)
            if answer is not None and answer[0] == self._run_id:
                return {key for key, found in zip(keys, answer[1:], strict=True) if found is not None}
        self._give_up("it keeps losing what it is given")
        raise _RedisFailed

    async def _connect_and_fill(self) -> None:
        from redis.asyncio import ConnectionPool
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff

        pool = ConnectionPool.from_url(
            self._redis_url,
            socket_connect_timeout=self._patience,
            socket_timeout=self._patience,
            health_check_interval=0,
            decode_responses=False,
            retry=Retry(NoBackoff(), 0),
        )
        connection: AbstractConnection = pool.make_connection()  # type: ignore[no-untyped-call]
        try:
            await connection.connect()  # type: ignore[no-untyped-call]
            await connection.send_command("INFO", "server")
            info = await connection.read_response()
        except Exception as lost:
            await connection.disconnect(nowait=True)
            self._give_up(type(lost).__name__)
            raise _RedisFailed from lost
        text = info if isinstance(info, bytes) else str(info).encode()
        lines = dict(line.partition(b":")[::2] for line in text.splitlines())
        self._run_id = lines.get(b"run_id", b"").strip()
        self._connection = connection
        await self._fill()

    async def _fill(self) -> None:
        """Writes what PostgreSQL holds into Redis, then the marker, unless Redis was flushed meanwhile (then again)."""
        from shared.ids import new_id

        guard = f"docuvault:revocations:fill:{new_id()}"
        for _ in range(3):
            # Watched before PostgreSQL is read: a flush after that makes EXEC do nothing, so no revocation can fall between.
            await self._strict("SET", guard, "1", "EX", "60")
            await self._strict("WATCH", guard)
            live = await self._live(timedelta(0))
            await self._strict("MULTI")
            await self._strict_all(_writes(live))
            await self._strict("SET", MARKER, self._run_id)
            await self._strict("DEL", guard)
            if await self._strict("EXEC") is not None:
                self._filled_at = time.monotonic()
                log.info("the copy of revocations was filled: %d", len(live))
                return
        self._give_up("it is flushed all the time")
        raise _RedisFailed

    async def _top_up(self) -> None:
        """Adds what was revoked since the last time, and a while before."""
        started = time.monotonic()
        since = timedelta(seconds=started - self._filled_at + TOP_UP_SECONDS)
        await self._strict_all(_writes(await self._live(KEPT - since)))
        self._filled_at = started

    async def _live(self, left: timedelta) -> list[tuple[str, int]]:
        """What is revoked and will be for longer than `left`, with the seconds it still has to be kept."""
        async with self._db.system() as tx:
            cursor = await tx.connection.execute(
                """
                SELECT key, greatest(1, ceil(extract(epoch FROM expires_at - now())))::bigint
                FROM revocations WHERE expires_at > now() + %(left)s
                """,
                {"left": max(left, timedelta(0))},
            )
            return await cursor.fetchall()

    async def _strict_all(self, commands: list[tuple[str, ...]]) -> None:
        """Sends many commands at a time and waits for all their answers."""
        for first in range(0, len(commands), MAX_KEYS_AT_ONCE):
            batch = commands[first : first + MAX_KEYS_AT_ONCE]
            connection = self._connection
            try:
                if connection is None or not connection.is_connected:
                    raise ConnectionError("not connected")
                await connection.send_packed_command(connection.pack_commands(batch), check_health=False)
                for _ in batch:
                    await connection.read_response()
            except BaseException as lost:
                self._connection = None
                if connection is not None:
                    await connection.disconnect(nowait=True)
                if not isinstance(lost, Exception):
                    raise
                self._give_up(type(lost).__name__)
                raise _RedisFailed from lost

    async def _strict(self, *command: str | bytes) -> Any:
        answer, failed = await self._exchange(*command)
        if failed is not None:
            self._give_up(type(failed).__name__)
            raise _RedisFailed from failed
        return answer

    async def _command(self, *command: str | bytes) -> Any:
        """The answer, or None where the connection turned out to be lost."""
        answer, failed = await self._exchange(*command)
        return None if failed is not None else answer

    async def _exchange(self, *command: str | bytes) -> tuple[Any, Exception | None]:
        connection = self._connection
        if connection is None or not connection.is_connected:
            # Never let redis-py reconnect by itself: it could be another server's life, with another run_id.
            self._connection = None
            return None, ConnectionError("not connected")
        try:
            await connection.send_command(*command, check_health=False)
            return await connection.read_response(), None
        except BaseException as lost:
            # Whatever happened, the rest of the answer may still be under way: this connection is of no more use.
            self._connection = None
            await connection.disconnect(nowait=True)
            if not isinstance(lost, Exception):
                raise
            return None, lost

    def _give_up(self, why: str) -> None:
        if time.monotonic() >= self._retry_at:
            log.warning("Redis cannot be used, revocations are looked up in PostgreSQL: %s", why)
        self._retry_at = time.monotonic() + RETRY_SECONDS

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


def _writes(live: list[tuple[str, int]]) -> list[tuple[str, ...]]:
    return [("SET", PREFIX + key, "1", "EX", str(seconds)) for key, seconds in live]


_views: WeakKeyDictionary[asyncio.AbstractEventLoop, Revocations] = WeakKeyDictionary()


def revocations() -> Revocations:
    """The running event loop's view."""
    loop = asyncio.get_running_loop()
    view = _views.get(loop)
    if view is None:
        view = _views[loop] = Revocations(settings().redis_url, database(), postponed=postponed())
    return view
