"""A broker's sign of life, for whoever watches its container: a file is touched while the loop turns and PostgreSQL responds."""

import asyncio
import logging
from pathlib import Path
from typing import Never

from shared.db import Database

BEAT_SECONDS = 5.0

log = logging.getLogger("docuvault.broker")


async def keep_beating(database: Database, path: Path) -> Never:
    """Touches `path` (BROKER_HEARTBEAT) every BEAT_SECONDS, as long as the database responds. Ends only by being cancelled."""
    while True:
        try:
            async with database.system() as tx:
                await tx.fetch_value("SELECT true")
            await asyncio.to_thread(path.touch)
        except Exception as silent:
            log.warning("no sign of life", extra={"fields": {"reason": str(silent)}})
        await asyncio.sleep(BEAT_SECONDS)
