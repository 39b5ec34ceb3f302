# ruff: noqa: E501 (documents made by hand, a part a line)
"""Some three hundred papers of all kinds, made by code, each with the words that a person sees on it and those that nobody should find.

    for paper in generated_documents.papers(): ...

Deterministic; the words of a paper stand in different places of it: paragraphs, notes, comments, tables, headers, text boxes, attachments.
"""

import io
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.message import EmailMessage
from functools import partial
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from shared.extraction.ocr_languages import folder_of, folders
from tests.extraction import made_older
from tests.extraction.made_documents import docx, line, pdf, zipped

_BEGINNINGS = [
    "Kohlrabi",
    "Pastinaken",
    "Wendel",
    "Drossel",
    "Hafen",
    "Kirschen",
    "Brunnen",
    "Mauer",
    "Silber",
    "Wiesen",
    "Garten",
    "Linden",
    "Ahorn",
    "Nebel",
    "Reiher",
    "Eulen",
    "Hirsch",
    "Falken",
    "Kastanien",
    "Schilf",
    "Fluss",
    "Bergwerk",
    "Turm",
    "Seiden",
    "Leinen",
    "Orgel",
    "Glocken",
    "Zirkus",
    "Marken",
    "Zettel",
]
_ENDINGS = [
    "treppe",
    "kasten",
    "markt",
    "ordnung",
    "plan",
    "stunde",
    "brief",
    "marke",
    "liste",
    "karte",
    "rechnung",
    "steuer",
    "pacht",
    "miete",
    "gebühr",
    "zähler",
    "schule",
    "bücher",
    "übergabe",
    "prüfung",
]


@dataclass(frozen=True)
class Paper:
    """One document: `wanted` must be found in its text, `unwanted` must not."""

    kind: str
    filename: str
    content: bytes
    wanted: tuple[str, ...]
    unwanted: tuple[str, ...] = ()


Make = Callable[[list[str], int], tuple[bytes, int]]
"""A document of these words, the last of which may be deleted text; and how many of them must be found."""


def papers(each: int = 14) -> Iterator[Paper]:
    """`each` of every kind (fewer of those whose text has to be recognised)."""
    for kind, (extension, make, share) in _KINDS.items():
        for number in range(max(2, round(each * share))):
            words = words_of(f"{kind} {number}", 8)
            content, found = make(words, number)
            yield Paper(kind, f"paper-{number}{extension}", content, tuple(words[:found]), tuple(words[found:]))


def large_papers() -> Iterator[Paper]:
    """Papers of more than most readers take: the words stand in the last tenth of each, and a language of scans besides those of the
    settings, where there are data and a font of it."""
    for kind, (extension, make) in _LARGE.items():
        words = [_latin(word) for word in words_of(f"large {kind}", 4)]
        yield Paper(f"J {kind}", f"large{extension}", make(words), tuple(words))
    for number, (code, lines) in enumerate(_SCANNED.items()):
        if folder_of(code, folders()) and Path(_FONT).is_file():
            for size in (36, 48):
                picture = Image.new("L", (1700, 700), 255)
                draw = ImageDraw.Draw(picture)
                for row, line_ in enumerate(lines):
                    draw.text((80, 60 + 110 * row), line_, fill=20, font=ImageFont.truetype(_FONT, size))
                out = io.BytesIO()
                picture.save(out, "PNG")
                wanted = tuple(re.findall(r"\w{5,}", " ".join(lines)))
                yield Paper(f"L {code}", f"scan-{number}-{size}.png", out.getvalue(), wanted)


def words_of(seed: str, count: int) -> list[str]:
    """`count` different words of German that no document has by itself, at most 600, the same for the same seed."""
    chance = random.Random(seed)
    words: dict[str, None] = {}
    while len(words) < count:
        words[f"{chance.choice(_BEGINNINGS)}{chance.choice(_ENDINGS)}"] = None
    return list(words)


def _word(words: list[str], number: int) -> tuple[bytes, int]:
    def t(text: str) -> str:
        return f'<w:r><w:t xml:space="preserve">{text}</w:t></w:r>'

    a, b, c, d, e, f, g, gone = words
    body = [
        f"<w:p>{t(a)}<w:r><w:tab/></w:r>{t(b)}<w:r><w:cr/></w:r>{t(c)}</w:p>",
        f"<w:tbl><w:tr><w:tc><w:p>{t(d)}</w:p></w:tc><w:tc><w:p>{t(e)}</w:p></w:tc></w:tr></w:tbl>",
        f'<w:p><w:ins w:id="1">{t(f)}</w:ins><w:del w:id="2"><w:r><w:delText>{gone}</w:delText></w:r></w:del></w:p>',
        f"<w:p><w:r><w:pict><v:shape xmlns:v='urn:schemas-microsoft-com:vml'><v:textbox><w:txbxContent><w:p>{t(g)}</w:p></w:txbxContent></v:textbox></v:shape></w:pict></w:r></w:p>",
    ]
    random.Random(number).shuffle(body)
    return docx("".join(body).encode()), 7


_ODF = " ".join(
    f'xmlns:{prefix}="urn:oasis:names:tc:opendocument:xmlns:{path}:1.0"'
    for prefix, path in (
        ("office", "office"),
        ("text", "text"),
        ("table", "table"),
        ("draw", "drawing"),
        ("style", "style"),
        ("presentation", "presentation"),
    )
)


def _opendocument(kind: str, body: str, styles: str, *, flat: bool) -> bytes:
    mimetype = f"application/vnd.oasis.opendocument.{kind}"
    if flat:
        return f'<?xml version="1.0"?><office:document {_ODF} office:mimetype="{mimetype}">{styles}<office:body><office:{kind}>{body}</office:{kind}></office:body></office:document>'.encode()
    return zipped(
        {
            "mimetype": mimetype.encode(),
            "content.xml": f"<office:document-content {_ODF}><office:body><office:{kind}>{body}</office:{kind}></office:body></office:document-content>".encode(),
            "styles.xml": f"<office:document-styles {_ODF}>{styles}</office:document-styles>".encode(),
        }
    )


def _odt(words: list[str], number: int) -> tuple[bytes, int]:
    a, b, c, d, e, f, g, gone = words
    body = f"""<text:tracked-changes><text:changed-region><text:deletion><text:p>{gone}</text:p></text:deletion></text:changed-region></text:tracked-changes>
<text:p>{a}<text:span> <text:span>{b}</text:span></text:span><text:s text:c="2"/>{c}<text:note><text:note-body><text:p>{d}</text:p></text:note-body></text:note></text:p>
<table:table><table:table-row><table:table-cell><text:p>{e}</text:p></table:table-cell><table:table-cell><text:p><text:a>{f}</text:a></text:p></table:table-cell></table:table-row></table:table>"""
    styles = f"<office:master-styles><style:master-page><style:header><text:p>{g}</text:p></style:header></style:master-page></office:master-styles>"
    return _opendocument("text", body, styles, flat=number % 3 == 0), 7


def _ods(words: list[str], number: int) -> tuple[bytes, int]:
    rows = "".join(
        f'<table:table-row><table:table-cell office:value-type="string"><text:p>{word}</text:p></table:table-cell><table:table-cell office:value-type="float" office:value="{number}"/></table:table-row>'
        for word in words
    )
    return _opendocument("spreadsheet", f'<table:table table:name="Blatt">{rows}</table:table>', "", flat=number % 3 == 0), len(words)


def _odp(words: list[str], number: int) -> tuple[bytes, int]:
    slides = "".join(
        f'<draw:page draw:name="x"><draw:frame><draw:text-box><text:p>{a}</text:p></draw:text-box></draw:frame><draw:custom-shape><text:p>{b}</text:p></draw:custom-shape></draw:page>'
        for a, b in zip(words[::2], words[1::2], strict=False)
    )
    return _opendocument("presentation", slides, "", flat=number % 3 == 0), len(words) // 2 * 2


_RELATIONS = '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">{}</Relationships>'


_TYPE = "application/vnd.openxmlformats-officedocument."


def _content_types(**parts: str) -> bytes:
    """The types of the parts of an Office file; "__" in their names stands for "/"."""
    return "".join(
        (
            '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="xml" ContentType="application/xml"/><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>',
            *(f'<Override PartName="/{name.replace("__", "/")}.xml" ContentType="{_TYPE}{kind}+xml"/>' for name, kind in parts.items()),
            "</Types>",
        )
    ).encode()


def _relations(**targets: str) -> bytes:
    return _RELATIONS.format(
        "".join(
            f'<Relationship Id="{id}" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/{target.split(" ")[0]}" Target="{target.split(" ")[1]}"/>'
            for id, target in targets.items()
        )
    ).encode()


_DRAWING = 'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main" xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships" xmlns:p="http://schemas.openxmlformats.org/presentationml/2006/main"'


def _powerpoint(words: list[str], number: int) -> tuple[bytes, int]:
    def shape(text: str) -> str:
        return f"<p:sp><p:txBody><a:p><a:r><a:t>{text}</a:t></a:r></a:p></p:txBody></p:sp>"

    a, b, c, d, e, f, g, h = words
    table = f"<p:graphicFrame><a:tbl><a:tr><a:tc><a:txBody><a:p><a:r><a:t>{d}</a:t></a:r></a:p></a:txBody></a:tc><a:tc><a:txBody><a:p><a:r><a:t>{e}</a:t></a:r></a:p></a:txBody></a:tc></a:tr></a:tbl></p:graphicFrame>"
    picture = "<p:pic><p:blipFill><a:blip r:link='nirgends'/></p:blipFill></p:pic>" if number % 2 else ""
    parts = {
        "[Content_Types].xml": _content_types(
            ppt__presentation="presentationml.presentation.main",
            ppt__slides__slide1="presentationml.slide",
            ppt__notes="presentationml.notesSlide",
            ppt__data="drawingml.diagramData",
            ppt__comment="presentationml.comments",
        ),
        "_rels/.rels": _relations(r1="officeDocument ppt/presentation.xml"),
        "ppt/presentation.xml": f'<p:presentation {_DRAWING}><p:sldIdLst><p:sldId id="1" r:id="r1"/></p:sldIdLst></p:presentation>'.encode(),
        "ppt/_rels/presentation.xml.rels": _relations(r1="slide slides/slide1.xml"),
        "ppt/slides/slide1.xml": f"<p:sld {_DRAWING}><p:cSld><p:spTree>{shape(a)}{picture}<p:grpSp>{shape(b)}{shape(c)}</p:grpSp>{table}</p:spTree></p:cSld></p:sld>".encode(),
        "ppt/slides/_rels/slide1.xml.rels": _relations(
            n="notesSlide ../notes.xml", d="diagramData ../data.xml", c="comments ../comment.xml"
        ),
        "ppt/notes.xml": f"<p:notes {_DRAWING}><p:cSld><p:spTree>{shape(f)}</p:spTree></p:cSld></p:notes>".encode(),
        "ppt/data.xml": f"<d:dataModel xmlns:d='d' {_DRAWING}><d:ptLst><d:pt><d:t><a:p><a:r><a:t>{g}</a:t></a:r></a:p></d:t></d:pt></d:ptLst></d:dataModel>".encode(),
        "ppt/comment.xml": f"<p:cmLst {_DRAWING}><p:cm><p:text>{h}</p:text></p:cm></p:cmLst>".encode(),
    }
    return zipped(parts), 8


_SHEET = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_WORKBOOK = f'<workbook xmlns="{_SHEET}" xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"><sheets><sheet name="Blatt" sheetId="1" r:id="r1"/></sheets></workbook>'.encode()


def _excel(words: list[str], number: int) -> tuple[bytes, int]:
    strings = "".join(f"<si><t>{word}</t></si>" for word in words[:5])
    rows = "".join(
        f'<row r="{row + 1}"><c r="A{row + 1}" t="s"><v>{row}</v></c><c r="B{row + 1}" s="1"><v>{1000 * number + row}.5</v></c></row>'
        for row in range(5)
    )
    sheet = f'<worksheet xmlns="{_SHEET}"><sheetData>{rows}<row r="9"><c r="A9" t="inlineStr"><is><t>{words[5]}</t></is></c></row></sheetData><headerFooter><oddHeader>&amp;L{words[6]}</oddHeader></headerFooter></worksheet>'
    parts = {
        "[Content_Types].xml": _content_types(
            xl__workbook="spreadsheetml.sheet.main",
            xl__worksheets__sheet1="spreadsheetml.worksheet",
            xl__strings="spreadsheetml.sharedStrings",
            xl__styles="spreadsheetml.styles",
            xl__comments1="spreadsheetml.comments",
        ),
        "_rels/.rels": _relations(r1="officeDocument xl/workbook.xml"),
        "xl/workbook.xml": _WORKBOOK,
        "xl/_rels/workbook.xml.rels": _relations(
            r1="worksheet worksheets/sheet1.xml", r2="sharedStrings strings.xml", r3="styles styles.xml"
        ),
        "xl/strings.xml": f'<sst xmlns="{_SHEET}">{strings}</sst>'.encode(),
        "xl/styles.xml": f'<styleSheet xmlns="{_SHEET}"><cellXfs><xf numFmtId="0"/><xf numFmtId="4"/></cellXfs></styleSheet>'.encode(),
        "xl/worksheets/sheet1.xml": sheet.encode(),
        "xl/worksheets/_rels/sheet1.xml.rels": _relations(c="comments ../comments1.xml"),
        "xl/comments1.xml": f'<comments xmlns="{_SHEET}"><authors><author>A</author></authors><commentList><comment ref="A1" authorId="0"><text><r><t>{words[7]}</t></r></text></comment></commentList></comments>'.encode(),
    }
    return zipped(parts), 8


def _latin(text: str) -> str:
    return text.replace("ä", "ae").replace("ö", "oe").replace("ü", "ue")


def _pdf(words: list[str], number: int) -> tuple[bytes, int]:
    words[:] = map(_latin, words)
    note = f"<< /Type /Annot /Subtype /{'FreeText' if number % 2 else 'Text'} /Rect [100 100 300 140] /Contents ({words[7]}) /DA (/Helv 12 Tf) >>".encode()
    page = b" ".join(line(f"{word} steht im Schreiben der Verwaltung") for word in words[:7])
    content = pdf([page])
    return (content.replace(b"/Type /Page ", b"/Type /Page /Annots [" + note + b"] ", 1), 8) if b"/Type /Page " in content else (content, 7)


def _picture(words: list[str], number: int) -> Image.Image:
    words[:] = map(_latin, words)
    picture = Image.new("L", (1240, 1000), 255)
    draw = ImageDraw.Draw(picture)
    for row, word in enumerate(words):
        draw.text((100, 80 + 100 * row), f"Das Wort {word} steht hier", fill=20, font=ImageFont.load_default(40 + number % 3 * 4))
    return picture


def _scan(format: str, words: list[str], number: int) -> tuple[bytes, int]:
    out = io.BytesIO()
    picture = _picture(words, number)
    picture.save(out, format, **({"resolution": 150.0} if format == "PDF" else {}))
    return out.getvalue(), len(words)


def _mail(words: list[str], number: int) -> tuple[bytes, int]:
    mail = EmailMessage()
    mail["From"], mail["To"] = f"{words[0]} <a@example.org>", "b@example.org"
    mail["Subject"] = words[1]
    mail.set_content(f"Guten Tag,\n\n{words[2]} und {words[3]}", charset=("utf-8", "iso-8859-1", "windows-1252")[number % 3])
    mail.add_alternative(f"<p>{words[2]} und {words[3]}, dazu viel mehr: <b>{words[4]}</b> am Ende der Zeile mit Gruß", subtype="html")
    mail.add_attachment(words[5], filename=f"{words[6]}.txt")
    mail.add_attachment(zipped({f"{words[7]}.txt": b"x"}), maintype="application", subtype="zip", filename="alles.zip")
    return bytes(mail), 8


def _message(words: list[str], number: int) -> tuple[bytes, int]:
    html = f"<p>{words[2]} und {words[3]} mit <b>{words[4]}</b></p>".encode("cp1252") if number % 2 else b""
    plain = "" if html else f"{words[2]} und {words[3]} mit {words[4]}"
    return made_older.msg(
        subject=words[1], sender=(words[0], "a@example.org"), plain=plain, html=html, code_page=1252,
        attachments=[(f"{words[5]}.txt", words[6].encode())], nested=[made_older.msg_streams(words[7])],
    ), 8  # fmt: skip


def _html(words: list[str], number: int) -> tuple[bytes, int]:
    encoding = ("utf-8", "windows-1252", "utf-16")[number % 3]
    items = (
        "".join(f"<tr><td>{word}<td>{number}" for word in words[:4])
        + "</table>"
        + "".join(f"<li><b>{word[:3]}</b>{word[3:]}" for word in words[4:7])
    )
    return (
        f"<html><head><meta charset={encoding}><title>x</title><script>{words[7]}</script></head><body><table>{items}</body></html>".encode(
            encoding
        ),
        7,
    )


def _rtf(words: list[str], number: int) -> tuple[bytes, int]:
    a, b, c, d, e, f, g, gone = words
    text = rf"{{\rtf1\ansi\ansicpg1252{{\fonttbl{{\f0\fcharset0 Arial;}}}}{{\header {a}\par}}\f0 {b}\tab {c}\par\trowd {d}\cell {e}\cell\row {{\deleted {gone}}}{{\field{{\*\fldinst X}}{{\fldrslt {f}}}}}{{\footnote {g}}}\par}}"
    return b"".join(rb"\'%02x" % code[0] if code[0] > 127 else code for code in (character.encode("cp1252") for character in text)), 7


_ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252", "iso8859-1", "cp850", "cp437", "mac_roman", "utf-32")


def _text(words: list[str], number: int) -> tuple[bytes, int]:
    prose = (
        "Sehr geehrte Damen und Herren, für die Übersendung der Unterlagen bedanken wir uns. "
        + ", ".join(words)
        + ". Mit freundlichen Grüßen"
    )
    return prose.encode(_ENCODINGS[number % len(_ENCODINGS)]), len(words)


def _table(words: list[str], number: int) -> tuple[bytes, int]:
    return "\r\n".join(f"{row};{word};{number},50" for row, word in enumerate(words)).encode("cp1252" if number % 2 else "utf-8"), len(
        words
    )


def _doc(words: list[str], number: int) -> tuple[bytes, int]:
    text = f"{words[0]} und {words[7]} {words[1]}\r{words[2]}\x07{words[3]}\x07\x07{words[4]}\r"
    start = text.index(words[7])
    return made_older.doc(text, headers=f"{words[5]}\r", footnotes=f"\x02{words[6]}\r", deleted=(start, start + len(words[7]))), 7


def _xls(words: list[str], number: int) -> tuple[bytes, int]:
    return made_older.xls(
        {"Blatt": [[word, float(number)] for word in words[:4]], "Zwei": [[word] for word in words[4:7]]}, notes=words[7:]
    ), 8


def _ppt(words: list[str], number: int) -> tuple[bytes, int]:
    words[4] = _latin(words[4])
    return made_older.ppt([(words[0], words[1], _latin(words[4])), (words[2], words[3], "")], abandoned=" ".join(words[5:])), 5


def _book(words: list[str], number: int) -> tuple[bytes, int]:
    package = "<package xmlns='http://www.idpf.org/2007/opf' xmlns:dc='http://purl.org/dc/elements/1.1/' version='3.0'><metadata><dc:title>{}</dc:title></metadata><manifest>{}</manifest><spine>{}</spine></package>"
    files = {
        f"c{place}.xhtml": f"<html xmlns='http://www.w3.org/1999/xhtml'><body><p>{word}</p></body></html>".encode()
        for place, word in enumerate(words[1:])
    }
    items = "".join(f"<item id='{name}' href='{name}' media-type='application/xhtml+xml'/>" for name in files)
    spine = "".join(f"<itemref idref='{name}'/>" for name in files)
    container = b"<container xmlns='urn:oasis:names:tc:opendocument:xmlns:container' version='1.0'><rootfiles><rootfile full-path='b.opf' media-type='application/oebps-package+xml'/></rootfiles></container>"
    return zipped(
        {
            "mimetype": b"application/epub+zip",
            "META-INF/container.xml": container,
            "b.opf": package.format(words[0], items, spine).encode(),
            **files,
        }
    ), len(words)


_KINDS: dict[str, tuple[str, Make, float]] = {
    "A png": (".png", partial(_scan, "PNG"), 0.5), "A jpeg": (".jpg", partial(_scan, "JPEG"), 0.5), "A tiff": (".tif", partial(_scan, "TIFF"), 0.5),
    "A bmp": (".bmp", partial(_scan, "BMP"), 0.3), "A webp": (".webp", partial(_scan, "WEBP"), 0.3), "B docx": (".docx", _word, 1.5), "K doc": (".doc", _doc, 1),
    "C odt": (".odt", _odt, 1.5), "C ods": (".ods", _ods, 1), "C odp": (".odp", _odp, 1), "D pptx": (".pptx", _powerpoint, 1.5), "K ppt": (".ppt", _ppt, 1),
    "E pdf": (".pdf", _pdf, 1.5), "E scan": (".pdf", partial(_scan, "PDF"), 0.5), "F eml": (".eml", _mail, 1.5), "K msg": (".msg", _message, 1), "F html": (".html", _html, 1.5),
    "G xlsx": (".xlsx", _excel, 1.5), "K xls": (".xls", _xls, 1), "H rtf": (".rtf", _rtf, 1.5), "H txt": (".txt", _text, 2), "H csv": (".csv", _table, 1), "K epub": (".epub", _book, 1),
}  # fmt: skip


_ROWS = 40_000
_FILLING = "Die Miete wird wie vereinbart am Anfang des Monats gezahlt"


def _spread(words: list[str], count: int) -> list[str]:
    """`count` lines, the words in lines of the last tenth."""
    lines = [f"{number} {_FILLING}" for number in range(count)]
    for place, word in enumerate(words):
        lines[count - 1 - place * (count // 40)] += f" {word}"
    return lines


def _large_csv(words: list[str]) -> bytes:
    return "\r\n".join(line.replace(" ", ";") for line in _spread(words, _ROWS)).encode()


def _large_text(words: list[str]) -> bytes:
    return "\n".join(_spread(words, _ROWS)).encode("cp1252")


def _large_excel(words: list[str]) -> bytes:
    rows = "".join(
        f'<row r="{row}"><c r="A{row}" t="inlineStr"><is><t>{text}</t></is></c><c r="B{row}"><v>{row}</v></c></row>'
        for row, text in enumerate(_spread(words, _ROWS), 1)
    )
    parts = {
        "[Content_Types].xml": _content_types(xl__workbook="spreadsheetml.sheet.main", xl__worksheets__sheet1="spreadsheetml.worksheet"),
        "_rels/.rels": _relations(r1="officeDocument xl/workbook.xml"),
        "xl/workbook.xml": _WORKBOOK,
        "xl/_rels/workbook.xml.rels": _relations(r1="worksheet worksheets/sheet1.xml"),
        "xl/worksheets/sheet1.xml": f'<worksheet xmlns="{_SHEET}"><sheetData>{rows}</sheetData></worksheet>'.encode(),
    }
    return zipped(parts)


def _large_word(words: list[str]) -> bytes:
    return docx("".join(f"<w:p><w:r><w:t>{text}</w:t></w:r></w:p>" for text in _spread(words, 20_000)).encode())


def _large_opendocument(words: list[str]) -> bytes:
    return _opendocument("text", "".join(f"<text:p>{text}</text:p>" for text in _spread(words, 20_000)), "", flat=False)


def _large_pdf(words: list[str]) -> bytes:
    return pdf([line(_latin(text)) for text in _spread(words, 1_000)])


def _large_html(words: list[str]) -> bytes:
    return f"<html><meta charset=utf-8><body>{''.join(f'<p>{text}</p>' for text in _spread(words, 20_000))}</body></html>".encode()


_LARGE: dict[str, tuple[str, Callable[[list[str]], bytes]]] = {
    "csv": (".csv", _large_csv), "txt": (".txt", _large_text), "xlsx": (".xlsx", _large_excel), "docx": (".docx", _large_word),
    "odt": (".odt", _large_opendocument), "pdf": (".pdf", _large_pdf), "html": (".html", _large_html),
}  # fmt: skip

_FONT = "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf"
_SCANNED = {
    "deu": ["Sehr geehrte Frau Kranich, für die Übersendung der", "Unterlagen bedanken wir uns. Die Gebühr beträgt", "zwölf Euro und ist bis Ende März zu überweisen."],
    "eng": ["Please find enclosed the annual statement of your", "membership. The balance is due before the end of", "March and payable by transfer or by cheque."],
    "fra": ["Madame, Monsieur, veuillez trouver ci-joint la facture", "de votre abonnement. Le règlement est à effectuer", "avant la fin du mois de février par chèque."],
    "rus": ["Уважаемые жильцы дома номер семь, в субботу утром", "состоится уборка двора. Просим принести лопаты,", "вёдра и перчатки. Правление благодарит соседей."],
}  # fmt: skip
"""What stands on scans, by Tesseract's code of the language."""
