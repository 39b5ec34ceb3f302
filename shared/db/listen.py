"""Listening for NOTIFY on a connection of its own. Only a hint: whoever is woken polls as well."""

import asyncio
import logging
from collections.abc import Callable

import psycopg
import psycopg.sql

from shared.db.liveness import LIVENESS

log = logging.getLogger("docuvault.db")

RECONNECT_SECONDS = 1.0


async def listen(url: str, channel: str, heard: Callable[[str], None]) -> None:
    """Calls `heard(payload)` for each notification on `channel`, and once after each connection, until cancelled; reconnects by itself."""
    while True:
        try:
            async with await psycopg.AsyncConnection.connect(
                url, autocommit=True, connect_timeout=5, application_name="docuvault listener", **LIVENESS
            ) as connection:
                await connection.execute(psycopg.sql.SQL("LISTEN {}").format(psycopg.sql.Identifier(channel)))
                heard("")
                async for notification in connection.notifies():
                    heard(notification.payload)
        except (psycopg.Error, OSError) as lost:
            log.warning("listening was interrupted, polling goes on", extra={"fields": {"reason": str(lost).strip()}})
        await asyncio.sleep(RECONNECT_SECONDS)
