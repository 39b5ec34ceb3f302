"""Removing copies that no document points at any more. One that has another size than ours had is somebody else's, and stays."""

import logging
from dataclasses import dataclass
from uuid import UUID

from shared.cloud import backends
from shared.db import TenantDatabase
from shared.storage import NameRefused, StorageUnavailable

log = logging.getLogger("docuvault.cloud")

LATER_SECONDS = 3600
"""When one that could not be removed is tried again."""


@dataclass(frozen=True)
class _Leftover:
    id: UUID
    connection_id: UUID | None
    key: str
    size: int


async def remove_due(db: TenantDatabase, *, most: int = 100) -> int:
    """Removes the owner's leftovers that are due; how many. What cannot be reached is put off."""
    async with db.transaction() as tx:
        due = await tx.fetch_all(
            """
            UPDATE storage_leftovers SET due_at = now() + make_interval(secs => %(later)s)
            WHERE id = ANY (ARRAY(
                SELECT id FROM storage_leftovers WHERE owner_id = %(owner)s AND due_at <= now()
                ORDER BY due_at LIMIT %(most)s FOR UPDATE SKIP LOCKED
            ))
            RETURNING id, connection_id, key, size
            """,
            {"owner": db.owner_id, "later": LATER_SECONDS, "most": most},
            row=_Leftover,
        )
    removed = 0
    for leftover in due:
        try:
            await _remove(db, leftover)
        except (StorageUnavailable, NameRefused) as failed:
            log.warning("a leftover could not be removed", extra={"fields": {"leftover": str(leftover.id), "reason": failed.reason}})
            continue
        async with db.transaction() as tx:
            await tx.execute(
                "DELETE FROM storage_leftovers WHERE owner_id = %(owner)s AND id = %(id)s", {"owner": db.owner_id, "id": leftover.id}
            )
        removed += 1
    return removed


async def _remove(db: TenantDatabase, leftover: _Leftover) -> None:
    async with db.transaction() as tx:
        # A document may have come to live there since: then it is no leftover.
        in_use = await tx.fetch_value(
            """
            SELECT EXISTS (
                SELECT FROM documents WHERE owner_id = %(owner)s AND connection_id IS NOT DISTINCT FROM %(connection)s
                    AND coalesce(cloud_key, object_key) = %(key)s
            ) OR EXISTS (
                SELECT FROM document_versions WHERE owner_id = %(owner)s AND connection_id IS NOT DISTINCT FROM %(connection)s
                    AND coalesce(cloud_key, object_key) = %(key)s
            ) OR EXISTS (
                SELECT FROM document_moves
                WHERE owner_id = %(owner)s AND to_connection IS NOT DISTINCT FROM %(connection)s AND target_key = %(key)s
            )
            """,
            {"owner": db.owner_id, "connection": leftover.connection_id, "key": leftover.key},
        )
    if in_use:
        return
    async with backends.opened(db, leftover.connection_id) as backend:
        entry = await backend.look(leftover.key)
        if entry is not None and not entry.is_folder and entry.size == leftover.size:
            await backend.delete(leftover.key)
