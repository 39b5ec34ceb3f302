"""Fetching originals for the steps that read them."""

from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from shared.documents.steps import StepName
from shared.storage import Download, ObjectMissing, ObjectTooLarge, StorageBackend


@dataclass(frozen=True)
class Original:
    """What the document's row says of its original; `size` in bytes."""

    owner_id: UUID
    id: UUID
    size: int
    sha256: str | None
    object_key: str


class OriginalUnusable(Exception):
    """The document is at fault: nothing but another document would help."""

    def __init__(self, step: StepName, code: str, detail: str) -> None:
        super().__init__(code)
        self.step, self.code, self.detail = step, code, detail


async def fetch(original: Original, store: StorageBackend, path: Path) -> Download:
    """Copies the original to `path`. Raises OriginalUnusable where it is gone, or is not what its row says; StorageUnavailable."""
    try:
        download = await store.download(original.object_key, path, limit=original.size)
    except ObjectMissing:
        raise OriginalUnusable("extract", "object_missing", "The original is no longer in the object store.") from None
    except ObjectTooLarge:
        raise OriginalUnusable("upload", "object_mismatch", f"More than the announced {original.size} bytes arrived.") from None
    if download.size != original.size:
        raise OriginalUnusable("upload", "object_mismatch", f"{original.size} bytes were announced, {download.size} arrived.")
    if original.sha256 is not None and original.sha256 != download.sha256:
        raise OriginalUnusable("upload", "object_mismatch", "The bytes that arrived are not those that were announced: their hash differs.")
    return download
