"""OpenDocument texts, spreadsheets and presentations, read from their XML (ODF 1.3 part 3).

kreuzberg loses what stands in a span inside a span, in links and list headers, blanks, comments, page headers and footers, and calls a
file under a password damaged; odfpy builds the whole tree, at ten times the memory.
"""

import contextlib
import io
import os
import posixpath
import re
import zipfile
from collections.abc import Callable
from typing import IO, BinaryIO
from urllib.parse import unquote

from shared.extraction.content_types import NAMES, ODG, ODP, ODS
from shared.extraction.failures import DocumentCorrupt, DocumentEncrypted, DocumentTooComplex
from shared.extraction.formats import Reading
from shared.extraction.formats.xml_parts import BLANK, LINE, PARAGRAPH, TAB, Archive, Attributes, PartReader, Parts, value
from shared.extraction.limits import MAX_OFFICE_FILE, MIB

_URN = "urn:oasis:names:tc:opendocument:xmlns:"
_NAMESPACES = {
    f"{_URN}{path}:1.0": prefix
    for prefix, path in (
        ("office", "office"), ("text", "text"), ("table", "table"), ("draw", "drawing"), ("style", "style"), ("meta", "meta"),
        ("presentation", "presentation"), ("form", "form"), ("svg", "svg-compatible"), ("manifest", "manifest"), ("chart", "chart"),
    )
} | {"http://purl.org/dc/elements/1.1/": "dc", "http://www.w3.org/1998/Math/MathML": "math"}  # fmt: skip
_ISO_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_SPACE = re.compile(r"[ \t\r\n]+")
_MAX_BLANKS = 16
_MAX_NESTED_OBJECTS = 3
_DRAWN = {ODP, ODG}
_NUMBERS = {"float", "currency", "percentage"}


def read(file: BinaryIO, content_type: str) -> Reading:
    """The text by page (slides; in texts, as far as paragraphs begin or end pages): page headers first, page footers last, notes and
    comments at the foot. What is deleted with tracked changes is left out.

    Raises DocumentEncrypted, DocumentCorrupt."""
    damaged = DocumentCorrupt(f"The {NAMES[content_type]} is damaged and cannot be read.")
    with contextlib.ExitStack() as closing:
        flat = is_flat(file)
        archive = _Flat(file) if flat else closing.enter_context(zipfile.ZipFile(file))
        document = _OpenDocument(archive, content_type)
        if not flat:
            document.refuse_encrypted()
        content = _ContentReader(document)
        if not document.walk(content, "content.xml", needed=True):
            raise damaged
        styles = _Styles(document, content.masters)
        document.walk(styles, "styles.xml")
        document.reading.title = document.title("meta.xml")
        pages = content.pages()
    pages[0] = "\n\n".join(part for part in ("\n".join(styles.headers), pages[0]) if part)
    pages[-1] = "\n\n".join(part for part in (pages[-1], "\n".join(styles.footers)) if part)
    if content_type in _DRAWN:
        pages[0] = "\n\n".join(part for part in (pages[0], *styles.pages()) if part)
    reading = document.reading
    reading.pages = pages
    reading.page_count = len(pages) if content_type in (ODP, ODG) or len(pages) > 1 else None
    return reading


def is_flat(file: BinaryIO) -> bool:
    """Whether the document is one XML file instead of an archive (ODF 1.3 part 3, 3.1.2)."""
    file.seek(0)
    return not (file.read(2) or b"").startswith(b"PK")


class _Flat:
    """A document that is one XML file, in the place of an archive: each part is the whole, of which readers pass over the rest."""

    def __init__(self, file: BinaryIO) -> None:
        if file.seek(0, os.SEEK_END) > MAX_OFFICE_FILE:
            raise DocumentTooComplex(f"The document is larger than {MAX_OFFICE_FILE // MIB} MiB.")
        file.seek(0)
        self._data = file.read()

    def namelist(self) -> list[str]:
        return ["content.xml", "styles.xml", "meta.xml"]

    def open(self, _: str, /) -> IO[bytes]:
        return io.BytesIO(self._data)


class _OpenDocument(Parts):
    """One archive and its parts."""

    def __init__(self, archive: Archive, content_type: str) -> None:
        super().__init__(archive)
        self.content_type = content_type
        self._objects: set[str] = set()

    def refuse_encrypted(self) -> None:
        """ODF 1.3 part 2, 3.4: each part by itself, or, since LibreOffice 24.8, all in a package inside the package."""
        if "encrypted-package" in self.names() and "content.xml" not in self.names():
            raise DocumentEncrypted()
        manifest = _Manifest()
        self.walk(manifest, "META-INF/manifest.xml", needed=True)
        if manifest.encrypted:
            raise DocumentEncrypted()

    def object(self, href: str, nested: int) -> str:
        """The text of a chart, a formula or another document that stands in this one; each once."""
        folder = posixpath.normpath(unquote(href))
        if folder in self._objects or folder.startswith((".", "/")) or nested >= _MAX_NESTED_OBJECTS:
            return ""
        self._objects.add(folder)
        reader = _ContentReader(self, folder, nested + 1)
        self.walk(reader, f"{folder}/content.xml")
        return "\n\n".join(page for page in reader.pages() if page.strip())


class _Manifest(PartReader):
    NAMESPACES = _NAMESPACES

    def __init__(self) -> None:
        super().__init__()
        self.encrypted = False
        self.opening = {"manifest:encryption-data": self._found}

    def _found(self, _: Attributes) -> None:
        self.encrypted = True


class _TextReader(PartReader):
    """Whatever holds paragraphs."""

    NAMESPACES = _NAMESPACES
    SKIPPED = frozenset(
        {
            "text:tracked-changes", "table:tracked-changes", "text:note-citation", "text:script",
            "office:scripts", "table:content-validations", "table:named-expressions", "table:dde-links", "office:binary-data",
            "math:annotation", "math:annotation-xml", "office:meta", "office:settings",
        }
    )  # fmt: skip
    _FORMULA = frozenset({"math:mi", "math:mn", "math:mo", "math:mtext", "math:ms"})

    def __init__(self, document: _OpenDocument, folder: str = "", nested: int = 0) -> None:
        super().__init__()
        self._document = document
        self._folder = folder
        self._nested = nested
        self._paragraphs: list[int] = [0]
        """Open paragraphs of each open flow."""
        self._inside: list[bool] = []
        """Of each open paragraph, whether it lies in another and so is text beside it."""
        self._author = False
        self.opening = {
            "text:p": self._begin_paragraph, "text:h": self._begin_paragraph,
            "text:s": self._blanks, "text:tab": lambda _: self.write("\t"), "text:line-break": lambda _: self.write("\n"),
            "office:annotation": self._begin_aside, "draw:text-box": self._begin_aside, "text:note-body": self._begin_aside,
            "text:ruby-text": self._begin_unparted, "dc:creator": lambda _: self._in_author(True),
            "table:table": self._begin_table, "table:table-cell": self._begin_cell, "table:covered-table-cell": self._begin_cell,
            "svg:title": self._begin_unparted, "svg:desc": self._begin_unparted,
            "draw:object": self._object, "math:math": lambda _: self._formula(True),
        }  # fmt: skip
        self.closing = {
            "text:p": self._end_paragraph, "text:h": self._end_paragraph,
            "office:annotation": self._end_note, "draw:text-box": self._end_aside, "text:note-body": self._end_note,
            "text:ruby-text": self._end_aside, "dc:creator": lambda: self._in_author(False),
            "svg:title": self._end_aside, "svg:desc": self._end_aside,
            "table:table-row": lambda: self.flow.gap(LINE), "table:table-cell": self._end_cell,
            "table:table": lambda: self.flow.gap(LINE if self.flow.cells else PARAGRAPH),
            "table:covered-table-cell": self._end_cell, "math:math": lambda: self._formula(False),
        } | dict.fromkeys(self._FORMULA, lambda: self.flow.gap(BLANK))  # fmt: skip

    def characters(self, text: str) -> None:
        if not self._paragraphs[-1] and not self._author:
            return
        # ODF 1.3 part 3, 6.1.2: white space counts as one blank, none at the beginning
        if "  " in text or "\n" in text or "\t" in text or "\r" in text:
            text = _SPACE.sub(" ", text)
        if text[0] == " " and self.flow.at_start:
            text = text[1:]
        self.write(text)

    def _begin_paragraph(self, attributes: Attributes) -> None:
        beside = bool(self._paragraphs[-1])
        self._inside.append(beside)
        if beside:
            self._begin_aside(attributes)
        self._paragraphs[-1] += 1

    def _end_paragraph(self) -> None:
        if self._inside and self._paragraphs[-1]:
            self._paragraphs[-1] -= 1
            self.flow.end_paragraph()
            if self._inside.pop():
                self._end_aside()

    def _blanks(self, attributes: Attributes) -> None:
        count = value(attributes, "c") or "1"
        self.write(" " * min(int(count) if count.isdecimal() and len(count) < 9 else _MAX_BLANKS, _MAX_BLANKS))

    def _begin_aside(self, _: Attributes) -> None:
        self.open_flow()
        self._paragraphs.append(0)

    def _end_aside(self) -> None:
        self._paragraphs.pop()
        self.close_float()
        if not self._paragraphs[-1]:
            self.flow.end_paragraph()  # anchored at the page, in no paragraph

    def _end_note(self) -> None:
        self._paragraphs.pop()
        self.close_note()

    def _begin_unparted(self, attributes: Attributes) -> None:
        """The reading of a word, or what a picture shows: text in no paragraph of its own."""
        self._begin_aside(attributes)
        self._paragraphs[-1] = 1

    def _in_author(self, inside: bool) -> None:
        if self._flows:  # of a comment
            self._author = inside
            if not inside and self.flow.pages[-1]:
                self.write(": ")

    def _begin_table(self, _: Attributes) -> None:
        self.flow.gap(BLANK if self.flow.cells else PARAGRAPH)

    def _begin_cell(self, _: Attributes) -> None:
        self.flow.cells += 1

    def _end_cell(self) -> None:
        self.flow.cells = max(0, self.flow.cells - 1)
        self.flow.gap(TAB)

    def _formula(self, inside: bool) -> None:
        self._paragraphs[-1] += 1 if inside else -1
        self.flow.gap(BLANK)

    def _object(self, attributes: Attributes) -> None:
        if href := value(attributes, "href"):
            self.open_flow()
            self.write(self._document.object(posixpath.join(self._folder, href), self._nested))
            self.close_float()
            if not self._paragraphs[-1]:
                self.flow.end_paragraph()


class _ContentReader(_TextReader):
    """The body: with pages where paragraphs or slides say so, the values of cells, and what was entered into forms."""

    SKIPPED = _TextReader.SKIPPED | {"office:master-styles"}

    def __init__(self, document: _OpenDocument, folder: str = "", nested: int = 0) -> None:
        super().__init__(document, folder, nested)
        self._style = ""
        self._breaking: dict[str, str] = {}
        self._hidden: set[str] = set()
        """Styles of text that is not printed."""
        self.masters: set[str] = set()
        """Those that slides are drawn on."""
        self._slides = 0
        self._cell: Attributes = {}
        self._cell_parts = 0
        self._break_after = False
        self.opening |= {
            "style:style": self._begin_style,
            "style:paragraph-properties": self._paragraph_properties,
            "style:text-properties": self._text_properties,
            "text:span": self._begin_span,
            "text:section": self._begin_section,
            "draw:page": self._begin_slide,
            "presentation:footer-decl": self._declared,
            "presentation:header-decl": self._declared,
        } | {f"form:{control}": self._control for control in ("text", "textarea", "formatted-text", "date", "number", "combobox", "button",
             "checkbox", "radio", "fixed-text", "option")}  # fmt: skip
        self.closing |= {"presentation:footer-decl": self._end_declared, "presentation:header-decl": self._end_declared}

    def _begin_style(self, attributes: Attributes) -> None:
        self._style = value(attributes, "name") or ""
        if value(attributes, "master-page-name"):  # a page of another style begins
            self._breaking[self._style] = "before"

    def _paragraph_properties(self, attributes: Attributes) -> None:
        for side in ("before", "after"):
            if value(attributes, f"break-{side}") == "page":
                self._breaking[self._style] = side

    def _begin_paragraph(self, attributes: Attributes) -> None:
        if self._breaking and not (self._flows or self.flow.cells or self._nested or self._paragraphs[-1]):
            side = self._breaking.get(value(attributes, "style-name") or "")
            self._break_after = side == "after"
            if side == "before" and self.flow.pages[-1]:
                self.flow.break_page()
        super()._begin_paragraph(attributes)

    def _end_paragraph(self) -> None:
        super()._end_paragraph()
        if self._break_after and not self._flows and not self._paragraphs[-1]:
            self._break_after = False
            self.flow.break_page()

    def _text_properties(self, attributes: Attributes) -> None:
        if value(attributes, "display") == "none":
            self._hidden.add(self._style)

    def _begin_span(self, attributes: Attributes) -> None:
        if self._hidden and value(attributes, "style-name") in self._hidden:
            self.skip()

    def _begin_section(self, attributes: Attributes) -> None:
        if value(attributes, "display") == "none":
            self.skip()

    def _begin_slide(self, attributes: Attributes) -> None:
        self.masters.add(value(attributes, "master-page-name") or "")
        self._slides += 1
        if self._slides > 1 and not self._flows:
            self.flow.break_page()

    def _declared(self, _: Attributes) -> None:
        self._paragraphs[-1] += 1

    def _end_declared(self) -> None:
        self._paragraphs[-1] -= 1
        self.flow.end_paragraph()

    def _control(self, attributes: Attributes) -> None:
        for name in ("label", "current-value"):
            if text := value(attributes, name):
                self.write(text)
                self.flow.gap(LINE)

    def _begin_table(self, attributes: Attributes) -> None:
        super()._begin_table(attributes)
        if self._document.content_type == ODS and not self.flow.cells and not self._nested:
            self.write(value(attributes, "name") or "")
            self.flow.gap(PARAGRAPH)

    def _begin_cell(self, attributes: Attributes) -> None:
        super()._begin_cell(attributes)
        self._cell, self._cell_parts = attributes, len(self.flow.pages[-1])

    def _end_cell(self) -> None:
        if self._document.content_type == ODS and self._cell and not self._flows:
            shown = "".join(self.flow.pages[-1][self._cell_parts :]).strip()
            if (stored := _stored(self._cell, shown)) and stored not in shown:
                self.flow.gap(BLANK)
                if not shown and _ISO_DAY.fullmatch(stored):
                    self.write(f"{stored[8:]}.{stored[5:7]}.{stored[:4]} = ")
                self.write(stored)
        self._cell = {}
        super()._end_cell()


def _stored(cell: Attributes, shown: str) -> str | None:
    """The value of a cell as the file keeps it, to stand beside what is `shown`: that may be another writing of it, and some programs leave
    it out."""
    kind = value(cell, "value-type")
    if kind in _NUMBERS:
        return value(cell, "value")
    if kind == "date":
        return (value(cell, "date-value") or "").removesuffix("T00:00:00")
    if kind == "time" and not shown:
        return "".join(f"{int(number):02}:" for number in re.findall(r"(\d{1,4})[HM]", value(cell, "time-value") or "")).rstrip(":")
    return value(cell, "string-value") if kind == "string" else None


class _Styles(_TextReader):
    """The page headers and footers, which hold a letter's sender or its bank account; each different one once.

    Of presentations and drawings, what is drawn on the masters of their pages, but for the instructions in empty frames."""

    SKIPPED = _TextReader.SKIPPED | {
        "office:styles",
        "office:automatic-styles",
        "office:font-face-decls",
        "office:body",
        "style:handout-master",
        "presentation:notes",
    }

    def __init__(self, document: _OpenDocument, masters: set[str]) -> None:
        super().__init__(document)
        self._masters = masters
        self._has_field = False
        self.headers: list[str] = []
        self.footers: list[str] = []
        for where, texts in (("header", self.headers), ("footer", self.footers)):
            for name in (f"style:{where}", f"style:{where}-left", f"style:{where}-first"):
                self.opening[name] = self._begin_margin
                self.closing[name] = self._ending(texts)
        if document.content_type == ODS:  # what every sheet bears: its name, "Page 1"
            for field in ("page-number", "page-count", "sheet-name", "title", "date", "time", "file-name"):
                self.opening[f"text:{field}"] = self._skip_field
        if document.content_type in _DRAWN:
            self.opening |= {"style:master-page": self._begin_master, "draw:frame": self._begin_frame}

    def _begin_master(self, attributes: Attributes) -> None:
        if value(attributes, "name") not in self._masters:
            self.skip()

    def _begin_frame(self, attributes: Attributes) -> None:
        if value(attributes, "class") or value(attributes, "placeholder") == "true":
            self.skip()

    def _begin_margin(self, attributes: Attributes) -> None:
        if value(attributes, "display") == "false":
            self.skip()
        else:
            self._has_field = False
            self._begin_aside(attributes)

    def _skip_field(self, _: Attributes) -> None:
        self._has_field = True
        self.skip()

    def _ending(self, texts: list[str]) -> Callable[[], None]:
        def end() -> None:
            self._paragraphs.pop()
            text = self.close_flow().strip()
            if not text or text in texts:
                return
            if self._has_field and len(re.findall(r"\w+", text)) < 2:
                return
            texts.append(text)

        return end
