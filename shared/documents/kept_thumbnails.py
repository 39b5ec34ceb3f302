"""The picture of a document's first page: kept with the document's text, in the same transaction.

Versions of DocuVault before migration 0095 kept it in the object store, where `documents.thumbnail_key` says: `find` reads those, too, and
whoever removes a document removes what `stored_keys` names.
"""

from dataclasses import dataclass
from uuid import UUID

from shared.db import Transaction
from shared.storage.object_keys import ThumbnailKey


@dataclass(frozen=True)
class Thumbnail:
    """`picture` as WebP, and the `revision` of the document that it was made of; without them, it may lie under `stored_key`."""

    revision: int | None
    picture: bytes | None
    stored_key: str | None


async def keep(tx: Transaction, *, owner_id: UUID, document_id: UUID, revision: int, picture: bytes) -> None:
    """Keeps the picture of a document that has none (`forget`)."""
    await tx.execute(
        """
        INSERT INTO document_thumbnails (document_id, owner_id, revision, picture)
        VALUES (%(id)s, %(owner)s, %(revision)s, %(picture)b)
        """,
        {"id": document_id, "owner": owner_id, "revision": revision, "picture": picture},
    )


async def forget(tx: Transaction, *, owner_id: UUID, document_id: UUID) -> None:
    """Removes the picture, before the document is read anew. One in the store is left to the clean-up, by a tombstone."""
    keys = {"owner": owner_id, "id": document_id}
    await tx.execute("DELETE FROM document_thumbnails WHERE owner_id = %(owner)s AND document_id = %(id)s", keys)
    stored: str | None = await tx.fetch_value("SELECT thumbnail_key FROM documents WHERE owner_id = %(owner)s AND id = %(id)s", keys)
    if stored is not None:
        await tx.execute(
            """
            INSERT INTO upload_tombstones (object_key, owner_id, expires_at)
            SELECT object_key, %(owner)s, now() FROM unnest(%(stored)s::text[]) AS object_key
            ON CONFLICT (object_key) DO NOTHING
            """,
            {"owner": owner_id, "stored": stored_keys(stored)},
        )
        await tx.execute("UPDATE documents SET thumbnail_key = NULL WHERE owner_id = %(owner)s AND id = %(id)s", keys)


async def find(tx: Transaction, *, owner_id: UUID, document_id: UUID) -> Thumbnail | None:
    """The picture, or where it lies; None if there is no such document."""
    return await tx.fetch_one(
        """
        SELECT kept.revision, kept.picture, d.thumbnail_key AS stored_key
        FROM documents AS d LEFT JOIN document_thumbnails AS kept ON kept.owner_id = d.owner_id AND kept.document_id = d.id
        WHERE d.owner_id = %(owner)s AND d.id = %(id)s
        """,
        {"owner": owner_id, "id": document_id},
        row=Thumbnail,
        binary=True,
    )


def stored_keys(thumbnail_key: str | None) -> list[str]:
    """Everything that may lie in the object store of a document that says so: each revision up to that one had a thumbnail of its own."""
    last = ThumbnailKey.parse(thumbnail_key or "")
    return [] if last is None else [str(ThumbnailKey(last.owner_id, last.document_id, number)) for number in range(1, last.revision + 1)]
