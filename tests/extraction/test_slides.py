"""What a person sees of a presentation is read: shapes, tables, diagrams, charts, notes and comments, whatever its pictures are."""

import pytest

from shared.extraction import DocumentCorrupt, content_types
from tests.extraction.conftest import Read
from tests.extraction.made_documents import zipped
from tests.extraction.test_workbooks import DRAWN, RELATED, relationships

SPACES = f'xmlns:a="{DRAWN}/main" xmlns:p="http://schemas.openxmlformats.org/presentationml/2006/main" xmlns:r="{RELATED}"'


def paragraphs(*texts: str) -> str:
    return "".join(f"<a:p><a:r><a:t>{text}</a:t></a:r></a:p>" for text in texts)


def shape(*texts: str, placeholder: str = "") -> str:
    kind = f'<p:nvPr><p:ph type="{placeholder}"/></p:nvPr>' if placeholder else ""
    return f"<p:sp><p:nvSpPr>{kind}</p:nvSpPr><p:txBody>{paragraphs(*texts)}</p:txBody></p:sp>"


def slide(content: str, kind: str = "sld", attributes: str = "") -> bytes:
    return f"<p:{kind} {SPACES} {attributes}><p:cSld><p:spTree>{content}</p:spTree></p:cSld></p:{kind}>".encode()


def presentation(*slides: bytes, beside: dict[str, bytes] | None = None, order: tuple[int, ...] = ()) -> bytes:
    """These slides, shown in `order` (numbers from 1)."""
    ids = "".join(f'<p:sldId id="{255 + n}" r:id="r{n}"/>' for n in order or range(1, len(slides) + 1))
    targets = [("slide", f"slides/slide{n}.xml") for n in range(1, len(slides) + 1)]
    return zipped(
        {
            "[Content_Types].xml": b"<Types/>",
            "_rels/.rels": relationships(("officeDocument", "ppt/presentation.xml")),
            "ppt/presentation.xml": f"<p:presentation {SPACES}><p:sldIdLst>{ids}</p:sldIdLst></p:presentation>".encode(),
            "ppt/_rels/presentation.xml.rels": relationships(
                *targets, ("commentAuthors", "commentAuthors.xml"), ("authors", "authors.xml")
            ),
            **{f"ppt/slides/slide{n}.xml": content for n, content in enumerate(slides, 1)},
            **(beside or {}),
        }
    )


async def test_slides_are_pages_in_the_order_in_which_they_are_shown(read: Read) -> None:
    hidden = slide(shape("Kiesbank"), attributes='show="0"')
    found = await read(presentation(slide(shape("Fischtreppe")), hidden, order=(2, 1)), "a.ppsx")
    assert (found.content_type, found.pages, found.page_count) == (content_types.PPTX, ["Kiesbank", "Fischtreppe"], 2)


@pytest.mark.parametrize(
    "picture",
    [
        "",
        "<p:blipFill/>",
        "<p:blipFill><a:stretch/></p:blipFill>",
        "<p:blipFill><a:blip/></p:blipFill>",
        '<p:blipFill><a:blip r:embed=""/></p:blipFill>',
        '<p:blipFill><a:blip r:embed="r9"/></p:blipFill>',
        '<p:blipFill><a:blip r:link="r1"/></p:blipFill>',
        '<p:blipFill><a:blip r:embed="r2"/></p:blipFill>',
    ],
)
async def test_a_picture_that_is_not_there_harms_nothing(read: Read, picture: str) -> None:
    links = relationships(("image", "file:///C:/Bilder/a.png"), ("image", "../media/missing.png"))
    links = links.replace(b'a.png"', b'a.png" TargetMode="External"')
    pictured = slide(
        shape("Blaskapelle") + f'<p:pic><p:nvPicPr><p:cNvPr id="4" name="Bild" descr="image.png"/></p:nvPicPr>{picture}</p:pic>'
    )
    found = await read(presentation(pictured, beside={"ppt/slides/_rels/slide1.xml.rels": links}))
    assert found.pages == ["Blaskapelle"]
    assert not found.warnings


async def test_runs_join_and_breaks_fields_groups_and_cells_part(read: Read) -> None:
    runs = "<a:p><a:r><a:t>Proben</a:t></a:r><a:r><a:rPr/><a:t>wochenende</a:t></a:r><a:br/><a:r><a:t>Kloster</a:t></a:r>"
    runs += '<a:fld type="datetime1"><a:t> 3.7.2024</a:t></a:fld></a:p>'
    group = f"<p:grpSp><p:grpSp><p:sp><p:txBody>{runs}</p:txBody></p:sp></p:grpSp>{shape('Hopfenfest')}</p:grpSp>"
    cells = "".join(f"<a:tc><a:txBody>{paragraphs(*texts)}</a:txBody></a:tc>" for texts in (("Kassen-", "dienst"), ("Holzwurm",)))
    table = f"<p:graphicFrame><a:graphic><a:graphicData><a:tbl><a:tr>{cells}</a:tr><a:tr>{cells}</a:tr></a:tbl></a:graphicData></a:graphic>"
    found = await read(presentation(slide(f"{group}{table}</p:graphicFrame>")))
    rows = "Kassen- dienst\tHolzwurm\nKassen- dienst\tHolzwurm"
    assert found.pages == [f"Probenwochenende\nKloster 3.7.2024\n\nHopfenfest\n\n{rows}"]


async def test_of_alternatives_one_is_read(read: Read) -> None:
    choice = f"<mc:Choice Requires='p14'>{shape('Prallwand')}</mc:Choice><mc:Fallback>{shape('Prallwand')}</mc:Fallback>"
    space = "http://schemas.openxmlformats.org/markup-compatibility/2006"
    found = await read(presentation(slide(f'<mc:AlternateContent xmlns:mc="{space}">{choice}</mc:AlternateContent>')))
    assert found.pages == ["Prallwand"]


async def test_diagrams_charts_notes_and_comments_are_read(read: Read) -> None:
    points = "".join(f"<d:pt><d:t>{paragraphs(text)}</d:t></d:pt>" for text in ("Antrag", "Prüfung"))
    chart = (
        f'<c:chartSpace xmlns:c="{DRAWN}/chart" xmlns:a="{DRAWN}/main"><c:title>{paragraphs("Ernte")}</c:title><c:ser><c:cat><c:strCache>'
    )
    chart += "<c:pt><c:v>Birnen</c:v></c:pt></c:strCache></c:cat><c:val><c:numCache><c:pt><c:v>12</c:v></c:pt></c:numCache></c:val></c:ser>"
    thread = f'<q:cmLst xmlns:q="q" xmlns:a="{DRAWN}/main"><q:cm authorId="K"><q:replyLst><q:reply authorId="K"><q:txBody>'
    thread += (
        f"{paragraphs('Erledigt')}</q:txBody></q:reply></q:replyLst><q:txBody>{paragraphs('Bitte kürzen')}</q:txBody></q:cm></q:cmLst>"
    )
    beside = {
        "ppt/slides/_rels/slide1.xml.rels": relationships(
            ("diagramData", "../diagrams/data1.xml"), ("chart", "../charts/chart1.xml"), ("notesSlide", "../notesSlides/notes1.xml"),
            ("comments", "../comments/c1.xml"), ("comments", "../comments/c2.xml"),
        ),
        "ppt/diagrams/data1.xml": f'<d:dataModel xmlns:d="{DRAWN}/diagram" xmlns:a="{DRAWN}/main">{points}</d:dataModel>'.encode(),
        "ppt/charts/chart1.xml": f"{chart}</c:chartSpace>".encode(),
        "ppt/notesSlides/notes1.xml": slide(shape("Streichelzoo", placeholder="body") + shape("1", placeholder="sldNum"), "notes"),
        "ppt/comments/c1.xml": f'<p:cmLst {SPACES}><p:cm authorId="0"><p:text>Logo fehlt</p:text></p:cm></p:cmLst>'.encode(),
        "ppt/comments/c2.xml": thread.encode(),
        "ppt/commentAuthors.xml": f'<p:cmAuthorLst {SPACES}><p:cmAuthor id="0" name="Frau Kranich"/></p:cmAuthorLst>'.encode(),
        "ppt/authors.xml": b'<q:authorLst xmlns:q="q"><q:author id="K" name="Herr Storch"/></q:authorLst>',
    }  # fmt: skip
    (page,) = (await read(presentation(slide(shape("Titel")), beside=beside))).pages
    parts = page.split("\n\n")
    assert parts[:4] == ["Titel", "Antrag\nPrüfung", "Ernte\nBirnen\t12", "Streichelzoo"]
    assert "Frau Kranich: Logo fehlt" in page
    assert "Herr Storch: Erledigt" in page
    assert "Bitte kürzen" in page


async def test_charts_of_newer_programs_are_read(read: Read) -> None:
    data = '<x:data><x:strDim><x:lvl><x:pt idx="0">Kartoffeln</x:pt></x:lvl></x:strDim><x:numDim><x:lvl formatCode="0.00">'
    data += '<x:pt idx="0">3.5</x:pt></x:lvl></x:numDim></x:data>'
    series = "<x:series><x:tx><x:txData><x:v>Ertrag</x:v></x:txData></x:tx></x:series>"
    title = "<x:title><x:tx><x:txData><x:v>Gemüse</x:v></x:txData></x:tx></x:title>"
    chart = f'<x:chartSpace xmlns:x="x"><x:chartData>{data}</x:chartData><x:chart>{title}{series}</x:chart></x:chartSpace>'
    beside = {
        "ppt/slides/_rels/slide1.xml.rels": relationships(("chartEx", "../charts/chartEx1.xml")),
        "ppt/charts/chartEx1.xml": chart.encode(),
    }
    found = await read(presentation(slide(""), beside=beside))
    assert found.pages == ["Gemüse\nKartoffeln\t3,50 = 3.5\nErtrag"]


async def test_what_a_layout_draws_is_read_once_and_its_instructions_are_not(read: Read) -> None:
    link = relationships(("slideLayout", "../slideLayouts/slideLayout1.xml"))
    beside = {
        "ppt/slides/_rels/slide1.xml.rels": link,
        "ppt/slides/_rels/slide2.xml.rels": link,
        "ppt/slideLayouts/slideLayout1.xml": slide(shape("Click to edit", placeholder="title") + shape("Brightwater Ltd"), "sldLayout"),
    }
    found = await read(presentation(slide(shape("One")), slide(shape("Two")), beside=beside))
    assert found.pages == ["One\n\nBrightwater Ltd", "Two"]


async def test_a_damaged_slide_costs_only_itself(read: Read) -> None:
    found = await read(presentation(slide(shape("One")), b"<p:sld", slide(shape("Three"))))
    assert (found.pages, found.page_count) == (["One", "", "Three"], 3)
    assert [warning.code for warning in found.warnings] == ["page_unreadable"]


async def test_a_presentation_without_slides_is_no_damage(read: Read) -> None:
    assert (await read(presentation())).pages == [""]


@pytest.mark.parametrize("content", [b"", b"<p:sld", b'<!DOCTYPE p [<!ENTITY a "a">]><p><t>&a;</t></p>'])
async def test_a_presentation_of_which_nothing_can_be_read_is_damaged(read: Read, content: bytes) -> None:
    with pytest.raises(DocumentCorrupt):
        await read(presentation(content))
    with pytest.raises(DocumentCorrupt):
        await read(presentation(beside={"ppt/presentation.xml": content}))
