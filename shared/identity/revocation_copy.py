"""The fast copy of revocations in Redis, which a flush, a restart or a lost connection never makes let a revoked token pass.

The copy is believed only while its marker equals the server's `run_id` (a restart from a snapshot loses writes), and only after this
process has filled it from PostgreSQL once on its present connection. All else costs one rebuild.
"""

import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from shared.ids import new_id

if TYPE_CHECKING:
    from redis.asyncio.connection import AbstractConnection

log = logging.getLogger("docuvault.identity")

PREFIX = "docuvault:revoked:"
MARKER = "docuvault:revocations:run_id"
TIMEOUT_SECONDS = 0.5
RETRY_SECONDS = 1.0
"""How long Redis is left alone after it failed."""
TOP_UP_SECONDS = 30.0
"""How often a process adds the newest revocations to the copy, in case whoever revoked could not tell Redis and died."""
MAX_KEYS_AT_ONCE = 500
_FILLS = 3
"""How often a fill is tried that a flush interrupts."""

Live = Callable[[timedelta], Awaitable[Sequence[tuple[str, int]]]]
"""From PostgreSQL: what was revoked no longer ago than this, and how many seconds more each is to be kept."""
Command = tuple[str | bytes, ...]


class CopyUnavailable(Exception):
    """Redis cannot be asked just now."""


class _ConnectionLost(Exception):
    """The connection is of no more use."""


class RevocationCopy:
    """One connection to the copy. Redis is left alone for the first `postponed` seconds, and waited for `patience` seconds."""

    def __init__(self, redis_url: str, live: Live, *, postponed: float, patience: float) -> None:
        self._redis_url = redis_url
        self._live = live
        self._patience = patience
        self._connection: AbstractConnection | None = None
        self._run_id = b""
        self._filled_at = 0.0
        self._retry_at = time.monotonic() + postponed

    async def revoked(self, keys: Sequence[str]) -> set[str]:
        """Which of `keys` are revoked. Raises CopyUnavailable, and what reading from PostgreSQL raises. One caller at a time."""
        if time.monotonic() < self._retry_at:
            raise CopyUnavailable
        try:
            return await self._revoked(keys)
        except _ConnectionLost as lost:
            log.warning("Redis cannot be used, revocations are looked up in PostgreSQL: %s", lost)
            self._retry_at = time.monotonic() + RETRY_SECONDS
            raise CopyUnavailable from lost

    async def close(self) -> None:
        """Closes the connection; the next look opens another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.disconnect(nowait=True)

    async def _revoked(self, keys: Sequence[str]) -> set[str]:
        for _ in range(2):
            fresh = self._connection is None
            try:
                if fresh:
                    await self._connect()
                    await self._fill()
                elif time.monotonic() - self._filled_at > TOP_UP_SECONDS:
                    await self._top_up()
                revoked = await self._look_up(keys)
                if revoked is None:
                    await self._fill()
                    revoked = await self._look_up(keys)
            except _ConnectionLost:
                if fresh:
                    raise
                continue  # the connection was stale: once more on a fresh one
            if revoked is not None:
                return revoked
        raise _ConnectionLost("it keeps losing what it is given")

    async def _look_up(self, keys: Sequence[str]) -> set[str] | None:
        """Which of `keys` the copy has; None if it is not to be believed."""
        [values] = await self._send([("MGET", MARKER, *[PREFIX + key for key in keys])])
        if values[0] != self._run_id:
            return None
        return {key for key, value in zip(keys, values[1:], strict=True) if value is not None}

    async def _connect(self) -> None:
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
        except Exception as lost:
            raise _ConnectionLost(type(lost).__name__) from lost
        self._connection = connection
        [info] = await self._send([("INFO", "server")])
        lines = dict(line.partition(b":")[::2] for line in bytes(info).splitlines())
        self._run_id = lines.get(b"run_id", b"").strip()

    async def _fill(self) -> None:
        """Writes what PostgreSQL holds into Redis, then the marker, unless Redis was flushed meanwhile (then again)."""
        for _ in range(_FILLS):
            # Written before PostgreSQL is read, and copied to the marker at the end: a flush in between leaves nothing to copy.
            guard = f"docuvault:revocations:fill:{new_id()}"
            await self._send([("SET", guard, self._run_id, "EX", "60")])
            count = await self._write(timedelta.max)
            copied, *_ = await self._send([("COPY", guard, MARKER, "REPLACE"), ("PERSIST", MARKER), ("DEL", guard)])
            if copied:
                self._filled_at = time.monotonic()
                log.info("the copy of revocations was filled: %d", count)
                return
        raise _ConnectionLost("it is flushed all the time")

    async def _top_up(self) -> None:
        """Adds what was revoked since the last time, and a while before."""
        started = time.monotonic()
        await self._write(timedelta(seconds=started - self._filled_at + TOP_UP_SECONDS))
        self._filled_at = started

    async def _write(self, since: timedelta) -> int:
        commands: list[Command] = [("SET", PREFIX + key, "1", "EX", str(seconds)) for key, seconds in await self._live(since)]
        for first in range(0, len(commands), MAX_KEYS_AT_ONCE):
            await self._send(commands[first : first + MAX_KEYS_AT_ONCE])
        return len(commands)

    async def _send(self, commands: Sequence[Command]) -> list[Any]:
        """The responses to commands that are sent at once. Raises _ConnectionLost, also if one of them is refused."""
        connection = self._connection
        try:
            # Never let redis-py reconnect by itself: it could be another server's life, with another run_id.
            if connection is None or not connection.is_connected:
                raise ConnectionError("not connected")
            await connection.send_packed_command(connection.pack_commands(commands), check_health=False)
            return [await connection.read_response() for _ in commands]
        except BaseException as lost:
            # Whatever happened, the rest of the responses may still be under way.
            await self.close()
            if isinstance(lost, Exception):
                raise _ConnectionLost(type(lost).__name__) from lost
            raise
