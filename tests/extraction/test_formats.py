# ruff: noqa: E501 (tables)
"""Every format is read, on real files: the project's samples, files made by other programs, and pictures made here."""

import io
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image, ImageDraw, ImageFont

from shared.extraction import Extraction, content_types, extract, extract_unsandboxed
from tests.extraction.conftest import Read
from tests.extraction.made_documents import docx, line, paragraph, pdf, zipped

SAMPLES = Path(__file__).parents[2] / "scripts/samples"
DOCUMENTS = Path(__file__).parent / "documents"

LETTER = "Dear Mr Okafor,\nthe library fee of 45 euros is due.\nPlease pay it by the end of the month."


def words(extraction: Extraction) -> str:
    return " ".join(" ".join(extraction.pages).split())


@pytest.mark.parametrize(
    ("path", "content_type", "language", "pages", "text", "title"),
    [
        (SAMPLES / "rental-contract.pdf", content_types.PDF, "en", 3, "Quiet hours are from ten", "Rental contract 14 Linden Street"),
        (SAMPLES / "bicycle-invoice.pdf", content_types.PDF, "en", 2, "Bottom bracket with fitting", "Invoice 2026-0417"),
        (SAMPLES / "electricity-bill-scan.pdf", content_types.PDF, "en", 1, "Consumption: 2,415 kilowatt hours", None),
        (SAMPLES / "employer-letter.docx", content_types.DOCX, "en", 1, "Trainer's allowance", "Salary adjustment"),
        (SAMPLES / "tax-expenses-2025.xlsx", content_types.XLSX, "en", 2, "Chimney sweep", "Deductible expenses for the tax return 2025"),
        (SAMPLES / "hotel-booking.html", content_types.HTML, "en", 1, "€128, €384 in all", "Your booking at Hotel Seeblick"),
        (SAMPLES / "insurance-claim.eml", content_types.EML, "en", 2, "kitchen floor, laminate;487", "Your claim 88-2041: water damage in the kitchen"),
        (SAMPLES / "nebenkostenabrechnung.txt", content_types.TEXT, "de", 1, "Müllabfuhr 146,20 €", None),
        (DOCUMENTS / "budget.pptx", content_types.PPTX, None, 2, "Ask the bank about interest", "Budget"),
        (DOCUMENTS / "cancellation.odt", content_types.ODT, "de", 1, "Kündigung meines Vertrags", "Kündigung"),
        (DOCUMENTS / "meter-readings.ods", content_types.ODS, None, 1, "2026-02-01 20830 9012", None),
        (DOCUMENTS / "reminder.rtf", content_types.RTF, "en", 1, "45 € for the library café", "Payment reminder"),
        (DOCUMENTS / "owner-password.pdf", content_types.PDF, "en", 2, "Bottom bracket with fitting", "Invoice 2026-0417"),
    ],
    ids=lambda value: value.name if isinstance(value, Path) else "",
)  # fmt: skip
async def test_a_document_of_each_kind_is_read(
    path: Path, content_type: str, language: str | None, pages: int, text: str, title: str | None
) -> None:
    read = await extract(path, filename=path.name, declared_type="application/octet-stream")
    assert read.content_type == content_type
    assert text in words(read)
    assert (read.language, len(read.pages), read.title, read.truncated) == (language, pages, title, False)
    assert read.page_count in (None, pages)
    assert {"detect", "read", "clean", "language", "child_cpu"} <= read.milliseconds.keys()


def letter_as_picture(mode: str = "L", degrees: int = 0) -> Image.Image:
    page = Image.new("L", (1000, 500), 255)
    ImageDraw.Draw(page).multiline_text((60, 60), LETTER, font=ImageFont.load_default(36), fill=0, spacing=24)
    return page.rotate(degrees, expand=True).convert(mode)


def encoded(picture: Image.Image, format: str, **options: object) -> bytes:
    out = io.BytesIO()
    picture.save(out, format, **options)
    return out.getvalue()


@pytest.mark.parametrize(
    ("format", "mode", "content_type"),
    [
        ("PNG", "L", content_types.PNG),
        ("PNG", "RGBA", content_types.PNG),
        ("PNG", "P", content_types.PNG),
        ("JPEG", "RGB", content_types.JPEG),
        ("JPEG", "CMYK", content_types.JPEG),
        ("TIFF", "1", content_types.TIFF),
        ("WEBP", "RGB", content_types.WEBP),
        ("GIF", "P", content_types.GIF),
    ],
)
async def test_the_text_on_a_picture_is_read(read: Read, format: str, mode: str, content_type: str) -> None:
    found = await read(encoded(letter_as_picture(mode), format), "scan")
    assert found.content_type == content_type
    assert "library fee of 45 euros is due" in words(found)
    assert found.language == "en"
    assert found.page_count == 1


async def test_a_page_lying_on_its_side_is_turned(read: Read) -> None:
    assert "library fee of 45 euros" in words(await read(encoded(letter_as_picture(degrees=90), "PNG")))


async def test_a_photo_is_turned_as_its_camera_says(read: Read) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: turn by 90 degrees to show
    content = encoded(letter_as_picture("RGB", degrees=90), "JPEG", exif=exif.tobytes())
    found = await read(content)
    assert "library fee of 45 euros" in words(found)
    assert found.thumbnail is not None
    with Image.open(io.BytesIO(found.thumbnail)) as thumbnail:
        assert thumbnail.width > thumbnail.height


async def test_a_photo_whose_camera_noted_nonsense_is_read(read: Read) -> None:
    notes = [(0x0112, 3, b"\x06\0\0\0"), (0x0100, 2, b"ab\xffd"), (0x011A, 3, b"\1\0\0\0"), (0x8769, 2, b"abcd")]
    exif = b"Exif\0\0II*\0\x08\0\0\0" + len(notes).to_bytes(2, "little")
    exif += b"".join(struct.pack("<HHI", tag, kind, 1 if kind == 3 else 4) + value for tag, kind, value in notes) + bytes(4)
    photo = encoded(letter_as_picture("RGB", degrees=90), "JPEG")
    found = await read(photo[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + photo[2:])
    assert "library fee of 45 euros" in words(found)
    assert found.thumbnail is not None
    with Image.open(io.BytesIO(found.thumbnail)) as thumbnail:
        assert thumbnail.width > thumbnail.height


async def test_a_tiff_of_several_pages_has_a_text_for_each(read: Read) -> None:
    pages = [letter_as_picture("1"), letter_as_picture("1")]
    found = await read(encoded(pages[0], "TIFF", save_all=True, append_images=pages[1:], compression="group4"))
    assert (found.page_count, len(found.pages)) == (2, 2)
    assert "45 euros" in found.pages[1]


async def test_an_empty_picture_has_no_text(read: Read) -> None:
    found = await read(encoded(Image.new("RGB", (300, 200), "white"), "PNG"))
    assert (found.pages, found.language) == ([""], None)


@pytest.mark.parametrize("name", ["rental-contract.pdf", "electricity-bill-scan.pdf"])
async def test_a_pdf_has_a_thumbnail_of_its_first_page(name: str) -> None:
    found = await extract(SAMPLES / name, filename=name, declared_type="")
    assert found.thumbnail is not None
    with Image.open(io.BytesIO(found.thumbnail)) as thumbnail:
        assert (thumbnail.format, max(thumbnail.size)) == ("WEBP", 480)
        assert min(thumbnail.convert("L").tobytes()) < 160  # something dark on it


async def test_a_picture_has_a_thumbnail_no_larger_than_itself(read: Read) -> None:
    small = await read(encoded(Image.new("RGB", (40, 30), "red"), "PNG"))
    large = await read(encoded(Image.new("RGB", (3000, 1000), "red"), "PNG"))
    for found, size in ((small, (40, 30)), (large, (480, 160))):
        assert found.thumbnail is not None
        with Image.open(io.BytesIO(found.thumbnail)) as thumbnail:
            assert thumbnail.size == size


async def test_a_pdf_page_with_text_and_one_without_are_each_read_their_way(read: Read) -> None:
    picture = encoded(letter_as_picture("L"), "JPEG")
    image = (
        b"<</Type/XObject/Subtype/Image/Width 1000/Height 500/ColorSpace/DeviceGray/BitsPerComponent 8/Filter/DCTDecode/Length %d>>stream\n"
    )
    content = pdf(
        [line("A line that was typed, and no picture."), b"q 500 0 0 250 40 500 cm /I Do Q"],
        more_objects=(image % len(picture) + picture + b"\nendstream",),
        resources=b"/XObject<</I 4 0 R>>",
    )
    found = await read(content)
    assert found.pages[0] == "A line that was typed, and no picture."
    assert "45 euros is due" in found.pages[1]


async def test_what_was_filled_into_a_form_is_read(read: Read) -> None:
    field = b"<</Type/Annot/Subtype/Widget/FT/Tx/T(name)/V(Daniel Okafor)/DA(/F 12 Tf)/Rect[60 600 300 620]/P 5 0 R>>"
    form = pdf([line("Application for a parking permit")], more_objects=(field,))
    form = form.replace(b"/Pages 2 0 R>>", b"/Pages 2 0 R/AcroForm<</Fields[4 0 R]/DR<</Font<</F 3 0 R>>>>>>>>", 1)
    form = form.replace(b"/Type/Page/", b"/Type/Page/Annots[4 0 R]/", 1)
    assert (await read(form)).pages == ["Application for a parking permit\nDaniel Okafor"]


async def test_a_word_hyphenated_at_the_end_of_a_line_is_whole(read: Read) -> None:
    content = b"BT /F 12 Tf 60 780 Td (Haftpflichtver-) Tj 0 -14 Td (sicherung, E-) Tj 0 -14 Td (Mail.) Tj ET"
    assert (await read(pdf([content]))).pages == ["Haftpflichtversicherung, E-Mail."]


async def test_ligatures_and_invisible_marks_do_not_hide_words(read: Read) -> None:
    assert (await read("die o\ufb03zielle Ver\u00adsicherung\u200b".encode())).pages == ["die offizielle Versicherung"]


async def test_the_letterhead_of_a_word_file_is_read(read: Read) -> None:
    header = b'<w:hdr xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main">%s</w:hdr>'
    content = docx(
        paragraph("The body."), **{"header1.xml": header % paragraph("Brightwater Ltd"), "footer1.xml": header % paragraph("IBAN 12")}
    )
    assert (await read(content)).pages == ["Brightwater Ltd\n\nThe body.\n\nIBAN 12"]


async def test_an_attached_document_is_read_with_its_mail(read: Read) -> None:
    from email.message import EmailMessage

    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "a@example.org", "b@example.org", "Your invoice"
    mail.set_content("See the attachment.")
    mail.add_attachment(pdf([line("Invoice number 4711")]), maintype="application", subtype="pdf", filename="invoice.pdf")
    mail.add_attachment(b"\x00\x01\x02\x03" * 100, maintype="application", subtype="octet-stream", filename="program.bin")
    found = await read(mail.as_bytes())
    assert found.content_type == content_types.EML
    assert "Attachment: program.bin" in found.pages[0]
    assert found.pages[1] == "invoice.pdf\n\nInvoice number 4711"


async def test_an_attachment_that_is_damaged_does_not_take_its_mail_along(read: Read) -> None:
    from email.message import EmailMessage

    mail = EmailMessage()
    mail["From"], mail["Subject"] = "a@example.org", "Two files"
    mail.set_content("See the attachments.")
    broken = (DOCUMENTS / "budget.pptx").read_bytes()
    mail.add_attachment(b"%PDF-1.7 no more than this", maintype="application", subtype="pdf", filename="broken.pdf")
    mail.add_attachment(broken[: len(broken) // 2], maintype="application", subtype="octet-stream", filename="broken.pptx")
    mail.add_attachment(b"\x89PNG\r\n\x1a\nno picture", maintype="image", subtype="png", filename="broken.png")
    mail.add_attachment("Grüße aus Köln".encode(), maintype="text", subtype="plain", filename="whole.txt")
    found = await read(mail.as_bytes())
    assert "See the attachments." in found.pages[0]
    assert found.pages[1:] == ["whole.txt\n\nGrüße aus Köln"]


@pytest.mark.parametrize("broken", ["text/plain; charset*", "text/plain; name*0*=x'\0'%41", "(", ";;;"])
async def test_a_mail_with_a_header_that_cannot_be_understood_is_read(read: Read, broken: str) -> None:
    found = await read(f"From: a@example.org\r\nSubject: Rent\r\nContent-Type: {broken}\r\n\r\nThe rent is due.\r\n".encode(), "a.eml")
    assert (found.content_type, found.title) == (content_types.EML, "Rent")
    assert "The rent is due." in "\n".join(found.pages)


async def test_markup_that_old_versions_of_word_leave_behind_is_passed_over(read: Read) -> None:
    page = b"<!doctype html><p>Before <![if !supportLists]>between<![endif]> <![foo[ bar]]> <![%x[ y]]>after</p>"
    assert (await read(page, "a.html")).pages == ["Before between after"]


async def test_a_mail_in_html_alone_is_read_as_text(read: Read) -> None:
    mail = (
        b"From: a@example.org\r\nSubject: =?iso-8859-1?q?Gr=FC=DFe?=\r\nMIME-Version: 1.0\r\nContent-Type: text/html; charset=windows-1252\r\n"
        b"Content-Transfer-Encoding: quoted-printable\r\n\r\n<style>p{}</style><p>35=A0=80 f=FCr <b>Kaffee</b></p>"
    )
    found = await read(mail)
    assert found.title == "Grüße"
    assert found.pages[0].endswith("35 € für Kaffee")


@pytest.mark.parametrize(
    ("name", "content_type"),
    [("notes.md", content_types.MARKDOWN), ("costs.csv", content_types.CSV), ("notes.txt", content_types.TEXT), ("x", content_types.TEXT)],
)
async def test_the_name_tells_plain_text_kinds_apart(read: Read, name: str, content_type: str) -> None:
    found = await read(b"# Rent\n\nname;amount\nrent;940\n", name)
    assert (found.content_type, found.pages) == (content_type, ["# Rent\n\nname;amount\nrent;940"])


@pytest.mark.parametrize("name", ["letter.docx", "letter.txt", "letter.png", "letter", "letter.exe"])
async def test_the_bytes_decide_not_the_name(read: Read, name: str) -> None:
    assert (await read(pdf([line("A PDF under any name.")]), name)).content_type == content_types.PDF


async def test_nothing_at_all_is_an_empty_text(read: Read) -> None:
    assert (await read(b"", "empty.pdf")).pages == [""]


async def test_text_is_cleaned_for_those_who_store_it(read: Read) -> None:
    found = await read("Bücher für das cafe\u0301 in der Straße \0nul\x07 \ud800lone\r\nnext  \n".encode("utf-8", "surrogatepass"), "a.txt")
    assert found.pages == ["Bücher für das café in der Straße nul \ufffd\ufffd\ufffdlone\nnext"]


def test_the_same_is_read_without_the_sandbox() -> None:
    found = extract_unsandboxed(SAMPLES / "rental-contract.pdf", filename="a.pdf", declared_type="")
    assert len(found.pages) == 3
    assert found.thumbnail


@pytest.mark.parametrize(
    "make", [lambda: b"PK\x03\x04" + bytes(500), lambda: zipped({"a.txt": b"x"}), lambda: b"\x7fELF" + bytes(range(256)) * 4]
)
async def test_what_is_no_document_is_refused(read: Read, make: Callable[[], bytes]) -> None:
    from shared.extraction import UnsupportedType

    with pytest.raises(UnsupportedType):
        await read(make(), "letter.docx")
