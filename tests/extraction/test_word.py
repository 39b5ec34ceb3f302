# ruff: noqa: E501 (markup)
"""Word documents: everything a person sees on the paper is read, words stay apart and sentences whole."""

from collections.abc import Callable
from email.message import EmailMessage
from typing import Any

import pytest

from shared.extraction import DocumentCorrupt, Extraction, content_types
from tests.extraction.conftest import Read
from tests.extraction.made_documents import docx, paragraph, zipped
from tests.extraction.papers_cases import CASES, cases_of

W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
STRICT_W = "http://purl.oclc.org/ooxml/wordprocessingml/main"
R = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
MC = "http://schemas.openxmlformats.org/markup-compatibility/2006"
A = "http://schemas.openxmlformats.org/drawingml/2006/main"
C = "http://schemas.openxmlformats.org/drawingml/2006/chart"
DGM = "http://schemas.openxmlformats.org/drawingml/2006/diagram"
DECLARED = (
    f'xmlns:w="{W}" xmlns:r="{R}" xmlns:mc="{MC}" xmlns:a="{A}" xmlns:c="{C}" xmlns:dgm="{DGM}" xmlns:v="urn:schemas-microsoft-com:vml"'
)


def words(extraction: Extraction) -> str:
    return " ".join(" ".join(extraction.pages).split())


def run(content: str) -> str:
    return f"<w:r>{content}</w:r>"


def text(content: str) -> str:
    return f'<w:t xml:space="preserve">{content}</w:t>'


def said(content: str) -> str:
    return run(text(content))


def part(root: str, content: str) -> bytes:
    return f'<?xml version="1.0"?><w:{root} {DECLARED}>{content}</w:{root}>'.encode()


def relations(*targets: tuple[str, str, str]) -> bytes:
    lines = "".join(f'<Relationship Id="{identifier}" Type="{R}/{kind}" Target="{target}"/>' for identifier, kind, target in targets)
    return f'<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">{lines}</Relationships>'.encode()


def document(body: str, *targets: tuple[str, str, str], **more: bytes) -> bytes:
    """A Word document of this body; `targets` are what it refers to, `more` parts lie in word/ ("_" stands for "/")."""
    parts = {f"word/{name.replace('__', '/')}": content for name, content in more.items()}
    return zipped(
        {
            "[Content_Types].xml": b"<Types/>",
            "_rels/.rels": relations(("r1", "officeDocument", "word/document.xml")),
            "word/document.xml": part("document", f"<w:body>{body}</w:body>"),
            "word/_rels/document.xml.rels": relations(*targets),
            **parts,
        }
    )


@pytest.mark.parametrize("case", cases_of("B"), ids=lambda case: case["file"] if case else "none")
async def test_the_awkward_word_documents_are_read(read: Read, case: dict[str, Any] | None) -> None:
    if case is None:
        pytest.skip("the awkward papers are not beside the repository")
    found = words(await read((CASES / case["file"]).read_bytes(), case["file"]))
    for query in case["found"]:
        assert query.strip('"') in found
    for query in case["not_found"]:
        assert query not in found


@pytest.mark.parametrize(
    "between",
    [
        "<w:tab/>",
        '<w:ptab w:relativeTo="margin" w:alignment="right" w:leader="dot"/>',
        "<w:cr/>",
        "<w:br/>",
        '<w:br w:type="textWrapping" w:clear="all"/>',
        '<w:br w:type="column"/>',
        '<w:br w:type="page"/>',
        '<w:sym w:font="Wingdings" w:char="F0E0"/>',
    ],
)
@pytest.mark.parametrize(
    "shape", ["{0}{2}{1}", "{0}</w:r><w:r>{2}</w:r><w:r>{1}", "{0}</w:r><w:ins w:id='1'><w:r>{2}{1}</w:r></w:ins><w:r>"]
)
async def test_what_moves_on_keeps_words_apart(read: Read, between: str, shape: str) -> None:
    found = await read(document(f"<w:p><w:r>{shape.format(text('Ahornblatt'), text('Birkenrinde'), between)}</w:r></w:p>"))
    assert words(found).replace("→ ", "").replace("→", " ") == "Ahornblatt Birkenrinde"


async def test_where_tabulators_stop_is_no_text(read: Read) -> None:
    stops = '<w:pPr><w:tabs><w:tab w:val="left" w:pos="720"/><w:tab w:val="right" w:pos="9000"/></w:tabs></w:pPr>'
    assert (await read(document(f"<w:p>{stops}{said('Ein')}{said('satz')}</w:p>"))).pages == ["Einsatz"]


async def test_hyphens_are_read_as_they_are_typed(read: Read) -> None:
    body = f"<w:p>{run(text('E') + '<w:noBreakHyphen/>' + text('Mail'))}{said(' S‑Bahn ')}{run(text('Ver') + '<w:softHyphen/>' + text('ein'))}</w:p>"
    assert (await read(document(body))).pages == ["E-Mail S-Bahn Verein"]


@pytest.mark.parametrize("prefix", ["w", "ns0", ""])
@pytest.mark.parametrize("namespace", [W, STRICT_W])
async def test_any_prefix_and_the_strict_namespace_are_understood(read: Read, prefix: str, namespace: str) -> None:
    p = f"{prefix}:" if prefix else ""
    declared = f'xmlns:{prefix}="{namespace}"' if prefix else f'xmlns="{namespace}"'
    body = f"<{p}p><{p}r><{p}t>Quitte</{p}t><{p}tab/><{p}t>Mispel</{p}t></{p}r></{p}p>"
    xml = f"<{p}document {declared}><{p}body>{body}</{p}body></{p}document>"
    assert words(await read(zipped({"[Content_Types].xml": b"<Types/>", "word/document.xml": xml.encode()}))) == "Quitte Mispel"


@pytest.mark.parametrize("kind", ["footnote", "endnote"])
@pytest.mark.parametrize("first", [0, 1, 2])
async def test_every_note_is_read_from_the_first_on(read: Read, kind: str, first: int) -> None:
    mark = "".join(
        f"{run(text(word))}<w:r><w:{kind}Reference w:id='{first + n}'/></w:r>" for n, word in enumerate(("Der Damm", " am Wehr"))
    )
    notes = f"<w:{kind} w:type='separator' w:id='-1'><w:p>{run('<w:separator/>')}</w:p></w:{kind}>"
    notes += "".join(
        f"<w:{kind} w:id='{first + n}'><w:p>{run(f'<w:{kind}Ref/>')}{run(text(word))}</w:p></w:{kind}>"
        for n, word in enumerate(("Laut Deichgraf.", "Siehe Chronik."))
    )
    found = await read(document(f"<w:p>{mark}</w:p>", ("n", f"{kind}s", f"{kind}s.xml"), **{f"{kind}s.xml": part(f"{kind}s", notes)}))
    assert found.pages == ["Der Damm am Wehr\n\nLaut Deichgraf.\n\nSiehe Chronik."]


async def test_a_note_stands_on_the_page_that_refers_to_it(read: Read) -> None:
    body = (
        f"""<w:p>{run(text("Erste") + '<w:footnoteReference w:id="1"/>')}</w:p><w:p>{run('<w:br w:type="page"/>' + text("Zweite"))}</w:p>"""
    )
    notes = part("footnotes", f"<w:footnote w:id='1'><w:p>{said('Fuss')}</w:p></w:footnote>")
    found = await read(document(body, ("n", "footnotes", "footnotes.xml"), **{"footnotes.xml": notes}))
    assert (found.pages, found.page_count) == (["Erste\n\nFuss", "Zweite"], 2)


@pytest.mark.parametrize("name", ["comments.xml", "anmerkungen7.xml"])
async def test_comments_are_read_and_leave_their_sentence_whole(read: Read, name: str) -> None:
    body = (
        f"<w:p>{said('Die Pacht ')}<w:commentRangeStart w:id='4'/>{said('steigt')}<w:commentRangeEnd w:id='4'/>"
        f"""{run('<w:commentReference w:id="4"/>')}{said(" im Mai.")}</w:p>"""
    )
    comments = f"<w:comment w:id='4' w:author='Frau Ulrich'><w:p>{said('Mit dem Amt')}</w:p><w:p>{said('klären')}</w:p></w:comment>"
    found = words(await read(document(body, ("c", "comments", name), **{name: part("comments", comments)})))
    assert found == "Die Pacht steigt im Mai. Frau Ulrich: Mit dem Amt klären"


async def test_a_text_box_is_read_once_and_beside_its_sentence(read: Read) -> None:
    box = f"<w:txbxContent>{'{}'}</w:txbxContent>".format(f"<w:p>{said('Achtung')}</w:p><w:p>{said('Hochspannung')}</w:p>")
    alternatives = f"<mc:AlternateContent><mc:Choice Requires='wps'><w:drawing>{box}</w:drawing></mc:Choice>"
    alternatives += f"<mc:Fallback><w:pict><v:shape><v:textbox>{box}</v:textbox></v:shape></w:pict></mc:Fallback></mc:AlternateContent>"
    found = words(await read(document(f"<w:p>{said('Das Haus ')}{run(alternatives)}{said('am See')}</w:p>")))
    assert found == "Das Haus am See Achtung Hochspannung"


async def test_what_only_older_programs_can_read_is_read(read: Read) -> None:
    fallback = f"<w:pict><v:textbox><w:txbxContent><w:p>{said('Trafohaus')}</w:p></w:txbxContent></v:textbox></w:pict>"
    content = f"<mc:AlternateContent><mc:Choice Requires='wpx'><w:drawing/></mc:Choice><mc:Fallback>{fallback}</mc:Fallback></mc:AlternateContent>"
    assert words(await read(document(f"<w:p>{run(content)}</w:p>"))) == "Trafohaus"


async def test_tracked_insertions_are_read_and_deletions_are_not(read: Read) -> None:
    body = (
        f"<w:p>{said('Treff ')}<w:ins w:id='1'>{said('freitags ')}<w:del w:id='2'><w:r><w:delText>sonntags </w:delText></w:r></w:del></w:ins>"
        f"<w:moveFrom w:id='3'>{said('im Keller ')}</w:moveFrom>{said('zur Probe ')}<w:moveTo w:id='4'>{said('im Keller')}</w:moveTo></w:p>"
        f"<w:p><w:pPr><w:rPr><w:del w:id='5'/></w:rPr></w:pPr>{said('bleibt')}</w:p>"
        f"<w:tbl><w:tr><w:trPr><w:del w:id='6'/></w:trPr><w:tc><w:p>{said('Hufschmied')}</w:p></w:tc></w:tr>"
        f"<w:tr><w:tc><w:p>{said('Sattler')}</w:p></w:tc></w:tr></w:tbl>"
    )
    assert words(await read(document(body))) == "Treff freitags zur Probe im Keller bleibt Sattler"


async def test_the_result_of_a_field_is_read_and_its_code_is_not(read: Read) -> None:
    def mark(kind: str) -> str:
        return run(f'<w:fldChar w:fldCharType="{kind}"/>')

    inner = mark("begin") + run("<w:instrText>MERGEFIELD x</w:instrText>") + mark("separate") + run(text("geheim")) + mark("end")
    outer = mark("begin") + run("<w:instrText>IF </w:instrText>") + inner + mark("separate") + run(text("Herr Moll")) + mark("end")
    simple = f'<w:fldSimple w:instr="PAGE">{run(text("7"))}</w:fldSimple>'
    found = words(await read(document(f"<w:p>{outer}{said(' Seite ')}{simple}</w:p><w:p>{mark('begin')}</w:p><w:p>{said('Ende')}</w:p>")))
    assert found == "Herr Moll Seite 7 Ende"


async def test_the_choice_of_a_drop_down_list_and_what_a_picture_shows_are_read(read: Read) -> None:
    choices = "<w:ffData><w:ddList><w:default w:val='0'/><w:result w:val='1'/><w:listEntry w:val='rot'/><w:listEntry w:val='blau'/></w:ddList></w:ffData>"
    field = run(f"<w:fldChar w:fldCharType='begin'>{choices}</w:fldChar>") + run("<w:instrText>FORMDROPDOWN</w:instrText>")
    drawing = "http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing"
    picture = run(f"<w:drawing><wp:inline xmlns:wp='{drawing}'><wp:docPr id='1' name='Bild 1' descr='Ein Reiher'/></wp:inline></w:drawing>")
    body = f"<w:p>{said('Farbe ')}{field}{run('<w:fldChar w:fldCharType=' + chr(39) + 'end' + chr(39) + '/>')}{picture}{said(' und Form')}</w:p>"
    assert words(await read(document(body))) == "Farbe blau und Form Ein Reiher"


async def test_text_in_a_drawing_is_read(read: Read) -> None:
    shape = "<a:txBody><a:p><a:r><a:t>Ost</a:t></a:r><a:r><a:t>tor</a:t></a:r></a:p><a:p><a:r><a:t>West</a:t></a:r></a:p></a:txBody>"
    assert words(await read(document(f"<w:p>{said('Plan')}{run(f'<w:drawing>{shape}</w:drawing>')}</w:p>"))) == "Plan Osttor West"


async def test_links_controls_and_other_wrappings_are_looked_into(read: Read) -> None:
    body = (
        f"<w:sdt><w:sdtPr><w:alias w:val='nein'/></w:sdtPr><w:sdtContent><w:p><w:hyperlink r:id='x'>{said('Uferweg')}</w:hyperlink>"
        f"<w:smartTag w:element='ort'>{said(' Köln')}</w:smartTag><w:customXml>{said(' Rhein')}</w:customXml>"
        f"<w:bdo w:val='ltr'>{said(' Mole')}</w:bdo></w:p></w:sdtContent></w:sdt>"
    )
    assert words(await read(document(body))) == "Uferweg Köln Rhein Mole"


async def test_tables_in_tables_keep_every_cell_apart(read: Read) -> None:
    def cell(content: str) -> str:
        return f"<w:tc><w:tcPr/>{content}</w:tc>"

    def one(content: str) -> str:
        return f"<w:p>{run(text(content))}</w:p>"

    inner = f"<w:tbl><w:tr>{cell(one('Horn'))}{cell(one('Tuba') + one('Bass'))}</w:tr></w:tbl><w:p/>"
    body = f"<w:tbl><w:tr>{cell(one('Gruppe'))}{cell(inner)}</w:tr><w:tr>{cell(one('Raum'))}{cell(one('Turm'))}</w:tr></w:tbl>{one('Ende')}"
    assert (await read(document(body))).pages == ["Gruppe\tHorn\tTuba Bass\nRaum\tTurm\n\nEnde"]


async def test_charts_are_read_with_their_labels_and_values(read: Read) -> None:
    chart = (
        f'<c:chartSpace xmlns:c="{C}" xmlns:a="{A}"><c:title><c:tx><c:rich><a:p><a:r><a:t>Ern</a:t></a:r><a:r><a:t>te</a:t></a:r></a:p></c:rich></c:tx></c:title>'
        "<c:ser><c:tx><c:strRef><c:f>Tabelle1!A1</c:f><c:strCache><c:pt idx='0'><c:v>Roggen</c:v></c:pt></c:strCache></c:strRef></c:tx>"
        "<c:cat><c:strCache><c:pt><c:v>Mai</c:v></c:pt><c:pt><c:v>Juni</c:v></c:pt></c:strCache></c:cat>"
        "<c:val><c:numCache><c:formatCode>General</c:formatCode><c:pt><c:v>17.5</c:v></c:pt><c:pt><c:v>23</c:v></c:pt></c:numCache></c:val></c:ser></c:chartSpace>"
    )
    body = f"""<w:p>{said("Bericht")}{run('<w:drawing><a:graphic><a:graphicData><c:chart r:id="k"/></a:graphicData></a:graphic></w:drawing>')}</w:p>"""
    found = words(await read(document(body, ("k", "chart", "charts/chart1.xml"), **{"charts__chart1.xml": chart.encode()})))
    assert found == "Bericht Ernte Roggen Mai Juni 17.5 23"


async def test_smart_art_is_read(read: Read) -> None:
    data = f'<dgm:dataModel xmlns:dgm="{DGM}" xmlns:a="{A}"><dgm:ptLst>' + "".join(
        f"<dgm:pt><dgm:t><a:bodyPr/><a:p><a:r><a:t>{word}</a:t></a:r></a:p></dgm:t></dgm:pt>" for word in ("Vorstand", "Kassenwart")
    )
    body = f"""<w:p>{run('<w:drawing><dgm:relIds r:dm="d" r:lo="l"/></w:drawing>')}</w:p>"""
    found = await read(
        document(
            body,
            ("d", "diagramData", "/word/diagrams/data1.xml"),
            **{"diagrams__data1.xml": f"{data}</dgm:ptLst></dgm:dataModel>".encode()},
        )
    )
    assert words(found) == "Vorstand Kassenwart"


def _web_archive() -> bytes:
    mail = EmailMessage()
    mail["From"], mail["Subject"] = "Microsoft Word", "x"
    mail.set_content("<p>Rübe <b>Kohl</b></p>", subtype="html")
    return mail.as_bytes()


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("chunk.html", lambda: "<html><body><p>Rübe <b>Kohl</b></p></body></html>".encode()),
        ("chunk.htm", lambda: "<p>Rübe <b>Kohl</b></p>".encode()),
        ("chunk.txt", lambda: "Rübe Kohl".encode()),
        ("chunk.rtf", lambda: rb"{\rtf1\ansi\ansicpg1252 R\'fcbe {\b Kohl}\par}"),
        ("chunk.docx", lambda: docx(paragraph("Rübe Kohl"))),
        ("chunk.mht", _web_archive),
    ],
)
async def test_a_document_inside_is_read_where_it_stands(read: Read, name: str, make: Callable[[], bytes]) -> None:
    body = f"<w:p>{said('Vorher')}</w:p><w:altChunk r:id='a'/><w:p>{said('Nachher')}</w:p>"
    assert words(await read(document(body, ("a", "aFChunk", name), **{name: make()}))) == "Vorher Rübe Kohl Nachher"


async def test_documents_in_documents_end_somewhere(read: Read) -> None:
    inner = docx(paragraph("Kern"))
    for depth in range(8):
        inner = document(f"<w:p>{run(text(f'Schale{depth}'))}</w:p><w:altChunk r:id='a'/>", ("a", "aFChunk", "a.docx"), **{"a.docx": inner})
    found = await read(inner)
    assert words(found) == "Schale7 Schale6 Schale5 Schale4"
    assert [warning.code for warning in found.warnings] == []


async def test_formulas_symbols_and_word_art_are_read(read: Read) -> None:
    math = "http://schemas.openxmlformats.org/officeDocument/2006/math"
    formula = f'<m:oMath xmlns:m="{math}"><m:f><m:num><m:r><m:t>Zähler</m:t></m:r></m:num><m:den><m:r><m:t>Nenner</m:t></m:r></m:den></m:f></m:oMath>'
    art = '<w:pict><v:shape><v:textpath string="ENTWURF"/></v:shape></w:pict>'
    symbols = '<w:sym w:font="Symbol" w:char="F061"/><w:sym w:font="Calibri" w:char="00BD"/>'
    assert words(await read(document(f"<w:p>{formula}{run(symbols)}{run(art)}</w:p>"))) == "Zähler Nenner α½ ENTWURF"


async def test_each_different_page_header_is_read_once(read: Read) -> None:
    header = part("hdr", f"<w:p>{run(text('Verein') + '<w:tab/>' + text('Erlengrund'))}</w:p>")
    found = await read(
        document(
            f"<w:p>{said('Brief')}</w:p>",
            ("h1", "header", "header1.xml"), ("h2", "header", "header2.xml"), ("f", "footer", "fuss.xml"),
            **{"header1.xml": header, "header2.xml": header, "fuss.xml": part("ftr", f"<w:p>{said('Konto')}</w:p>")},
        )
    )  # fmt: skip
    assert found.pages == ["Verein\tErlengrund\n\nBrief\n\nKonto"]


async def test_a_page_ends_where_the_break_stands(read: Read) -> None:
    body = (
        f"""<w:p>{run(text("Eins") + '<w:br w:type="page"/>' + text("Zwei"))}{said(" und weiter")}</w:p>"""
        f"<w:p><w:pPr><w:pageBreakBefore/></w:pPr>{said('Drei')}</w:p><w:p><w:pPr><w:pageBreakBefore w:val='0'/></w:pPr>{said('noch drei')}</w:p>"
        f"""<w:p>{run('<w:br w:type="page"/>')}</w:p>"""
    )
    found = await read(document(body))
    assert (found.pages, found.page_count) == (["Eins", "Zwei und weiter", "Drei\n\nnoch drei"], 3)


@pytest.mark.parametrize("name", ["a.docm", "a.dotx", "a.dotm", "a.docx"])
@pytest.mark.parametrize("main", ["word/document.xml", "word/document2.xml"])
async def test_templates_and_documents_with_macros_are_read(read: Read, name: str, main: str) -> None:
    parts = {
        "[Content_Types].xml": b'<Types><Override ContentType="application/vnd.ms-word.document.macroEnabled.main+xml"/></Types>',
        "_rels/.rels": relations(("r1", "officeDocument", f"/{main}")),
        main: part("document", f"<w:body><w:p>{said('Vorlage')}</w:p></w:body>"),
        "word/vbaProject.bin": b"\xd0\xcf\x11\xe0",
    }
    found = await read(zipped(parts), name)
    assert (found.content_type, found.pages) == (content_types.DOCX, ["Vorlage"])


async def test_a_damaged_part_costs_that_part_and_the_main_one_the_document(read: Read) -> None:
    good = f"<w:p>{said('Brief')}</w:p>"
    found = await read(document(good, ("c", "comments", "comments.xml"), **{"comments.xml": b"<w:comments"}))
    assert (found.pages, [warning.code for warning in found.warnings]) == (["Brief"], ["part_unreadable"])
    with pytest.raises(DocumentCorrupt):
        await read(docx(b"<w:p>"))


async def test_what_is_referred_to_a_thousand_times_is_read_once(read: Read) -> None:
    references = run('<w:footnoteReference w:id="1"/>' * 1000)
    body = f"<w:p>{references}</w:p>" + "<w:altChunk r:id='a'/>" * 1000
    notes = part("footnotes", f"<w:footnote w:id='1'><w:p>{run(text('n' * 100_000))}</w:p></w:footnote>")
    targets = (("n", "footnotes", "footnotes.xml"), ("a", "aFChunk", "a.txt"))
    found = await read(document(body, *targets, **{"footnotes.xml": notes, "a.txt": b"c" * 100_000}))
    assert len(found.pages[0]) < 210_000


@pytest.mark.parametrize(
    ("declared", "name", "accepted"),
    [
        ("application/vnd.ms-word.document.macroEnabled.12", "a.docm", content_types.DOCX),
        ("application/vnd.ms-word.template.macroEnabled.12", "a.dotm", content_types.DOCX),
        ("application/vnd.openxmlformats-officedocument.wordprocessingml.template", "a.dotx", content_types.DOCX),
        ("application/octet-stream", "a.dotx", content_types.DOCX),
        ("application/vnd.oasis.opendocument.text-template", "a.ott", content_types.ODT),
        ("application/vnd.oasis.opendocument.presentation", "a.odp", content_types.ODP),
        ("", "a.odp", content_types.ODP),
    ],
)
def test_what_is_read_is_accepted_for_upload(declared: str, name: str, accepted: str) -> None:
    from shared.documents.uploads import accepted_type

    assert accepted_type(declared, name) == accepted
