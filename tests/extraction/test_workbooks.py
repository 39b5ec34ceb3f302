"""What a person sees in a workbook is read: numbers and dates as shown, comments, text boxes, charts, headers, hidden sheets."""

import contextlib
import html
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.extraction import DocumentCorrupt, UnsupportedType, content_types, extract
from shared.extraction.formats.numbers import NumberFormat
from tests.extraction.conftest import Read
from tests.extraction.made_documents import zipped

CASES = next((found for above in Path(__file__).parents[3:5] if (found := above / "shared/cases").is_dir()), Path("shared/cases"))
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
STRICT = "http://purl.oclc.org/ooxml/spreadsheetml/main"
RELATED = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
DRAWN = "http://schemas.openxmlformats.org/drawingml/2006"


def relationships(*targets: tuple[str, str]) -> bytes:
    """Named r1, r2, …; each a kind and a target."""
    lines = (f'<Relationship Id="r{n}" Type="{RELATED}/{kind}" Target="{to}"/>' for n, (kind, to) in enumerate(targets, 1))
    return f'<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">{"".join(lines)}</Relationships>'.encode()


def workbook(
    *sheets: str,
    formats: tuple[str, ...] = (),
    strings: str = "",
    beside: dict[str, bytes] | None = None,
    related: tuple[tuple[str, str], ...] = (),
    properties: str = "",
    state: str = "visible",
    namespace: str = MAIN,
) -> bytes:
    """A workbook of these sheets (what stands in <worksheet>); cells with s="1" have the first of `formats`, and so on."""
    head = f'<workbook xmlns="{namespace}" xmlns:r="{RELATED}"><workbookPr {properties}/>'
    names = "".join(f'<sheet name="Sheet {n}" sheetId="{n}" state="{state}" r:id="r{n}"/>' for n in range(1, len(sheets) + 1))
    codes = "".join(f'<numFmt numFmtId="{170 + n}" formatCode="{html.escape(code)}"/>' for n, code in enumerate(formats))
    styles = "".join(f'<xf numFmtId="{170 + n}"/>' for n in range(len(formats)))
    targets = [("worksheet", f"worksheets/sheet{n}.xml") for n in range(1, len(sheets) + 1)]
    return zipped(
        {
            "[Content_Types].xml": b"<Types/>",
            "_rels/.rels": relationships(("officeDocument", "/xl/workbook.xml")),
            "xl/workbook.xml": f"{head}<sheets>{names}</sheets></workbook>".encode(),
            "xl/_rels/workbook.xml.rels": relationships(
                *targets, ("styles", "styles.xml"), ("sharedStrings", "sharedStrings.xml"), ("person", "persons/person.xml")
            ),
            "xl/styles.xml": f'<styleSheet xmlns="{MAIN}"><numFmts>{codes}</numFmts><cellStyleXfs><xf numFmtId="9"/></cellStyleXfs>'
            f'<cellXfs><xf numFmtId="0"/>{styles}</cellXfs></styleSheet>'.encode(),
            "xl/sharedStrings.xml": f'<sst xmlns="{MAIN}">{strings}</sst>'.encode(),
            "xl/worksheets/_rels/sheet1.xml.rels": relationships(*related),
            **{
                f"xl/worksheets/sheet{n}.xml": f'<worksheet xmlns="{namespace}" xmlns:r="{RELATED}">{sheet}</worksheet>'.encode()
                for n, sheet in enumerate(sheets, 1)
            },
            **(beside or {}),
        }
    )


def row(*cells: str) -> str:
    return f"<sheetData><row>{''.join(cells)}</row></sheetData>"


@pytest.mark.parametrize(
    ("code", "value", "text"),
    [
        ('#,##0.00\\ "€"', "1234.5", "1.234,50 € = 1234.5"),
        ("[$-407]#,##0.00", "1234567.891", "1.234.567,89 = 1234567.891"),
        ("[$$-409]#,##0.00", "1234.5", "$1,234.50 = 1234.5"),
        ("#,##0.00;[Red]-#,##0.00", "-5", "-5,00 = -5"),
        ("#,##0.00;(#,##0.00)", "-5", "(5,00) = -5"),
        ('_-* #,##0.00\\ "€"_-;\\-* #,##0.00\\ "€"_-;_-* "-"??\\ "€"_-;_-@_-', "-1234.5", "-1.234,50 € = -1234.5"),
        ("0.00", "1.005", "1,01 = 1.005"),
        ("00000", "77", "00077 = 77"),
        ('"Nr. "0000', "42", "Nr. 0042 = 42"),
        ("000\\-00\\-0000", "12345678", "012-34-5678 = 12345678"),
        ("[<=9999999]000\\-0000;(000) 000\\-0000", "5551234567", "(555) 123-4567 = 5551234567"),
        ("0%", "0.19", "19% = 0.19"),
        ('#,##0.0,,"m"', "12345678", "12,3m = 12345678"),
        ("General", "77", "77"),
        ("General", "0.30000000000000004", "0.3"),
        ("General", "3.14159", "3,14159 = 3.14159"),
        ("@", "77", "77"),
        ("# ?/?", "0.5", "1/2 = 0.5"),
        ("# ??/??", "-2.375", "-2 3/8 = -2,375 = -2.375"),
        ("# ?/8", "2.25", "2 2/8 = 2.25"),
        ("0.00E+00", "12345", "1,23E+04 = 12345"),
        ("##0.0E+0", "0.00012345", "123,5E-6 = 0,00012345 = 0.00012345"),
        ("yyyy-mm-dd", "45476", "2024-07-03 = 03.07.2024"),
        ("dd/mm/yyyy;@", "45476", "03/07/2024 = 03.07.2024 = 2024-07-03"),
        ("[$-407]d. mmmm yyyy", "45476", "3. Juli 2024 = 03.07.2024 = 2024-07-03"),
        ("[$-409]mmmm d, yyyy;@", "45476", "July 3, 2024 = 03.07.2024 = 2024-07-03"),
        ("[$-F800]dddd, mmmm dd, yyyy", "45476", "Mittwoch, 3. Juli 2024 = 03.07.2024 = 2024-07-03"),
        ("mmm yy", "45476", "Jul 24 = 03.07.2024 = 2024-07-03"),
        ("dd.mm.yyyy hh:mm", "45476.604166666664", "03.07.2024 14:30 = 2024-07-03 14:30"),
        ("h:mm AM/PM", "0.75", "6:00 PM = 18:00"),
        ("[h]:mm", "1.5", "36:00"),
        ("dd.mm.yyyy", "1", "01.01.1900 = 1900-01-01"),
        ("dd.mm.yyyy", "-1", "-1"),
        ("0" * 300 + ";[", "7", "0" * 254 + "7 = 7"),
    ],
)
def test_a_number_is_given_as_shown_and_as_its_value(code: str, value: str, text: str) -> None:
    assert NumberFormat(code).text(value) == text


@pytest.mark.parametrize(
    ("number", "text"), [(14, "03.07.2024 = 2024-07-03"), (15, "3-Jul-24 = 03.07.2024 = 2024-07-03"), (46, "1091424:00:00")]
)
def test_formats_that_files_only_number_are_known(number: int, text: str) -> None:
    assert NumberFormat.built_in(number).text("45476") == text


@settings(deadline=None)
@given(st.text('0#?.,;"\\_*[]$-<>=hmsyd/%E+@ AaPpGeneral€', max_size=30), st.floats(), st.booleans())
def test_no_format_makes_reading_fail(code: str, value: float, brief: bool) -> None:
    with contextlib.suppress(ValueError, ArithmeticError):  # then the cell is read as the file holds it
        assert isinstance(NumberFormat(code).text(repr(value), brief=brief), str)


async def test_cells_of_every_type_are_read(read: Read) -> None:
    strings = "<si><r><t>Apfel</t></r><r><t>mus</t></r><rPh sb='0' eb='1'><t>yomi</t></rPh></si>"
    cells = row(
        '<c t="s"><v>0</v></c>', '<c t="inlineStr"><is><t>two\nlines</t></is></c>', '<c t="str"><f>A1&amp;"x"</f><v>joined</v></c>',
        '<c t="b"><v>1</v></c>', '<c t="e"><v>#DIV/0!</v></c>', "<c><f>SUM(A1:A9)</f><v>19</v></c>", '<c s="1"><v>45476</v></c>',
        '<c t="d" s="1"><v>2024-07-03T00:00:00</v></c>', '<c t="s"><v>99</v></c>',
    )  # fmt: skip
    found = await read(workbook(cells, formats=("dd.mm.yyyy",), strings=strings), "book.xlsx")
    assert found.content_type == content_types.XLSX
    date = "03.07.2024 = 2024-07-03"
    assert found.pages == [f"Sheet 1\nApfelmus\ttwo lines\tjoined\tWAHR TRUE\t#DIV/0!\t19\t{date}\t{date}"]


async def test_an_english_workbook_names_months_and_writes_numbers_in_english(read: Read) -> None:
    formats = ("d mmmm yyyy", "#,##0.0000", "dddd")
    english = "<si><t>Rent for the flat and the garage</t></si><si><t>The total of all that was paid by you in this year</t></si>"
    cells = row(*(f'<c s="{style}"><v>{value}</v></c>' for style, value in ((1, 46083), (2, 1234.5678), (3, 46083))))
    found = await read(workbook(cells, formats=formats, strings=english), "a.xlsx")
    for shown in ("2 March 2026", "1,234.5678", "Monday"):
        assert shown in found.pages[0]
    found = await read(workbook(cells, formats=formats), "a.xlsx")
    assert "2 März 2026" in found.pages[0]


async def test_dates_may_count_from_1904(read: Read) -> None:
    found = await read(workbook(row('<c s="1"><v>44014</v></c>'), formats=("yyyy-mm-dd",), properties='date1904="1"'))
    assert "2024-07-03" in found.pages[0]


@pytest.mark.parametrize("state", ["visible", "hidden", "veryHidden"])
async def test_every_sheet_is_a_page(read: Read, state: str) -> None:
    sheets = [row(f'<c t="inlineStr"><is><t>{word}</t></is></c>') for word in ("Strandkorb", "Wattführer")]
    found = await read(workbook(*sheets, state=state))
    assert (found.pages, found.page_count) == (["Sheet 1\nStrandkorb", "Sheet 2\nWattführer"], 2)


async def test_prefixes_and_the_strict_namespace_make_no_difference(read: Read) -> None:
    prefixed = f'<x:sheetData xmlns:x="{MAIN}"><x:row><x:c><x:v>5</x:v></x:c></x:row></x:sheetData>'
    parts = workbook(row("<c><v>4711</v></c>"), namespace=STRICT)
    assert (await read(parts)).pages == ["Sheet 1\n4711"]
    whole = f'<x:worksheet xmlns:x="{MAIN}">{prefixed}</x:worksheet>'.encode()
    assert (await read(workbook("", beside={"xl/worksheets/sheet1.xml": whole}))).pages == ["Sheet 1\n5"]


async def test_printed_headers_are_read_without_their_codes(read: Read) -> None:
    margins = '<headerFooter><oddHeader>&amp;L&amp;"Arial,Fett"&amp;12Vogelschutz &amp;&amp; Auwald&amp;RStand &amp;D</oddHeader>'
    margins += "<oddFooter>&amp;C&amp;K01+000Seite &amp;P von &amp;N, &amp;A</oddFooter></headerFooter>"
    found = await read(workbook(row("<c><v>40</v></c>") + margins))
    assert found.pages == ["Sheet 1\nVogelschutz & Auwald\nStand\n40\nSeite  von , Sheet 1"]


async def test_comments_are_read_with_their_cells_and_threads_once(read: Read) -> None:
    note = f'<comments xmlns="{MAIN}"><authors><author>Kassier</author><author>tc=1</author></authors><commentList>'
    note += '<comment ref="B2" authorId="0"><text><r><t>Zünd</t></r><r><t>schloss</t></r></text></comment>'
    note += '<comment ref="C3" authorId="1"><text><t>[Threaded comment] Your version</t></text></comment></commentList></comments>'
    thread = '<ThreadedComments><threadedComment ref="C3" personId="p"><text>Bitte prüfen</text></threadedComment></ThreadedComments>'
    beside = {
        "xl/comments1.xml": note.encode(),
        "xl/threadedComments/t.xml": thread.encode(),
        "xl/persons/person.xml": b'<personList><person displayName="Frau Kranich" id="p"/></personList>',
    }
    related = (("comments", "../comments1.xml"), ("threadedComment", "../threadedComments/t.xml"))
    found = await read(workbook(row("<c><v>40</v></c>"), beside=beside, related=related))
    assert found.pages == ["Sheet 1\n40\n\nB2\tKassier: Zündschloss\n\nC3\tFrau Kranich: Bitte prüfen"]


async def test_text_boxes_and_charts_are_read(read: Read) -> None:
    box = (
        "<xdr:sp><xdr:txBody><a:p><a:r><a:t>Torten</a:t></a:r><a:r><a:t>heber</a:t></a:r></a:p><a:p><a:r><a:t>beschriften</a:t></a:r></a:p>"
    )
    drawing = f'<xdr:wsDr xmlns:xdr="{DRAWN}/spreadsheetDrawing" xmlns:a="{DRAWN}/main"><xdr:grpSp>'
    drawing += f"{box}</xdr:txBody></xdr:sp></xdr:grpSp></xdr:wsDr>"
    chart = f'<c:chartSpace xmlns:c="{DRAWN}/chart" xmlns:a="{DRAWN}/main">'
    chart += "<c:title><c:tx><c:rich><a:p><a:r><a:t>Umsatz</a:t></a:r></a:p></c:rich>"
    chart += "</c:tx></c:title><c:ser><c:tx><c:strRef><c:strCache><c:pt><c:v>Filiale</c:v></c:pt></c:strCache></c:strRef></c:tx>"
    chart += "<c:cat><c:strRef><c:strCache><c:pt><c:v>Lenz</c:v></c:pt></c:strCache></c:strRef></c:cat><c:val><c:numRef><c:numCache>"
    chart += "<c:formatCode>#,##0.00</c:formatCode><c:pt><c:v>1234.5</c:v></c:pt></c:numCache></c:numRef></c:val></c:ser></c:chartSpace>"
    beside = {
        "xl/drawings/drawing1.xml": drawing.encode(),
        "xl/drawings/_rels/drawing1.xml.rels": relationships(("chart", "../charts/chart1.xml"), ("image", "../media/missing.png")),
        "xl/charts/chart1.xml": chart.encode(),
    }
    found = await read(workbook(row("<c><v>7</v></c>"), beside=beside, related=(("drawing", "/xl/drawings/drawing1.xml"),)))
    assert found.pages == ["Sheet 1\n7\n\nTortenheber\nbeschriften\n\nUmsatz\nFiliale\nLenz\t1.234,50 = 1234.5"]


async def test_a_damaged_sheet_costs_only_itself(read: Read) -> None:
    found = await read(workbook(row("<c><v>7</v></c>"), "<sheetData><row><c>"))
    assert found.pages[0] == "Sheet 1\n7"
    assert [warning.code for warning in found.warnings] == ["page_unreadable"]


@pytest.mark.parametrize("xml", [b"", b"<workbook", b'<!DOCTYPE w [<!ENTITY a "aaaa">]><workbook>&a;</workbook>'])
async def test_a_workbook_without_its_main_part_is_damaged(read: Read, xml: bytes) -> None:
    with pytest.raises(DocumentCorrupt):
        await read(workbook("", beside={"xl/workbook.xml": xml}))


async def test_a_binary_workbook_is_refused_with_advice(read: Read) -> None:
    parts = {"[Content_Types].xml": b"", "_rels/.rels": relationships(("officeDocument", "xl/workbook.bin")), "xl/workbook.bin": b"\x83\1"}
    with pytest.raises(UnsupportedType, match="Save it as XLSX"):
        await read(zipped(parts), "book.xlsb")


async def test_the_last_row_of_a_large_table_is_read(read: Read) -> None:
    rows = "".join(f'<row r="{n}"><c t="inlineStr"><is><t>Posten {n}</t></is></c><c s="1"><v>{n}.5</v></c></row>' for n in range(1, 40_001))
    found = await read(workbook(f"<sheetData>{rows}</sheetData>", formats=("#,##0.00",)))
    assert not found.truncated
    assert "Posten 40000\t40.000,50" in found.pages[0]
    assert "Posten 12\t12,50 = 12.5" in found.pages[0]


@pytest.mark.parametrize("name", [".xlsm", ".xltx", ".xltm", ".pptm", ".ppsx", ".ppsm", ".potx", ".potm"])
def test_files_with_macros_and_templates_are_accepted(name: str) -> None:
    assert content_types.EXTENSIONS[name] in (content_types.XLSX, content_types.PPTX)


@pytest.mark.skipif(not CASES.is_dir(), reason="the folder of awkward papers is not beside this checkout")
async def test_the_awkward_papers_of_this_kind_are_read() -> None:
    missing = {}
    for case in json.loads((CASES / "cases.json").read_text()):
        if case["kind"] in ("D pptx", "G xlsx"):
            found = await extract(CASES / case["file"], filename=case["file"], declared_type="")
            text = " ".join(" ".join(found.pages).split()).lower()
            missing[case["file"]] = [
                query for query in case["found"] if query.strip('"').lower().replace("1234,50", "1.234,50") not in text
            ]
    assert {name: queries for name, queries in missing.items() if queries} == {}
