"""Packages of Office Open XML (ECMA-376, part 2): their parts, the relationships between these, and the text of drawings and charts,
which presentations and workbooks share.

Elements are known by their local names: programs choose their own prefixes, and the strict variant of the format its own namespaces.
Every part is parsed in one pass that keeps only text; a document type declaration, which the format forbids, counts as damage.
"""

import contextlib
import posixpath
import re
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import IO, Any, BinaryIO
from urllib.parse import unquote
from xml.parsers import expat

from shared.extraction.failures import DocumentCorrupt, ExtractionFailed
from shared.extraction.formats.numbers import NumberFormat
from shared.extraction.formats.xml_parts import Attributes

Start = Callable[[str, Attributes], None]
End = Callable[[str], None]

_ESCAPED = re.compile(r"_x([0-9A-Fa-f]{4})_")
_FILE_NAME = re.compile(r"\S+\.\w{2,4}")


class PartDamaged(Exception):
    """A part is missing, or is no XML."""


@dataclass(frozen=True)
class Relationship:
    """`kind` is the last word of its type, `part` the name of the part it leads to; None for a target outside of the package."""

    id: str
    kind: str
    part: str | None


class Package:
    """The parts of an open package, by names without the leading slash, in any case of letters (ECMA-376, part 2, 6.2.2.3)."""

    def __init__(self, file: BinaryIO) -> None:
        self._archive = zipfile.ZipFile(file)
        self._parts = {info.filename.replace("\\", "/").lstrip("/").lower(): info for info in self._archive.infolist()}

    def open(self, part: str) -> IO[bytes]:
        info = self._parts.get(part.lower())
        if info is None:
            raise PartDamaged(part)
        return self._archive.open(info)

    def parse(self, part: str, parser: expat.XMLParserType) -> None:
        """Parse a part to its end; raises PartDamaged. What the handlers raise passes through."""
        parser.StartDoctypeDeclHandler = _refuse_doctype
        try:
            with self.open(part) as stream:
                parser.ParseFile(stream)
        except (expat.ExpatError, zipfile.BadZipFile, LookupError, ValueError) as error:
            raise PartDamaged(part) from error

    def walk(self, part: str, start: Start, end: End | None = None, characters: Callable[[str], Any] | None = None) -> None:
        """Parse a part with handlers that are given local names."""
        local: dict[str, str] = {}

        def on_start(name: str, attributes: Attributes) -> None:
            if name not in local:
                local[name] = name.rpartition(":")[2]
            start(local[name], attributes)

        def on_end(name: str) -> None:
            if end:
                end(local[name])

        parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = on_start, on_end, characters
        self.parse(part, parser)

    def relationships(self, part: str) -> list[Relationship]:
        """Those of a part, or of the package for ""; empty if there are none or they are damaged."""
        folder, name = posixpath.split(part)
        found: list[Relationship] = []

        def start(element: str, attributes: Attributes) -> None:
            if element == "Relationship":
                target, outside = attributes.get("Target", ""), attributes.get("TargetMode", "").lower() == "external"
                kind = attributes.get("Type", "").rpartition("/")[2]
                found.append(Relationship(attributes.get("Id", ""), kind, None if outside else _resolved(folder, target)))

        with contextlib.suppress(PartDamaged):
            self.walk(posixpath.join(folder, "_rels", f"{name}.rels"), start)
        return found

    def main_part(self, usual: str) -> str:
        """The name of the part that the document begins with."""
        for relationship in self.relationships(""):
            if relationship.kind == "officeDocument" and relationship.part and relationship.part.lower() in self._parts:
                return relationship.part
        return usual

    @cached_property
    def title(self) -> str | None:
        """The title among the properties of the document."""
        words: list[str] = []
        inside = False

        def start(element: str, _: Attributes) -> None:
            nonlocal inside
            inside = element == "title"

        def characters(text: str) -> None:
            if inside:
                words.append(text)

        def end(_: str) -> None:
            nonlocal inside
            inside = False

        parts = [relationship.part for relationship in self.relationships("") if relationship.kind == "core-properties"]
        try:
            self.walk(parts[0] if parts and parts[0] else "docProps/core.xml", start, end, characters)
        except PartDamaged:
            return None
        return "".join(words) or None


def reference(attributes: Attributes, name: str = "id") -> str:
    """The attribute of that local name that has a prefix, as references to relationships (r:id) have."""
    return next((value for key, value in attributes.items() if key.endswith(f":{name}")), "")


def drawn_text(package: Package, part: str, *, without: Callable[[str], bool] = lambda _: False) -> str:
    """The text of a part of DrawingML in the order in which it is drawn: a line a paragraph or row of a table, a blank line after a shape.

    `without` says which placeholders (by their type) are left out. Of alternatives (ECMA-376, part 3) the first with text counts."""
    drawing = _Drawing(without)
    package.walk(part, drawing.start, drawing.end, drawing.characters)
    return drawing.text()


def unescaped(text: str) -> str:
    """`_x000B_` and the like stand for what XML cannot hold (ST_Xstring, 22.9.2.19)."""
    return _ESCAPED.sub(lambda match: chr(int(match[1], 16)), text) if "_x" in text else text


class _Drawing:
    def __init__(self, without: Callable[[str], bool]) -> None:
        self._without = without
        self._pieces: list[str] = []
        self._shapes: list[int] = []
        self._left_out = False
        self._cells = 0
        self._fallbacks = 0
        self._alternatives: list[int] = []
        """Of each set of alternatives that is open, the length of the text before it."""
        self._in_text = False

    def start(self, name: str, attributes: Attributes) -> None:
        if name == "AlternateContent":
            self._alternatives.append(len(self._pieces))
        elif name == "Fallback" and (self._fallbacks or (self._alternatives and self._says_something(self._alternatives[-1]))):
            self._fallbacks += 1
        if self._fallbacks:
            return
        if name in ("t", "text"):
            self._in_text = True
        elif name == "br":
            self._pieces.append(" " if self._cells else "\n")
        elif name == "tab":
            self._pieces.append("\t")
        elif name == "tc":
            self._cells += 1
        elif name == "sp":
            self._shapes.append(len(self._pieces))
            self._left_out = False
        elif name == "ph":
            self._left_out = self._without(attributes.get("type", "obj"))
        elif name == "cNvPr":
            for description in (attributes.get("title", ""), attributes.get("descr", "")):
                if description and not _FILE_NAME.fullmatch(description):
                    self._pieces.append(f"{description}\n")

    def end(self, name: str) -> None:
        if name == "AlternateContent":
            self._alternatives.pop()
        elif name == "Fallback" and self._fallbacks:
            self._fallbacks -= 1
            return
        if self._fallbacks:
            return
        if name in ("t", "text"):
            self._in_text = False
            if name == "text":
                self._pieces.append("\n")
        elif name == "p":
            self._pieces.append(" " if self._cells else "\n")
        elif name == "tc":
            self._cells -= 1
            self._pieces.append("\t")
        elif name in ("tr", "graphicFrame", "pic"):
            self._pieces.append("\n")
        elif name == "sp":
            start = self._shapes.pop()
            if self._left_out:
                del self._pieces[start:]
            self._left_out = False
            self._pieces.append("\n")

    def characters(self, text: str) -> None:
        if self._in_text and not self._fallbacks:
            self._pieces.append(unescaped(text))

    def _says_something(self, since: int) -> bool:
        return any(piece.strip() for piece in self._pieces[since:])

    def text(self) -> str:
        lines = (re.sub(r" *\t *", "\t", line).strip() for line in "".join(self._pieces).split("\n"))
        return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


@dataclass
class _Series:
    name: list[str] = field(default_factory=list)
    categories: list[str] = field(default_factory=list)
    values: list[str] = field(default_factory=list)

    def lines(self) -> Iterator[str]:
        yield " ".join(self.name)
        if len(self.categories) == len(self.values):
            yield from ("\t".join(pair) for pair in zip(self.categories, self.values, strict=True))
        else:
            yield "\t".join(self.categories)
            yield "\t".join(self.values)


def chart_text(package: Package, part: str) -> str:
    """Titles and labels of a chart, then its series: a name, and a line for each category and its value as the chart keeps them.

    Reads both the charts of ECMA-376 (21.2) and those that came with Office 2016 (chartEx)."""
    titles: list[str] = []
    series: list[_Series] = []
    current: _Series | None = None
    role, code = "", ""
    buffer: list[str] = []

    def start(name: str, attributes: Attributes) -> None:
        nonlocal current, role, code
        if name in ("ser", "series", "data"):  # chartEx keeps its data before the series
            current, role = _Series(), ""
            series.append(current)
        elif name in ("tx", "cat", "val", "xVal", "yVal", "bubbleSize", "title", "strDim", "numDim"):
            role = name
        elif name == "lvl":
            code = attributes.get("formatCode", "")
        buffer.clear()
        if name == "numCache":
            code = ""

    def end(name: str) -> None:
        nonlocal role, code, current
        text = "".join(buffer).strip()
        if name == "formatCode":
            code = text
        elif name in ("v", "pt") and text:
            if current is None:
                titles.append(f"{text}\n")
            elif role == "tx":
                current.name.append(text)
            elif role in ("cat", "xVal", "strDim"):
                current.categories.append(_as_shown(text, code) if code else text)
            elif role in ("val", "yVal", "bubbleSize", "numDim"):
                current.values.append(_as_shown(text, code))
        elif name == "t" and text:
            titles.append(text)
        elif name == "p" and titles:
            titles.append("\n")
        elif name in ("strCache", "numCache", "multiLvlStrCache", "lvl"):
            code = ""
        elif name in ("ser", "series", "data"):
            current = None
        buffer.clear()

    package.walk(part, start, end, buffer.append)
    lines = ["".join(titles), *(line for one in series for line in one.lines())]
    return "\n".join(line.strip() for line in lines if line.strip())


def _as_shown(text: str, code: str) -> str:
    try:
        return NumberFormat(code or "General").text(text)
    except (ValueError, ArithmeticError):
        return text


def attached_texts(package: Package, part: str) -> list[str]:
    """The charts and diagrams (SmartArt) that a part with drawings refers to; what is damaged of them is left out."""
    texts: list[str] = []
    for relationship in package.relationships(part):
        if relationship.part is None:
            continue
        try:
            if relationship.kind in ("chart", "chartEx"):
                texts.append(chart_text(package, relationship.part))
                drawn_over = [more.part for more in package.relationships(relationship.part) if more.kind == "chartUserShapes"]
                texts += [drawn_text(package, shapes) for shapes in drawn_over if shapes]
            elif relationship.kind == "diagramData":
                texts.append(drawn_text(package, relationship.part))
        except PartDamaged:
            continue
    return [text for text in texts if text]


def damaged(kind: str) -> ExtractionFailed:
    return DocumentCorrupt(f"The {kind} is damaged and cannot be read.")


def _resolved(folder: str, target: str) -> str:
    target = unquote(target.partition("#")[0]).replace("\\", "/")
    return posixpath.normpath(target.lstrip("/") if target.startswith("/") else posixpath.join(folder, target))


def _refuse_doctype(*_: object) -> None:
    raise ValueError("a document type declaration")
