"""What a person sees on the pages of a PDF is read: scans with stamps, outlines, broken text layers, notes, forms, attached files."""

import json
import zlib
from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image, ImageDraw, ImageFont

from shared.extraction import Extraction, Scan, content_types, extract, recognize
from shared.extraction.formats.text_layers import makes_sense
from shared.extraction.limits import Limits
from shared.time_budgets import RECOGNITION
from tests.extraction.conftest import Read
from tests.extraction.made_documents import docx, line, paragraph, pdf, pdf_of_objects

CASES = Path(__file__).parents[3] / "shared/cases"

LETTER = ("The heron committee met", "on the wooden bridge.", "Membership fees stay", "at fifteen euros.")
STAMPS = [
    "Digitally signed by Petra Lindqvist 2024-03-01 10:22",
    "FAX 2024-02-12 09:14 FROM +49 30 555 0134 TO 0812 PAGE 1/1",
    "Scanned with PocketScanner",
    "7",
]


def words(extraction: Extraction) -> str:
    return " ".join(" ".join(extraction.pages).split())


def picture_of(lines: Sequence[str]) -> Image.Image:
    page = Image.new("L", (1240, 1754), 255)
    ImageDraw.Draw(page).multiline_text((120, 160), "\n".join(lines), font=ImageFont.load_default(54), fill=0, spacing=30)
    return page


def image_object(picture: Image.Image) -> bytes:
    data = zlib.compress(picture.tobytes())
    head = b"<</Type/XObject/Subtype/Image/Width %d/Height %d/ColorSpace/DeviceGray/BitsPerComponent 8/Filter/FlateDecode/Length %d>>"
    return head % (*picture.size, len(data)) + b"stream\n" + data + b"\nendstream"


WHOLE_PAGE = b"q 595 0 0 842 0 0 cm /I Do Q "
BOTH_HALVES = b"q 595 0 0 421 0 421 cm /A Do Q q 595 0 0 421 0 0 cm /B Do Q "


def scan(more: bytes, lines: Sequence[str] = LETTER, *, before: bytes = b"") -> bytes:
    """A page that is a picture, `more` drawn upon it."""
    return pdf([before + WHOLE_PAGE + more], more_objects=(image_object(picture_of(lines)),), resources=b"/XObject<</I 4 0 R>>")


def small(text: str, y: int = 20, mode: int = 0) -> bytes:
    return b"BT %d Tr /F 8 Tf 40 %d Td (%s) Tj ET " % (mode, y, text.encode("cp1252").replace(b"(", b"\\("))


def page_of(
    annotations: Sequence[bytes], content: bytes = line("The page itself"), catalog: bytes = b"", more: Sequence[bytes] = ()
) -> bytes:
    """A page with annotations, which are numbered from 6 on, and `more` objects after them."""
    references = b" ".join(b"%d 0 R" % (6 + number) for number in range(len(annotations)))
    return pdf_of_objects(
        [
            b"<</Type/Catalog/Pages 2 0 R%s>>" % catalog,
            b"<</Type/Pages/Kids[4 0 R]/Count 1>>",
            b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>",
            b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Resources<</Font<</F 3 0 R>>>>/Contents 5 0 R/Annots[%s]>>" % references,
            b"<</Length %d>>stream\n%s\nendstream" % (len(content), content),
            *annotations,
            *more,
        ]
    )


async def finished(tmp_path: Path, content: bytes, filename: str) -> tuple[Extraction, list[str]]:
    """The extraction with recognition left for later, and its pages when that is done, as the pages of a document are replaced."""
    path = tmp_path / "later"
    path.write_bytes(content)
    first = await extract(path, filename=filename, declared_type="", defer_recognition=True)
    pages = list(first.pages)
    left = list(first.scans)
    while left:
        done = await recognize(path, filename=filename, scans=left, limits=Limits.within(RECOGNITION), cpu_seconds=60)
        for at, text in zip([left.pop(0) for _ in done.texts], done.texts, strict=True):
            pages[at.page] = text if text and len(text) > len(pages[at.page]) else pages[at.page]
    return first, pages


@pytest.mark.parametrize("stamp", STAMPS)
async def test_a_scan_with_a_stamp_is_recognised_and_keeps_the_stamp(read: Read, stamp: str) -> None:
    text = words(await read(scan(small(stamp)), "scan.pdf"))
    assert "heron committee" in text
    assert "fifteen euros" in text
    assert stamp in text


async def test_a_stamp_of_several_lines_does_not_hide_the_scan(read: Read) -> None:
    block = b"".join(small(f"Certificate line {number} of the electronic signature service", 20 + 10 * number) for number in range(6))
    text = words(await read(scan(block), "scan.pdf"))
    assert "heron committee" in text
    assert "Certificate line 3 of the electronic" in text


async def test_a_scan_in_strips_or_inside_a_form_is_recognised(read: Read) -> None:
    page = picture_of(LETTER)
    halves = (image_object(page.crop((0, 0, 1240, 877))), image_object(page.crop((0, 877, 1240, 1754))))
    strips = pdf([BOTH_HALVES + small(STAMPS[0])], more_objects=halves, resources=b"/XObject<</A 4 0 R/B 5 0 R>>")
    content = b"q 1 0 0 1 0 0 cm /I Do Q"
    form = b"<</Type/XObject/Subtype/Form/BBox[0 0 1 1]/Matrix[595 0 0 842 0 0]/Resources<</XObject<</I 4 0 R>>>>/Length %d>>"
    form += b"stream\n%s\nendstream"
    nested = pdf(
        [b"/X Do " + small(STAMPS[0])],
        more_objects=(image_object(page), form % (len(content), content)),
        resources=b"/XObject<</X 5 0 R>>",
    )
    for document in (strips, nested):
        text = words(await read(document, "scan.pdf"))
        assert "heron committee" in text
        assert STAMPS[0] in text


async def test_a_small_picture_with_nothing_but_a_caption_is_recognised(read: Read) -> None:
    content = b"q 260 0 0 370 150 300 cm /I Do Q " + small("Figure 1: the notice on the bridge", 280)
    document = pdf([content], more_objects=(image_object(picture_of(LETTER)),), resources=b"/XObject<</I 4 0 R>>")
    text = words(await read(document, "notice.pdf"))
    assert "heron committee" in text
    assert "Figure 1: the notice on the bridge" in text


@pytest.mark.parametrize("way", ["invisible", "under the picture"])
async def test_a_good_text_layer_of_a_scan_is_kept_as_it_is(tmp_path: Path, way: str) -> None:
    layer = "Minutes of the kingfisher society, taken by an earlier program"
    invisible = small(layer, 700, mode=3)
    document = scan(small(STAMPS[0]) + invisible) if way == "invisible" else scan(b"", before=small(layer, 700))
    first, pages = await finished(tmp_path, document, "scan.pdf")
    assert first.scans == []
    assert layer in pages[0]


async def test_text_over_a_background_picture_is_not_recognised_again(tmp_path: Path) -> None:
    text = b"".join(small(f"Paragraph {number} of a page with a coloured background", 800 - 24 * number) for number in range(32))
    first, _ = await finished(tmp_path, scan(text, ()), "brochure.pdf")
    assert first.scans == []


async def test_a_logo_does_not_make_a_letter_a_scan(tmp_path: Path) -> None:
    logo = b"q 120 0 0 60 400 760 cm /I Do Q " + small("A short letter about the rent of the flat", 700)
    document = pdf([logo], more_objects=(image_object(picture_of(LETTER)),), resources=b"/XObject<</I 4 0 R>>")
    first, _ = await finished(tmp_path, document, "letter.pdf")
    assert first.scans == []


def shifted(text: str, by: int) -> str:
    return "".join(chr((ord(c) - 97 + by) % 26 + 97) if "a" <= c <= "z" else c for c in text.lower())


SENSE = "The heron committee met on the wooden bridge and decided that membership fees stay at fifteen euros for the whole year"


@pytest.mark.parametrize("by", [1, 3, 7, 13, 19])
async def test_a_text_layer_of_shifted_letters_gives_way_to_what_is_seen(read: Read, tmp_path: Path, by: int) -> None:
    document = scan(small(shifted(SENSE, by), 600, mode=3))
    at_once = await read(document, "scan.pdf")
    assert "heron committee" in words(at_once)
    assert shifted("heron committee", by) not in words(at_once)
    _, pages = await finished(tmp_path, document, "scan.pdf")
    assert pages == at_once.pages


@pytest.mark.parametrize(
    "text",
    [
        "\ufffd\ufffd\ufffd\ufffd \ufffd\ufffd\ufffd\ufffd\ufffd",
        "\ue012\ue013\ue014\ue015 \ue016\ue012\ue013 \ue014",
        "\x01\x02\x03\x04\x05 \x06\x07\x08\x02\x03",
        "".join(chr(ord(c) - 29) if c != " " else "\x03" for c in SENSE),
        "¦§¨©ª ¦±²³´µ ¦§¨¼½ abc",
        "ƀƁƂƃƄ ƅƆƇƈ ƉƊƋ",
    ],
    ids=["unmapped", "private", "control", "numbers of glyphs", "signs", "rare letters"],
)
def test_what_a_broken_font_leaves_makes_no_sense(text: str) -> None:
    assert not makes_sense(text)


@pytest.mark.parametrize(
    "text",
    [
        SENSE,
        "Der Wochenmarkt wird wegen der Kanalarbeiten auf den Viehplatz verlegt. Händler mit Kühlwagen melden sich bei der Marktmeisterin.",
        "Wszyscy ludzie rodzą się wolni i równi pod względem swej godności i swych praw. Są oni obdarzeni rozumem i sumieniem.",
        "Všichni lidé rodí se svobodní a sobě rovní co do důstojnosti a práv. Jsou nadáni rozumem a svědomím.",
        "Kaikki ihmiset syntyvät vapaina ja tasavertaisina arvoltaan ja oikeuksiltaan. Heille on annettu järki ja omatunto.",
        "Bütün insanlar hür, haysiyet ve haklar bakımından eşit doğarlar. Akıl ve vicdana sahiptirler.",
        "Tất cả mọi người sinh ra đều được tự do và bình đẳng về nhân phẩm và quyền. Mọi con người đều được tạo hoá ban cho lý trí.",
        "Genir pawb yn rhydd ac yn gydradd â'i gilydd mewn urddas a hawliau, a dylai pawb ymddwyn y naill at y llall mewn ysbryd cymodlon.",
        "Все люди рождаются свободными и равными в своем достоинстве и правах.",
        "人人生而自由，在尊严和权利上一律平等。他们赋有理性和良心。",
        "Cell 1 Cell 2 Cell 3 Cell 4 Cell 5 Cell 6 Cell 7 Cell 8 Cell 9",
        "1.204,55 17,20 88,01 -3,40 4711 0815 12.02.2024",
        "",
    ],
)
def test_languages_and_tables_make_sense(text: str) -> None:
    assert makes_sense(text)


def outlines_of(lines: Sequence[str]) -> bytes:
    """The lines as filled shapes, a run of dark pixels a small polygon."""
    page = picture_of(lines).reduce(2)
    pixels = page.load()
    assert pixels is not None
    shapes = [b"q 0.96 0 0 0.96 0 0 cm"]
    for y in range(page.height):
        x = 0
        while x < page.width:
            start = x
            while x < page.width and pixels[x, y] < 128:  # type: ignore[operator]
                x += 1
            if x > start:
                bottom = page.height - y
                corners = [(start, bottom), (x, bottom), (x, bottom + 0.5), (x, bottom + 1), (start, bottom + 1), (start, bottom + 0.5)]
                shapes.append(b"%g %g m " % corners[0] + b"".join(b"%g %g l " % corner for corner in corners[1:]) + b"h")
            x += 1
        shapes.append(b"f" if shapes[-1].endswith(b"h") else b"")
    return b"\n".join([*shapes, b"Q "])


@pytest.mark.parametrize("stamp", ["", "Printed on 12 March by the office of the mayor"])
async def test_letters_drawn_as_outlines_are_recognised(read: Read, stamp: str) -> None:
    text = words(await read(pdf([outlines_of(LETTER) + small(stamp)]), "menu.pdf"))
    assert "heron committee" in text
    assert "fifteen euros" in text
    assert stamp in text


async def test_a_drawing_beside_its_text_is_not_recognised(tmp_path: Path) -> None:
    curve = b"60 400 m " + b"".join(b"%d %d l " % (60 + number, 400 + number % 17) for number in range(400)) + b"S "
    text = b"".join(small(f"Remark {number} on the curve below", 800 - 12 * number) for number in range(36))
    first, _ = await finished(tmp_path, pdf([curve + text]), "chart.pdf")
    assert first.scans == []


UTF16 = b"<FEFF" + "Fährhaus am Kai".encode("utf-16-be").hex().upper().encode() + b">"


@pytest.mark.parametrize(
    ("annotation", "text"),
    [
        (b"<</Type/Annot/Subtype/FreeText/Rect[60 600 300 640]/Contents(Typed by Mr Avocet)/DA(/F 12 Tf)/F 4>>", "Typed by Mr Avocet"),
        (b"<</Type/Annot/Subtype/FreeText/Rect[60 600 300 640]/Contents %s/F 4>>" % UTF16, "Fährhaus am Kai"),
        (b"<</Type/Annot/Subtype/FreeText/Rect[60 600 300 640]/RC(<body><p>Rich &amp; bold</p></body>)/F 4>>", "Rich & bold"),
        (b"<</Type/Annot/Subtype/Text/Rect[400 740 420 760]/Contents(Ask the harbour master)/Name/Note>>", "Ask the harbour master"),
        (b"<</Type/Annot/Subtype/Highlight/Rect[60 770 200 790]/Contents(Is this still true?)>>", "Is this still true?"),
        (b"<</Type/Annot/Subtype/Stamp/Rect[60 100 200 140]/Contents(Received in March)>>", "Received in March"),
    ],
)
async def test_what_was_written_onto_a_page_is_read_once(read: Read, annotation: bytes, text: str) -> None:
    again = annotation.replace(b"/Subtype/Text", b"/Subtype/Popup")
    found = words(await read(page_of([annotation, again]), "page.pdf"))
    assert found == f"The page itself {text}"


async def test_what_a_link_says_to_programs_is_not_read(read: Read) -> None:
    link = b"<</Type/Annot/Subtype/Link/Rect[0 0 9 9]/Contents(go to chapter four)/A<</S/URI/URI(https://example.org)>>>>"
    assert words(await read(page_of([link]), "page.pdf")) == "The page itself"


@pytest.mark.parametrize(
    ("field", "found", "absent"),
    [
        (b"/FT/Tx/T(name)/V(Harriet Plover)", "Harriet Plover", "name"),
        (b"/FT/Ch/T(course)/Opt[(Stilts)(Juggling)(Unicycle)]/V(Juggling)/I[1]", "Juggling", "Stilts"),
        (b"/FT/Ch/T(c)/Opt[(Stilts)(Juggling)(Unicycle)]/Ff 2097152/V[(Stilts)(Unicycle)]/I[0 2]", "Stilts Unicycle", "Juggling"),
        (b"/FT/Ch/Ff 131072/T(c)/Opt[[(s1)(Stilts)][(j1)(Juggling)]]/V(j1)", "Juggling", "Stilts"),
        (b"/FT/Ch/Ff 393216/T(c)/Opt[(Stilts)(Juggling)]/V(Tightrope)", "Tightrope", "Stilts"),
        (b"/FT/Btn/T(newsletter)/V/Yes/AS/Yes", "", "Yes"),
    ],
    ids=["text", "list", "several of a list", "a label for a code", "typed beside the options", "a box to tick"],
)
async def test_what_was_filled_in_and_chosen_is_read(read: Read, field: bytes, found: str, absent: str) -> None:
    widget = b"<</Type/Annot/Subtype/Widget/Rect[200 500 400 560]/DA(/Helv 12 Tf 0 g)/F 4%s>>" % field
    form = b"/AcroForm<</Fields[6 0 R]/DA(/Helv 0 Tf 0 g)/DR<</Font<</Helv 3 0 R>>>>>>"
    text = words(await read(page_of([widget], catalog=form), "form.pdf"))
    assert text == f"The page itself {found}".strip()
    assert absent not in text


def with_files(files: dict[str, bytes], page: bytes = line("See the enclosures")) -> bytes:
    """A PDF with files attached; names by UTF-16, the contents deflated."""
    names, objects = [], []
    for number, (name, content) in enumerate(files.items()):
        data = zlib.compress(content)
        title = b"<FEFF%s>" % name.encode("utf-16-be").hex().encode()
        objects += [
            b"<</Type/EmbeddedFile/Params<</Size %d>>/Filter/FlateDecode/Length %d>>stream\n%s\nendstream"
            % (len(content), len(data), data),
            b"<</Type/Filespec/F(x)/UF%s/EF<</F %d 0 R>>>>" % (title, 6 + 2 * number),
        ]
        names.append(b"%s %d 0 R" % (title, 7 + 2 * number))
    return page_of([], page, b"/Names<</EmbeddedFiles<</Names[%s]>>>>" % b" ".join(names), objects)


async def test_attached_files_are_named_and_read(read: Read) -> None:
    files = {
        "Wahl äöü.txt": b"Votes for the kingfisher: 214",
        "letter.docx": docx(paragraph("Dear crane")),
        "inner.pdf": with_files({"deep.txt": b"too deep to be read"}, line("An inner page")),
        "program.bin": bytes(range(256)) * 4,
    }
    extraction = await read(with_files(files), "outer.pdf")
    text = words(extraction)
    assert extraction.page_count == 1
    assert extraction.pages[0] == "See the enclosures"
    assert "Wahl äöü.txt Votes for the kingfisher: 214" in text
    assert "letter.docx Dear crane" in text
    assert "inner.pdf An inner page" in text
    assert "Attachment: deep.txt" in text
    assert "too deep" not in text
    assert "Attachment: program.bin" in text


async def test_a_damaged_attached_file_costs_itself(read: Read) -> None:
    extraction = await read(with_files({"broken.pdf": b"%PDF-1.7 and nothing", "note.txt": b"A note on terns"}), "outer.pdf")
    assert "A note on terns" in words(extraction)
    assert "broken.pdf" in words(extraction)
    assert [warning.code for warning in extraction.warnings] == ["attachment_unreadable"]


async def test_a_file_pinned_to_a_page_is_read(read: Read) -> None:
    body = b"Timetable of the ferry"
    pin = b"<</Type/Annot/Subtype/FileAttachment/Rect[0 0 9 9]/FS<</Type/Filespec/F(ferry.txt)/UF(ferry.txt)/EF<</F 7 0 R>>>>>>"
    stream = b"<</Type/EmbeddedFile/Length %d>>stream\n%s\nendstream" % (len(body), body)
    assert "ferry.txt Timetable of the ferry" in words(await read(page_of([pin], more=[stream]), "pinned.pdf"))


async def test_scans_in_attached_files_are_recognised_later_as_well(read: Read, tmp_path: Path) -> None:
    document = with_files({"note.txt": b"A note on terns", "scan.pdf": scan(small(STAMPS[0]))})
    first, pages = await finished(tmp_path, document, "outer.pdf")
    assert first.scans == [Scan(page=2, frame=0, attachment=2)]
    assert "heron committee" in pages[2]
    assert STAMPS[0] in pages[2]
    assert pages == (await read(document, "outer.pdf")).pages


def at(x: float, y: float, text: str, matrix: bytes = b"1 0 0 1") -> bytes:
    return b"BT /F 12 Tf %s %g %g Tm (%s) Tj ET " % (matrix, x, y, text.encode())


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (at(60, 700, "S t a t u t e s"), "Statutes"),
        (at(60, 700, "C h a p t e r   F o u r"), "Chapter Four"),
        (b"BT /F 14 Tf 60 700 Td [(C)-500(h)-500(a)-500(p)-500(t)-500(e)-500(r)-1600(T)-500(w)-500(o)] TJ ET", "Chapter Two"),
        (b"".join(at(60 + 14 * number, 700, letter) for number, letter in enumerate("Garden")), "Garden"),
        (b"BT /F 14 Tf 5 Tc 60 700 Td (Chapter One) Tj ET", "Chapter One"),
        (at(60, 700, "It is u r g e n t and late."), "It is urgent and late."),
        (b"".join(at(60 + 60 * number, 700, letter) for number, letter in enumerate("ABCDEF")), "A B C D E F"),
        (at(60, 700, "1 2 3 4 5 6"), "1 2 3 4 5 6"),
        (at(60, 700, "I am a b"), "I am a b"),
    ],
)
async def test_letters_set_apart_are_joined_and_columns_are_not(read: Read, content: bytes, text: str) -> None:
    assert words(await read(pdf([content]), "spaced.pdf")) == text


UP, DOWN = b"0 1 -1 0", b"0 -1 1 0"


@pytest.mark.parametrize(
    "label",
    [
        at(100, 300, "Water meter", UP),
        at(100, 300, "Water meter", DOWN),
        at(100, 300, "Water", UP) + at(100, 340, "meter", UP),
        b"".join(at(100, 300 + 8 * number, letter, UP) for number, letter in enumerate("Water")) + at(120, 300, "meter", UP),
        b"".join(at(100, 300 - 8 * number, letter, DOWN) for number, letter in enumerate("Water")) + at(80, 300, "meter", DOWN),
    ],
    ids=["upwards", "downwards", "two words", "letter by letter upwards", "letter by letter downwards"],
)
async def test_a_turned_label_is_read_in_words_apart_from_the_rest(read: Read, label: bytes) -> None:
    found = words(await read(pdf([at(60, 780, "Readings of March") + label]), "label.pdf"))
    assert found == "Readings of March Water meter"


@pytest.mark.parametrize(
    "junk",
    [
        b"HTTP/1.1 200 OK\r\nContent-Type: application/pdf\r\n\r\n",
        b"\n\n\n",
        b"def download():\n    return 'file'\n" * 12,
        b"<html><body>Saved by a program</body></html>\n",
        b"From: press@example.org\r\nSubject: A file\r\nMIME-Version: 1.0\r\n\r\n",
        b"\x1b%-12345X@PJL JOB\r\n@PJL ENTER LANGUAGE=PDF\r\n",
        b"x" * 1000,
    ],
)
@pytest.mark.parametrize("filename", ["saved.pdf", "saved.py", "saved"])
async def test_junk_before_the_header_does_not_hide_the_pdf(read: Read, junk: bytes, filename: str) -> None:
    extraction = await read(junk + pdf([line("Timetable of the rack railway")]), filename)
    assert extraction.content_type == content_types.PDF
    assert words(extraction) == "Timetable of the rack railway"


@pytest.mark.skipif(not CASES.is_dir(), reason="the collection of awkward papers is not beside the repository")
async def test_the_awkward_papers_are_read() -> None:
    missing = {}
    for case in json.loads((CASES / "cases.json").read_text()):
        if case["file"].endswith(".pdf"):
            extraction = await extract(CASES / case["file"], filename=case["file"], declared_type="")
            text = f"{words(extraction)} {case['file']}".casefold()
            missing[case["file"]] = [query for query in case["found"] if query.strip('"').casefold() not in text]
    assert {name: queries for name, queries in missing.items() if queries} == {}
