"""The step from `stored` to `extracted`: fetch the original, read it in the sandbox, keep pages, thumbnail and search index.

What is wrong with the document ends it as `failed` with a reason; what is wrong around it (the store or the database down, no sandbox) is
raised, and the broker tries again. Nothing is committed unless the document is still as it was when the step began.
"""

import logging
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from shared.db import TenantDatabase, Transaction
from shared.documents import filenames, lifecycle, steps, thumbnails
from shared.documents.steps import StepName
from shared.extraction import Extraction, ExtractionFailed, extract
from shared.search import index as search_index
from shared.storage import Download, ObjectMissing, ObjectTooLarge, StorageBackend, object_store

log = logging.getLogger("docuvault.documents")

THUMBNAIL_TYPE = "image/webp"


@dataclass(frozen=True)
class _Work:
    """A document to read; `size` in bytes. `status` is `stored`, or `failed` where the step was given up and is tried again."""

    owner_id: UUID
    id: UUID
    revision: int
    status: str
    filename: str
    title: str
    size: int
    content_type: str
    sha256: str | None
    object_key: str


class _Unreadable(Exception):
    """The document is at fault: nothing but another document would help."""

    def __init__(self, step: StepName, code: str, detail: str) -> None:
        super().__init__(code)
        self.step, self.code, self.detail = step, code, detail


Extractor = Callable[..., Awaitable[Extraction]]


async def read(
    db: TenantDatabase, document_id: UUID, revision: int, *, store: StorageBackend | None = None, extractor: Extractor = extract
) -> bool:
    """Reads the document; False, without effect, where it does not wait to be read at `revision` (any more)."""
    store = store or object_store()
    work = await _begin(db, document_id, revision)
    if work is None:
        return False
    try:
        download, extraction = await _fetch_and_extract(work, store, extractor)
    except _Unreadable as reason:
        async with db.transaction() as tx:
            return await _give_up(tx, work, reason)
    thumbnail_key = None
    if extraction.thumbnail is not None:
        thumbnail_key = thumbnails.key(work.owner_id, work.id, work.revision)
        await store.put(thumbnail_key, extraction.thumbnail, content_type=THUMBNAIL_TYPE)
    async with db.transaction() as tx:
        return await _commit(tx, work, download, extraction, thumbnail_key)


async def _begin(db: TenantDatabase, document_id: UUID, revision: int) -> _Work | None:
    """What is to be read, the attempt marked in its history.

    The mark is not worth waiting for the disk: a crash of the database loses at most that this attempt had begun. The row is locked so that
    what another attempt is just committing is not marked as running after that.
    """
    async with db.transaction() as tx:
        work = await tx.fetch_one(
            """
            SELECT owner_id, id, revision, status, filename, title, size, content_type, sha256, object_key
            FROM documents, set_config('synchronous_commit', 'off', true)
            WHERE owner_id = %(owner)s AND id = %(id)s AND revision = %(revision)s
                AND (status = 'stored' OR (status = 'failed' AND error ->> 'step' = 'extract' AND error ->> 'code' = %(gave_up)s))
            FOR NO KEY UPDATE OF documents
            """,
            {"owner": db.owner_id, "id": document_id, "revision": revision, "gave_up": lifecycle.GAVE_UP},
            row=_Work,
        )
        if work is not None:
            await steps.begin(tx, owner_id=work.owner_id, document_id=work.id, revision=work.revision, step="extract")
    return work


async def _fetch_and_extract(work: _Work, store: StorageBackend, extractor: Extractor) -> tuple[Download, Extraction]:
    with tempfile.NamedTemporaryFile(prefix="docuvault-") as original:
        path = Path(original.name)
        try:
            download = await store.download(work.object_key, path, limit=work.size)
        except ObjectMissing:
            raise _Unreadable("extract", "object_missing", "The original is no longer in the object store.") from None
        except ObjectTooLarge:
            raise _Unreadable("upload", "object_mismatch", f"More than the announced {work.size} bytes arrived.") from None
        if download.size != work.size:
            raise _Unreadable("upload", "object_mismatch", f"{work.size} bytes were announced, {download.size} arrived.")
        if work.sha256 is not None and work.sha256 != download.sha256:
            raise _Unreadable("upload", "object_mismatch", "The bytes that arrived are not those that were announced: their hash differs.")
        try:
            extraction = await extractor(path, filename=work.filename, declared_type=work.content_type)
        except ExtractionFailed as failed:
            raise _Unreadable("extract", failed.code, failed.detail) from None
    log.info("document read", extra={"fields": {"document": str(work.id), "milliseconds": extraction.milliseconds}})
    return download, extraction


async def _give_up(tx: Transaction, work: _Work, reason: _Unreadable) -> bool:
    return await lifecycle.fail(
        tx,
        owner_id=work.owner_id,
        document_id=work.id,
        revision=work.revision,
        while_status=work.status,
        step=reason.step,
        code=reason.code,
        detail=reason.detail,
    )


@dataclass(frozen=True)
class _Names:
    filename: str
    title: str


async def _commit(tx: Transaction, work: _Work, download: Download, extraction: Extraction, thumbnail_key: str | None) -> bool:
    # A title that the owner has given meanwhile stays.
    names = await tx.fetch_one(
        """
        UPDATE documents
        SET status = 'extracted', error = NULL, content_type = %(content_type)s, page_count = %(page_count)s, language = %(language)s,
            sha256 = %(sha256)s, thumbnail_key = %(thumbnail_key)s, updated_at = now(),
            title = CASE WHEN title = %(default_title)s THEN %(title)s ELSE title END
        WHERE owner_id = %(owner)s AND id = %(id)s AND revision = %(revision)s AND status = %(status)s
        RETURNING filename, title
        """,
        {
            "content_type": extraction.content_type,
            "page_count": extraction.page_count,
            "language": extraction.language,
            "sha256": download.sha256,
            "thumbnail_key": thumbnail_key,
            "default_title": filenames.title(work.filename),
            "title": filenames.sane_title(extraction.title) or filenames.title(work.filename),
            "owner": work.owner_id,
            "id": work.id,
            "revision": work.revision,
            "status": work.status,
        },
        row=_Names,
    )
    if names is None:
        return False
    if work.revision > 1:
        await tx.execute(
            "DELETE FROM document_pages WHERE owner_id = %(owner)s AND document_id = %(id)s", {"owner": work.owner_id, "id": work.id}
        )
    # Binary (%b): as text, an array of ten million characters would be escaped for a second, with the event loop waiting.
    await tx.execute(
        """
        INSERT INTO document_pages (document_id, owner_id, number, text)
        SELECT %(id)s, %(owner)s, number, text FROM unnest(%(texts)b::text[]) WITH ORDINALITY AS page (text, number)
        """,
        {"id": work.id, "owner": work.owner_id, "texts": extraction.pages},
    )
    await search_index.index(
        tx,
        owner_id=work.owner_id,
        document_id=work.id,
        language=extraction.language,
        filename=names.filename,
        title=names.title,
        pages=extraction.pages,
    )
    await steps.record(
        tx,
        owner_id=work.owner_id,
        document_id=work.id,
        revision=work.revision,
        step="extract",
        state="done",
        detail=_in_words(extraction),
    )
    await lifecycle.announce(tx, "document.extracted", owner_id=work.owner_id, document_id=work.id, revision=work.revision)
    lifecycle.wake_listeners(tx, work.owner_id)
    return True


def _in_words(extraction: Extraction) -> str:
    """What was read, for the history."""
    pages = len(extraction.pages)
    words = f"{pages} page{'' if pages == 1 else 's'} read"
    if extraction.truncated:
        words += f" of {extraction.page_count}" if extraction.page_count and extraction.page_count > pages else ", cut short"
    return words
