# ruff: noqa: E501 (markup)
"""OpenDocument texts, spreadsheets and presentations: everything a person sees on the paper is read."""

from typing import Any

import pytest

from shared.extraction import DocumentCorrupt, DocumentEncrypted, Extraction, content_types, failures
from tests.extraction.conftest import Read
from tests.extraction.made_documents import zipped
from tests.extraction.papers_cases import CASES, cases_of

_URN = "urn:oasis:names:tc:opendocument:xmlns:"
_DECLARED = " ".join(
    f'xmlns:{prefix}="{uri}"'
    for prefix, uri in (
        ("office", f"{_URN}office:1.0"), ("text", f"{_URN}text:1.0"), ("table", f"{_URN}table:1.0"), ("draw", f"{_URN}drawing:1.0"),
        ("style", f"{_URN}style:1.0"), ("fo", f"{_URN}xsl-fo-compatible:1.0"), ("svg", f"{_URN}svg-compatible:1.0"),
        ("presentation", f"{_URN}presentation:1.0"), ("form", f"{_URN}form:1.0"), ("meta", f"{_URN}meta:1.0"), ("chart", f"{_URN}chart:1.0"),
        ("dc", "http://purl.org/dc/elements/1.1/"), ("xlink", "http://www.w3.org/1999/xlink"), ("math", "http://www.w3.org/1998/Math/MathML"),
    )
)  # fmt: skip
MANIFEST = f'<manifest:manifest xmlns:manifest="{_URN}manifest:1.0">{{}}</manifest:manifest>'
KINDS = {content_types.ODT: "text", content_types.ODS: "spreadsheet", content_types.ODP: "presentation"}


def words(extraction: Extraction) -> str:
    return " ".join(" ".join(extraction.pages).split())


def content(body: str, kind: str = "text", styles: str = "") -> bytes:
    automatic = f"<office:automatic-styles>{styles}</office:automatic-styles>"
    return f"<office:document-content {_DECLARED}>{automatic}<office:body><office:{kind}>{body}</office:{kind}></office:body></office:document-content>".encode()


def masters(*pages: str) -> bytes:
    inside = "".join(f'<style:master-page style:name="M{n}">{page}</style:master-page>' for n, page in enumerate(pages))
    return f"<office:document-styles {_DECLARED}><office:master-styles>{inside}</office:master-styles></office:document-styles>".encode()


def document(body: str, content_type: str = content_types.ODT, styles: str = "", /, **parts: bytes) -> bytes:
    """An OpenDocument file of this body; "__" in the names of `parts` stands for ".", "_in_" for "/"."""
    named = {name.replace("__", ".").replace("_in_", "/"): part for name, part in parts.items()}
    xml = content(body, KINDS[content_type], styles)
    return zipped({"mimetype": content_type.encode(), "content.xml": xml, "META-INF/manifest.xml": MANIFEST.format("").encode(), **named})


@pytest.mark.parametrize("case", cases_of("C"), ids=lambda case: case["file"] if case else "none")
async def test_the_awkward_open_documents_are_read(read: Read, case: dict[str, Any] | None) -> None:
    if case is None:
        pytest.skip("the awkward papers are not beside the repository")
    reading = read((CASES / case["file"]).read_bytes(), case["file"])
    if case["status"] == "failed":
        with pytest.raises(failures.ExtractionFailed) as failed:
            await reading
        assert failed.value.code == case["code"]
        return
    found = words(await reading)
    for query in case["found"]:
        assert query.strip('"') in found


@pytest.mark.parametrize(
    ("markup", "expected"),
    [
        ("Der <text:span><text:span>Pegel</text:span></text:span> steigt", "Der Pegel steigt"),
        ("Schleusen<text:span>wär<text:span>ter<text:span>in</text:span></text:span></text:span>", "Schleusenwärterin"),
        ("zum <text:a xlink:href='x'><text:span>Ufer</text:span>weg</text:a>.", "zum Uferweg."),
        ("Eis<text:s/>Tee<text:s text:c='7'/>Saft<text:tab/>Most<text:line-break/>Bier", "Eis Tee Saft Most Bier"),
        ("Eis\n      <text:span> Tee</text:span>\n  <text:span>\n Saft</text:span>", "Eis Tee Saft"),
        ("Satz<text:soft-page-break/> und Weiter<text:soft-page-break/>gang", "Satz und Weitergang"),
        (
            "S<text:bookmark text:name='b'/>atz<text:change-start text:change-id='c'/> eins<text:change-end text:change-id='c'/>",
            "Satz eins",
        ),
        ("Fassung <text:title>Titel</text:title> vom <text:date>1. Mai</text:date>", "Fassung Titel vom 1. Mai"),
        ("S\u2011Bahn", "S-Bahn"),
        ("<text:ruby><text:ruby-base>漢字</text:ruby-base><text:ruby-text>かんじ</text:ruby-text></text:ruby>です", "漢字です かんじ"),
        ("<text:meta><text:span>drin</text:span></text:meta>", "drin"),
    ],
)
@pytest.mark.parametrize("around", ["<text:p>{}</text:p>", "<text:h text:outline-level='1'>{}</text:h>",
    "<text:list><text:list-header><text:p>{}</text:p></text:list-header></text:list>",
    "<text:list><text:list-item><text:list><text:list-item><text:p>{}</text:p></text:list-item></text:list></text:list-item></text:list>",
    "<text:section><text:p>{}</text:p></text:section>",
    "<table:table><table:table-row><table:table-cell><text:p>{}</text:p></table:table-cell></table:table-row></table:table>",
    "<text:p><draw:frame><draw:text-box><text:p>{}</text:p></draw:text-box></draw:frame></text:p>",
    "<draw:frame><draw:text-box><text:p>{}</text:p></draw:text-box></draw:frame>",
    "<text:p><draw:custom-shape><text:p>{}</text:p></draw:custom-shape></text:p>",
    "<text:table-of-content><text:index-body><text:p>{}</text:p></text:index-body></text:table-of-content>",
    "<text:p/><text:numbered-paragraph><text:p>{}</text:p></text:numbered-paragraph>",
])  # fmt: skip
async def test_text_is_read_whatever_is_in_it_and_around_it(read: Read, markup: str, expected: str, around: str) -> None:
    assert words(await read(document(around.format(markup)))) == expected


@pytest.mark.parametrize("prefix", ["ns1", "t"])
async def test_any_prefix_is_understood(read: Read, prefix: str) -> None:
    xml = content("<text:p>Eis<text:tab/><text:span>Tee</text:span></text:p>").replace(b"text:", f"{prefix}:".encode())
    xml = xml.replace(b"office:" + prefix.encode(), b"office:text").replace(b"xmlns:text=", f"xmlns:{prefix}=".encode())
    xml = xml.replace(b"xmlns:" + prefix.encode() + b":1.0", b"xmlns:text:1.0")
    assert words(await read(zipped({"mimetype": content_types.ODT.encode(), "content.xml": xml}))) == "Eis Tee"


async def test_comments_and_notes_leave_their_sentence_whole(read: Read) -> None:
    comment = "<office:annotation office:name='a'><dc:creator>Lektorat</dc:creator><dc:date>2024-02-01</dc:date><text:p>mit dem <text:span>Wirt</text:span></text:p><text:list><text:list-item><text:p>klären</text:p></text:list-item></text:list></office:annotation>"
    note = "<text:note text:note-class='footnote'><text:note-citation>1</text:note-citation><text:note-body><text:p>laut Grundbuch</text:p></text:note-body></text:note>"
    found = await read(
        document(f"<text:p>Die Miete{comment} stei{note}gt.<office:annotation-end office:name='a'/></text:p><text:p>Ende</text:p>")
    )
    assert words(found) == "Die Miete steigt. Ende Lektorat: mit dem Wirt klären laut Grundbuch"


async def test_a_frame_stands_beside_its_sentence(read: Read) -> None:
    frame = "<draw:frame><draw:text-box><text:p>Achtung</text:p><table:table><table:table-row><table:table-cell><text:p>a</text:p></table:table-cell><table:table-cell><text:p>b</text:p></table:table-cell></table:table-row></table:table></draw:text-box><svg:desc>nichts</svg:desc></draw:frame>"
    assert words(await read(document(f"<text:p>Das {frame}Haus</text:p>"))) == "Das Haus Achtung a b nichts"


async def test_what_was_deleted_is_not_read(read: Read) -> None:
    tracked = "<text:tracked-changes><text:changed-region><text:deletion><office:change-info><dc:creator>A</dc:creator></office:change-info><text:p>Hufschmied</text:p></text:deletion></text:changed-region></text:tracked-changes>"
    assert words(await read(document(f"{tracked}<text:p>am <text:change text:change-id='c'/>Abend</text:p>"))) == "am Abend"


async def test_cells_stay_apart(read: Read) -> None:
    cell = "<table:table-cell><text:p><text:span>{}</text:span></text:p><text:p>{}</text:p></table:table-cell>"
    inner = f"<table:table-cell><table:table><table:table-row>{cell.format('c', 'd')}{cell.format('e', 'f')}</table:table-row></table:table></table:table-cell>"
    rows = f"<table:table-header-rows><table:table-row>{cell.format('a', 'b')}{inner}</table:table-row></table:table-header-rows><table:table-row>{cell.format('g', 'h')}<table:covered-table-cell/></table:table-row>"
    assert (await read(document(f"<table:table>{rows}</table:table><text:p>z</text:p>"))).pages == ["a b\tc d\te f\ng h\n\nz"]


@pytest.mark.parametrize("where", ["", "-left", "-first"])
async def test_the_letterhead_is_read_once(read: Read, where: str) -> None:
    page = f"<style:header{where}><text:p>Verein <text:span>Moor<text:span>land</text:span></text:span></text:p></style:header{where}><style:footer><table:table><table:table-row><table:table-cell><text:p>Konto</text:p></table:table-cell></table:table-row></table:table></style:footer>"
    frame = (
        "<style:header><text:p><draw:frame><draw:text-box><text:p>Im Rahmen</text:p></draw:text-box></draw:frame></text:p></style:header>"
    )
    hidden = "<style:header style:display='false'><text:p>unsichtbar</text:p></style:header>"
    found = await read(document("<text:p>Brief</text:p>", styles__xml=masters(page, page, frame, hidden)))
    assert found.pages == ["Verein Moorland\nIm Rahmen\n\nBrief\n\nKonto"]


async def test_a_page_begins_where_a_paragraph_says_so(read: Read) -> None:
    styles = "<style:style style:name='B' style:family='paragraph'><style:paragraph-properties fo:break-before='page'/></style:style>"
    styles += "<style:style style:name='A' style:family='paragraph'><style:paragraph-properties fo:break-after='page'/></style:style>"
    body = "<text:p text:style-name='B'>Eins</text:p><text:p text:style-name='B'>Zwei</text:p><text:p text:style-name='A'>noch zwei</text:p><text:p>Drei</text:p>"
    found = await read(document(body, content_types.ODT, styles))
    assert (found.pages, found.page_count) == (["Eins", "Zwei\n\nnoch zwei", "Drei"], 3)


async def test_charts_and_formulas_inside_are_read(read: Read) -> None:
    chart = content(
        "<chart:chart><chart:title><text:p>Ernte</text:p></chart:title><table:table table:name='local-table'><table:table-row><table:table-cell><text:p>Roggen</text:p></table:table-cell></table:table-row></table:table></chart:chart>",
        "chart",
    )
    formula = b"<math xmlns='http://www.w3.org/1998/Math/MathML'><semantics><mrow><mi>Arbeit</mi><mo>=</mo><mi>Kraft</mi></mrow><annotation>nein</annotation></semantics></math>"
    body = "<text:p>Siehe <draw:frame><draw:object xlink:href='./Object 1'/></draw:frame>hier<draw:frame><draw:object xlink:href='Object%202'/></draw:frame></text:p>"
    found = await read(document(body, **{"Object 1_in_content__xml": chart, "Object 2_in_content__xml": formula}))
    assert words(found) == "Siehe hier Ernte Roggen Arbeit = Kraft"


async def test_objects_that_hold_themselves_end_somewhere(read: Read) -> None:
    around = content("<text:p>Ring<draw:object xlink:href='../Object 1'/><draw:object xlink:href='.'/></text:p>")
    found = await read(document("<text:p>Text<draw:object xlink:href='./Object 1'/></text:p>", **{"Object 1_in_content__xml": around}))
    assert words(found) == "Text Ring"


async def test_a_spreadsheet_shows_what_its_cells_show_and_hold(read: Read) -> None:
    cells = (
        "<table:table-cell office:value-type='currency' office:value='1234.5'><text:p>1.234,50 €</text:p></table:table-cell>"
        "<table:table-cell office:value-type='date' office:date-value='2026-03-02'><text:p>2. März 2026</text:p></table:table-cell>"
        "<table:table-cell office:value-type='float' office:value='17'/>"
        "<table:table-cell office:value-type='float' office:value='9'><text:p>9</text:p></table:table-cell>"
        "<table:table-cell office:value-type='string'><office:annotation><text:p>prüfen</text:p></office:annotation><text:p>Zaun<text:s/>neu</text:p></table:table-cell>"
    )
    body = f"<table:table table:name='Haushalt'><table:table-row>{cells}</table:table-row></table:table><table:table table:name='Leer'/>"
    styles = masters(
        "<style:header><text:p><text:sheet-name>???</text:sheet-name></text:p></style:header><style:footer><text:p>Seite <text:page-number>1</text:page-number></text:p></style:footer>",
        "<style:header><style:region-left><text:p>Imkerei Vogel</text:p></style:region-left></style:header>",
        "<style:header><text:p>Abrechnung</text:p></style:header><style:footer><text:p>Seite <text:page-number/></text:p></style:footer>",
    )
    found = await read(document(body, content_types.ODS, styles__xml=styles))
    assert words(found) == "Imkerei Vogel Abrechnung Haushalt 1.234,50 € 1234.5 2. März 2026 2026-03-02 17 9 Zaun neu Leer prüfen"
    assert found.page_count is None


async def test_a_presentation_is_read_slide_by_slide_with_its_notes(read: Read) -> None:
    box = "<draw:frame><draw:text-box><text:p>{}</text:p></draw:text-box></draw:frame>"
    body = "<presentation:footer-decl presentation:name='f'>Chorverein</presentation:footer-decl>" + "".join(
        f"<draw:page>{box.format(title)}<draw:custom-shape><text:p>{title} Form</text:p></draw:custom-shape><presentation:notes>{box.format('Notiz ' + title)}</presentation:notes></draw:page>"
        for title in ("Alt", "Tenor")
    )
    found = await read(document(body, content_types.ODP))
    assert (found.content_type, found.page_count) == (content_types.ODP, 2)
    assert [" ".join(page.split()) for page in found.pages] == ["Chorverein Alt Alt Form Notiz Alt", "Tenor Tenor Form Notiz Tenor"]


_ENCRYPTED = '<manifest:file-entry manifest:full-path="{}"><manifest:encryption-data><manifest:algorithm manifest:algorithm-name="{}"/></manifest:encryption-data></manifest:file-entry>'


@pytest.mark.parametrize("content_type", [kind + suffix for kind in KINDS for suffix in ("", "-template")])
@pytest.mark.parametrize(
    "algorithm", ["http://www.w3.org/2001/04/xmlenc#aes256-cbc", "Blowfish CFB", "http://www.w3.org/2009/xmlenc11#aes256-gcm"]
)
async def test_an_encrypted_document_says_so(read: Read, content_type: str, algorithm: str) -> None:
    manifest = MANIFEST.format(_ENCRYPTED.format("content.xml", algorithm)).encode()
    with pytest.raises(DocumentEncrypted):
        await read(zipped({"mimetype": content_type.encode(), "content.xml": bytes(range(256)), "META-INF/manifest.xml": manifest}))


@pytest.mark.parametrize("content_type", KINDS)
async def test_a_document_encrypted_as_a_whole_says_so(read: Read, content_type: str) -> None:
    manifest = MANIFEST.format(_ENCRYPTED.format("encrypted-package", "aes256-gcm")).encode()
    with pytest.raises(DocumentEncrypted):
        await read(zipped({"mimetype": content_type.encode(), "encrypted-package": bytes(range(256)), "META-INF/manifest.xml": manifest}))


@pytest.mark.parametrize("part", [b"", b"<office:document-content", bytes(range(256)), b"<!DOCTYPE x [<!ENTITY a 'b'>]><x>&a;</x>"])
async def test_a_damaged_one_is_called_damaged(read: Read, part: bytes) -> None:
    with pytest.raises(DocumentCorrupt):
        await read(zipped({"mimetype": content_types.ODT.encode(), "content.xml": part}))


async def test_depth_and_width_without_end_do_no_harm(read: Read) -> None:
    deep = "<text:p>x" * 20_000 + "</text:p>" * 20_000
    wide = "<text:p><text:s text:c='999999999'/>y</text:p>" * 50_000
    for body in (deep, wide):
        found = await read(document(body))
        assert found.milliseconds["child_cpu"] < 10_000
        assert len(found.pages[0]) > 20_000
