"""The step from `stored` to `extracted`: fetch the original, read it in the sandbox, keep pages, thumbnail and search index.

Quick work comes first. `read` reads what is small and quick to read; anything else it hands on to `read_in_full`, which other work may
delay. Pages that need text recognition are left to `shared.documents.recognize_step`, page by page: until that is done the document stays
`stored`, and is found by its name and by the text that it has already.

What is wrong with the document ends it as `failed` with a reason; what is wrong around it (the store or the database down, no sandbox) is
raised, and the broker tries again. Nothing is committed unless the document is still as it was when the step began.
"""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb

from shared import temporary
from shared.db import TenantDatabase, Transaction, will_fail_again
from shared.documents import filenames, kept_thumbnails, lifecycle, lookalikes, paper_details, recognize_step, step_history, warnings
from shared.documents.originals import Original, OriginalUnusable, fetch, give_up
from shared.events import publish
from shared.events.catalogue import DocumentExtracted, DocumentLarge
from shared.extraction import Extraction, ExtractionFailed, ExtractionTimeout, extract
from shared.extraction.limits import MIB, Limits
from shared.search import index as search_index
from shared.storage import Download, StorageBackend, object_store
from shared.time_budgets import FULL_READING, QUICK_READING, ReadingBudget

log = logging.getLogger("docuvault.documents")

QUICK_BYTES = 2 * MIB
"""A larger file is not tried among the quick ones: fetching and parsing it keeps others waiting."""


@dataclass(frozen=True)
class _ExtractionWork(Original):
    """A document to read."""

    filename: str
    content_type: str

    @property
    def quick(self) -> bool:
        """Whether it is worth trying among the quick ones, by what its sender says: pictures need text recognition in any case."""
        return self.size <= QUICK_BYTES and not self.content_type.startswith("image/")


Extractor = Callable[..., Awaitable[Extraction]]


async def read(
    db: TenantDatabase, document_id: UUID, revision: int, *, store: StorageBackend | None = None, extractor: Extractor = extract
) -> bool:
    """Reads a document that is quick to read, and hands on any other, found by its name; False, without effect, if it does not wait to
    be read at `revision` (any more)."""
    work = await _begin(db, document_id, revision, only_quick=True)
    if work is None:
        return False
    if work.quick:
        try:
            return await _read(db, work, QUICK_READING, store or object_store(), extractor)
        except ExtractionTimeout:
            log.info("a document is not quick to read", extra={"fields": {"document": str(work.id)}})
    async with db.transaction() as tx:
        return await _hand_on(tx, work)


async def read_in_full(
    db: TenantDatabase, document_id: UUID, revision: int, *, store: StorageBackend | None = None, extractor: Extractor = extract
) -> bool:
    """Reads any document, however large; False as in `read`."""
    work = await _begin(db, document_id, revision)
    if work is None:
        return False
    try:
        return await _read(db, work, FULL_READING, store or object_store(), extractor)
    except ExtractionTimeout as failed:
        return await give_up(db, work, OriginalUnusable("extract", failed.code, failed.detail))


async def _read(db: TenantDatabase, work: _ExtractionWork, budget: ReadingBudget, store: StorageBackend, extractor: Extractor) -> bool:
    """Raises ExtractionTimeout; what else is wrong with the document ends it as failed."""
    try:
        download, extraction = await _fetch_and_extract(work, budget, store, extractor)
    except OriginalUnusable as reason:
        return await give_up(db, work, reason)
    try:
        async with db.transaction() as tx:
            return await _commit(tx, work, download, extraction)
    except recognize_step.AlreadyBegun:
        return False
    except psycopg.Error as refused:
        if not will_fail_again(refused):
            raise
        log.exception("document cannot be stored", extra={"fields": {"document": str(work.id)}})
    return await give_up(db, work, OriginalUnusable("extract", "document_too_complex", "The text of the document cannot be stored."))


async def _begin(db: TenantDatabase, document_id: UUID, revision: int, *, only_quick: bool = False) -> _ExtractionWork | None:
    """What is to be read, the attempt marked in its history (with `only_quick`, if it is quick to read).

    The mark is not worth waiting for the disk: a crash of the database loses at most that this attempt had begun. The row is locked so that
    what another attempt is just committing is not marked as running after that.
    """
    async with db.transaction() as tx:
        work = await tx.fetch_one(
            """
            SELECT owner_id, id, size, sha256, object_key, revision, status, filename, content_type
            FROM documents, set_config('synchronous_commit', 'off', true)
            WHERE owner_id = %(owner)s AND id = %(id)s AND revision = %(revision)s
                AND (status = 'stored' OR (status = 'failed' AND error ->> 'step' = 'extract' AND error ->> 'code' = %(gave_up)s))
                AND NOT EXISTS (
                    SELECT FROM document_recognition AS begun
                    WHERE begun.owner_id = documents.owner_id AND begun.document_id = documents.id AND begun.revision = documents.revision
                )
            FOR NO KEY UPDATE OF documents
            """,
            {"owner": db.owner_id, "id": document_id, "revision": revision, "gave_up": lifecycle.GAVE_UP},
            row=_ExtractionWork,
        )
        if work is not None and (work.quick or not only_quick):
            await step_history.begin(tx, owner_id=work.owner_id, document_id=work.id, revision=work.revision, step="extract")
    return work


async def _hand_on(tx: Transaction, work: _ExtractionWork) -> bool:
    """Leaves the document to `read_in_full`; it is found by its name from now on."""
    waits = await tx.execute(
        """
        UPDATE documents SET status = 'stored', error = NULL, updated_at = now()
        WHERE owner_id = %(owner)s AND id = %(id)s AND revision = %(revision)s AND status = %(status)s
        """,
        {"owner": work.owner_id, "id": work.id, "revision": work.revision, "status": work.status},
    )
    if not waits:
        return False
    await search_index.index_name(tx, owner_id=work.owner_id, document_id=work.id)
    event = DocumentLarge(owner_id=work.owner_id, document_id=work.id, revision=work.revision)
    await publish(tx, event, cost=lifecycle.cost_of(work.size))
    lifecycle.wake_listeners(tx, work.owner_id)
    return True


async def _fetch_and_extract(
    work: _ExtractionWork, budget: ReadingBudget, store: StorageBackend, extractor: Extractor
) -> tuple[Download, Extraction]:
    with temporary.file("original") as path:
        download = await fetch(work, store, path)
        try:
            extraction = await extractor(
                path, filename=work.filename, declared_type=work.content_type, limits=Limits.within(budget), defer_recognition=True
            )
        except ExtractionTimeout:
            raise
        except ExtractionFailed as failed:
            raise OriginalUnusable("extract", failed.code, failed.detail) from None
    log.info("document read", extra={"fields": {"document": str(work.id), "milliseconds": extraction.milliseconds}})
    return download, extraction


@dataclass(frozen=True)
class _Names:
    filename: str
    title: str
    notes: str | None


async def _commit(tx: Transaction, work: _ExtractionWork, download: Download, extraction: Extraction) -> bool:
    # A title that a person or a surer source has given meanwhile stays.
    names = await tx.fetch_one(
        """
        UPDATE documents
        SET status = %(reached)s, error = NULL, content_type = %(content_type)s, page_count = %(page_count)s, language = %(language)s,
            sha256 = %(sha256)s, warnings = %(warnings)s, updated_at = now(),
            title = CASE WHEN title_source IN ('filename', 'metadata') THEN coalesce(%(title)s, title) ELSE title END,
            title_source = CASE WHEN title_source = 'filename' AND %(title)s::text IS NOT NULL THEN 'metadata' ELSE title_source END
        WHERE owner_id = %(owner)s AND id = %(id)s AND revision = %(revision)s AND status = %(status)s
            AND NOT EXISTS (
                SELECT FROM document_recognition AS begun
                WHERE begun.owner_id = %(owner)s AND begun.document_id = %(id)s AND begun.revision = %(revision)s
            )
        RETURNING filename, title, notes
        """,
        {
            "reached": "stored" if extraction.scans else "extracted",
            "content_type": extraction.content_type,
            "page_count": extraction.page_count,
            "language": extraction.language,
            "sha256": download.sha256,
            "warnings": Jsonb([asdict(warning) for warning in extraction.warnings]),
            "title": filenames.sane_title(extraction.title),
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
        await lookalikes.forget(tx, owner_id=work.owner_id, document_id=work.id)
        await kept_thumbnails.forget(tx, owner_id=work.owner_id, document_id=work.id)
    indexed = await search_index.index(
        tx,
        owner_id=work.owner_id,
        document_id=work.id,
        language=extraction.language,
        filename=names.filename,
        title=names.title,
        notes=names.notes,
        pages=extraction.pages,
    )
    await warnings.note_index_cut_short(tx, indexed, owner_id=work.owner_id, document_id=work.id)
    found = await paper_details.propose(
        tx,
        owner_id=work.owner_id,
        document_id=work.id,
        content_type=extraction.content_type,
        language=extraction.language,
        pages=extraction.pages,
        created_on=extraction.created_on,
    )
    # What needs no answer goes out together: a round trip for each would cost more than the statements.
    async with tx.pipeline():
        # Binary (%b): as text, an array of ten million characters would be escaped for a second, with the event loop waiting.
        await tx.execute(
            """
            INSERT INTO document_pages (document_id, owner_id, number, text)
            SELECT %(id)s, %(owner)s, number, text FROM unnest(%(texts)b::text[]) WITH ORDINALITY AS page (text, number)
            """,
            {"id": work.id, "owner": work.owner_id, "texts": extraction.pages},
        )
        if extraction.thumbnail is not None:
            await kept_thumbnails.keep(
                tx, owner_id=work.owner_id, document_id=work.id, revision=work.revision, picture=extraction.thumbnail
            )
        if not extraction.scans:
            await lookalikes.note(tx, owner_id=work.owner_id, document_id=work.id, pages=extraction.pages)
            await step_history.record(
                tx,
                owner_id=work.owner_id,
                document_id=work.id,
                revision=work.revision,
                step="extract",
                state="done",
                detail=", ".join(filter(None, (_in_words(extraction), found))),
            )
            await publish(tx, DocumentExtracted(owner_id=work.owner_id, document_id=work.id, revision=work.revision))
    if extraction.scans:
        await recognize_step.begin(tx, owner_id=work.owner_id, document_id=work.id, revision=work.revision, scans=extraction.scans)
    lifecycle.wake_listeners(tx, work.owner_id)
    return True


def _in_words(extraction: Extraction) -> str:
    """What was read, for the history."""
    pages = len(extraction.pages)
    words = f"{pages} page{'' if pages == 1 else 's'} read"
    if extraction.truncated:
        words += f" of {extraction.page_count}" if extraction.page_count and extraction.page_count > pages else ", cut short"
    return words
