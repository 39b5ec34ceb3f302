"""Word documents (DOCX, DOCM, DOTX, DOTM), read from their XML (ECMA-376 part 1).

kreuzberg glues words at tabulators, and loses the first footnote, hyphens, comments, charts and embedded chunks; python-docx knows no
text boxes, notes, charts or chunks at all.
"""

import email
import email.policy
import io
import posixpath
import re
import zipfile
from typing import BinaryIO, ClassVar
from urllib.parse import unquote

from shared.extraction import content_types
from shared.extraction.failures import DocumentCorrupt, DocumentTooComplex, ExtractionFailed
from shared.extraction.formats import Reading, archive, html, plain, rtf
from shared.extraction.formats.xml_parts import BLANK, LINE, PARAGRAPH, TAB, Attributes, PartReader, Parts, value

_TRANSITIONAL, _STRICT = "http://schemas.openxmlformats.org/", "http://purl.oclc.org/ooxml/"
_NAMESPACES = {
    uri: prefix
    for prefix, path, strict in (
        ("w", "wordprocessingml/2006/main", "wordprocessingml/main"),
        ("a", "drawingml/2006/main", "drawingml/main"),
        ("c", "drawingml/2006/chart", "drawingml/chart"),
        ("dgm", "drawingml/2006/diagram", "drawingml/diagram"),
        ("wp", "drawingml/2006/wordprocessingDrawing", "drawingml/wordprocessingDrawing"),
        ("m", "officeDocument/2006/math", "officeDocument/math"),
        ("mc", "markup-compatibility/2006", "markup-compatibility"),
    )
    for uri in (_TRANSITIONAL + path, _STRICT + strict)
} | {
    "http://schemas.microsoft.com/office/drawing/2014/chartex": "cx",
    "urn:schemas-microsoft-com:vml": "v",
    _TRANSITIONAL + "package/2006/relationships": "rel",
}
_MARGIN = re.compile(r"(header|footer)\d*\.xml")
_MAX_NESTED_CHUNKS = 3
_MATH_PARTS = ("num", "den", "e", "deg", "sub", "sup", "lim", "fName", "oMath")
_OFF = {"0", "false", "off", "none"}

# the fonts that are no letters: Symbol's Greek, and the marks that forms are ticked with
_GREEK = dict(zip("abcdefghijklmnopqrstuvwxyz", "αβχδεφγηιϕκλμνοπθρστυϖωξψζ", strict=True))
_GREEK |= dict(zip("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "ΑΒΧΔΕΦΓΗΙϑΚΛΜΝΟΠΘΡΣΤΥςΩΞΨΖ", strict=True))
_DINGBATS = {0x6F: "☐", 0xA8: "☐", 0x78: "☒", 0xFD: "☒", 0xFE: "☑", 0xFC: "✓", 0xFB: "✗", 0x4A: "☺", 0xE0: "→", 0xDF: "←"}


def read(file: BinaryIO, *, _nested: int = 0) -> Reading:
    """The text by page, as far as the file says where pages end: page headers first, page footers last, notes and comments at the foot of
    the page that refers to them. What is deleted with tracked changes is left out, and what is hidden. A damaged part costs that part, but
    for the main one.

    Raises DocumentCorrupt."""
    with zipfile.ZipFile(file) as package:
        document = _WordDocument(package, _nested)
        pages = document.read()
    reading = document.reading
    reading.pages = pages
    reading.page_count = len(pages) if len(pages) > 1 else None
    return reading


class _WordDocument(Parts):
    """One archive: its parts, and what they refer to."""

    def __init__(self, archive: zipfile.ZipFile, nested: int) -> None:
        super().__init__(archive)
        self._nested = nested

    def read(self) -> list[str]:
        package = self.relations("")
        main = next((target for kind, target in package.values() if kind == "officeDocument"), "word/document.xml")
        relations = self.relations(main)
        body = _Body(self, relations)
        for kind in ("footnote", "endnote", "comment"):
            for target in self.targets(relations, f"{kind}s", f"word/{kind}s.xml"):
                body.notes |= self._notes(target, kind)
        margins = self._margins(relations, main)
        if not self.walk(body, main, needed=True):
            raise DocumentCorrupt("The Word document is damaged and cannot be read.")
        body.write_remaining_notes()
        pages = body.pages()
        pages[0] = "\n\n".join(part for part in ("\n".join(margins["header"]), pages[0]) if part)
        pages[-1] = "\n\n".join(part for part in (pages[-1], "\n".join(margins["footer"])) if part)
        core = next((target for kind, target in package.values() if kind == "core-properties"), "docProps/core.xml")
        self.reading.title = self.title(core)
        return pages

    def relations(self, name: str) -> dict[str, tuple[str, str]]:
        """What a part refers to: kind and name by identifier."""
        folder, base = posixpath.split(name)
        reader = _Relations(folder)
        self.walk(reader, posixpath.join(folder, "_rels", f"{base}.rels"))
        return reader.targets

    def targets(self, relations: dict[str, tuple[str, str]], kind: str, usual: str) -> list[str]:
        """The parts of a kind, or the one that has the usual name."""
        return list(dict.fromkeys(target for other, target in relations.values() if other == kind)) or [usual]

    def text(self, reader: PartReader, name: str) -> str:
        self.walk(reader, name)
        return "\n\n".join(page for page in reader.pages() if page.strip())

    def chunk(self, name: str) -> str:
        """The text of a document of another kind that stands in this one (altChunk)."""
        data = self.content(name)
        if data is None:
            return ""
        content_type = content_types.detect(io.BytesIO(data), name)
        try:
            return self._chunk(data, content_type)
        except DocumentTooComplex:
            raise
        except (ExtractionFailed, ValueError, LookupError, zipfile.BadZipFile):
            self.reading.warn("part_unreadable", f"The part {posixpath.basename(name)[:100]} is damaged and was left out.")
            return ""

    def _chunk(self, data: bytes, content_type: str) -> str:
        if content_type == content_types.DOCX and self._nested < _MAX_NESTED_CHUNKS:
            archive.check_archive(io.BytesIO(data), content_type)
            return "\n\n".join(read(io.BytesIO(data), _nested=self._nested + 1).pages)
        if content_type == content_types.RTF:
            return "\n\n".join(rtf.read(io.BytesIO(data)).pages)
        if content_type == content_types.EML:  # a web archive (MHT)
            return _web_archive(data)
        if content_type == content_types.HTML or re.match(rb"\s*<[!a-zA-Z]", data[:200]):
            return html.to_text(data)[0]
        if content_type in (content_types.TEXT, content_types.MARKDOWN, content_types.CSV):
            return plain.decode(data)
        self.reading.warn("part_unreadable", "A document inside the Word document was left out.")
        return ""

    def _notes(self, name: str, kind: str) -> dict[tuple[str, str], str]:
        reader = _Notes(self, self.relations(name), kind)
        self.walk(reader, name)
        return reader.texts

    def _margins(self, relations: dict[str, tuple[str, str]], main: str) -> dict[str, list[str]]:
        """Text of the page headers and footers, which hold a letter's sender or its bank account; each different one once."""
        names = {target: kind for kind, target in relations.values() if kind in ("header", "footer")}
        folder = posixpath.dirname(main).lower()
        for lower, stored in self.names().items():
            if posixpath.dirname(lower) == folder and (match := _MARGIN.fullmatch(posixpath.basename(lower))):
                names.setdefault(stored, match[1])
        texts: dict[str, list[str]] = {"header": [], "footer": []}
        seen: set[str] = set()
        for name in sorted(names):
            if name.lower() in seen:
                continue
            seen.add(name.lower())
            text = self.text(_Body(self, self.relations(name)), name).strip()
            if text and text not in texts[names[name]]:
                texts[names[name]].append(text)
        return texts


def _web_archive(data: bytes) -> str:
    message = email.message_from_bytes(data, policy=email.policy.default)
    for part in message.walk():
        if part.get_content_type() == "text/html":
            payload = part.get_payload(decode=True)
            return html.to_text(payload, part.get_content_charset())[0] if isinstance(payload, bytes) else ""
    return ""


class _Relations(PartReader):
    NAMESPACES = _NAMESPACES

    def __init__(self, folder: str) -> None:
        super().__init__()
        self._folder = folder
        self.targets: dict[str, tuple[str, str]] = {}
        self.opening = {"rel:Relationship": self._relationship}

    def _relationship(self, attributes: Attributes) -> None:
        if attributes.get("TargetMode", "").lower() == "external":
            return
        target = unquote(attributes.get("Target", "").replace("\\", "/"))
        name = target[1:] if target.startswith("/") else posixpath.normpath(posixpath.join(self._folder, target))
        self.targets[attributes.get("Id", "")] = (attributes.get("Type", "").rpartition("/")[2], name)


class _Graphic(PartReader):
    """A chart or a diagram: its titles, labels and the values that were shown last."""

    NAMESPACES = _NAMESPACES
    SKIPPED = frozenset({"c:formatCode", "c:f", "cx:f"})
    _TEXTS: ClassVar[frozenset[str]] = frozenset({"a:t", "c:v", "cx:v", "cx:pt"})

    def __init__(self) -> None:
        super().__init__()
        self._in_text = 0
        self.opening = {tag: self._open_text for tag in self._TEXTS} | {"a:br": lambda _: self.flow.gap(LINE)}
        self.closing = {tag: self._close_text for tag in self._TEXTS} | {
            tag: lambda: self.flow.gap(LINE) for tag in ("a:p", "c:tx", "c:cat", "c:val", "c:xVal", "c:yVal", "cx:lvl", "dgm:pt")
        }
        self.closing["a:t"] = self._close_run

    def _open_text(self, _: Attributes) -> None:
        self._in_text += 1

    def _close_run(self) -> None:
        self._in_text -= 1

    def _close_text(self) -> None:
        self._in_text -= 1
        self.flow.gap(BLANK)

    def characters(self, text: str) -> None:
        if self._in_text:
            self.write(text)


class _Body(PartReader):
    """Whatever holds paragraphs: the main part, a page header, notes."""

    NAMESPACES = _NAMESPACES
    SKIPPED = frozenset(
        {
            "w:rPrChange", "w:pPrChange", "w:tblPr", "w:tblGrid", "w:sdtPr", "w:sdtEndPr", "w:moveFrom", "w:sectPr", "w:instrText",
            "w:delText", "w:delInstrText", "w:customXmlPr", "w:fldData", "w:tblPrEx",
        }
    )  # fmt: skip

    def __init__(self, document: _WordDocument, relations: dict[str, tuple[str, str]]) -> None:
        super().__init__()
        self.notes: dict[tuple[str, str], str] = {}
        self._document = document
        self._relations = relations
        self._in_text = False
        self._in_properties = False
        self._in_row_properties = False
        self._deleted_rows: list[bool] = []
        self._muted = 0
        self._hidden = False
        """Whether the run is text that is not printed."""
        self._fields: list[bool] = []
        """Of each open field, whether its code is still being told."""
        self._alternatives: list[int] = []
        self._choices: list[str] | None = None
        """Of the drop-down list that is open."""
        self._choice = 0
        self.opening = {
            "w:t": lambda _: self._text(True), "m:t": lambda _: self._text(True),
            "w:pPr": lambda _: self._properties(True), "w:vanish": self._hide,
            "w:pageBreakBefore": self._break_before,
            "w:tab": self._tab, "w:ptab": self._tab, "w:cr": lambda _: self._put("\n"), "w:br": self._break,
            "w:noBreakHyphen": lambda _: self._put("-"), "w:sym": self._symbol,
            "w:tr": lambda _: self._deleted_rows.append(False), "w:trPr": lambda _: self._row_properties(True),
            "w:tc": self._begin_cell, "w:tbl": lambda _: self.flow.gap(BLANK if self.flow.cells else PARAGRAPH),
            "w:del": self._delete,
            "w:fldChar": self._field, "w:txbxContent": lambda _: self.open_flow(), "w:rt": lambda _: self.open_flow(),
            "w:footnoteReference": lambda attributes: self._note("footnote", attributes),
            "w:endnoteReference": lambda attributes: self._note("endnote", attributes),
            "w:commentReference": lambda attributes: self._note("comment", attributes),
            "w:altChunk": self._chunk, "c:chart": self._graphic, "cx:chart": self._graphic, "dgm:relIds": self._graphic,
            "mc:AlternateContent": lambda _: self._alternatives.append(self.written),
            "mc:Choice": self._alternative, "mc:Fallback": self._alternative,
            "v:textpath": self._word_art, "wp:docPr": self._description,
            "w:ddList": self._begin_choices, "w:result": self._choose, "w:default": self._choose, "w:listEntry": self._add_choice,
            "a:t": lambda _: self._text(True), "a:txBody": lambda _: self.open_flow(), "a:br": lambda _: self._put("\n"),
        }  # fmt: skip
        self.closing = {
            "w:t": lambda: self._text(False), "m:t": lambda: self._text(False), "w:r": self._end_run,
            "w:p": self._end_paragraph, "w:pPr": lambda: self._properties(False), "w:trPr": lambda: self._row_properties(False),
            "w:tc": self._end_cell, "w:tr": self._end_row, "w:tbl": lambda: self.flow.gap(LINE if self.flow.cells else PARAGRAPH),
            "w:txbxContent": self.close_float, "w:rt": self.close_float,
            "mc:AlternateContent": self._end_alternatives, "w:ddList": self._end_choices,
            "a:t": lambda: self._text(False), "a:txBody": self.close_float, "a:p": lambda: self.flow.gap(LINE),
        } | {f"m:{part}": lambda: self.flow.gap(BLANK) for part in _MATH_PARTS}  # fmt: skip

    def characters(self, text: str) -> None:
        if self._in_text:
            self._put(text)

    def _put(self, text: str) -> None:
        if not self._muted and not self._hidden and not any(self._fields):
            self.write(text)

    def _text(self, inside: bool) -> None:
        self._in_text = inside

    def _properties(self, inside: bool) -> None:
        self._in_properties = inside

    def _hide(self, attributes: Attributes) -> None:
        self._hidden = not self._in_properties and (value(attributes, "val") or "1") not in _OFF

    def _end_run(self) -> None:
        self._hidden = False

    def _row_properties(self, inside: bool) -> None:
        self._in_row_properties = inside

    def _end_paragraph(self) -> None:
        # a code that runs on would hide all that follows
        self._fields = [False] * len(self._fields)
        self.flow.end_paragraph()

    def _break_before(self, attributes: Attributes) -> None:
        inside = not self._in_properties or self._flows or self.flow.cells
        if not inside and self.flow.pages[-1] and (value(attributes, "val") or "1") not in _OFF:
            self.flow.break_page()

    def _tab(self, _: Attributes) -> None:
        if not self._in_properties:  # there it is where a tabulator stops
            self._put("\t")

    def _break(self, attributes: Attributes) -> None:
        if value(attributes, "type") != "page":
            self._put("\n")
        elif self._muted or any(self._fields):
            return
        elif self._flows or self.flow.cells:
            self._put("\n")
        else:
            self.flow.break_page()

    def _symbol(self, attributes: Attributes) -> None:
        try:
            code = int(value(attributes, "char") or "", 16)
        except ValueError:
            return
        font = (value(attributes, "font") or "").lower()
        if 0xF000 <= code <= 0xF0FF:
            code -= 0xF000
            character = chr(code) if 0x20 <= code < 0x7F else " "
            if font == "symbol":
                character = _GREEK.get(character, character)
            elif "dings" in font:
                character = _DINGBATS.get(code, " ")
            self._put(character)
        elif 0x20 <= code <= 0x10FFFF and not 0xD800 <= code <= 0xDFFF:
            self._put(chr(code))

    def _begin_cell(self, _: Attributes) -> None:
        self.flow.cells += 1

    def _end_cell(self) -> None:
        self.flow.cells = max(0, self.flow.cells - 1)
        self.flow.gap(TAB)

    def _end_row(self) -> None:
        if self._deleted_rows and self._deleted_rows.pop():
            self._muted -= 1
        self.flow.gap(LINE)

    def _delete(self, _: Attributes) -> None:
        if self._in_row_properties and self._deleted_rows and not self._deleted_rows[-1]:
            self._deleted_rows[-1] = True
            self._muted += 1
        self.skip()

    def _field(self, attributes: Attributes) -> None:
        kind = value(attributes, "fldCharType")
        if kind == "begin":
            self._fields.append(True)
        elif kind == "separate" and self._fields:
            self._fields[-1] = False
        elif kind == "end" and self._fields:
            self._fields.pop()

    def _note(self, kind: str, attributes: Attributes) -> None:
        if self._muted:
            return
        if text := self.notes.pop((kind, value(attributes, "id") or ""), ""):
            self.root.notes.append(text)

    def write_remaining_notes(self) -> None:
        """Those that nothing refers to."""
        self.root.notes += self.notes.values()
        self.notes = {}

    def _chunk(self, attributes: Attributes) -> None:
        _, name = self._relations.pop(value(attributes, "id") or "", ("", ""))
        if name and not self._muted:
            self.flow.gap(PARAGRAPH)
            self.write(self._document.chunk(name))
            self.flow.gap(PARAGRAPH)

    def _graphic(self, attributes: Attributes) -> None:
        _, name = self._relations.pop(value(attributes, "id") or value(attributes, "dm") or "", ("", ""))
        if name and not self._muted:
            self._float(self._document.text(_Graphic(), name))

    def _word_art(self, attributes: Attributes) -> None:
        if not self._muted:
            self._float(value(attributes, "string") or "")

    def _description(self, attributes: Attributes) -> None:
        """What a picture shows, for those who cannot see it."""
        if not self._muted and (text := (value(attributes, "descr") or "").strip()):
            self.flow.floats.append(text)

    def _begin_choices(self, _: Attributes) -> None:
        self._choices, self._choice = [], 0

    def _choose(self, attributes: Attributes) -> None:
        if self._choices is not None and (number := value(attributes, "val") or "").isdecimal() and len(number) < 6:
            self._choice = int(number)

    def _add_choice(self, attributes: Attributes) -> None:
        if self._choices is not None:
            self._choices.append(value(attributes, "val") or "")

    def _end_choices(self) -> None:
        # such a field has no result but this
        if self._choices and self._choice < len(self._choices) and not self._muted:
            self.write(self._choices[self._choice])
        self._choices = None

    def _float(self, text: str) -> None:
        self.open_flow()
        self.write(text)
        self.close_float()

    def _end_alternatives(self) -> None:
        self._alternatives.pop()

    def _alternative(self, _: Attributes) -> None:
        if self._alternatives and self.written > self._alternatives[-1]:
            self.skip()  # the same once more, for other programs


class _Notes(_Body):
    """Footnotes, endnotes or comments, each by itself."""

    def __init__(self, document: _WordDocument, relations: dict[str, tuple[str, str]], kind: str) -> None:
        super().__init__(document, relations)
        self.texts: dict[tuple[str, str], str] = {}
        self._kind = kind
        self._identifier = ""
        self.opening[f"w:{kind}"] = self._begin
        self.closing[f"w:{kind}"] = self._end_note

    def _begin(self, attributes: Attributes) -> None:
        if (value(attributes, "type") or "normal") != "normal":  # the line above the notes
            self.skip()
            return
        self._identifier = value(attributes, "id") or ""
        self.open_flow()
        if author := value(attributes, "author"):
            self.write(f"{author}: ")

    def _end_note(self) -> None:
        if text := self.close_flow().strip():
            self.texts[self._kind, self._identifier] = text
