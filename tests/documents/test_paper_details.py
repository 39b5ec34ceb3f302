"""What the pipeline finds of a document's date and sender, and that a person's word stands above it."""

import io
from datetime import date

from PIL import Image, ImageDraw, ImageFont

from shared.db import TenantDatabase
from shared.documents import details, extract_step, library, paper_details, recognize_step, reprocessing, step_history
from shared.documents.change_models import DocumentChange
from shared.documents.models import Document
from tests.documents.conftest import PDF, read_through, row, stored

LETTER = """Stadtwerke Köln GmbH · Parkgürtel 24 · 50823 Köln

Frau
Anna Beispiel
Bachweg 3
50667 Köln

Köln, den 3. Mai 2024

Sehr geehrte Frau Beispiel,
anbei Ihre Abrechnung vom 01.01.2023 bis 31.12.2023 {number}. Bitte zahlen Sie bis zum 31.05.2024.
"""
MAIL = b"""From: "Water Works" <bills@works.example>
To: anna@example.org
Date: Fri, 3 May 2024 23:30:00 -0700
Subject: Your bill
MIME-Version: 1.0
Content-Type: text/plain; charset=utf-8

Dear Anna,
City Works Ltd
Invoice date: 1 January 2020
"""


async def _letter(vault: TenantDatabase, number: int = 0, text: str = LETTER) -> Document:
    created = await stored(vault, text.format(number=number).encode())
    return await read_through(vault, created.id)


def _scan(*lines: str) -> bytes:
    """A picture of these lines."""
    picture = Image.new("L", (1200, 200 + 120 * len(lines)), 255)
    for number, line in enumerate(lines):
        ImageDraw.Draw(picture).text((100, 100 + 120 * number), line, fill=0, font=ImageFont.load_default(60))
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def _sender(document: Document) -> str | None:
    return None if document.sender is None else document.sender.name


async def test_a_letter_has_its_date_and_its_sender_and_its_history_says_so(vault: TenantDatabase) -> None:
    document = await _letter(vault)
    assert (document.issued_on, _sender(document)) == (date(2024, 5, 3), "Stadtwerke Köln GmbH")
    assert await row(vault, document.id, "issued_on_place") == "page 1: Köln, den 3. Mai 2024"
    read = next(step for step in await step_history.history(vault, document.id) if step.step == "extract")
    assert read.detail == "1 page read, dated 2024-05-03 (page 1), from Stadtwerke Köln GmbH"


async def test_of_a_mail_the_header_counts(vault: TenantDatabase) -> None:
    created = await stored(vault, MAIL, filename="bill.eml", content_type="message/rfc822")
    document = await read_through(vault, created.id)
    assert (document.issued_on, _sender(document)) == (date(2024, 5, 3), "Water Works")
    assert await row(vault, document.id, "issued_on_source") == "mail"


async def test_what_a_file_says_of_itself_is_the_last_hint(vault: TenantDatabase) -> None:
    made = PDF.replace(b"<</Title(About the heron)>>", b"<</Title(About the heron)/CreationDate(D:20210704120000Z)>>")
    document = await read_through(vault, (await stored(vault, made, filename="a.pdf", content_type="application/pdf")).id)
    assert (document.issued_on, await row(vault, document.id, "issued_on_source")) == (date(2021, 7, 4), "metadata")
    dated = made.replace(b"(The heron landed here today) Tj ET  ", b"(Invoice date: 3 May 2024) Tj ET     ")
    document = await read_through(vault, (await stored(vault, dated, filename="b.pdf", content_type="application/pdf")).id)
    assert (document.issued_on, await row(vault, document.id, "issued_on_source")) == (date(2024, 5, 3), "text")


async def test_reading_anew_changes_nothing_that_a_person_set(vault: TenantDatabase) -> None:
    document = await _letter(vault)
    change = DocumentChange.model_validate({"issued_on": None, "sender": "City Works", "title": "Mine"})
    await details.update(vault, document.id, change)
    async with vault.transaction() as tx:
        await tx.execute("UPDATE documents SET status = 'ready' WHERE id = %s", (document.id,))
    await reprocessing.reprocess(vault, document.id)
    again = await read_through(vault, document.id, revision=2)
    assert (again.status, again.issued_on, _sender(again), again.title) == ("extracted", None, "City Works", "Mine")


async def test_the_next_letter_is_known_by_what_a_person_corrected(vault: TenantDatabase) -> None:
    first = await _letter(vault, 1)
    await details.update(vault, first.id, DocumentChange.model_validate({"sender": "City Works"}))
    assert _sender(await _letter(vault, 2)) == "City Works"


async def test_a_name_that_was_not_likely_enough_is_learned_when_a_person_gives_it(vault: TenantDatabase) -> None:
    bill = "Telenova Deutschland    Ihre Mobilfunkrechnung\nRechnungsdatum: 05.04.2024\nSumme 1{number},00"
    first = await _letter(vault, 1, bill)
    assert _sender(first) is None
    await details.update(vault, first.id, DocumentChange.model_validate({"sender": "Telenova"}))
    assert _sender(await _letter(vault, 2, bill)) == "Telenova"


async def test_a_scan_has_its_date_once_its_text_is_recognised(vault: TenantDatabase) -> None:
    picture = _scan("Harbour Bank Ltd", "Invoice date: 3 May 2024")
    created = await stored(vault, picture, filename="scan.png", content_type="image/png")
    await extract_step.read(vault, created.id, 1)
    await extract_step.read_in_full(vault, created.id, 1)
    assert (await library.get(vault, created.id)).issued_on is None
    assert await recognize_step.recognize_slice(vault, created.id, 1, 0)
    document = await library.get(vault, created.id)
    assert (document.issued_on, _sender(document)) == (date(2024, 5, 3), "Harbour Bank Ltd")


def test_a_files_own_date_does_not_count_where_the_paper_speaks_of_later_years_alone() -> None:
    template = date(2000, 1, 1)
    assert paper_details._is_outdated(template, ["Invoice 2026-0417", "Due in May 2026, for the year 2025."])
    assert not paper_details._is_outdated(template, ["Since 2001 we have been your bakers. Invoice of 2026."])
    assert not paper_details._is_outdated(date(2025, 12, 30), ["Calendar 2026"])
    assert not paper_details._is_outdated(template, ["No year at all, but 20260 bolts."])
