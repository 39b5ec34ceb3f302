"""Excel workbooks (ECMA-376, SpreadsheetML), with a reader of ours over their XML.

kreuzberg gives numbers only as the file holds them (no leading zeros, no separators), dates only as ISO writes them, and neither comments,
text boxes, charts nor page headers. Sheets are parsed as a stream, so that their size costs time but no memory.
"""

import re
import time
from dataclasses import dataclass, field
from datetime import datetime
from typing import BinaryIO
from xml.parsers import expat

from shared.extraction.failures import UnsupportedType
from shared.extraction.formats import Reading
from shared.extraction.formats.numbers import NumberFormat, language_of
from shared.extraction.formats.openxml import Package, PartDamaged, attached_texts, damaged, drawn_text, reference, unescaped
from shared.extraction.formats.xml_parts import Attributes
from shared.extraction.limits import MAX_PAGES, MAX_TEXT_CHARACTERS, QUICK_CPU_SECONDS

_KIND = "Excel workbook"
_HEADER_CODE = re.compile(r'&(?:"[^"]*"|K(?:[0-9A-F]{6}|\d\d[+-]\d{3})|\d{1,3}|(.))', re.I | re.S)
_MAX_STYLES, _MAX_REMEMBERED = 100, 5_000
"""Styles of a sheet, and values in each, of which is remembered what they show."""
_IN_FULL = 1_000_000
"""Characters of a workbook up to which numbers have all their writings; large tables have room for more rows instead."""
BOOLEANS = {"0": "FALSCH FALSE", "1": "WAHR TRUE"}
"""What a cell shows depends on the country, as with numbers."""


@dataclass
class _Sheet:
    name: str
    part: str | None


@dataclass
class _Workbook:
    package: Package
    sheets: list[_Sheet] = field(default_factory=list)
    since_1904: bool = False
    strings: list[str] = field(default_factory=list)
    formats: list[NumberFormat] = field(default_factory=list)
    """By style."""
    people: dict[str, str] = field(default_factory=dict)
    language: str = ""


class _Enough(Exception):
    """No more of the workbook is read."""


def read(file: BinaryIO) -> Reading:
    """A page a sheet, hidden ones too: its name, header, rows (cells with tabs between them), footer, then text boxes, charts and comments.

    Of formulas the results count that the workbook keeps. Reads no further than MAX_TEXT_CHARACTERS and half of the quick CPU time."""
    package = Package(file)
    main = package.main_part("xl/workbook.xml")
    if main.endswith(".bin"):
        raise UnsupportedType("Binary workbooks (XLSB) cannot be read. Save it as XLSX and upload that.")
    try:
        workbook = _workbook(package, main)
    except PartDamaged:
        raise damaged(_KIND) from None
    sheets = workbook.sheets
    reading = Reading(title=package.title, truncated=len(sheets) > MAX_PAGES)
    left, unreadable = MAX_TEXT_CHARACTERS, 0
    for sheet in sheets[:MAX_PAGES]:
        rows = _Rows(workbook, left)
        try:
            if sheet.part is None:
                raise PartDamaged
            rows.read(sheet.part)
        except PartDamaged:
            unreadable += 1
            reading.warn("page_unreadable", f"The sheet {sheet.name!r} is damaged and was not read to its end.")
        page = "\n".join(text for text in (sheet.name, *rows.headers(sheet.name), *rows.lines, *rows.footers(sheet.name)) if text)
        beside = _beside(workbook, sheet.part) if sheet.part else []
        reading.pages.append("\n\n".join((page, *beside)))
        left -= len(reading.pages[-1])
        if rows.cut or left <= 0:
            reading.truncated = True
            break
    if sheets and unreadable == len(reading.pages) and not any("\n" in page for page in reading.pages):
        raise damaged(_KIND)
    reading.pages = reading.pages or [""]
    reading.page_count = len(sheets) if len(sheets) > 1 else None
    return reading


def _workbook(package: Package, main: str) -> _Workbook:
    workbook = _Workbook(package)
    named: list[tuple[str, str]] = []

    def start(element: str, attributes: Attributes) -> None:
        if element == "sheet":
            named.append((attributes.get("name", ""), reference(attributes)))
        elif element == "workbookPr":
            workbook.since_1904 = attributes.get("date1904", "0").lower() in ("1", "true", "on")

    package.walk(main, start)
    relationships = package.relationships(main)
    parts = {relationship.id: relationship.part for relationship in relationships}
    workbook.sheets = [_Sheet(name, parts.get(id)) for name, id in named]
    # the texts first: they tell the language of the months
    for relationship in sorted(relationships, key=lambda relationship: relationship.kind != "sharedStrings"):
        if relationship.part is None:
            continue
        try:
            if relationship.kind == "sharedStrings":
                workbook.strings = _texts(package, relationship.part)
                workbook.language = language_of(workbook.strings)
            elif relationship.kind == "styles":
                _read_styles(workbook, relationship.part)
            elif relationship.kind == "person":
                _read_people(workbook, relationship.part)
        except PartDamaged:
            continue
    return workbook


def _texts(package: Package, part: str) -> list[str]:
    """The shared strings: all runs of each, without the readings of Japanese words (rPh)."""
    texts: list[str] = []
    pieces: list[str] = []
    runs: list[str] = []
    readings = 0
    item, text, reading = "si", "t", "rPh"

    def root(name: str, _: Attributes) -> None:
        nonlocal item, text, reading
        prefix = name.partition(":")[0] + ":" if ":" in name else ""
        item, text, reading = (prefix + one for one in ("si", "t", "rPh"))
        parser.StartElementHandler = start

    def start(name: str, _: Attributes) -> None:
        nonlocal readings
        if name == reading:
            readings += 1
        pieces.clear()

    def end(name: str) -> None:
        nonlocal readings
        if name == text:
            if not readings:
                runs.extend(pieces)
        elif name == item:
            texts.append(one_line("".join(runs)))
            runs.clear()
        elif name == reading:
            readings -= 1
        pieces.clear()

    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = root, end, pieces.append
    package.parse(part, parser)
    return texts


def _read_styles(workbook: _Workbook, part: str) -> None:
    codes: dict[str, str] = {}
    numbers: list[str] = []
    in_cells = False

    def start(element: str, attributes: Attributes) -> None:
        nonlocal in_cells
        if element == "numFmt":
            codes.setdefault(attributes.get("numFmtId", ""), attributes.get("formatCode", ""))
        elif element == "cellXfs":
            in_cells = True
        elif element == "xf" and in_cells:
            numbers.append(attributes.get("numFmtId", "0"))

    def end(element: str) -> None:
        nonlocal in_cells
        if element == "cellXfs":
            in_cells = False

    workbook.package.walk(part, start, end)
    made: dict[str, NumberFormat] = {}
    epoch, language = workbook.since_1904, workbook.language
    for number in numbers:
        if number not in made:
            code = codes.get(number)
            if code is None:
                made[number] = NumberFormat.built_in(int(number) if number.isdecimal() else 0, since_1904=epoch, language=language)
            else:
                made[number] = NumberFormat(code, since_1904=epoch, language=language)
        workbook.formats.append(made[number])


def _read_people(workbook: _Workbook, part: str) -> None:
    def start(element: str, attributes: Attributes) -> None:
        if element == "person":
            workbook.people[attributes.get("id", "")] = attributes.get("displayName", "")

    workbook.package.walk(part, start)


class _Rows:
    """The rows of one sheet, as lines, and its printed headers and footers."""

    def __init__(self, workbook: _Workbook, left: int) -> None:
        self._workbook = workbook
        self._left = left
        self._brief_below = MAX_TEXT_CHARACTERS - _IN_FULL
        self._brief = left < self._brief_below
        self._margins: dict[str, str] = {}
        self._styles: dict[str | None, tuple[NumberFormat, dict[str, str]]] = {}
        self.lines: list[str] = []
        self.cut = False

    def read(self, part: str) -> None:
        """Raises PartDamaged; what was read until then stays."""
        # the longest loop of a workbook: a handful of calls for each of a million cells, so names are compared as written in the file
        lines, cells, pieces = self.lines, list[str](), list[str]()
        strings, value_of = self._workbook.strings, self._value
        margins, prefix = self._margins, ""
        cell, row, value, text, reading = "c", "row", "v", "t", "rPh"
        kind: str | None = None
        style: str | None = None
        raw, readings = "", 0
        left = self._left

        def root(name: str, _: Attributes) -> None:
            nonlocal prefix, cell, row, value, text, reading
            prefix = name.partition(":")[0] + ":" if ":" in name else ""
            cell, row, value, text, reading = (prefix + one for one in ("c", "row", "v", "t", "rPh"))
            parser.StartElementHandler = start

        def start(name: str, attributes: Attributes) -> None:
            nonlocal kind, style, raw, readings
            if name == cell:
                kind, style, raw = attributes.get("t"), attributes.get("s"), ""
            elif name == reading:
                readings += 1
            pieces.clear()

        def end(name: str) -> None:
            nonlocal raw, readings, left
            if name == value:
                raw = "".join(pieces)
            elif name == cell:
                if raw:
                    if kind == "s":
                        place = int(raw) if raw.strip().isdecimal() else -1
                        if 0 <= place < len(strings):
                            cells.append(strings[place])
                    else:
                        cells.append(value_of(kind, style, raw))
            elif name == row:
                if cells:
                    line = "\t".join(cells)
                    cells.clear()
                    lines.append(line)
                    left -= len(line) + 1
                    if left < self._brief_below and not self._brief:
                        self._brief = True
                        self._styles.clear()
                    if left < 0 or (not len(lines) % 500 and time.process_time() > QUICK_CPU_SECONDS / 2):
                        raise _Enough
            elif name == text:
                if not readings:
                    raw += "".join(pieces)
            elif name == reading:
                readings -= 1
            elif name.endswith(("Header", "Footer")) and pieces:
                margins[name.rpartition(":")[2]] = "".join(pieces)
            pieces.clear()

        parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = root, end, pieces.append
        try:
            self._workbook.package.parse(part, parser)
        except _Enough:
            self.cut = True

    def _value(self, kind: str | None, style: str | None, raw: str) -> str:
        """What a cell shows that is no shared string (18.18.11)."""
        if kind == "b":
            return BOOLEANS.get(raw.strip(), raw)
        if kind in ("str", "inlineStr", "e"):
            return one_line(raw)
        number_format, known = self._styles.get(style) or self._style(style)
        shown = known.get(raw)
        if shown is None:
            try:
                if kind == "d":
                    shown = number_format.date(datetime.fromisoformat(raw.strip()).replace(tzinfo=None))
                else:
                    shown = number_format.text(raw.strip(), brief=self._brief)
            except (ValueError, ArithmeticError):
                shown = one_line(raw)
            if len(known) < _MAX_REMEMBERED:
                known[raw] = shown
        return shown

    def _style(self, style: str | None) -> tuple[NumberFormat, dict[str, str]]:
        """Its number format, and what is remembered of the values shown in it."""
        formats = self._workbook.formats
        place = int(style) if style and style.isdecimal() else 0
        made = formats[place] if place < len(formats) else NumberFormat("General"), dict[str, str]()
        if len(self._styles) < _MAX_STYLES:
            self._styles[style] = made
        return made

    def headers(self, sheet: str) -> list[str]:
        return self._distinct("Header", sheet)

    def footers(self, sheet: str) -> list[str]:
        return self._distinct("Footer", sheet)

    def _distinct(self, kind: str, sheet: str) -> list[str]:
        return list(dict.fromkeys(margin(code, sheet) for name, code in self._margins.items() if name.endswith(kind)))


def margin(code: str, sheet: str) -> str:
    """A header or footer without its codes (18.3.1.46); page numbers, dates and names of files are known only when it is printed."""

    def replaced(match: re.Match[str]) -> str:
        letter = (match[1] or "").upper()
        return {"&": "&", "L": "\n", "C": "\n", "R": "\n", "A": sheet}.get(letter, "")

    lines = _HEADER_CODE.sub(replaced, code.replace("\r", "\n")).split("\n")
    return "\n".join(line.strip() for line in lines if line.strip())


def _beside(workbook: _Workbook, part: str) -> list[str]:
    """What stands on a sheet besides its cells; what is damaged of it is left out."""
    package = workbook.package
    relationships = [relationship for relationship in package.relationships(part) if relationship.part]
    threads = any(relationship.kind == "threadedComment" for relationship in relationships)
    texts: list[str] = []
    for relationship in relationships:
        assert relationship.part is not None
        try:
            if relationship.kind == "drawing":
                texts.append(drawn_text(package, relationship.part))
                texts += attached_texts(package, relationship.part)
            elif relationship.kind in ("comments", "threadedComment"):
                texts.append(_comments(workbook, relationship.part, threads))
        except PartDamaged:
            continue
    return [text for text in texts if text]


def _comments(workbook: _Workbook, part: str, threads: bool) -> str:
    """A line a comment: its cell, who wrote it, its text. Of the notes that stand for threads in older programs, none."""
    authors: list[str] = []
    lines: list[str] = []
    pieces: list[str] = []
    cell, author = "", ""
    collecting, readings = False, 0

    def start(element: str, attributes: Attributes) -> None:
        nonlocal cell, author, collecting, readings
        if element == "comment":
            cell = attributes.get("ref", "")
            place = attributes.get("authorId", "")
            author = authors[int(place)] if place.isdecimal() and int(place) < len(authors) else ""
        elif element == "threadedComment":
            cell, author = attributes.get("ref", ""), workbook.people.get(attributes.get("personId", ""), "")
        elif element == "rPh":
            readings += 1
        if element in ("comment", "threadedComment", "author"):
            pieces.clear()
        collecting = element in ("t", "text", "author") and not readings

    def end(element: str) -> None:
        nonlocal collecting, readings
        if element == "author":
            authors.append("".join(pieces))
        elif element == "rPh":
            readings -= 1
        elif element in ("comment", "threadedComment"):
            text = one_line("".join(pieces))
            if text and not (threads and author.startswith("tc=")):
                by = "" if not author or author.startswith("tc=") or text.startswith(author) else f"{author}: "
                lines.append(f"{cell}\t{by}{text}")
        collecting = False

    def characters(text: str) -> None:
        if collecting:
            pieces.append(text)

    workbook.package.walk(part, start, end, characters)
    return "\n".join(lines)


def one_line(text: str) -> str:
    """A cell's text on one line of the page."""
    if "_x" in text:
        text = unescaped(text)
    return " ".join(text.split("\n")).replace("\r", " ").replace("\t", " ") if "\n" in text or "\r" in text or "\t" in text else text
