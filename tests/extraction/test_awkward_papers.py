# ruff: noqa: E501 (documents made by hand)
"""What programs write and readers stumble over, kind by kind: hidden text, versions for other programs, stamps, shadows, folded lines."""

import base64
import binascii
import io
import re
from collections.abc import Callable

import pytest
from PIL import Image, ImageDraw, ImageFont, ImageOps

from shared.extraction import Extraction, content_types
from shared.extraction.encodings import decode
from shared.extraction.formats.recognition import Recognizer
from shared.extraction.ocr_languages import folders
from tests.extraction import test_opendocument, test_slides, test_word
from tests.extraction.conftest import Read
from tests.extraction.made_documents import line, pdf, pdf_of_objects, zipped

P = "<text:p>{}</text:p>".format


def words(extraction: Extraction) -> str:
    return " ".join(" ".join(extraction.pages).split())


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            test_word.said("Offen ") + test_word.run("<w:rPr><w:vanish/></w:rPr><w:t>Geheim</w:t>") + test_word.said("sichtbar"),
            "Offen sichtbar",
        ),
        (test_word.run('<w:rPr><w:vanish w:val="0"/></w:rPr><w:t>Sichtbar</w:t>'), "Sichtbar"),
        ("<w:pPr><w:rPr><w:vanish/></w:rPr></w:pPr>" + test_word.said("Absatzmarke"), "Absatzmarke"),
        (test_word.run("<w:rPr><w:rPrChange><w:rPr><w:vanish/></w:rPr></w:rPrChange></w:rPr><w:t>Vormals</w:t>"), "Vormals"),
    ],
)
async def test_word_text_that_is_not_printed_is_not_read(read: Read, body: str, expected: str) -> None:
    assert words(await read(test_word.document(f"<w:p>{body}</w:p>"), "a.docx")) == expected


@pytest.mark.parametrize(
    ("body", "styles", "expected"),
    [
        (
            P('Offen <text:span text:style-name="H">Geheim</text:span>sichtbar'),
            '<style:style style:name="H"><style:text-properties text:display="none"/></style:style>',
            "Offen sichtbar",
        ),
        (f'<text:section text:display="none">{P("Weg")}</text:section><text:section text:name="s">{P("Da")}</text:section>', "", "Da"),
        (
            P("Bild <draw:frame><draw:image/><svg:title>Kormoran</svg:title><svg:desc>im Flug</svg:desc></draw:frame>da"),
            "",
            "Bild da Kormoran im Flug",
        ),
    ],
)
async def test_opendocument_tells_what_is_seen_and_what_pictures_show(read: Read, body: str, styles: str, expected: str) -> None:
    document = test_opendocument.document(body, content_types.ODT, styles)
    assert words(await read(document, "a.odt")) == expected


async def test_what_a_master_draws_is_read_but_none_of_its_instructions(read: Read) -> None:
    drawn = f'<draw:frame presentation:class="title">{"<draw:text-box>" + P("Klicken") + "</draw:text-box>"}</draw:frame><draw:custom-shape>{P("Verein")}</draw:custom-shape>'
    slide = f'<draw:page draw:master-page-name="M0"><draw:frame><draw:text-box>{P("Folie")}</draw:text-box></draw:frame></draw:page>'
    masters = test_opendocument.masters(drawn, f"<draw:custom-shape>{P('Unbenutzt')}</draw:custom-shape>")
    found = await read(test_opendocument.document(slide, content_types.ODP, styles__xml=masters), "a.odp")
    assert found.pages == ["Folie\n\nVerein"]


@pytest.mark.parametrize("kind", ["text-master", "text-web", "text-template"])
async def test_other_kinds_of_opendocument_texts_are_texts(read: Read, kind: str) -> None:
    found = await read(
        zipped({"mimetype": f"application/vnd.oasis.opendocument.{kind}".encode(), "content.xml": test_opendocument.content(P("Kapitel"))})
    )
    assert (found.content_type, found.pages) == (content_types.ODT, ["Kapitel"])


async def test_an_opendocument_that_was_zipped_anew_is_known_by_its_manifest(read: Read) -> None:
    entry = '<manifest:file-entry manifest:full-path="/" manifest:media-type="application/vnd.oasis.opendocument.text"/>'
    manifest = test_opendocument.MANIFEST.format(entry).encode()
    found = await read(zipped({"META-INF/manifest.xml": manifest, "content.xml": test_opendocument.content(P("Ohne Typ"))}))
    assert found.pages == ["Ohne Typ"]


async def test_cells_that_keep_only_values_show_days_as_they_are_written(read: Read) -> None:
    cells = '<table:table-cell office:value-type="date" office:date-value="2023-12-24"/><table:table-cell office:value-type="time" office:time-value="PT08H30M00S"/>'
    table = f'<table:table table:name="T"><table:table-row>{cells}</table:table-row></table:table>'
    found = await read(test_opendocument.document(table, content_types.ODS), "a.ods")
    assert found.pages == ["T\n\n24.12.2023 = 2023-12-24\t08:30"]


@pytest.mark.parametrize(
    ("shapes", "expected"),
    [
        (test_slides.shape("Vertikal_x000B_Tab"), "Vertikal Tab"),
        ("<Choice><pic/></Choice><Fallback>{}</Fallback>", "Rückfall"),
        (f"<Choice>{test_slides.shape('Auswahl')}</Choice><Fallback>{{}}</Fallback>", "Auswahl"),
    ],
)
async def test_slides_are_read_in_the_version_that_says_something(read: Read, shapes: str, expected: str) -> None:
    if "Choice" in shapes:
        shapes = f"<AlternateContent>{shapes.format(test_slides.shape('Rückfall'))}</AlternateContent>"
    assert words(await read(test_slides.presentation(test_slides.slide(shapes)), "a.pptx")) == expected


def drawn_on(subtype: bytes, text: bytes) -> bytes:
    appearance = b"BT /F 12 Tf 5 10 Td (%s) Tj ET" % text
    form = b"<</Type/XObject/Subtype/Form/BBox[0 0 300 50]/Resources<</Font<</F 3 0 R>>>>/Length %d>>stream\n%s\nendstream"
    return pdf_of_objects(
        [
            b"<</Type/Catalog/Pages 2 0 R/AcroForm<</Fields[6 0 R]>>>>",
            b"<</Type/Pages/Kids[4 0 R]/Count 1>>",
            b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
            b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Resources<</Font<</F 3 0 R>>>>/Contents 5 0 R/Annots[6 0 R]>>",
            b"<</Length %d>>stream\n%s\nendstream" % (len(line("The page itself")), line("The page itself")),
            b"<</Type/Annot/Subtype/%s/Rect[200 600 500 650]/AP<</N 7 0 R>>>>" % subtype,
            form % (len(appearance), appearance),
        ]
    )


@pytest.mark.parametrize("subtype", [b"Stamp", b"Widget/FT/Sig/T(s)"])
async def test_what_a_stamp_or_a_signature_looks_like_is_read_once(read: Read, subtype: bytes) -> None:
    assert words(await read(drawn_on(subtype, b"Signed by Adelheid Kranich"))) == "The page itself Signed by Adelheid Kranich"


async def test_what_was_entered_into_a_form_of_xfa_is_read(read: Read) -> None:
    data = (
        b'<xfa:datasets xmlns:xfa="http://www.xfa.org/schema/xfa-data/1.0/"><xfa:data><name>Zwetschgenmus</name></xfa:data></xfa:datasets>'
    )
    form = pdf([line("Please wait")], more_objects=(b"<</Length %d>>stream\n%s\nendstream" % (len(data), data),))
    form = form.replace(b"/Type/Catalog", b"/Type/Catalog/AcroForm<</Fields[]/XFA[(datasets) 4 0 R]>>")
    assert words(await read(form)) == "Please wait Zwetschgenmus"


@pytest.mark.parametrize("end", [b"\nxref", b"\ntrailer"])
async def test_a_pdf_that_was_cut_off_is_read_as_far_as_it_goes(read: Read, end: bytes) -> None:
    assert words(await read(pdf([line("Handed over")]).partition(end)[0])) == "Handed over"


def picture(size: tuple[int, int] = (1000, 420)) -> Image.Image:
    image = Image.new("L", size, 255)
    text = "The heron committee met\non the wooden bridge.\nMembership fees stay\nat fifteen euros."
    ImageDraw.Draw(image).multiline_text((40, 60), text, font=ImageFont.load_default(40), fill=0, spacing=20)
    return image


def slanted() -> Image.Image:
    return picture((1000, 600)).rotate(8, Image.Resampling.BICUBIC, fillcolor=255)


def shadowed() -> Image.Image:
    return Image.blend(picture(), ImageOps.invert(Image.linear_gradient("L").resize((1000, 420))), 0.45)


def white_on_nothing() -> Image.Image:
    image = Image.new("RGBA", (1000, 420), (0, 0, 0, 0))
    image.paste((255, 255, 255, 255), mask=ImageOps.invert(picture()))
    return image


@pytest.mark.parametrize("made", [slanted, shadowed, white_on_nothing])
async def test_pictures_are_read_however_they_were_taken(read: Read, made: Callable[[], Image.Image]) -> None:
    out = io.BytesIO()
    made().save(out, "PNG")
    found = words(await read(out.getvalue(), "a.png"))
    assert [word for word in ("heron", "wooden", "Membership", "fifteen") if word not in found] == []


def test_the_words_of_a_slanted_page_are_told_where_they_stand_on_it() -> None:
    page = Recognizer(["eng"], folders()).page_of(slanted())
    assert page is not None
    assert (page.width, page.height) == (1000, 600)
    places = {text: (left + width / 2, top + height / 2) for text, left, top, width, height in page.words}
    (x, y), (u, v) = places["heron"], places["fees"]
    assert abs(x - 177) < 60
    assert abs(y - 130) < 40
    assert u > x, "lines rise to the right"
    assert 90 < v - y < 180


HEAD = "From: a@example.org\r\nTo: b@example.org\r\nSubject: Hello\r\nMIME-Version: 1.0\r\n"
CALENDAR = 'BEGIN:VCALENDAR\r\nVERSION:2.0\r\nBEGIN:VEVENT\r\nDTSTART;TZID=Europe/Berlin:20240506T190000\r\nSUMMARY:Orgel\r\n probe\r\nLOCATION:Empore\\, links\r\nATTENDEE;CN="Ina Kranich":mailto:i@example.org\r\nEND:VEVENT\r\nEND:VCALENDAR'


def alternatives(*parts: tuple[str, str]) -> str:
    joined = "".join(f"--A\r\nContent-Type: {kind}\r\n\r\n{content}\r\n" for kind, content in parts)
    return f"Content-Type: multipart/alternative; boundary=A\r\n\r\n{joined}--A--\r\n"


UUENCODED = f"See the file.\r\n\r\nbegin 644 note.txt\r\n{binascii.b2a_uu(b'Kranich am Teich').decode()}`\r\nend\r\n\r\nBye"


@pytest.mark.parametrize(
    ("content", "wanted", "unwanted"),
    [
        (alternatives(("text/plain", "Come"), ("text/calendar", CALENDAR)), ["Come", "Orgelprobe", "Empore, links", "2024-05-06 19:00", "Ina Kranich"], ["VCALENDAR"]),
        (alternatives(("text/plain", "Short"), ("text/x-amp-html", f"<p>{'Ampel ' * 30}"), ("text/html", "<p>Short but the letter itself")), ["letter itself"], ["Ampel"]),
        (f"\r\n{UUENCODED}", ["See the file.", "Attachment: note.txt", "Kranich am Teich", "Bye"], ["begin 644"]),
        ("Content-Type: text/enriched\r\n\r\n<bold>Rein</bold>deer", ["Reindeer"], ["bold"]),
        ("Content-Type: text/plain; format=flowed; delsp=yes\r\n\r\nDonaudampf \r\nschiff\r\n", ["Donaudampfschiff"], []),
        ("Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable; \r\n\r\nT=C3=BCr", ["Tür"], []),
        ("Content-Type: multipart/related; boundary=A\r\n\r\n--A\r\nContent-Type: text/html\r\n\r\n<p>Saved\r\n--A\r\nContent-Type: text/css\r\n\r\np {}\r\n--A--", ["Saved"], ["p {"]),
    ],
)  # fmt: skip
async def test_each_part_of_a_mail_counts_as_what_it_is_for(read: Read, content: str, wanted: list[str], unwanted: list[str]) -> None:
    found = words(await read((HEAD + content).encode(), "a.eml"))
    assert [text for text in wanted if text not in found] + [text for text in unwanted if text in found] == []


async def test_every_message_of_an_mbox_is_read(read: Read) -> None:
    second = (
        "Subject: Second\r\nFrom: c@example.org\r\nContent-Transfer-Encoding: base64\r\n\r\n" + base64.b64encode(b"Encoded words").decode()
    )
    box = f"From a@example.org Mon May  6 10:00:00 2024\n{HEAD}\r\nFirst words\r\nFrom here on it is 10:00 in 2024\r\n\nFrom c@example.org Mon May  6 11:00:00 2024\n{second}\n"
    found = words(await read(box.replace("\r\n", "\n").encode(), "a.mbox"))
    assert found.endswith("First words From here on it is 10:00 in 2024 From: c@example.org Subject: Second Encoded words")


async def test_calendars_and_cards_are_read_as_a_person_would(read: Read) -> None:
    card = "BEGIN:VCARD\nVERSION:2.1\nN;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:M=C3=BCller;Rita;;;\nitem1.TEL;TYPE=home:030 123\nUID:9\nEND:VCARD\n"
    assert (await read(card.encode(), "a.txt")).pages == ["Müller Rita\n030 123"]
    assert "Orgelprobe" in words(await read(CALENDAR.encode(), "a.txt"))


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        ("<input value=Name><input type=hidden value=x><input type=password value=y><textarea>Text</textarea>", "Name Text"),
        ("<select><option>Rot<option selected>Blau<option>Gelb</select> Ende", "Blau Ende"),
        (
            "<p>Plan<svg><title>t</title><style>s</style><text>Achse</text><defs><text>d</text></defs></svg></p><title>T</title>Ende",
            "Plan Achse Ende",
        ),
        ("<math><mi>x</mi><annotation>tex</annotation></math>", "x"),
    ],
)
async def test_pages_show_what_forms_and_drawings_say(read: Read, page: str, expected: str) -> None:
    assert words(await read(f"<!doctype html><body>{page}".encode(), "a.html")) == expected


@pytest.mark.parametrize(
    ("text", "encodings"),
    [
        ("schůze včelařů se koná v úterý večer.", "cp1250 iso8859-2"),
        ("schôdza sa koná v stredu večer v sále.", "cp1250 iso8859-2"),
        ("Spoštovani stanovalci, občni zbor bo v sredo zvečer v dvorani. Prosimo, prinesite račune.", "cp1250 iso8859-2 cp852"),
        ("l’assemblea si terrà mercoledì sera nel salone.", "cp1252 mac_roman"),
        ("a assembleia geral será realizada na quarta-feira à noite.", "cp1252 cp850"),
        ("各位居民：", "gb18030"),
    ],
)
def test_a_sentence_is_enough_to_tell_its_encoding(text: str, encodings: str) -> None:
    assert [decode(text.encode(encoding)) for encoding in encodings.split()] == [text] * len(encodings.split())


def test_lines_of_two_encodings_are_each_read_in_its_own() -> None:
    mixed = "Grüße aus München\n".encode() + "Grüße aus Köln und Düsseldorf\n".encode("cp1252")
    assert decode(mixed) == "Grüße aus München\nGrüße aus Köln und Düsseldorf\n"


async def test_rtf_that_holds_utf_8_is_read_as_that(read: Read) -> None:
    assert (await read(r"{\rtf1\ansi Gärten \'fcber}".encode(), "a.rtf")).pages == ["Gärten über"]


async def test_the_colours_of_a_log_are_no_text(read: Read) -> None:
    assert (await read(b"\x1b[1;31mError\x1b[0m at start", "a.log")).pages == ["Error at start"]


def test_each_advice_names_what_to_do() -> None:
    from shared.extraction import refusals

    assert re.search("PDF", refusals.advice("formula.odf", b"PK\x03\x04"))
