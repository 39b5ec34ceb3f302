"""Slow documents yield: found by their name first, read after quick ones, recognised page by page; a page that fails costs itself."""

import asyncio
import io
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw, ImageFont

from shared.db import Database, TenantDatabase
from shared.documents import extract_step, library, lifecycle, listing, recognize_step, step_history
from shared.documents.listing import Filters
from shared.documents.models import Document, Step
from shared.extraction import Extraction, ExtractionCrashed, ExtractionTimeout, Recognition, RecognizedPage, Scan, recognize
from shared.extraction.limits import Limits
from shared.time_budgets import DOCUMENT_RECOGNITION_CPU_SECONDS
from tests.documents.conftest import PDF, published, read_through, recognized, row, stored
from tests.documents.test_reconciliation import _age, _deliveries, _reconcile

BIRDS = ("heron", "kingfisher", "cormorant")


def scan(*texts: str) -> bytes:
    """A TIFF with a page for each text."""
    pages = []
    for text in texts:
        page = Image.new("1", (1400, 900), 1)
        for line in range(3):
            ImageDraw.Draw(page).text((120, 200 + 120 * line), f"The {text} has landed here", fill=0, font=ImageFont.load_default(size=44))
        pages.append(page)
    out = io.BytesIO()
    pages[0].save(out, "TIFF", save_all=True, append_images=pages[1:], compression="group4")
    return out.getvalue()


async def a_scan(vault: TenantDatabase, *texts: str) -> Document:
    """A scanned document that waits for recognition."""
    document = await stored(vault, scan(*(texts or BIRDS)), filename="waterbirds.tiff", content_type="image/tiff")
    assert await extract_step.read(vault, document.id, 1)
    assert await extract_step.read_in_full(vault, document.id, 1)
    return document


async def one_at_a_time(path: Path, *, filename: str, scans: Sequence[Scan], limits: Limits, cpu_seconds: float) -> Recognition:
    return await recognize(path, filename=filename, scans=scans, limits=limits, cpu_seconds=0)


async def recognize_all(vault: TenantDatabase, document: Document) -> None:
    while (done := await recognized(vault, document.id)) is not None:
        assert await recognize_step.recognize_slice(vault, document.id, 1, done)


async def find(vault: TenantDatabase, query: str) -> list[Any]:
    return [hit.id for hit in (await listing.search_documents(vault, query, Filters(), "-relevance", 10, None)).items]


async def extract_history(vault: TenantDatabase, document: Document) -> Step:
    [step] = [step for step in await step_history.history(vault, document.id) if step.step == "extract"]
    return step


async def types(vault: TenantDatabase, document: Document) -> list[str]:
    return [event.type for event in await published(vault, document.id)]


async def test_a_picture_is_found_by_its_name_before_anything_is_read_of_it(vault: TenantDatabase) -> None:
    document = await stored(vault, scan("heron"), filename="waterbirds.tiff", content_type="image/tiff")
    assert await extract_step.read(vault, document.id, 1)
    assert await find(vault, "waterbirds") == [document.id]
    assert (await library.get(vault, document.id)).status == "stored"
    assert await types(vault, document) == ["document.stored", "document.large"]
    await extract_step.read(vault, document.id, 1)
    assert await types(vault, document) == ["document.stored", "document.large"], "a second delivery changes nothing"


async def test_a_large_text_is_read_after_what_is_quick(vault: TenantDatabase) -> None:
    text = b"the heron and its nest\n" * (1 + extract_step.QUICK_BYTES // 23)
    document = await stored(vault, text, filename="nests.txt")
    await extract_step.read(vault, document.id, 1)
    assert await find(vault, "nests") == [document.id]
    assert await find(vault, "heron") == []
    assert await extract_step.read_in_full(vault, document.id, 1)
    assert (await library.get(vault, document.id)).status == "extracted"
    assert await find(vault, "heron") == [document.id]


async def test_what_is_not_read_in_the_time_for_quick_ones_is_handed_on_and_not_failed(vault: TenantDatabase) -> None:
    document = await stored(vault)

    async def too_slow(*arguments: Any, **named: Any) -> Extraction:
        raise ExtractionTimeout

    assert await extract_step.read(vault, document.id, 1, extractor=too_slow)
    assert (await library.get(vault, document.id)).status == "stored"
    assert await find(vault, "letter") == [document.id]
    assert await extract_step.read_in_full(vault, document.id, 1)
    assert (await library.get(vault, document.id)).status == "extracted"


async def test_what_is_not_read_in_the_larger_time_either_fails_with_that_reason(vault: TenantDatabase) -> None:
    document = await stored(vault)

    async def too_slow(*arguments: Any, **named: Any) -> Extraction:
        raise ExtractionTimeout

    assert await extract_step.read_in_full(vault, document.id, 1, extractor=too_slow)
    failed = await library.get(vault, document.id)
    assert failed.error is not None
    assert (failed.status, failed.error.code) == ("failed", "extraction_timeout")


async def test_a_document_without_scans_is_read_in_one_go(vault: TenantDatabase) -> None:
    document = await stored(vault, PDF, filename="heron.pdf", content_type="application/pdf")
    assert await extract_step.read(vault, document.id, 1)
    assert await types(vault, document) == ["document.stored", "document.extracted"]
    assert await recognized(vault, document.id) is None


async def test_a_scan_is_stored_with_thumbnail_and_pages_until_its_text_is_recognised(vault: TenantDatabase) -> None:
    document = await a_scan(vault)
    waiting = await library.get(vault, document.id)
    assert (waiting.status, waiting.page_count, waiting.content_type) == ("stored", 3, "image/tiff")
    assert waiting.sha256 is not None
    assert (await library.thumbnail(vault, document.id))[1][:4] == b"RIFF"
    step = await extract_history(vault, document)
    assert (step.state, step.detail) == ("running", "0 of 3 scanned pages recognised")
    assert await find(vault, "waterbirds") == [document.id]
    read = await read_through(vault, document.id)
    assert (read.status, read.language, read.warnings) == ("extracted", "en", [])
    text = await library.text(vault, document.id)
    assert [bird in page.text for bird, page in zip(BIRDS, text.pages, strict=True)] == [True] * 3
    assert await find(vault, "kingfisher") == [document.id]
    step = await extract_history(vault, document)
    assert (step.state, step.attempts, step.detail) == ("done", 1, "3 pages read")


async def test_a_mixed_document_is_found_by_the_text_it_has_already(vault: TenantDatabase) -> None:
    document = await stored(vault, PDF, filename="heron.pdf", content_type="application/pdf")

    async def half_scanned(*arguments: Any, **named: Any) -> Extraction:
        from dataclasses import replace

        from shared.extraction import extract

        found = await extract(*arguments, **named)
        return replace(found, pages=[*found.pages, ""], page_count=2, scans=[Scan(1, 1)])

    await extract_step.read(vault, document.id, 1, extractor=half_scanned)
    assert (await library.get(vault, document.id)).status == "stored"
    assert await find(vault, "landed") == [document.id]


async def test_recognition_goes_on_slice_by_slice(vault: TenantDatabase) -> None:
    document = await a_scan(vault)
    for done in range(3):
        step = await extract_history(vault, document)
        assert (step.state, step.detail) == ("running", f"{done} of 3 scanned pages recognised")
        assert await recognized(vault, document.id) == done
        assert await recognize_step.recognize_slice(vault, document.id, 1, done, recognizing=one_at_a_time)
    assert (await library.get(vault, document.id)).status == "extracted"
    assert await types(vault, document) == ["document.stored", "document.large", *["document.scanned"] * 3, "document.extracted"]
    assert await find(vault, "cormorant") == [document.id]


async def test_a_slice_delivered_again_changes_nothing(vault: TenantDatabase) -> None:
    document = await a_scan(vault)
    at_once = await asyncio.gather(*(recognize_step.recognize_slice(vault, document.id, 1, 0, recognizing=one_at_a_time) for _ in range(3)))
    assert at_once.count(True) == 1
    assert not await recognize_step.recognize_slice(vault, document.id, 1, 0)
    assert not await recognize_step.recognize_slice(vault, document.id, 1, 2), "nor does one that is not its turn yet"
    assert not await extract_step.read_in_full(vault, document.id, 1), "nor does the reading before it"
    await extract_step.read(vault, document.id, 1)
    assert await recognized(vault, document.id) == 1
    assert (await types(vault, document)).count("document.scanned") == 2


async def test_a_slice_of_an_older_revision_changes_nothing(vault: TenantDatabase) -> None:
    document = await a_scan(vault)
    async with vault.transaction() as tx:
        await tx.execute("UPDATE documents SET revision = 2 WHERE id = %(id)s", {"id": document.id})
    assert not await recognize_step.recognize_slice(vault, document.id, 1, 0)
    assert (await types(vault, document)).count("document.scanned") == 1
    assert (await read_through(vault, document.id, 2)).status == "extracted"
    assert len((await library.text(vault, document.id)).pages) == 3


async def test_a_page_that_crashes_its_reader_costs_that_page(vault: TenantDatabase) -> None:
    document = await a_scan(vault)

    async def crashing(path: Path, *, scans: Sequence[Scan], **named: Any) -> Recognition:
        if any(scan.page == 1 for scan in scans):
            raise ExtractionCrashed
        return await recognize(path, scans=scans, **named)

    while (done := await recognized(vault, document.id)) is not None:
        assert await recognize_step.recognize_slice(vault, document.id, 1, done, recognizing=crashing)
    read = await library.get(vault, document.id)
    assert read.status == "extracted"
    assert [(warning.code, warning.detail) for warning in read.warnings] == [
        ("page_not_recognized", "The text on page 2 could not be recognised.")
    ]
    text = await library.text(vault, document.id)
    assert ["heron" in text.pages[0].text, text.pages[1].text, "cormorant" in text.pages[2].text] == [True, "", True]
    assert (await extract_history(vault, document)).detail == "3 pages read, page 2 without text"


async def test_pages_after_the_time_of_a_document_are_left_out_and_named(vault: TenantDatabase) -> None:
    document = await a_scan(vault)

    async def expensive(*arguments: Any, **named: Any) -> Recognition:
        found = await one_at_a_time(*arguments, **named)
        return Recognition(found.texts, DOCUMENT_RECOGNITION_CPU_SECONDS * 1000)

    assert await recognize_step.recognize_slice(vault, document.id, 1, 0, recognizing=expensive)
    read = await library.get(vault, document.id)
    assert read.status == "extracted"
    assert [warning.detail for warning in read.warnings] == ["The text on pages 2-3 could not be recognised."]
    assert await find(vault, "heron") == [document.id]


async def test_an_original_that_is_gone_meanwhile_fails_with_that_reason(vault: TenantDatabase) -> None:
    from shared.storage import object_store

    document = await a_scan(vault)
    await object_store().delete(await row(vault, document.id, "object_key"))
    assert await recognize_step.recognize_slice(vault, document.id, 1, 0)
    error = (await library.get(vault, document.id)).error
    assert error is not None
    assert (error.step, error.code) == ("extract", "object_missing")


async def test_a_title_given_between_two_slices_stays_and_is_found(vault: TenantDatabase) -> None:
    document = await a_scan(vault)
    async with vault.transaction() as tx:
        await tx.execute("UPDATE documents SET title = 'Feathers' WHERE id = %(id)s", {"id": document.id})
    assert (await read_through(vault, document.id)).title == "Feathers"
    assert await find(vault, "feathers heron") == [document.id]


@pytest.mark.parametrize("at", ["document.large", "document.scanned"])
async def test_a_slow_document_whose_event_was_lost_is_sent_on_again(db: Database, vault: TenantDatabase, at: str) -> None:
    if at == "document.scanned":
        document = await a_scan(vault)
        await recognize_step.recognize_slice(vault, document.id, 1, 0, recognizing=one_at_a_time)
    else:
        document = await stored(vault, scan("heron"), filename="waterbirds.tiff", content_type="image/tiff")
        await extract_step.read(vault, document.id, 1)
    await _deliveries(db, document.id, "done")
    async with db.system() as tx:
        lost = await tx.fetch_value(
            """
            DELETE FROM events WHERE id = (SELECT max(id::text)::uuid FROM events WHERE subject = %(id)s AND type = %(type)s)
            RETURNING data
            """,
            {"id": str(document.id), "type": at},
        )
    await _age(db, document.id)
    await _reconcile(db, document.id)
    again = (await published(vault, document.id))[-1]
    if at == "document.scanned":
        assert (again.type, again.data) == (at, lost)
    else:
        assert again.type == "document.stored", "which leads there again"
    assert (await read_through(vault, document.id)).status == "extracted"


@pytest.mark.parametrize("state", ["ready", "waiting", "running"])
async def test_a_slow_document_whose_delivery_is_on_its_way_is_left_alone(db: Database, vault: TenantDatabase, state: str) -> None:
    document = await a_scan(vault)
    before = await published(vault, document.id)
    await _deliveries(db, document.id, state)
    await _age(db, document.id, timedelta(hours=2))
    await _reconcile(db, document.id)
    assert await published(vault, document.id) == before


async def test_recognition_whose_delivery_is_dead_has_failed_and_can_be_resumed(db: Database, vault: TenantDatabase) -> None:
    document = await a_scan(vault)
    await recognize_step.recognize_slice(vault, document.id, 1, 0, recognizing=one_at_a_time)
    await _deliveries(db, document.id, "dead")
    await _age(db, document.id)
    await _reconcile(db, document.id)
    failed = await library.get(vault, document.id)
    assert failed.error is not None
    assert (failed.status, failed.error.step, failed.error.code) == ("failed", "extract", lifecycle.GAVE_UP)
    assert await recognize_step.recognize_slice(vault, document.id, 1, 1), "retrying the delivery resumes it"
    read = await read_through(vault, document.id)
    assert (read.status, read.error) == ("extracted", None)
    assert await find(vault, "heron kingfisher cormorant") == [document.id]


async def test_where_the_words_of_a_scan_stand_is_kept_with_its_pages(vault: TenantDatabase) -> None:
    document = await a_scan(vault)
    await recognize_all(vault, document)
    pages = (await library.text(vault, document.id, boxes=True)).pages
    assert [(page.width, page.height) for page in pages] == [(1400, 900)] * 3
    for page, bird in zip(pages, BIRDS, strict=True):
        assert page.words is not None
        assert page.confidence is not None
        assert page.confidence > 60
        places = [word for word in page.words if word["text"] == bird]
        assert len(places) == 3
        assert all(100 < place["x"] < 500 and 190 < place["y"] < 520 and place["w"] > place["h"] > 10 for place in places)
    assert [page.words for page in (await library.text(vault, document.id)).pages] == [None] * 3
    assert [page.number for page in (await library.text(vault, document.id, 2, boxes=True)).pages] == [2]


async def test_pages_that_can_hardly_be_read_are_named(vault: TenantDatabase) -> None:
    async def badly(path: Path, *, filename: str, scans: Sequence[Scan], limits: Limits, cpu_seconds: float) -> Recognition:
        seen = [RecognizedPage(35 if scan.page else 90, 1400, 900, [["heron", 1, 2, 30, 10]]) for scan in scans]
        return Recognition(["heron"] * len(scans), 10, list(seen))

    document = await a_scan(vault)
    assert await recognize_step.recognize_slice(vault, document.id, 1, 0, recognizing=badly)
    [warning] = (await library.get(vault, document.id)).warnings
    assert warning.code == "page_hardly_legible"
    assert "pages 2-3" in warning.detail
    assert "Scan it again" in warning.detail


async def test_pages_in_letters_without_data_are_named_with_what_to_install(vault: TenantDatabase) -> None:
    async def in_japanese(path: Path, *, filename: str, scans: Sequence[Scan], limits: Limits, cpu_seconds: float) -> Recognition:
        return Recognition([""] * len(scans), 10, [RecognizedPage(13, 1400, 900, [], "Japanese") for _ in scans])

    document = await a_scan(vault, "heron")
    assert await recognize_step.recognize_slice(vault, document.id, 1, 0, recognizing=in_japanese)
    [warning] = (await library.get(vault, document.id)).warnings
    assert warning.code == "ocr_language_missing"
    assert "tesseract-ocr-jpn" in warning.detail


async def test_what_was_kept_of_a_page_goes_with_its_text(vault: TenantDatabase) -> None:
    document = await a_scan(vault, "heron")
    await recognize_all(vault, document)
    async with vault.transaction() as tx:
        await tx.execute("DELETE FROM document_pages WHERE owner_id = %(owner)s", {"owner": vault.owner_id})
        assert await tx.execute("SELECT FROM document_recognized_pages WHERE owner_id = %(owner)s", {"owner": vault.owner_id}) == 0
