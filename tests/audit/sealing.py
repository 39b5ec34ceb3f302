"""Waiting for lines to be sealed."""

import asyncio
from uuid import UUID

from shared.audit import chain
from shared.db import Database


async def seal_all(db: Database, owner: UUID) -> None:
    """Returns once the lines of `owner` are sealed, and all before them. While another test's sealer is at it, this one does nothing."""
    async with asyncio.timeout(60):
        while True:
            await chain.seal(db)
            async with db.system() as tx:
                waiting = await tx.fetch_value(
                    "SELECT count(*) FROM audit_lines LEFT JOIN audit_seals ON line_id = id WHERE owner_id = %(owner)s AND line_id IS NULL",
                    {"owner": owner},
                )
            if not waiting:
                return
