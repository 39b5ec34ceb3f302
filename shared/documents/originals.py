"""Fetching originals for the steps that read them, and ending documents whose original cannot be used."""

from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from shared.cloud import backends, places
from shared.db import TenantDatabase, database
from shared.documents import lifecycle, upload_step
from shared.documents.lifecycle import OBJECT_MISMATCH
from shared.documents.step_history import StepName
from shared.storage import Download, ObjectMissing, ObjectTooLarge, StorageBackend


@dataclass(frozen=True)
class Original:
    """What the document's row says of its original; `size` in bytes.

    `status` is `stored`, or `failed` if the step was given up and is tried again.
    """

    owner_id: UUID
    id: UUID
    revision: int
    status: str
    size: int
    sha256: str | None
    object_key: str


class OriginalUnusable(Exception):
    """The document is at fault: nothing but another document would help."""

    def __init__(self, step: StepName, code: str, detail: str) -> None:
        super().__init__(code)
        self.step, self.code, self.detail = step, code, detail


async def fetch(original: Original, store: StorageBackend, path: Path) -> Download:
    """Copies the original to `path`. Raises OriginalUnusable if it is gone, or is not what its row says; StorageUnavailable."""
    try:
        download = await _download(original, store, path)
    except ObjectMissing:
        raise OriginalUnusable("extract", "object_missing", "The original is no longer in the object store.") from None
    except ObjectTooLarge:
        raise OriginalUnusable("upload", OBJECT_MISMATCH, f"More than the announced {original.size} bytes arrived.") from None
    if download.size != original.size:
        raise OriginalUnusable("upload", OBJECT_MISMATCH, f"{original.size} bytes were announced, {download.size} arrived.")
    if original.sha256 is not None and original.sha256 != download.sha256:
        raise OriginalUnusable("upload", OBJECT_MISMATCH, "The bytes that arrived are not those that were announced: their hash differs.")
    return download


async def _download(original: Original, store: StorageBackend, path: Path) -> Download:
    """From the bucket; a document that has moved to a cloud of its owner's is no longer there."""
    try:
        return await store.download(original.object_key, path, limit=original.size)
    except ObjectMissing:
        db = TenantDatabase(database(), original.owner_id)
        place = await places.find(db, original.id)
        if place is None or place.key == original.object_key:
            raise
        async with backends.opened(db, place.connection_id) as backend:
            return await backend.download(place.key, path, limit=original.size)


async def give_up(db: TenantDatabase, original: Original, reason: OriginalUnusable) -> bool:
    """Ends the document as `failed` if it is still as `original` says; whether it was. An object other than declared is removed."""
    refused_key = None
    async with db.transaction() as tx:
        failed = await lifecycle.fail(
            tx,
            owner_id=original.owner_id,
            document_id=original.id,
            revision=original.revision,
            while_status=original.status,
            step=reason.step,
            code=reason.code,
            detail=reason.detail,
        )
        if failed and reason.code == OBJECT_MISMATCH:
            refused_key = await upload_step.refuse_object(tx, original.owner_id, original.id)
    if refused_key is not None:
        await upload_step.remove_refused(refused_key)
    return failed
