"""Hostile and broken documents: each fails with a sentence, or is read as far as it goes, and none takes long."""

import contextlib
import io
import random
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from shared.extraction import (
    DocumentCorrupt,
    DocumentEncrypted,
    DocumentTooComplex,
    ExtractionFailed,
    UnsupportedType,
    extract,
)
from shared.extraction.cleaning import clean, is_clean
from shared.extraction.limits import MAX_PAGES
from tests.extraction.conftest import Read
from tests.extraction.made_documents import docx, line, paragraph, pdf, pdf_of_objects, pdf_of_pages, png_header, zipped

SAMPLES = Path(__file__).parents[2] / "scripts/samples"
DOCUMENTS = Path(__file__).parent / "documents"


async def test_the_corrupt_sample_fails_with_a_reason() -> None:
    with pytest.raises(DocumentCorrupt) as failed:
        await extract(SAMPLES / "corrupt.pdf", filename="corrupt.pdf", declared_type="application/pdf")
    assert failed.value.detail == "The PDF is damaged and cannot be opened."


async def test_a_pdf_under_a_password_says_so() -> None:
    with pytest.raises(DocumentEncrypted) as failed:
        await extract(DOCUMENTS / "encrypted.pdf", filename="a.pdf", declared_type="application/pdf")
    assert failed.value.code == "document_encrypted"
    assert "password" in failed.value.detail


async def test_an_office_file_under_a_password_says_so(read: Read) -> None:
    compound = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(1016) + "EncryptedPackage".encode("utf-16-le") + bytes(3000)
    with pytest.raises(DocumentEncrypted):
        await read(compound, "letter.docx")


async def test_an_office_file_of_the_nineties_is_refused_with_advice(read: Read) -> None:
    with pytest.raises(UnsupportedType, match="DOCX"):
        await read(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(4000), "letter.doc")


async def test_a_pdf_of_100000_pages_is_read_in_part(read: Read) -> None:
    count = 100_000
    found = await read(pdf_of_pages(count, line("The same on every page.")))
    assert (found.page_count, len(found.pages), found.truncated) == (count, MAX_PAGES, True)
    assert found.pages[-1] == "The same on every page."
    as_far = await read(pdf_of_pages(MAX_PAGES, line("The same on every page.")))
    assert found.milliseconds["child_cpu"] < 5 * as_far.milliseconds["child_cpu"], "the pages that are not read cost next to nothing"


def _bomb(kind: str) -> bytes:
    """A picture that declares 50,000 by 50,000 pixels and holds next to nothing."""
    if kind == "png":
        return png_header(50_000, 50_000)
    if kind == "gif":
        return b"GIF89a" + (50_000).to_bytes(2, "little") * 2 + b"\x80\0\0" + bytes(6) + b"," + bytes(4) + b"\1\0\1\0\0\2\2D\1\0;"
    if kind == "jpeg":
        out = io.BytesIO()
        Image.new("RGB", (16, 16)).save(out, "JPEG")
        picture = bytearray(out.getvalue())
        at = picture.index(b"\xff\xc0")  # start of frame: length (2), precision (1), height (2), width (2)
        picture[at + 5 : at + 9] = (50_000).to_bytes(2, "big") * 2
        return bytes(picture)
    tags = {256: 50_000, 257: 50_000, 258: 8, 259: 1, 262: 1, 273: 8, 277: 1, 278: 50_000, 279: 100}
    entries = b"".join(tag.to_bytes(2, "little") + b"\x04\0\x01\0\0\0" + value.to_bytes(4, "little") for tag, value in tags.items())
    return b"II*\0\x08\0\0\0" + len(tags).to_bytes(2, "little") + entries + bytes(4)


@pytest.mark.parametrize("kind", ["png", "jpeg", "tiff", "gif"])
async def test_a_picture_of_50000_by_50000_pixels_is_refused_unseen(read: Read, kind: str) -> None:
    with pytest.raises(DocumentTooComplex, match="pixels"):
        await read(_bomb(kind), f"picture.{kind}")


async def test_a_pdf_with_a_picture_of_50000_by_50000_pixels_is_read_without_showing_it(read: Read) -> None:
    bomb = zlib.compress(bytes(50_000_000))
    image = b"<</Type/XObject/Subtype/Image/Width 50000/Height 50000/ColorSpace/DeviceRGB/BitsPerComponent 8/Filter/FlateDecode/Length %d>>"
    document = pdf(
        [b"q 500 0 0 500 40 40 cm /I Do Q " + line("Text beside the bomb.")],
        more_objects=(image % len(bomb) + b"stream\n" + bomb + b"\nendstream",),
        resources=b"/XObject<</I 4 0 R>>",
    )
    found = await read(document)
    assert found.pages == ["Text beside the bomb."]
    assert found.thumbnail is None


async def test_a_zip_bomb_in_a_word_file_is_refused(read: Read) -> None:
    bomb = docx(paragraph("A" * 300_000_000))
    assert len(bomb) < 1_000_000
    with pytest.raises(DocumentTooComplex):
        await read(bomb, "letter.docx")


async def test_a_zip_bomb_that_lies_about_its_size_is_refused(read: Read) -> None:
    bomb = bytearray(docx(paragraph("B" * 60_000_000)))
    # the directory and the local header declare a part of 1,000 bytes
    for signature, place in ((b"PK\x01\x02", 24), (b"PK\x03\x04", 22)):
        at = bomb.rindex(signature, 0, bomb.rindex(b"word/document.xml"))
        at = bomb.rindex(signature) if signature == b"PK\x01\x02" else at
        bomb[at + place : at + place + 4] = (1000).to_bytes(4, "little")
    with pytest.raises((DocumentTooComplex, DocumentCorrupt)):
        await read(bytes(bomb), "letter.docx")


async def test_a_zip_of_very_many_parts_is_refused(read: Read) -> None:
    parts = {"[Content_Types].xml": b"<Types/>", "word/document.xml": b"<x/>"} | {f"word/{number}": b"" for number in range(21_000)}
    with pytest.raises(DocumentTooComplex):
        await read(zipped(parts), "letter.docx")


async def test_entities_that_multiply_in_a_word_file_do_no_harm(read: Read) -> None:
    entities = b"".join(b'<!ENTITY %c "%s">' % (97 + n, b"&%c;" % (96 + n) * 10) for n in range(1, 12))
    laughs = b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "ha">' + entities + b"]>"
    laughs += b'<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body>'
    laughs += paragraph("&l;") + b"</w:body></w:document>"
    document = zipped({"[Content_Types].xml": b"<Types/>", "word/document.xml": laughs, "word/header1.xml": laughs})
    with contextlib.suppress(ExtractionFailed):
        found = await read(document, "letter.docx")
        assert sum(map(len, found.pages)) < 1_000_000


async def test_a_pdf_whose_content_unpacks_without_end_fails_or_is_read(read: Read) -> None:
    inner = zlib.compress(zlib.compress(b"BT (x) Tj ET " * 20_000_000, 9), 9)
    stream = b"<</Length %d/Filter[/FlateDecode/FlateDecode]>>stream\n" % len(inner) + inner + b"\nendstream"
    document = pdf_of_objects(
        [
            b"<</Type/Catalog/Pages 2 0 R>>",
            b"<</Type/Pages/Kids[4 0 R]/Count 1>>",
            stream,
            b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 3 0 R>>",
        ]
    )
    with contextlib.suppress(ExtractionFailed):
        await read(document)


async def test_pages_that_contain_one_another_end(read: Read) -> None:
    document = pdf_of_objects([b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Kids[2 0 R 2 0 R]/Count 2>>"])
    with contextlib.suppress(DocumentCorrupt):
        assert "".join((await read(document)).pages) == ""


@pytest.mark.parametrize("box", [b"0 0 1e30 1e30", b"0 0 0 0", b"0 0 1 100000000", b"5 5 1 1"])
async def test_a_page_of_any_size_is_read(read: Read, box: bytes) -> None:
    document = pdf([line("Small text.")]).replace(b"0 0 595 842", box)
    found = await read(document)
    assert len(found.pages) == 1
    assert found.thumbnail is None or len(found.thumbnail) < 100_000


async def test_text_with_nul_bytes_is_read_without_them(read: Read) -> None:
    found = await read(b"An ordinary letter" + b" with many words" * 20 + b"\0 and a NUL\0.", "a.txt")
    assert found.pages[0].endswith("and a NUL.")


async def test_a_long_text_is_cut_and_says_so(read: Read) -> None:
    found = await read(b"All work and no play makes Jack a dull boy. " * 300_000, "long.txt")
    assert found.truncated
    assert 9_999_000 < sum(map(len, found.pages)) <= 10_000_000


async def test_mails_within_mails_within_mails_end(read: Read) -> None:
    mail = b"From: a@example.org\r\nSubject: end\r\n\r\nthe innermost\r\n"
    for _ in range(200):
        mail = b"From: a@example.org\r\nMIME-Version: 1.0\r\nContent-Type: message/rfc822\r\n\r\n" + mail
    assert (await read(mail, "a.eml")).content_type == "message/rfc822"


async def test_html_of_very_many_open_tags_ends(read: Read) -> None:
    found = await read(b"<!doctype html>" + b"<div>" * 200_000 + b"the end", "a.html")
    assert found.pages == ["the end"]


def progressive_jpeg(scans: int) -> bytes:
    """A JPEG of a few kilobytes whose every scan goes over all of the picture again."""
    out = io.BytesIO()
    Image.new("L", (3000, 3000), 128).save(out, "JPEG", progressive=True)
    picture = out.getvalue()
    starts = [at for at in range(len(picture)) if picture.startswith(b"\xff\xda", at)]
    return picture[: starts[3]] + picture[starts[2] : starts[3]] * scans + picture[starts[3] :]


async def test_a_jpeg_of_4000_scans_is_refused_before_it_is_decoded(read: Read) -> None:
    with pytest.raises(DocumentTooComplex, match="passes"):
        await read(progressive_jpeg(4000), "photo.jpg")
    assert (await read(progressive_jpeg(10), "photo.jpg")).pages == [""]


async def test_a_pdf_with_a_jpeg_of_4000_scans_is_read_without_showing_it(read: Read) -> None:
    jpeg = progressive_jpeg(4000)
    image = b"<</Type/XObject/Subtype/Image/Width 3000/Height 3000/ColorSpace/DeviceGray/BitsPerComponent 8/Filter/DCTDecode"
    image += b"/Length %d>>stream\n"
    document = pdf(
        [b"q 500 0 0 500 40 40 cm /I Do Q " + line("Text beside the bomb.")],
        more_objects=(image % len(jpeg) + jpeg + b"\nendstream",),
        resources=b"/XObject<</I 4 0 R>>",
    )
    found = await read(document)
    assert (found.pages, found.thumbnail) == (["Text beside the bomb."], None)
    assert found.milliseconds["child_cpu"] < 2_000


# Each of these took time with the square of its length: 50 s for a third of a megabyte.
_OPENED = {
    "hidden elements never closed": b"<select>" * 60_000 + b"</b></p>" * 60_000,
    "hidden elements closed in the wrong order": b"<svg>" * 60_000
    + b"</select>" * 60_000
    + b"<object>" * 60_000
    + b"</svg></object>" * 60_000,
    "tags never closed": b"<a " * 200_000,
    "comments never closed": b"<!-- >" * 200_000,
    "comments begun after the last that ends": b"<!-- x -->" + b"<!-- >" * 200_000,
    "declarations": b"<!x" * 200_000,
    "instructions": b"<?" * 200_000,
    "ends": b"</" * 200_000,
    "quotation marks": b"<a x=' " * 100_000 + b">",
    "blanks in a tag": b"<a" + b" " * 500_000 + b"<b>",
    "titles": b"<title>" + b"x<b>" * 200_000,
    "scripts": b"<script>" + b"</x" * 200_000,
    "ampersands": b"&#" * 300_000,
}


@pytest.mark.parametrize("shape", _OPENED)
async def test_html_takes_time_with_its_length_whatever_is_left_open(read: Read, shape: str) -> None:
    found = await read(b"<!doctype html><p>the beginning</p>" + _OPENED[shape] + b"<p>the end</p>", "a.html")
    assert found.pages[0].startswith("the beginning")
    assert found.milliseconds["child_cpu"] < 10_000


def _nested(depth: int, opening: bytes, closing: bytes, inside: bytes = b"x") -> bytes:
    return opening * depth + inside + closing * depth


_BOMBS: dict[str, Callable[[], bytes]] = {
    "groups.rtf": lambda: b"{\\rtf1 " + _nested(200_000, b"{", b"}") + b"}",
    "words.rtf": lambda: b"{\\rtf1 " + b"\\b" * 500_000 + b"}",
    "unicode.rtf": lambda: b"{\\rtf1 " + b"\\u8364?" * 300_000 + b"}",
    "elements.docx": lambda: docx(_nested(20_000, b"<w:p>", b"</w:p>")),
    "tables.docx": lambda: docx(_nested(3_000, b"<w:tbl><w:tr><w:tc>", b"</w:tc></w:tr></w:tbl>", paragraph("x"))),
    "paragraphs.docx": lambda: docx(paragraph("x") * 100_000),
    "parts.eml": lambda: b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(2_000)),
    "boundaries.eml": lambda: (
        b"From: a@b\r\nSubject: s\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\nx\r\n" * 50_000
    ),
    "headers.eml": lambda: b"From: a@b\r\nSubject: s\r\n" + b"X-Y: " + b" z\r\n" * 300_000 + b"\r\nx",
    "addresses.eml": lambda: b"Subject: s\r\nFrom: a@b\r\nTo: " + b'<("' * 20_000 + b"\r\n\r\nx",
    "encoded.eml": lambda: b"From: a@b\r\nSubject: " + b"=?utf-8?q?=" * 20_000 + b"\r\n\r\nx",
    "encoded-words.eml": lambda: b"From: a@b\r\nSubject: " + b"=?utf-8?q?a?= " * 10_000 + b"\r\n\r\nx",
    "header-names.eml": lambda: b"From: a@b\r\nSubject: s\r\n" + b"x:\r\n" * 200_000 + b"\r\nx",
    "arrays.pdf": lambda: pdf([line("x")]).replace(b"/Type/Catalog", b"/Type/Catalog/X" + _nested(100_000, b"[", b"]", b"1")),
    "brackets.pdf": lambda: pdf([b"[" * 200_000 + b"q " * 200_000 + line("x")]),
    "forms.pdf": lambda: pdf(
        [b"/X Do " * 1_000 + line("x")],
        more_objects=tuple(
            b"<</Type/XObject/Subtype/Form/BBox[0 0 9 9]/Resources<</XObject<</X %d 0 R>>>>/Length 60>>stream\n%s\nendstream"
            % (4 + (number + 1) % 9, b"/X Do " * 10)
            for number in range(9)
        ),
        resources=b"/XObject<</X 4 0 R>>",
    ),
    "gaps.txt": lambda: (b" " * 5_000 + b"x") * 2_000 + b"\n \n" * 200_000,
    "marks.txt": lambda: ("a" + "\u0301\u0323" * 100_000).encode() * 3,
    "hidden-marks.txt": lambda: ("a" + "\u0301\u200b" * 200_000).encode(),
    "numbers.csv": lambda: b",".join(b"%d" % n for n in range(600_000)),
    "cyrillic.txt": lambda: "щ".encode("koi8-r") * 1_000_000,
}


def test_marks_without_end_hold_nobody_up_who_looks_at_them() -> None:
    """The parent looks at what a child that was taken over answers."""
    assert not is_clean("a" + "\u0301\u0323" * 2_000_000)
    assert clean("a" + "\u0323" * 9_000_000) == "\u1ea1" + "\u0323" * 29


@pytest.mark.parametrize("name", _BOMBS)
async def test_no_kind_of_document_takes_long_for_its_size(read: Read, name: str) -> None:
    """Nothing that needs no OCR gets more CPU time than a page of it; bombs fail, or are read."""
    content = _BOMBS[name]()
    assert len(content) < 13_000_000
    with contextlib.suppress(DocumentCorrupt, DocumentTooComplex):
        assert (await read(content, name)).milliseconds["child_cpu"] < 10_000


@pytest.mark.parametrize("name", ["rental-contract.pdf", "employer-letter.docx", "tax-expenses-2025.xlsx", "insurance-claim.eml"])
async def test_bytes_changed_at_random_never_do_worse_than_fail(read: Read, name: str) -> None:
    original = (SAMPLES / name).read_bytes()
    chance = random.Random(7)
    for _ in range(10):
        broken = bytearray(original)
        for _ in range(chance.randrange(1, 40)):
            broken[chance.randrange(len(broken))] = chance.randrange(256)
        with contextlib.suppress(ExtractionFailed):
            await read(bytes(broken[: chance.randrange(len(broken) // 2, len(broken) + 1)]), name)
