"""Waking listeners: NOTIFY after commit, on a connection of its own, at most every 25 ms.

NOTIFY inside a transaction takes a lock that serialises every committing publisher; and it is only a hint (all listeners poll as well),
so losing one costs a second, never an event.
"""

import asyncio
import logging
from typing import Any

import psycopg

from shared.db.liveness import LIVENESS

log = logging.getLogger("docuvault.db")

INTERVAL_SECONDS = 0.025
"""After the first, which is sent at once. Each wake-up costs every listener a look; 10 ms were three a document on a busy machine."""


class Waker:
    """Collects wake-ups and sends them together."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._pending: dict[tuple[str, str], None] = {}
        self._task: asyncio.Task[None] | None = None
        self._connection: psycopg.AsyncConnection[Any] | None = None

    def wake(self, wakes: list[tuple[str, str]]) -> None:
        """Asks for `NOTIFY channel, payload` of each pair; returns at once."""
        self._pending.update(dict.fromkeys(wakes))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._send())

    async def close(self) -> None:
        """Sends what is pending and closes the connection."""
        if self._task is not None:
            await self._task
        if self._connection is not None:
            await self._connection.close()
            self._connection = None

    async def _send(self) -> None:
        while self._pending:
            wakes, self._pending = self._pending, {}
            try:
                if self._connection is None or self._connection.closed:
                    self._connection = await psycopg.AsyncConnection.connect(self._url, autocommit=True, connect_timeout=5, **LIVENESS)
                channels = [channel for channel, _ in wakes]
                payloads = [payload for _, payload in wakes]
                await self._connection.execute(
                    "SELECT pg_notify(channel, payload) FROM unnest(%s::text[], %s::text[]) AS wake (channel, payload)",
                    (channels, payloads),
                )
            except (psycopg.Error, OSError) as lost:
                log.warning("wake-ups were not sent, listeners will poll: %s", type(lost).__name__)
                if self._connection is not None:
                    await self._connection.close()
                self._connection = None
                # What was asked for meanwhile is tried on a fresh connection.
            await asyncio.sleep(INTERVAL_SECONDS)
