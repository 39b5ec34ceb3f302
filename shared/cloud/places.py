"""Where a document's original is."""

from dataclasses import dataclass
from uuid import UUID

from shared.db import TenantDatabase


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
