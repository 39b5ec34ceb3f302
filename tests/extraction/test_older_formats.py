# ruff: noqa: E501, RUF100 (documents made by hand)
"""Word, Excel and PowerPoint from before 2007, Outlook's messages, books, flat OpenDocument, and pictures of telephones and old Windows."""

import contextlib
import io
import struct
from collections.abc import Sequence
from email.message import EmailMessage
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from shared.extraction import DocumentCorrupt, DocumentEncrypted, ExtractionFailed, UnsupportedType, content_types
from shared.extraction.compound import Compound, CompoundDamaged
from shared.extraction.formats import excel_97, outlook, powerpoint_97, word_97
from tests.extraction import made_older
from tests.extraction.conftest import Read
from tests.extraction.corpus import letter
from tests.extraction.made_documents import zipped

DOCUMENTS = Path(__file__).parent / "documents"


async def test_an_old_word_document_is_read_with_its_notes_and_without_what_was_deleted(read: Read) -> None:
    text = "Der Pächter räumt die alte Scheune.\rZaun\x07Latten\x07\x07\x0cZweite Seite\x1ehier\r"
    start = text.index("alte ")
    old = made_older.doc(
        text, headers="Kleingärtnerverein\r", footnotes="\x02 siehe Satzung\r", comments="\x05 Frist prüfen\r", deleted=(start, start + 5)
    )
    found = await read(old, "pacht.doc")
    assert found.content_type == content_types.DOC
    assert found.pages[0].startswith("Kleingärtnerverein\n\nDer Pächter räumt die Scheune.\nZaun\tLatten")
    assert found.pages[1].startswith("Zweite Seite-hier")
    assert "siehe Satzung" in found.pages[1]
    assert "Frist prüfen" in found.pages[1]


async def test_codes_of_fields_are_not_the_text_of_an_old_word_document(read: Read) -> None:
    old = made_older.doc('Siehe \x13 HYPERLINK "http://nirgends" \x14die Hausordnung\x15 im \x13 PAGE \x15Flur.\r')
    assert (await read(old, "a.doc")).pages == ["Siehe die Hausordnung im Flur."]


async def test_an_old_workbook_is_read_as_shown_and_as_it_is(read: Read) -> None:
    sheets: dict[str, Sequence[Sequence[str | float]]] = {
        "Kasse": [["Miete Öl", 1234.5, 45000.0], ["Ж", 0.5]],
        "Verborgen": [["Strandkorb"]],
    }
    old = made_older.xls(sheets, formats={164: "#,##0.00", 165: "dd\\.mm\\.yyyy"}, styles=(0, 164, 165), notes=["Zündschloss klemmt"])
    found = await read(old, "kasse.xls")
    assert found.content_type == content_types.XLS
    assert found.page_count == 2
    for shown in ("Miete Öl", "1.234,50", "1234.5", "15.03.2023", "2023-03-15", "Zündschloss klemmt", "Briefkopf", "Ж"):
        assert shown in found.pages[0]
    assert "Strandkorb" in found.pages[1]


async def test_a_long_table_of_strings_that_runs_on_in_another_record_is_read(read: Read) -> None:
    rows = [[f"Zelle{number:05}Überlauf"] for number in range(380)]
    page = (await read(made_older.xls({"A": rows}), "a.xls")).pages[0]
    assert [f"Zelle{number:05}Überlauf" for number in range(380)] == page.split("\n")[2:]


async def test_an_old_presentation_is_read_slide_by_slide_as_it_was_saved_last(read: Read) -> None:
    old = made_older.ppt([("Turnhalle", "Schwingboden", "Sprechzettel"), ("Umbau", "Kosten Ж", "")], abandoned="Entwurf von gestern")
    found = await read(old, "umbau.ppt")
    assert found.content_type == content_types.PPT
    assert found.pages == ["Turnhalle\n\nSchwingboden\n\nSprechzettel", "Umbau\n\nKosten Ж"]


async def test_an_outlook_message_is_read_with_what_is_attached(read: Read) -> None:
    inner = made_older.msg_streams("Weitergeleitet", plain="Der Keller steht unter Wasser.")
    message = made_older.msg(
        subject="Schlüsselübergabe", sender=("Anna Grün", "anna@example.org"), to=[("Bert", "bert@example.org"), ("Cleo", "cleo@example.org")],
        plain="kurz", html="<html><body><p>Die Schlüssel liegen beim <b>Pförtner</b> im Erdgeschoss.".encode("cp1252"), code_page=1252,
        attachments=[("liste.csv", "Tür;Riegel".encode()), ("b.zip", zipped({"plan.txt": b"Fluchtweg"}))], nested=[inner],
    )  # fmt: skip
    found = await read(message, "nachricht.msg")
    whole = "\n".join(found.pages)
    assert found.content_type == content_types.MSG
    assert found.title == "Schlüsselübergabe"
    for words in (
        "From: Anna Grün <anna@example.org>", "To: Bert <bert@example.org>", "Cc: Cleo <cleo@example.org>", "Date: Mon, 02 Mar 2026",
        "beim Pförtner im", "Tür;Riegel", "Fluchtweg", "Subject: Weitergeleitet", "Keller steht unter Wasser",
    ):  # fmt: skip
        assert words in whole


async def test_an_outlook_message_attached_to_a_mail_is_taken_apart_like_a_mail(read: Read) -> None:
    mail = EmailMessage()
    mail["Subject"] = "Außen"
    mail["From"] = "a@example.org"
    mail.set_content("siehe Anhang")
    attached = made_older.msg(subject="Innen", plain="Dachrinne", attachments=[("notiz.txt", b"Fallrohr")])
    mail.add_attachment(attached, maintype="application", subtype="vnd.ms-outlook", filename="innen.msg")
    whole = "\n".join((await read(bytes(mail), "a.eml")).pages)
    assert "Subject: Innen" in whole
    assert "Dachrinne" in whole
    assert "Fallrohr" in whole


@pytest.mark.parametrize(
    "content",
    [
        made_older.doc("geheim\r", flags=0x0100),
        made_older.xls({"A": [["geheim"]]}, more=struct.pack("<HHH", 0x2F, 2, 1)),
        made_older.ppt([("geheim", "", "")], token=0xF3D1C4DF),
        made_older.compound({"EncryptionInfo": b"x", "EncryptedPackage": b"y" * 5000}),
    ],
    ids=["doc", "xls", "ppt", "docx"],
)
async def test_a_password_on_an_office_file_is_said_to_be_one(read: Read, content: bytes) -> None:
    with pytest.raises(DocumentEncrypted):
        await read(content, "geheim")


def _epub(*, more: dict[str, bytes] | None = None) -> bytes:
    container = b'<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles><rootfile full-path="OPS/book.opf"/></rootfiles></container>'  # noqa: E501
    package = """<package xmlns="http://www.idpf.org/2007/opf" xmlns:dc="http://purl.org/dc/elements/1.1/"><metadata>
        <dc:title>Imkern für Anfänger</dc:title><dc:creator>Beate Wabe</dc:creator></metadata><manifest>
        <item id="b" href="zwei%20.xhtml" media-type="application/xhtml+xml"/><item id="a" href="eins.xhtml" media-type="application/xhtml+xml"/>
        <item id="c" href="c.css" media-type="text/css"/></manifest><spine><itemref idref="a"/><itemref idref="b"/></spine></package>"""
    chapter = '<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"><head><title>x</title></head><body><p>{}</p></body></html>'
    return zipped(
        {
            "mimetype": b"application/epub+zip",
            "META-INF/container.xml": container,
            "OPS/book.opf": package.encode(),
            "OPS/zwei .xhtml": chapter.format("Der Schwarm &amp; die Königin").encode(),
            "OPS/eins.xhtml": chapter.format("Die Beute steht im Süden").encode(),
        }
        | (more or {})
    )


async def test_a_book_is_read_by_chapter_in_the_order_of_its_spine(read: Read) -> None:
    found = await read(_epub(), "imkern.epub")
    assert found.content_type == content_types.EPUB
    assert found.title == "Imkern für Anfänger"
    assert found.pages == ["Imkern für Anfänger\nBeate Wabe\n\nDie Beute steht im Süden", "Der Schwarm & die Königin"]


async def test_a_book_under_a_shops_lock_is_said_to_be_locked(read: Read) -> None:
    locked = b'<encryption xmlns:e="x"><e:EncryptedData><e:EncryptionMethod Algorithm="{}"/></e:EncryptedData></encryption>'
    with pytest.raises(DocumentEncrypted):
        await read(_epub(more={"META-INF/encryption.xml": locked.replace(b"{}", b"http://www.w3.org/2001/04/xmlenc#aes128-cbc")}), "a.epub")
    fonts = locked.replace(b"{}", b"http://www.idpf.org/2008/embedding")
    assert "Beute" in (await read(_epub(more={"META-INF/encryption.xml": fonts}), "a.epub")).pages[0]


FLAT = """<?xml version="1.0" encoding="UTF-8"?>
<office:document xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0"
 xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:style="urn:oasis:names:tc:opendocument:xmlns:style:1.0"
 office:version="1.3" office:mimetype="application/vnd.oasis.opendocument.text"><office:meta><dc:title>Aushang</dc:title></office:meta>
 <office:master-styles><style:master-page><style:header><text:p>Wohnungsbau</text:p></style:header></style:master-page></office:master-styles>
 <office:body><office:text><text:p>Die <text:span>Waschküche</text:span> bleibt zu.</text:p></office:text></office:body></office:document>"""


async def test_flat_opendocument_is_read_like_the_packed_one(read: Read) -> None:
    found = await read(FLAT.encode(), "aushang.fodt")
    assert found.content_type == content_types.ODT
    assert found.title == "Aushang"
    assert found.pages == ["Wohnungsbau\n\nDie Waschküche bleibt zu."]


_COMMENT = (
    "<office:annotation office:display='true'><dc:creator>Anna</dc:creator><dc:date>2026-03-02</dc:date>"
    "<text:p>Bitte <text:span>rasch</text:span> klären</text:p></office:annotation>"
)


@pytest.mark.parametrize(("kind", "extension", "body"), [
    ("text", "fodt", "<text:p>Die Miete{} steigt</text:p>"),
    ("spreadsheet", "fods", "<table:table table:name='Blatt'><table:table-row><table:table-cell>{}<text:p>Die Miete</text:p></table:table-cell><table:table-cell><text:p>steigt</text:p></table:table-cell></table:table-row></table:table>"),
    ("spreadsheet", "fods", "<table:table table:name='Die Miete steigt'><table:table-row><table:table-cell>{}</table:table-cell></table:table-row></table:table>"),
    ("presentation", "fodp", "<draw:page>{}<draw:frame><draw:text-box><text:p>Die Miete steigt</text:p></draw:text-box></draw:frame></draw:page>"),
    ("drawing", "fodg", "<draw:page><draw:frame><draw:text-box><text:p>Die Miete steigt</text:p></draw:text-box></draw:frame>{}</draw:page>"),
])  # fmt: skip
async def test_comments_of_flat_documents_are_read(kind: str, extension: str, body: str, read: Read) -> None:
    flat = FLAT.replace("opendocument.text", f"opendocument.{'graphics' if kind == 'drawing' else kind}")
    flat = flat.replace(
        "<office:document ",
        "<office:document xmlns:table='urn:oasis:names:tc:opendocument:xmlns:table:1.0' xmlns:draw='urn:oasis:names:tc:opendocument:xmlns:drawing:1.0' ",
    )
    before, after = flat[: flat.index("<office:text>")], flat[flat.index("</office:text>") + len("</office:text>") :]
    found = await read(f"{before}<office:{kind}>{body.format(_COMMENT)}</office:{kind}>{after}".encode(), f"a.{extension}")
    text = " ".join("\n".join(found.pages).split())
    assert "Anna: Bitte rasch klären" in text
    assert "Die Miete steigt" in text
    if extension != "fodg" and extension != "fodp":
        assert "Wohnungsbau" in text


async def test_a_drawing_is_read_like_a_presentation(read: Read) -> None:
    drawing = FLAT.replace("opendocument.text", "opendocument.graphics")
    assert (await read(drawing.encode(), "plan.fodg")).content_type == content_types.ODG


async def test_a_picture_of_a_telephone_is_read(read: Read) -> None:
    found = await read((DOCUMENTS / "receipt.heic").read_bytes(), "IMG_0815.HEIC")
    assert found.content_type == content_types.HEIC
    assert found.thumbnail is not None
    assert "parsnips" in found.pages[0]
    assert "4711" in found.pages[0]


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB"])
async def test_a_bitmap_of_windows_is_read(read: Read, mode: str) -> None:
    out = io.BytesIO()
    letter().convert(mode).save(out, "BMP")
    found = await read(out.getvalue(), "scan.bmp")
    assert found.content_type == content_types.BMP
    assert found.pages[0].strip()


@pytest.mark.parametrize("name", ["scan.heic", "scan.bmp"])
async def test_a_picture_that_is_cut_off_is_damaged(read: Read, name: str) -> None:
    out = io.BytesIO()
    Image.new("RGB", (64, 64), "white").save(out, "BMP")
    whole = (DOCUMENTS / "receipt.heic").read_bytes() if name.endswith("heic") else out.getvalue()
    with pytest.raises(DocumentCorrupt):
        await read(whole[: len(whole) // 2], name)


@pytest.mark.parametrize(
    ("content", "filename", "advice"),
    [
        (made_older.compound({"VisioDocument": b"x" * 5000}), "plan.vsd", "Save it as PDF"),
        (zipped({"Index/Document.iwa": b"x"}), "brief.pages", "Save it as DOCX"),
        (zipped({"a.txt": b"x"}), "alles.zip", "Unpack it"),
        (b"7z\xbc\xaf\x27\x1c" + bytes(range(32)), "alles", "Unpack it"),
        (b"\x1aE\xdf\xa3" + bytes(100), "film", "no recordings"),
        (b"MZ\x90\0\x03\0\0\0\x04\0\0\0\xff\xff" + bytes(100), "setup.exe", "Programs cannot"),
        (bytes(range(32)) * 20, "seltsam", "Print it to a PDF"),
    ],
)
async def test_what_cannot_be_read_is_refused_with_what_to_do(read: Read, content: bytes, filename: str, advice: str) -> None:
    with pytest.raises(UnsupportedType) as refused:
        await read(content, filename)
    assert advice in refused.value.detail


OLD = [
    (made_older.doc("Text der Seite\r" * 50, deleted=(3, 9)), word_97.read),
    (made_older.xls({"A": [["Zelle", 1.5]] * 20}, notes=["Zettel"]), excel_97.read),
    (made_older.ppt([("Titel", "Text", "Notiz")] * 3), powerpoint_97.read),
    (made_older.msg(subject="x", plain="y", attachments=[("a", b"b")], nested=[made_older.msg_streams("z")]), outlook.open_message),
]


@settings(deadline=None, max_examples=150)
@given(st.sampled_from(OLD), st.lists(st.tuples(st.integers(0, 9_000), st.binary(min_size=1, max_size=8)), min_size=1, max_size=6))
def test_damage_of_any_kind_to_an_old_file_ends_in_a_named_failure(made: tuple[bytes, object], patches: list[tuple[int, bytes]]) -> None:
    content, reader = made
    damaged = bytearray(content)
    for place, patch in patches:
        damaged[place : place + len(patch)] = patch
    assert callable(reader)
    with contextlib.suppress(ExtractionFailed, CompoundDamaged, struct.error, ValueError, IndexError):  # what `reading` calls damage
        reader(io.BytesIO(bytes(damaged)))


def test_a_chain_of_sectors_that_goes_in_circles_ends() -> None:
    content = bytearray(made_older.compound({"WordDocument": b"x" * 20_000}))
    file = Compound(io.BytesIO(bytes(content)))
    start, _ = file.streams["worddocument"]
    table = struct.unpack_from("<I", content, 76)[0]
    struct.pack_into("<I", content, (table + 1) * 512 + 4 * (start + 3), start)
    assert len(Compound(io.BytesIO(bytes(content))).read("worddocument")) <= 20_000


def test_a_directory_that_refers_to_itself_ends() -> None:
    content = bytearray(made_older.compound({f"folder{number}/stream": b"x" for number in range(20)}))
    file = Compound(io.BytesIO(bytes(content)))
    assert len(file.streams) == 20
    directory = struct.unpack_from("<I", content, 48)[0]
    for number in range(1, 30):
        struct.pack_into("<III", content, (directory + 1) * 512 + 128 * number + 68, number, number, 0)
    assert len(Compound(io.BytesIO(bytes(content))).streams) <= 1


async def test_a_string_table_that_promises_billions_of_strings_is_read_as_far_as_it_goes(read: Read) -> None:
    content = bytearray(made_older.xls({"A": [["Zelle"]]}))
    place = content.index(struct.pack("<II", 1, 1) + struct.pack("<HB", 5, 1))
    struct.pack_into("<II", content, place, 0xFFFFFFFF, 0xFFFFFFFF)
    assert "Zelle" in (await read(bytes(content), "a.xls")).pages[0]
