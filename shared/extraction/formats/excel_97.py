"""Excel workbooks from before 2007 (XLS: BIFF5 and BIFF8, MS-XLS), read record by record; numbers as shown in the cell and as they are."""

import struct
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

from shared.extraction.compound import Compound, code_page, title
from shared.extraction.failures import DocumentCorrupt, DocumentEncrypted
from shared.extraction.formats import Reading
from shared.extraction.formats.numbers import NumberFormat, language_of
from shared.extraction.formats.spreadsheet import BOOLEANS, margin, one_line
from shared.extraction.limits import MAX_PAGES, MAX_TEXT_CHARACTERS

_FORMULA, _EOF, _HEADER, _FOOTER, _NOTE, _DATE_1904, _FILE_PASS, _CONTINUE = 0x06, 0x0A, 0x14, 0x15, 0x1C, 0x22, 0x2F, 0x3C
_CODE_PAGE, _SHEET, _MULTIPLE_RK, _RICH, _XF, _STRINGS, _LABEL_SST = 0x42, 0x85, 0xBD, 0xD6, 0xE0, 0xFC, 0xFD
_TEXT_OBJECT, _NUMBER, _LABEL, _BOOLEAN_OR_ERROR, _STRING, _RK, _FORMAT, _BOF = 0x1B6, 0x203, 0x204, 0x205, 0x207, 0x27E, 0x41E, 0x809
_SERIES_TEXT = 0x100D
_BIFF8 = 0x600
_ERRORS = {0: "#NULL!", 7: "#DIV/0!", 15: "#VALUE!", 23: "#REF!", 29: "#NAME?", 36: "#NUM!", 42: "#N/A"}
_MAX_STRINGS = 2_000_000
_MAX_REMEMBERED = 100_000


@dataclass
class _BiffSheet:
    name: str
    place: int
    rows: dict[int, list[tuple[int, str]]] = field(default_factory=dict)
    headers: list[str] = field(default_factory=list)
    footers: list[str] = field(default_factory=list)
    beside: list[str] = field(default_factory=list)

    def page(self) -> str:
        lines = ("\t".join(text for _, text in sorted(cells)) for _, cells in sorted(self.rows.items()))
        margins = [[text for text in dict.fromkeys(texts) if text and text != self.name] for texts in (self.headers, self.footers)]
        page = "\n".join(text for text in (self.name, *margins[0], *lines, *margins[1]) if text)
        return "\n\n".join((page, *dict.fromkeys(filter(None, self.beside))))


def read(file: BinaryIO) -> Reading:
    """A page a sheet, hidden ones and charts too: name, header, rows (cells with tabs between them), footer, text boxes and comments.

    Raises DocumentEncrypted, DocumentCorrupt."""
    compound = Compound(file)
    data = compound.read("workbook") or compound.read("book")
    workbook = _BiffWorkbook(data)
    try:
        workbook.read()
    except struct.error:
        if not workbook.sheets:
            raise DocumentCorrupt("The Excel workbook is damaged and cannot be read.") from None
        workbook.truncated = True
    pages = [sheet.page() for sheet in workbook.sheets[:MAX_PAGES]] or [""]
    return Reading(
        pages=pages,
        page_count=len(workbook.sheets) if len(workbook.sheets) > 1 else None,
        title=title(compound),
        truncated=workbook.truncated or len(workbook.sheets) > MAX_PAGES,
    )


class _BiffWorkbook:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._wide = True
        """Whether strings are Unicode (BIFF8)."""
        self._encoding = "cp1252"
        self._since_1904 = False
        self._codes: dict[int, str] = {}
        self._format_of: list[int] = []
        self._formats: dict[int, NumberFormat] = {}
        self._strings: list[str] = []
        self._language: str | None = None
        self._shown: dict[tuple[int, float], str] = {}
        self._left = MAX_TEXT_CHARACTERS
        self.sheets: list[_BiffSheet] = []
        self.truncated = False

    def read(self) -> None:
        """Raises DocumentEncrypted, DocumentCorrupt, struct.error for what is cut off."""
        if len(self._data) < 8 or struct.unpack_from("<H", self._data)[0] != _BOF:
            raise DocumentCorrupt("The Excel workbook is damaged and cannot be read.")
        self._wide = struct.unpack_from("<H", self._data, 4)[0] >= _BIFF8
        for kind, place, length in self._records(0):
            self._global(kind, place, length)
        if not self.sheets:  # before BIFF5 a file was one sheet
            self.sheets.append(_BiffSheet("", 0))
        for sheet in sorted(self.sheets[:MAX_PAGES], key=lambda sheet: sheet.place):
            self._read_sheet(sheet)
            if self._left <= 0:
                self.truncated = True
                return

    def _records(self, place: int) -> Iterator[tuple[int, int, int]]:
        """Kind, place and length of each record of a substream and of those in it, up to its end."""
        depth = 0
        while place + 4 <= len(self._data):
            kind, length = struct.unpack_from("<HH", self._data, place)
            place += 4
            if kind == _BOF:
                depth += 1
            elif kind == _EOF:
                depth -= 1
                if depth <= 0:
                    return
            yield kind, place, min(length, len(self._data) - place)
            place += length

    def _global(self, kind: int, place: int, length: int) -> None:
        data = self._data
        if kind == _FILE_PASS:
            raise DocumentEncrypted()
        if kind == _SHEET and length >= 8:
            (start,) = struct.unpack_from("<I", data, place)
            self.sheets.append(_BiffSheet(self._short_text(place + 6, place + length), start))
        elif kind == _CODE_PAGE and length >= 2:
            self._encoding = code_page(struct.unpack_from("<H", data, place)[0])
        elif kind == _DATE_1904 and length >= 2:
            self._since_1904 = bool(struct.unpack_from("<H", data, place)[0])
        elif kind == _FORMAT and length > 4:
            self._codes[struct.unpack_from("<H", data, place)[0]] = (
                self._text(place + 2, place + length) if self._wide else self._short_text(place + 2, place + length)
            )
        elif kind == _XF and length >= 4:
            self._format_of.append(struct.unpack_from("<H", data, place + 2)[0])
        elif kind == _STRINGS:
            self._read_strings(place, length)

    def _read_sheet(self, sheet: _BiffSheet) -> None:
        data = self._data
        pending: tuple[int, int] | None = None
        for kind, place, length in self._records(sheet.place):
            if kind == _LABEL_SST and length >= 10:
                row, column, _, number = struct.unpack_from("<HHHI", data, place)
                if number < len(self._strings):
                    self._put(sheet, row, column, self._strings[number])
            elif kind == _RK and length >= 10:
                row, column, style, number = struct.unpack_from("<HHHI", data, place)
                self._put(sheet, row, column, self._number(style, _from_rk(number)))
            elif kind == _MULTIPLE_RK and length >= 6:
                row, column = struct.unpack_from("<HH", data, place)
                for index in range((length - 6) // 6):
                    style, number = struct.unpack_from("<HI", data, place + 4 + 6 * index)
                    self._put(sheet, row, column + index, self._number(style, _from_rk(number)))
            elif kind == _NUMBER and length >= 14:
                row, column, style, value = struct.unpack_from("<HHHd", data, place)
                self._put(sheet, row, column, self._number(style, value))
            elif kind in (_FORMULA, _FORMULA | 0x200, _FORMULA | 0x400) and length >= 14:
                row, column, style = struct.unpack_from("<HHH", data, place)
                pending = (row, column)
                self._put(sheet, row, column, self._result(style, place + 6))
            elif kind == _STRING and pending is not None:
                self._put(sheet, *pending, self._text(place, place + length))
                pending = None
            elif kind in (_LABEL, _RICH) and length >= 8:
                row, column = struct.unpack_from("<HH", data, place)
                self._put(sheet, row, column, self._text(place + 6, place + length))
            elif kind == _BOOLEAN_OR_ERROR and length >= 8:
                row, column, _, value, is_error = struct.unpack_from("<HHHBB", data, place)
                self._put(sheet, row, column, _ERRORS.get(value, "") if is_error else BOOLEANS["1" if value else "0"])
            elif kind in (_HEADER, _FOOTER) and length > 2:
                code = self._text(place, place + length) if self._wide else self._short_text(place, place + length)
                (sheet.headers if kind == _HEADER else sheet.footers).append(margin(code, sheet.name))
            elif kind == _TEXT_OBJECT and length >= 12:
                sheet.beside.append(self._of_object(place, length))
            elif kind == _NOTE and not self._wide and length > 6:
                sheet.beside.append(data[place + 6 : place + length].decode(self._encoding, "replace"))
            elif kind == _SERIES_TEXT and length > 3:
                sheet.beside.append(self._short_text(place + 2, place + length))
            if self._left <= 0:
                return

    def _put(self, sheet: _BiffSheet, row: int, column: int, text: str) -> None:
        if text:
            sheet.rows.setdefault(row, []).append((column, text))
            self._left -= len(text) + 1

    def _result(self, style: int, place: int) -> str:
        """What a formula came to; a text stands in the record that follows (2.5.133)."""
        kind, value, end = self._data[place], self._data[place + 2], struct.unpack_from("<H", self._data, place + 6)[0]
        if end != 0xFFFF:
            return self._number(style, struct.unpack_from("<d", self._data, place)[0])
        if kind == 1:
            return BOOLEANS["1" if value else "0"]
        return _ERRORS.get(value, "") if kind == 2 else ""

    def _number(self, style: int, value: float) -> str:
        shown = self._shown.get((style, value))
        if shown is None:
            raw = str(int(value)) if value == value and abs(value) < 1e15 and value == int(value) else f"{value:.15g}"
            try:
                shown = self._format(style).text(raw)
            except (ValueError, ArithmeticError):
                shown = raw
            if len(self._shown) < _MAX_REMEMBERED:
                self._shown[style, value] = shown
        return shown

    def _format(self, style: int) -> NumberFormat:
        number = self._format_of[style] if style < len(self._format_of) else 0
        made = self._formats.get(number)
        if made is None:
            if self._language is None:
                self._language = language_of(self._strings)
            if (code := self._codes.get(number)) is None:
                made = NumberFormat.built_in(number, since_1904=self._since_1904, language=self._language)
            else:
                made = NumberFormat(code, since_1904=self._since_1904, language=self._language)
            self._formats[number] = made
        return made

    def _text(self, place: int, end: int) -> str:
        """A string with its length in two bytes, as far as its record goes."""
        if end - place < 3:
            return ""
        (count,) = struct.unpack_from("<H", self._data, place)
        return self._characters(place + 2, end, count)

    def _short_text(self, place: int, end: int) -> str:
        """A string with its length in one byte."""
        return self._characters(place + 1, end, self._data[place]) if end > place else ""

    def _characters(self, place: int, end: int, count: int) -> str:
        if not self._wide:
            return one_line(self._data[place : min(end, place + count)].decode(self._encoding, "replace"))
        flags = self._data[place]
        place += 1 + (2 if flags & 8 else 0) + (4 if flags & 4 else 0)
        if flags & 1:
            return one_line(self._data[place : min(end, place + 2 * count)].decode("utf-16-le", "replace"))
        return one_line(self._data[place : min(end, place + count)].decode("latin-1"))

    def _of_object(self, place: int, length: int) -> str:
        """The text of a text box or a comment, which stands in the record that follows (2.4.329)."""
        (count,) = struct.unpack_from("<H", self._data, place + 10)
        place += length
        kind, length = struct.unpack_from("<HH", self._data, place)
        if not count or kind != _CONTINUE or length < 2:
            return ""
        place += 4
        wide = self._data[place] & 1
        text = self._data[place + 1 : place + min(length, 1 + count * (2 if wide else 1))]
        return text.decode("utf-16-le" if wide else "latin-1", "replace").replace("\r", "\n")

    def _read_strings(self, place: int, length: int) -> None:
        """The shared strings, which run on over CONTINUE records; one may change its width at a break (2.4.265, 2.5.293)."""
        starts, pieces = [0], [self._data[place : place + length]]
        place += length
        while place + 4 <= len(self._data):
            kind, length = struct.unpack_from("<HH", self._data, place)
            if kind != _CONTINUE:
                break
            starts.append(starts[-1] + len(pieces[-1]))
            pieces.append(self._data[place + 4 : place + 4 + length])
            place += 4 + length
        table = b"".join(pieces)
        starts.append(len(table))
        (count,) = struct.unpack_from("<I", table, 4)
        position = 8
        for _ in range(min(count, _MAX_STRINGS)):
            if position + 3 > len(table):
                return
            characters, flags = struct.unpack_from("<HB", table, position)
            position += 3
            runs = asian = 0
            if flags & 8:
                (runs,) = struct.unpack_from("<H", table, position)
                position += 2
            if flags & 4:
                (asian,) = struct.unpack_from("<I", table, position)
                position += 4
            wide, text = flags & 1, ""
            while characters > 0 and position < len(table):
                end = starts[bisect_right(starts, position)]
                size = min(characters * (2 if wide else 1), end - position)
                text += table[position : position + size].decode("utf-16-le" if wide else "latin-1", "replace")
                characters -= size // (2 if wide else 1)
                position += size
                if characters > 0 and position < len(table):
                    if not size or position != end:
                        return
                    wide = table[position] & 1
                    position += 1
            self._strings.append(one_line(text))
            position += 4 * runs + asian


def _from_rk(number: int) -> float:
    """A number in 30 bits (2.5.122)."""
    if number & 2:
        value = float((number >> 2) - (1 << 30 if number & 0x8000_0000 else 0))
    else:
        (value,) = struct.unpack("<d", struct.pack("<II", 0, number & 0xFFFFFFFC))
    return value / 100 if number & 1 else value
