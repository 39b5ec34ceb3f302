"""Where a document's original is, and whether it is still what came there."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from shared.db import TenantDatabase, Transaction
from shared.storage import StorageBackend


@dataclass(frozen=True)
class PlacedOriginal:
    """What a document's row says of its original; `size` in bytes."""

    id: UUID
    key: str
    size: int
    etag: str
    sha256: str | None


@dataclass(frozen=True)
class Place:
    """A connection (None: the bucket) and the key there."""

    connection_id: UUID | None
    key: str


async def find(db: TenantDatabase, document_id: UUID) -> Place | None:
    """Where one of the owner's documents is; None if there is no such document."""
    async with db.transaction() as tx:
        return await tx.fetch_one(
            """
            SELECT connection_id, coalesce(cloud_key, object_key) AS key FROM documents
            WHERE owner_id = %(owner)s AND id = %(id)s
            """,
            {"owner": db.owner_id, "id": document_id},
            row=Place,
        )


async def living_at(tx: Transaction, owner_id: UUID, connection_id: UUID | None, keys: Sequence[str]) -> dict[str, UUID]:
    """Which documents of the owner's, or versions of them, live under these keys of a cloud: their ids, by key."""
    living = await tx.fetch_all(
        """
        SELECT document_id AS id, cloud_key AS key FROM document_versions
        WHERE owner_id = %(owner)s AND connection_id = %(connection)s AND cloud_key = ANY (%(keys)s)
        UNION ALL
        SELECT id, cloud_key AS key FROM documents
        WHERE owner_id = %(owner)s AND connection_id = %(connection)s AND cloud_key = ANY (%(keys)s)
        """,
        {"owner": owner_id, "connection": connection_id, "keys": list(keys)},
        row=_LivingDocument,
    )
    return {document.key: document.id for document in living}


@dataclass(frozen=True)
class _LivingDocument:
    id: UUID
    key: str


async def is_unchanged(db: TenantDatabase, backend: StorageBackend, original: PlacedOriginal, *, size: int | None, etag: str) -> bool:
    """Whether what lies there, of this size and with this tag, is the original. Raises ObjectMissing, StorageUnavailable.

    Servers change tags for reasons of their own, too (a tag in Nextcloud, a restored backup): then the content decides, and the new tag is
    kept.
    """
    if size != original.size:
        return False
    if etag == original.etag:
        return True
    if original.sha256 is None or await backend.sha256(original.key) != original.sha256:
        return False
    async with db.transaction() as tx:
        await tx.execute(
            "UPDATE documents SET etag = %(etag)s WHERE owner_id = %(owner)s AND id = %(id)s AND cloud_key = %(key)s",
            {"etag": etag, "owner": db.owner_id, "id": original.id, "key": original.key},
        )
    return True
