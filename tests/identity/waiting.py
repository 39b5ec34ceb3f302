"""Seeing who waits for whom in PostgreSQL, so that tests of locks need not sleep."""

import asyncio

from shared.db import Database, Transaction


async def until_others_wait(db: Database, tx: Transaction, count: int) -> None:
    """Returns once `count` others wait for what `tx` holds, directly or behind one another."""
    pid = await tx.fetch_value("SELECT pg_backend_pid()")
    async with asyncio.timeout(60):
        while len(await _behind(db, pid)) < count:
            await asyncio.sleep(0.01)


async def _behind(db: Database, pid: int) -> set[int]:
    async with db.system() as tx:  # each time anew: a transaction sees one moment of pg_stat_activity
        cursor = await tx.connection.execute(
            "SELECT pid, pg_blocking_pids(pid) FROM pg_stat_activity WHERE cardinality(pg_blocking_pids(pid)) > 0"
        )
        blocked = {waits: set(by) for waits, by in await cursor.fetchall()}
    behind = {pid}
    while more := {waits for waits, by in blocked.items() if by & behind} - behind:
        behind |= more
    return behind - {pid}
