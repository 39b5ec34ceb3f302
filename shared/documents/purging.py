"""Removing documents for good, which only the trash allows: one, several, or all that have been in it for long.

`purge_trashed` takes the rows away (the index, pages and filings go with them), gives the room back and publishes `document.purged` in
one transaction: from then on nobody sees the document. `erase`, which that event wakes, removes what the object store has of it. Every key
stands in a tombstone, too: what arrives late is removed, and the clean-up looks once more whatever became of the event.
"""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from shared import audit
from shared.audit import AuditAction, Caller
from shared.db import TenantDatabase, Transaction, database
from shared.documents import kept_thumbnails, lifecycle, quotas, senders, upload_step
from shared.errors import Conflict, NotFound
from shared.events import publish
from shared.events.catalogue import DocumentPurged
from shared.storage import StorageBackend, object_store
from shared.storage.object_keys import OriginalKey, ThumbnailKey

log = logging.getLogger("docuvault.documents")

KEPT_IN_TRASH = timedelta(days=30)
AT_ONCE = 100
"""Documents a transaction: a few hundred milliseconds."""
TOMBSTONE_LIFETIME = timedelta(hours=25)
"""As long as a URL may still be good that puts something there."""
TIME_LIMIT_SECONDS = 300.0
"""When `purge_expired` stops taking more; the next run goes on."""


class NotInTrash(Conflict):
    code, title = "not_in_trash", "Only what is in the trash can be removed for good"


@dataclass(frozen=True)
class _Doomed:
    id: UUID
    size: int
    storage_provider: str
    object_key: str
    thumbnail_key: str | None
    sender_id: UUID | None
    earlier_size: int
    earlier_keys: list[str]


async def purge(db: TenantDatabase, document_id: UUID, *, caller: Caller | None = None) -> None:
    """Removes one document of the trash. Raises NotFound, NotInTrash."""
    async with db.transaction() as tx:
        if await purge_trashed(tx, db.owner_id, [document_id], caller=caller):
            return
        if await tx.fetch_value(
            "SELECT true FROM documents WHERE owner_id = %(owner)s AND id = %(id)s", {"owner": db.owner_id, "id": document_id}
        ):
            raise NotInTrash("Put the document into the trash first.")
        raise NotFound


async def purge_trashed(
    tx: Transaction, owner_id: UUID, document_ids: Sequence[UUID], *, caller: Caller | None = None, job: UUID | None = None
) -> list[UUID]:
    """Removes those of these documents that are in the trash; which those were. At most AT_ONCE at a time, please."""
    # Locked by a statement of its own: what one reads that has waited for a lock is, but for the locked rows, as it was before it waited.
    locked: list[UUID] = await tx.fetch_value(
        """
        SELECT coalesce(array_agg(id), '{}') FROM (
            SELECT id FROM documents WHERE owner_id = %(owner)s AND id = ANY (%(ids)s) AND trashed_at IS NOT NULL ORDER BY id FOR UPDATE
        ) AS locked
        """,
        {"owner": owner_id, "ids": list(document_ids)},
    )
    doomed = await tx.fetch_all(
        """
        SELECT id, size, storage_provider, object_key, thumbnail_key, sender_id,
            (SELECT coalesce(sum(size), 0)::bigint FROM document_versions AS v WHERE v.owner_id = d.owner_id AND v.document_id = d.id)
                AS earlier_size,
            ARRAY(
                SELECT object_key FROM document_versions AS v
                WHERE v.owner_id = d.owner_id AND v.document_id = d.id AND v.connection_id IS NULL
            ) AS earlier_keys
        FROM documents AS d WHERE owner_id = %(owner)s AND id = ANY (%(ids)s) ORDER BY id
        """,
        {"owner": owner_id, "ids": locked},
        row=_Doomed,
    )
    if not doomed:
        return []
    ids = [document.id for document in doomed]
    reserved = await upload_step.give_up_versions(tx, owner_id, ids)
    # What they taught is unlearned with them, which locks topics: all of them now, in the order that everyone locks them in.
    await tx.execute(
        """
        SELECT FROM topics
        WHERE owner_id = %(owner)s
            AND id IN (SELECT topic_id FROM topic_examples WHERE owner_id = %(owner)s AND document_id = ANY (%(ids)s))
        ORDER BY id FOR NO KEY UPDATE
        """,
        {"owner": owner_id, "ids": ids},
    )
    keys = {document.id: _keys(document) for document in doomed}
    await tx.execute(
        """
        INSERT INTO upload_tombstones (object_key, owner_id, expires_at)
        SELECT object_key, %(owner)s, now() + %(lifetime)s FROM unnest(%(keys)s::text[]) AS object_key
        ON CONFLICT (object_key) DO UPDATE SET expires_at = excluded.expires_at
        """,
        {"owner": owner_id, "lifetime": TOMBSTONE_LIFETIME, "keys": [key for some in keys.values() for key in some]},
    )
    await tx.execute("DELETE FROM documents WHERE owner_id = %(owner)s AND id = ANY (%(ids)s)", {"owner": owner_id, "ids": ids})
    await senders.drop_unused(tx, owner_id, [document.sender_id for document in doomed if document.sender_id is not None])
    await audit.record_calls(
        tx, owner_id, caller, AuditAction.DOCUMENT_PURGED, targets=ids, detail={} if job is None else {"job": str(job)}
    )
    async with tx.pipeline():
        for document in doomed:
            await publish(tx, DocumentPurged(owner_id=owner_id, document_id=document.id, object_keys=keys[document.id]))
    await quotas.free(tx, owner_id, sum(document.size + document.earlier_size for document in doomed), documents=len(doomed))
    if reserved:
        await quotas.release(tx, owner_id, reserved)
    lifecycle.wake_listeners(tx, owner_id)
    return ids


def _keys(document: _Doomed) -> list[str]:
    """Everything that may lie in the object store of a document."""
    kept_here = document.storage_provider == object_store().provider
    return [*([document.object_key] if kept_here else []), *document.earlier_keys, *kept_thumbnails.stored_keys(document.thumbnail_key)]


async def erase(owner_id: UUID, object_keys: Sequence[str], *, store: StorageBackend | None = None) -> None:
    """Removes what the object store has of a purged document; again changes nothing. Raises StorageUnavailable."""
    for key in object_keys:
        # Only what can be this owner's, whatever an event says.
        parsed = OriginalKey.parse(key) or ThumbnailKey.parse(key)
        if parsed is not None and parsed.owner_id == owner_id:
            await (store or object_store()).delete(key)


@dataclass(frozen=True)
class _Expired:
    owner_id: UUID
    ids: list[UUID]


async def purge_expired() -> int:
    """Removes what has been in the trash for KEPT_IN_TRASH, of everyone, longest there first; how many documents."""
    ends = time.monotonic() + TIME_LIMIT_SECONDS
    total = 0
    while time.monotonic() < ends:
        async with database().system() as tx:
            expired = await tx.fetch_all(
                """
                SELECT owner_id, array_agg(id) AS ids
                FROM (
                    SELECT owner_id, id FROM documents WHERE trashed_at < now() - %(kept)s ORDER BY trashed_at LIMIT %(at_once)s
                ) AS longest
                GROUP BY owner_id
                """,
                {"kept": KEPT_IN_TRASH, "at_once": AT_ONCE},
                row=_Expired,
            )
        if not expired:
            return total
        for owner in expired:
            async with TenantDatabase(database(), owner.owner_id).transaction() as tx:
                total += len(await purge_trashed(tx, owner.owner_id, await _still_expired(tx, owner)))
    log.warning("the time was up before all of the old trash was removed")
    return total


async def _still_expired(tx: Transaction, owner: _Expired) -> list[UUID]:
    """What was taken out of the trash meanwhile, and put there again, has its thirty days."""
    ids: list[UUID] | None = await tx.fetch_value(
        """
        SELECT array_agg(id) FROM (
            SELECT id FROM documents
            WHERE owner_id = %(owner)s AND id = ANY (%(ids)s) AND trashed_at < now() - %(kept)s ORDER BY id FOR UPDATE
        ) AS locked
        """,
        {"owner": owner.owner_id, "ids": owner.ids, "kept": KEPT_IN_TRASH},
    )
    return ids or []
