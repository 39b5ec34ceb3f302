"""Where a document's thumbnail lies in the object store."""

from uuid import UUID


def key(owner_id: UUID, document_id: UUID, revision: int) -> str:
    """Made of what is known before anything is read, so that one whose row never came to name it can be found and removed, too."""
    return f".derived/{owner_id}/{document_id}/{revision}.webp"
