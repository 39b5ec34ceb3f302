"""Text recognition (OCR), the slow part of the step from `stored` to `extracted`, done in slices that yield to others.

`begin` notes which pages of a document need it. Each `recognize_slice` does as many of them as begin within a few seconds, and publishes
the next slice in the transaction that keeps their text, so that brokers give other owners their turn in between. The last slice indexes the
whole text and makes the document `extracted`. The original is fetched anew for each slice (20 MB take 30 ms), so that any worker may do any
of them.

A page that makes its reader crash, loop or balloon costs that page alone, and so does one after the document's time: which pages they were
stands in the document's warnings.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb

from shared import temporary
from shared.db import TenantDatabase, Transaction, will_fail_again
from shared.documents import lifecycle, lookalikes, paper_details, recognized_pages, step_history, warnings
from shared.documents.originals import Original, OriginalUnusable, fetch, give_up
from shared.documents.page_numbers import in_words
from shared.events import publish
from shared.events.catalogue import DocumentExtracted, DocumentScanned
from shared.extraction import ExtractionFailed, ExtractionTimeout, Recognition, RecognizedPage, Scan, language, recognize
from shared.extraction.limits import Limits
from shared.search import index as search_index
from shared.storage import StorageBackend, object_store
from shared.time_budgets import DOCUMENT_RECOGNITION_CPU_SECONDS, RECOGNITION, SLICE_CPU_SECONDS

log = logging.getLogger("docuvault.documents")

SCANS_AT_ONCE = 200
"""Scans named to a child: far more than begin within a slice."""

Recognizing = Callable[..., Awaitable[Recognition]]


class AlreadyBegun(Exception):
    """Another attempt at reading the document was faster; this one is to be rolled back."""


async def begin(tx: Transaction, *, owner_id: UUID, document_id: UUID, revision: int, scans: Sequence[Scan]) -> None:
    """Notes that these pages are to be recognised, and announces the first slice. Raises AlreadyBegun."""
    begun = await tx.execute(
        """
        INSERT INTO document_recognition (document_id, owner_id, revision, scans)
        VALUES (%(id)s, %(owner)s, %(revision)s, %(scans)s)
        ON CONFLICT (document_id) DO UPDATE
        SET revision = excluded.revision, scans = excluded.scans, done = 0, not_recognized = '{}', cpu_milliseconds = 0
        WHERE document_recognition.revision < excluded.revision
        """,
        {"id": document_id, "owner": owner_id, "revision": revision, "scans": Jsonb(_addresses(scans))},
    )
    if not begun:
        raise AlreadyBegun
    await _announce(tx, owner_id, document_id, revision, done=0, left=len(scans))


@dataclass(frozen=True)
class _Slice(Original):
    """A document whose recognition has come as far as `done`; the members of `scans` are [page, frame, attachment]."""

    filename: str
    scans: list[list[int]]
    done: int
    cpu_milliseconds: int

    @property
    def left(self) -> list[Scan]:
        return [Scan(*address) for address in self.scans]

    @property
    def cpu_seconds_left(self) -> float:
        return DOCUMENT_RECOGNITION_CPU_SECONDS - self.cpu_milliseconds / 1000


@dataclass(frozen=True)
class _RecognitionOutcome:
    """What a slice came to: the texts of the first scans (None: not recognised), and how they were recognised, as far as is known."""

    texts: list[str | None]
    cpu_milliseconds: float
    pages: list[RecognizedPage | None] = field(default_factory=list)


async def recognize_slice(
    db: TenantDatabase,
    document_id: UUID,
    revision: int,
    done: int,
    *,
    store: StorageBackend | None = None,
    recognizing: Recognizing = recognize,
) -> bool:
    """Recognises the pages after the first `done`, as many as fit a slice; False, without effect, if that is not what is to be done next
    for the document at `revision` (any more)."""
    work = await _next(db, document_id, revision, done)
    if work is None:
        return False
    try:
        outcome = await _recognize(work, store or object_store(), recognizing)
    except OriginalUnusable as reason:
        return await give_up(db, work, reason)
    try:
        async with db.transaction() as tx:
            return await _commit(tx, work, outcome)
    except psycopg.Error as refused:
        if not will_fail_again(refused):
            raise
        log.exception("document cannot be stored", extra={"fields": {"document": str(work.id)}})
    return await give_up(db, work, OriginalUnusable("extract", "document_too_complex", "The text of the document cannot be stored."))


async def _next(db: TenantDatabase, document_id: UUID, revision: int, done: int) -> _Slice | None:
    async with db.transaction() as tx:
        return await tx.fetch_one(
            """
            SELECT owner_id, d.id, d.size, d.sha256, d.object_key, d.revision, d.status, d.filename, r.scans, r.done, r.cpu_milliseconds
            FROM documents AS d JOIN document_recognition AS r USING (owner_id, revision)
            WHERE owner_id = %(owner)s AND d.id = %(id)s AND r.document_id = d.id AND revision = %(revision)s AND r.done = %(done)s
                AND (d.status = 'stored' OR (d.status = 'failed' AND error ->> 'step' = 'extract' AND error ->> 'code' = %(gave_up)s))
            """,
            {"owner": db.owner_id, "id": document_id, "revision": revision, "done": done, "gave_up": lifecycle.GAVE_UP},
            row=_Slice,
        )


async def _recognize(work: _Slice, store: StorageBackend, recognizing: Recognizing) -> _RecognitionOutcome:
    with temporary.file("original") as path:
        await fetch(work, store, path)

        async def some(scans: Sequence[Scan]) -> _RecognitionOutcome:
            found = await recognizing(
                path, filename=work.filename, scans=scans, limits=Limits.within(RECOGNITION), cpu_seconds=SLICE_CPU_SECONDS
            )
            return _RecognitionOutcome(found.texts, found.cpu_milliseconds, found.pages)

        spent = 0.0
        # The first page alone a second time: if some page of the slice ends its reader, those before it are not lost.
        for scans in (work.left[:SCANS_AT_ONCE], work.left[:1]):
            try:
                outcome = await some(scans)
                return replace(outcome, cpu_milliseconds=outcome.cpu_milliseconds + spent)
            except ExtractionFailed as failed:
                spent += RECOGNITION.cpu_seconds * 1000 if isinstance(failed, ExtractionTimeout) else 0
                log.warning(
                    "pages could not be recognised",
                    extra={"fields": {"document": str(work.id), "pages": [scan.page + 1 for scan in scans][:10], "reason": failed.code}},
                )
            if len(scans) == 1:
                break
        return _RecognitionOutcome([None], spent)


@dataclass(frozen=True)
class _ScannedDocument:
    filename: str
    title: str
    notes: str | None
    content_type: str
    warnings: list[dict[str, Any]]
    page_count: int | None
    not_recognized: list[int]


async def _commit(tx: Transaction, work: _Slice, outcome: _RecognitionOutcome) -> bool:
    left = work.left[len(outcome.texts) :]
    done = work.done + len(outcome.texts)
    read = [(scan.page + 1, text) for scan, text in zip(work.left, outcome.texts, strict=False)]
    document = await tx.fetch_one(
        """
        WITH document AS (
            UPDATE documents SET status = 'stored', error = NULL, updated_at = now()
            WHERE owner_id = %(owner)s AND id = %(id)s AND revision = %(revision)s AND status = %(status)s
            RETURNING id, filename, title, notes, content_type, warnings, page_count
        )
        UPDATE document_recognition AS r
        SET scans = %(scans)s, done = %(done)s, cpu_milliseconds = r.cpu_milliseconds + %(cpu)s,
            not_recognized = not_recognized || %(not_recognized)s::integer[]
        FROM document
        WHERE r.owner_id = %(owner)s AND r.document_id = document.id AND r.revision = %(revision)s AND r.done = %(before)s
        RETURNING filename, title, notes, content_type, warnings, page_count, not_recognized
        """,
        {
            "owner": work.owner_id,
            "id": work.id,
            "revision": work.revision,
            "status": work.status,
            "scans": Jsonb(_addresses(left)),
            "done": done,
            "before": work.done,
            "cpu": round(outcome.cpu_milliseconds),
            "not_recognized": [number for number, text in read if text is None],
        },
        row=_ScannedDocument,
    )
    if document is None:
        return False
    # A scanner's stamp in the page's own text stays where nothing longer was recognised.
    await tx.execute(
        """
        UPDATE document_pages AS page SET text = found.text
        FROM unnest(%(numbers)s::integer[], %(texts)b::text[]) AS found (number, text)
        WHERE page.owner_id = %(owner)s AND page.document_id = %(id)s AND page.number = found.number
            AND length(found.text) > length(page.text)
        """,
        {"owner": work.owner_id, "id": work.id, "numbers": [number for number, _ in read], "texts": [text or "" for _, text in read]},
    )
    if pages := {scan.page + 1: page for scan, page in zip(work.left, outcome.pages, strict=False) if page is not None}:
        await recognized_pages.keep(tx, owner_id=work.owner_id, document_id=work.id, pages=pages)
    if left and work.cpu_seconds_left > outcome.cpu_milliseconds / 1000:
        await _announce(tx, work.owner_id, work.id, work.revision, done=done, left=len(left))
    else:
        await _finish(tx, work, document, left)
    lifecycle.wake_listeners(tx, work.owner_id)
    return True


async def _announce(tx: Transaction, owner_id: UUID, document_id: UUID, revision: int, *, done: int, left: int) -> None:
    await step_history.progress(
        tx,
        owner_id=owner_id,
        document_id=document_id,
        revision=revision,
        step="extract",
        detail=f"{done} of {done + left} scanned page{'' if done + left == 1 else 's'} recognised",
    )
    # An owner's short documents before the long ones.
    event = DocumentScanned(owner_id=owner_id, document_id=document_id, revision=revision, done=done)
    await publish(tx, event, cost=left.bit_length())


@dataclass(frozen=True)
class _ScannedPage:
    text: str


async def _finish(tx: Transaction, work: _Slice, document: _ScannedDocument, left_out: list[Scan]) -> None:
    pages = [
        page.text
        for page in await tx.fetch_all(
            "SELECT text FROM document_pages WHERE owner_id = %(owner)s AND document_id = %(id)s ORDER BY number",
            {"owner": work.owner_id, "id": work.id},
            row=_ScannedPage,
        )
    ]
    spoken = language.detect("\n".join(pages))
    told = list(document.warnings)
    if missing := [*document.not_recognized, *(scan.page + 1 for scan in left_out)]:
        told.append({"code": "page_not_recognized", "detail": f"The text on {in_words(missing)} could not be recognised."})
    told += await recognized_pages.warnings_of(tx, owner_id=work.owner_id, document_id=work.id)
    await tx.execute(
        """
        UPDATE documents SET status = 'extracted', language = %(language)s, warnings = %(warnings)s
        WHERE owner_id = %(owner)s AND id = %(id)s
        """,
        {"owner": work.owner_id, "id": work.id, "language": spoken, "warnings": Jsonb(told)},
    )
    found = await paper_details.propose(
        tx,
        owner_id=work.owner_id,
        document_id=work.id,
        content_type=document.content_type,
        language=spoken,
        pages=pages,
    )
    indexed = await search_index.index(
        tx,
        owner_id=work.owner_id,
        document_id=work.id,
        language=spoken,
        filename=document.filename,
        title=document.title,
        notes=document.notes,
        pages=pages,
    )
    await warnings.note_index_cut_short(tx, indexed, owner_id=work.owner_id, document_id=work.id)
    await lookalikes.note(tx, owner_id=work.owner_id, document_id=work.id, pages=pages)
    await tx.execute(
        "DELETE FROM document_recognition WHERE owner_id = %(owner)s AND document_id = %(id)s", {"owner": work.owner_id, "id": work.id}
    )
    count = len(pages)
    detail = (
        f"{count} page{'' if count == 1 else 's'} read"
        + (f", {in_words(missing)} without text" if missing else "")
        + (f", {found}" if found else "")
    )
    await step_history.record(
        tx, owner_id=work.owner_id, document_id=work.id, revision=work.revision, step="extract", state="done", detail=detail
    )
    await publish(tx, DocumentExtracted(owner_id=work.owner_id, document_id=work.id, revision=work.revision))


def _addresses(scans: Sequence[Scan]) -> list[list[int]]:
    return [[scan.page, scan.frame, scan.attachment] for scan in scans]
