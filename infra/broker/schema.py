"""The schema that this code was written for: no broker works before the database has it.

Processes and migrations start side by side, here and on a cluster, and a function of an earlier schema may respond in another shape.
"""

import asyncio
import logging
import time
from contextlib import suppress

import psycopg

from infra.postgres.migrate import MIGRATIONS
from shared.db import Database
from shared.errors import Unavailable

log = logging.getLogger("docuvault.broker")

WORTH_SAYING_SECONDS = 10.0
_POLL_SECONDS = 0.05


def needed_version() -> str:
    """The last of our migrations."""
    return max(file.name.partition("_")[0] for file in MIGRATIONS.glob("*.sql"))


async def until_migrated(database: Database, stop: asyncio.Event) -> bool:
    """Waits until the database has had all of our migrations (and perhaps later ones); False if `stop` is set before."""
    version, started, told = needed_version(), time.monotonic(), False
    while not await _has(database, version):
        if not told and time.monotonic() - started > WORTH_SAYING_SECONDS:
            log.warning("waiting for a database with the migrations up to %s: `python -m infra.postgres.migrate` makes it", version)
            told = True
        with suppress(TimeoutError):
            async with asyncio.timeout(_POLL_SECONDS):
                await stop.wait()
        if stop.is_set():
            return False
    return True


async def _has(database: Database, version: str) -> bool:
    try:
        async with database.system() as tx:
            return bool(await tx.fetch_value("SELECT max(version) >= %(version)s FROM schema_migrations", {"version": version}))
    except (Unavailable, psycopg.Error):
        return False  # down, or before the first migrations, which make tables and give rights
