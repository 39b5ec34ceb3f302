"""Erasing what a deleted account holds: every document, its originals, and what is still on its way."""

from dataclasses import dataclass
from uuid import UUID

from shared.db import TenantDatabase, Transaction
from shared.documents import kept_thumbnails
from shared.storage import ObjectStore

BATCH = 100
TOMBSTONE_HOURS = 25
"""How long what comes late is removed: a PUT to a URL that was signed before. Longer than one takes."""


@dataclass(frozen=True)
class _OwnedDocument:
    id: UUID
    object_key: str
    thumbnail_key: str | None
    upload_id: str | None
    uploading: bool
    earlier_keys: list[str]


async def erase_all(db: TenantDatabase, store: ObjectStore) -> None:
    """Erases every document that the owner has. Raises StorageUnavailable: what is left is erased at the next try."""
    await _erase_leftovers(db, store)
    while documents := await _some_of(db):
        late = [key for document in documents for key in await _erase_objects(document, store)]
        # Objects first, rows after: a failure in between leaves the row to try again by.
        await _erase_rows(db, documents, late)


async def _erase_leftovers(db: TenantDatabase, store: ObjectStore) -> None:
    """What moves have left, or begun, in the store; what lies in a cloud of the owner's is the owner's and stays."""
    async with db.transaction() as tx:
        keys: list[str] = await tx.fetch_value(
            """
            SELECT coalesce(array_agg(key), '{}') FROM (
                SELECT key FROM storage_leftovers WHERE owner_id = %(owner)s AND connection_id IS NULL
                UNION
                SELECT target_key FROM document_moves
                WHERE owner_id = %(owner)s AND to_connection IS NULL AND target_key IS NOT NULL
            ) AS left_behind
            """,
            {"owner": db.owner_id},
        )
    for key in keys:
        await store.delete(key)


async def any_left(tx: Transaction, owner_id: UUID) -> bool:
    """Whether the owner has a document."""
    left: bool = await tx.fetch_value("SELECT EXISTS (SELECT FROM documents WHERE owner_id = %(owner)s)", {"owner": owner_id})
    return left


async def _some_of(db: TenantDatabase) -> list[_OwnedDocument]:
    """Newest first: what is being uploaded to replace a document goes before that."""
    async with db.transaction() as tx:
        return await tx.fetch_all(
            """
            SELECT id, object_key, thumbnail_key, upload_id, status = 'uploading' AS uploading,
                ARRAY(SELECT object_key FROM document_versions AS v WHERE v.owner_id = d.owner_id AND v.document_id = d.id) AS earlier_keys
            FROM documents AS d WHERE owner_id = %(owner)s ORDER BY id DESC LIMIT %(limit)s
            """,
            {"owner": db.owner_id, "limit": BATCH},
            row=_OwnedDocument,
        )


async def _erase_objects(document: _OwnedDocument, store: ObjectStore) -> list[str]:
    """Removes what the store has of a document; the keys under which something may still arrive."""
    if document.upload_id is not None:
        await store.abort_parts(document.object_key, document.upload_id)
    # Also if it has moved to a cloud: then its former copy may still be there.
    for key in (document.object_key, *document.earlier_keys, *kept_thumbnails.stored_keys(document.thumbnail_key)):
        await store.delete(key)
    return [document.object_key] if document.uploading else []


async def _erase_rows(db: TenantDatabase, documents: list[_OwnedDocument], late: list[str]) -> None:
    async with db.transaction() as tx:
        await tx.execute(
            f"""
            INSERT INTO upload_tombstones (object_key, owner_id, expires_at)
            SELECT object_key, %(owner)s, now() + interval '{TOMBSTONE_HOURS} hours' FROM unnest(%(keys)s::text[]) AS object_key
            ON CONFLICT (object_key) DO UPDATE SET expires_at = excluded.expires_at
            """,
            {"owner": db.owner_id, "keys": late},
        )
        await tx.execute(
            "DELETE FROM documents WHERE owner_id = %(owner)s AND id = ANY(%(ids)s)",
            {"owner": db.owner_id, "ids": [document.id for document in documents]},
        )
