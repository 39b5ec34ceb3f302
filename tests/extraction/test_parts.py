"""A part of a document at which its reader dies costs that part, and says so; what is wholly unreadable still fails."""

import io
from pathlib import Path

import pytest
from PIL import Image

from shared.extraction import DocumentCorrupt, Extraction, ExtractionCrashed, ExtractionTimeout, _checked, sandbox
from shared.extraction.limits import Limits
from tests.extraction.conftest import Read
from tests.extraction.corpus import encoded, letter, signature, with_photo, with_picture_page
from tests.extraction.made_documents import line, pdf

PROBES = "tests.extraction.probes:"


async def die(path: Path, *at: int, way: str = "segfault", in_the_end: bool = False) -> list[int]:
    path.write_bytes(b"")
    with path.open("rb", buffering=0) as file:
        finished = await sandbox.run(PROBES + "die_at_parts", file, {"at": at, "way": way, "in the end": in_the_end})
    read: list[int] = finished.value["read"]
    return read


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "document"


@pytest.mark.parametrize("way", ["segfault", "abort", "out of memory", "out of time"])
async def test_whatever_a_reader_dies_of_costs_the_part_it_was_at(path: Path, way: str) -> None:
    assert await die(path, 3, 7, way=way) == [1, 2, 4, 5, 6, 8, 9, 10]


async def test_after_three_deaths_what_follows_the_fourth_is_left_out(path: Path) -> None:
    assert await die(path, 2, 4, 6, 8, 9) == [1, 3, 5, 7]


async def test_a_death_beyond_the_parts_is_the_documents(path: Path) -> None:
    with pytest.raises(ExtractionCrashed):
        await die(path, in_the_end=True)


async def test_a_document_that_dies_again_and_again_takes_no_longer_than_one_may(path: Path) -> None:
    path.write_bytes(b"")
    with path.open("rb", buffering=0) as file, pytest.raises((ExtractionTimeout, ExtractionCrashed)):
        await sandbox.run(PROBES + "wait", file, {}, Limits(wall_seconds=0.2))


async def read_dying(path: Path, content: bytes, filename: str, of: str) -> Extraction:
    path.write_bytes(content)
    with path.open("rb", buffering=0) as file:
        finished = await sandbox.run(PROBES + "read_and_die_of_a_part", file, {"filename": filename, "of": of})
    return _checked(finished.value, finished.blob)


def _codes(extraction: Extraction) -> list[str]:
    return [warning.code for warning in extraction.warnings]


async def test_a_picture_that_kills_the_ocr_is_read_without_text(path: Path) -> None:
    read = await read_dying(path, encoded(letter(), "PNG"), "a.png", "pictures")
    assert (read.pages, _codes(read)) == ([""], ["page_not_recognized"])
    assert read.thumbnail


async def test_a_pdf_whose_signature_kills_the_ocr_keeps_its_text(path: Path) -> None:
    read = await read_dying(path, with_picture_page(signature(420, 160)), "a.pdf", "pictures")
    assert read.pages == ["The contract is signed overleaf, on the second page.", ""]
    assert [warning.detail for warning in read.warnings] == ["The text on page 2, which is a picture, could not be recognized."]


async def test_a_tiff_of_which_each_page_kills_the_ocr_ends(path: Path) -> None:
    tiff = encoded(letter(mode="1"), "TIFF", save_all=True, append_images=[letter(mode="1")] * 7)
    read = await read_dying(path, tiff, "a.tiff", "pictures")
    assert read.pages == [""] * 8
    assert set(_codes(read)) == {"page_not_recognized"}


async def test_a_page_that_kills_the_pdf_reader_leaves_the_others(path: Path) -> None:
    read = await read_dying(path, pdf([line("one"), line("crash here"), line("three")]), "a.pdf", "pages")
    assert read.pages == ["one", "", "three"]
    assert [warning.detail for warning in read.warnings] == ["Page 2 could not be read."]


async def test_a_pdf_of_nothing_but_pages_that_kill_its_reader_fails(path: Path) -> None:
    with pytest.raises(DocumentCorrupt):
        await read_dying(path, pdf([line("crash here")]), "a.pdf", "pages")


async def test_a_mail_whose_attachment_kills_its_reader_keeps_its_text(path: Path) -> None:
    read = await read_dying(path, with_photo("meter.jpg", encoded(letter(mode="RGB"), "JPEG")), "a.eml", "pictures")
    assert "See the photo of the meter." in read.pages[0]
    assert [(warning.code, warning.detail) for warning in read.warnings] == [
        ("attachment_unreadable", "The attachment meter.jpg could not be read.")
    ]


async def test_a_damaged_attachment_is_told(read: Read) -> None:
    found = await read(with_photo("meter.jpg", b"\xff\xd8\xff\xe0 no more than this"), "a.eml")
    assert "See the photo of the meter." in found.pages[0]
    assert _codes(found) == ["attachment_unreadable"]


async def test_an_attachment_of_no_kind_that_is_read_is_only_named(read: Read) -> None:
    found = await read(with_photo("key.asc", bytes(range(256)) * 9), "a.eml")
    assert "Attachment: key.asc" in found.pages[0]
    assert found.warnings == []


async def test_a_picture_without_text_is_read_as_having_none(read: Read) -> None:
    out = io.BytesIO()
    Image.new("RGB", (420, 160), "white").save(out, "PNG")
    found = await read(out.getvalue(), "logo.png")
    assert (found.pages, found.warnings) == ([""], [])
