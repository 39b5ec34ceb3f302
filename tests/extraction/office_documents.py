# ruff: noqa: E501 (documents made by hand, a part a line)
"""Papers written by LibreOffice, if it is on this machine, in every format it writes: the same texts, tables and slides in each.

    for paper in office_documents.papers(each=2): ...

A source is a flat OpenDocument file (ODF 1.3, part 3, section 3.1.2) with words in its different places; `soffice --convert-to` makes the rest of it. Which places a
format has is told by `_LOST`, from what LibreOffice 7.4 and 24.2 write.
"""

import random
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.extraction.generated_documents import Paper, words_of

_NAMES = " ".join(
    f'xmlns:{prefix}="{urn}"'
    for prefix, urn in {
        **{
            name: f"urn:oasis:names:tc:opendocument:xmlns:{path}:1.0"
            for name, path in {"office": "office", "text": "text", "table": "table", "draw": "drawing", "style": "style", "number": "datastyle", "presentation": "presentation", "fo": "xsl-fo-compatible", "svg": "svg-compatible"}.items()
        },
        "dc": "http://purl.org/dc/elements/1.1/",
        "xlink": "http://www.w3.org/1999/xlink",
    }.items()
)  # fmt: skip

FORMATS = {
    "writer": {
        "docx": "B",
        "doc": "K",
        "odt": "C",
        "fodt": "C",
        "rtf": "H",
        "pdf": "E",
        "html": "F",
        "epub": "K",
        "dotx": "K",
        "docm": "K",
    },
    "calc": {"xlsx": "G", "xls": "K", "ods": "C", "fods": "C", "pdf": "E", "xlsm": "K", "html": "F"},
    "impress": {"pptx": "D", "ppt": "K", "odp": "C", "fodp": "C", "pdf": "E", "ppsx": "K"},
}
"""The formats that are made of each source, and the kind of paper each belongs to."""

_LOST = {
    "writer": {"pdf": {"comment"}, "html": {"comment", "header", "footer", "box"}, "epub": {"comment", "header", "footer", "box", "note"}},
    "calc": {"pdf": {"comment"}, "fods": {"comment"}, "html": {"comment", "header"}},
    "impress": {"pdf": {"notes"}},
}
"""What LibreOffice itself leaves out of a format."""


def papers(each: int = 2) -> Iterator[Paper]:
    """`each` sources of every application in all their formats; none without LibreOffice."""
    program = shutil.which("soffice")
    if program is None:
        return
    with tempfile.TemporaryDirectory(prefix="docuvault-office-") as name:
        folder = Path(name)
        for application, make in _MAKERS.items():
            yield from _of_application(program, folder, application, make, each)


def _of_application(program: str, folder: Path, application: str, make: "_Make", each: int) -> Iterator[Paper]:
    extension = {"writer": "fodt", "calc": "fods", "impress": "fodp"}[application]
    places: dict[Path, dict[str, str]] = {}
    for number in range(each):
        source = folder / f"{application}-{number}.{extension}"
        places[source] = _places(application, number)
        source.write_text(make(places[source], number), encoding="utf-8")
    for format, kind in FORMATS[application].items():
        out = folder / f"{application}-{format}"
        _convert(program, folder, [*places], format, out)
        for source, words in places.items():
            made = out / f"{source.stem}.{format}"
            lost = _LOST[application].get(format, set())
            if made.is_file():
                wanted = tuple(word for place, word in words.items() if place not in lost)
                yield Paper(f"{kind} {format}", f"{made.stem}-office.{format}", made.read_bytes(), wanted)


def _convert(program: str, folder: Path, sources: list[Path], format: str, out: Path) -> None:
    profile = f"-env:UserInstallation=file://{folder}/profile"
    command = [program, profile, "--headless", "--norestore", "--convert-to", format, "--outdir", str(out), *map(str, sources)]
    subprocess.run(command, check=False, capture_output=True, timeout=300)


def _places(application: str, number: int) -> dict[str, str]:
    names = {
        "writer": ("heading", "bold", "link", "item", "cell", "other cell", "box", "note", "comment", "header", "footer", "after tab"),
        "calc": ("cell", "other cell", "second sheet", "comment", "header"),
        "impress": ("title", "body", "second title", "second body", "notes"),
    }[application]
    return dict(zip(names, words_of(f"office {application} {number}", len(names)), strict=True))


def _text(words: dict[str, str], number: int) -> str:
    w = words
    comment = f"<office:annotation><dc:creator>Anna</dc:creator><dc:date>2026-03-02T09:30:00</dc:date><text:p>Bitte {w['comment']} klären</text:p></office:annotation>"
    box = f'<draw:frame draw:name="Rahmen" text:anchor-type="paragraph" svg:width="6cm" svg:height="2cm" svg:x="9cm" svg:y="1cm"><draw:text-box><text:p>Achtung: {w["box"]}</text:p></draw:text-box></draw:frame>'
    note = f'<text:note text:id="n1" text:note-class="footnote"><text:note-citation>1</text:note-citation><text:note-body><text:p>Siehe {w["note"]}</text:p></text:note-body></text:note>'
    paragraphs = [
        f'<text:p>Im Schreiben steht <text:span text:style-name="fett">{w["bold"]}</text:span> und<text:tab/>{w["after tab"]} am Rand{note}.</text:p>',
        f'<text:p>Dazu gehört <text:a xlink:type="simple" xlink:href="https://example.org/">{w["link"]}</text:a> mit Anlage{comment}.</text:p>',
        f"<text:list><text:list-item><text:p>Punkt {w['item']}</text:p></text:list-item></text:list>",
        f'<table:table table:name="Tafel"><table:table-column table:number-columns-repeated="2"/><table:table-row><table:table-cell><text:p>{w["cell"]}</text:p></table:table-cell><table:table-cell><text:p>{w["other cell"]}</text:p></table:table-cell></table:table-row></table:table>',
        f"<text:p>{box}Am Ende stehen die besten Grüße aus der Verwaltung.</text:p>",
    ]
    random.Random(number).shuffle(paragraphs)
    styles = '<office:styles><style:style style:name="Standard" style:family="paragraph"/></office:styles>'
    automatic = '<office:automatic-styles><style:style style:name="fett" style:family="text"><style:text-properties fo:font-weight="bold"/></style:style><style:page-layout style:name="pm1"><style:page-layout-properties fo:page-width="21cm" fo:page-height="29.7cm" fo:margin="2cm"/><style:header-style/><style:footer-style/></style:page-layout></office:automatic-styles>'
    master = f'<office:master-styles><style:master-page style:name="Standard" style:page-layout-name="pm1"><style:header><text:p>{w["header"]}</text:p></style:header><style:footer><text:p>{w["footer"]}</text:p></style:footer></style:master-page></office:master-styles>'
    return _flat("text", f"{styles}{automatic}{master}", f'<text:h text:outline-level="1">{w["heading"]}</text:h>{"".join(paragraphs)}')


def _table(words: dict[str, str], number: int) -> str:
    w = words
    comment = f"<office:annotation><dc:creator>Anna</dc:creator><text:p>Bitte {w['comment']} klären</text:p></office:annotation>"
    rows = "".join(
        f'<table:table-row><table:table-cell office:value-type="string">{note}<text:p>{word}</text:p></table:table-cell><table:table-cell office:value-type="float" office:value="{number * 1000 + 234.5}"><text:p>{number * 1000 + 234.5}</text:p></table:table-cell></table:table-row>'
        for word, note in ((w["cell"], comment), (w["other cell"], ""))
    )
    second = f'<table:table table:name="Zwei"><table:table-row><table:table-cell office:value-type="string"><text:p>{w["second sheet"]}</text:p></table:table-cell></table:table-row></table:table>'
    automatic = '<office:automatic-styles><style:page-layout style:name="pm1"><style:header-style/></style:page-layout><style:style style:name="ta1" style:family="table" style:master-page-name="Default"/></office:automatic-styles>'
    master = f'<office:master-styles><style:master-page style:name="Default" style:page-layout-name="pm1"><style:header><text:p>{w["header"]}</text:p></style:header></style:master-page></office:master-styles>'
    return _flat("spreadsheet", automatic + master, f'<table:table table:name="Eins" table:style-name="ta1">{rows}</table:table>{second}')


def _slides(words: dict[str, str], number: int) -> str:
    def box(text: str, y: int) -> str:
        return f'<draw:frame svg:width="20cm" svg:height="3cm" svg:x="2cm" svg:y="{y}cm"><draw:text-box><text:p>{text}</text:p></draw:text-box></draw:frame>'

    w = words
    notes = f'<presentation:notes><draw:frame presentation:class="notes" svg:width="16cm" svg:height="8cm" svg:x="2cm" svg:y="14cm"><draw:text-box><text:p>Sagen: {w["notes"]}</text:p></draw:text-box></draw:frame></presentation:notes>'
    pages = f'<draw:page draw:name="a" draw:master-page-name="Default">{box(w["title"], 1)}{box(w["body"], 5)}{notes}</draw:page><draw:page draw:name="b" draw:master-page-name="Default">{box(w["second title"], 1)}{box(w["second body"], 5 + number % 5)}</draw:page>'
    automatic = '<office:automatic-styles><style:page-layout style:name="pm1"><style:page-layout-properties fo:page-width="28cm" fo:page-height="21cm"/></style:page-layout></office:automatic-styles>'
    return _flat(
        "presentation",
        automatic + '<office:master-styles><style:master-page style:name="Default" style:page-layout-name="pm1"/></office:master-styles>',
        pages,
    )


def _flat(kind: str, styles: str, body: str) -> str:
    mimetype = f"application/vnd.oasis.opendocument.{kind}"
    return f'<?xml version="1.0" encoding="UTF-8"?><office:document {_NAMES} office:version="1.3" office:mimetype="{mimetype}">{styles}<office:body><office:{kind}>{body}</office:{kind}></office:body></office:document>'


_Make = Callable[[dict[str, str], int], str]
_MAKERS: dict[str, _Make] = {"writer": _text, "calc": _table, "impress": _slides}
