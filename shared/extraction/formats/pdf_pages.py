"""What a page of a PDF says by its text layer, and whether one sees more on it than that says.

A page is to be recognised if pictures or outlines cover places on which the text layer has nothing, or if the text layer makes no sense.
"""

import ctypes
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from pypdfium2 import raw

from shared.extraction.formats.text_layers import makes_sense

if TYPE_CHECKING:
    from pypdfium2 import PdfPage, PdfTextPage

_HYPHEN = re.compile(r"(?<=[^\W\d_])\ufffe(?=[^\W\dA-ZÄÖÜ_])")
_SPACED = re.compile(r"(?<!\S)[^\W_](?:[ \u00a0]+[^\W_][.,:;!?]?){3,}(?!\S)")
"""A word whose letters are set apart ("K a p i t e l"): four letters or more."""
_PERHAPS_SPACED = re.compile(r" [^\W_][.,:;!?]? [^\W_][.,:;!?]? [^\W_]")
_SHORT_LINES = re.compile(r"\n\S{1,2}\r?\n\S{1,2}\r?\n")
_SHORT_WORDS = re.compile(r" [^\W\d_] \S{1,2} [^\W\d_](?!\S)")
"""These begin with a certain character, so that most pages cost next to nothing."""

FEW_CHARACTERS = 16
"""A page with fewer characters than this and any picture on it is taken for a scan."""
_MANY_CHARACTERS = 2_000
"""So much sensible text is the page itself, whatever lies behind it."""
_OBJECTS_LOOKED_AT = 2_000
_CHARACTERS_LOOKED_AT = 20_000
_BOXES_LOOKED_AT = 500
_DEPTH = 4

_CELLS = 48
"""The page is looked at as a grid of so many rows and columns."""
_PICTURE_SHARE = 0.3
"""Share of the page that pictures cover on a scan; a smaller one is an illustration."""
_SMALL_PICTURE_SHARE = 0.1
_ROWS_OF_A_CAPTION = 5
"""On a page with hardly any text, a picture of that share is what the page is for: a receipt, a photographed notice."""
_TEXT_SHARE = 0.25
"""Share of the rows of the pictures in which a text layer stands that is taken for theirs; a stamp or a fax line takes less."""
_SEGMENTS_OF_A_RECTANGLE = 5
_SEGMENTS_OF_OUTLINES = 150
"""Segments of drawn shapes that may be some letters; a single one takes 10 to 40."""


_Box = tuple[float, float, float, float]
"""Left, bottom, right, top."""
_Matrix = tuple[float, float, float, float, float, float]


@dataclass
class Sight:
    """What one sees of a page: rows of cells, one bit for a column."""

    pictures: list[int]
    outlines: list[int]
    text: list[int]
    segments: int = 0
    has_picture: bool = False
    has_hidden_text: bool = False

    @property
    def picture_share(self) -> float:
        return sum(row.bit_count() for row in self.pictures) / _CELLS**2


@dataclass(frozen=True)
class PdfPageText:
    """The text layer of a page, whether it makes sense, and what one sees besides: None if so much is told that it must be all."""

    text: str
    makes_sense: bool
    sight: Sight | None

    @property
    def is_to_be_recognized(self) -> bool:
        """Whether one sees words on the page that its text layer does not tell. A text layer that makes no sense tells none."""
        if not self.makes_sense:
            return True
        if (sight := self.sight) is None:
            return False
        length = len(self.text.strip())
        if sight.has_picture and length < FEW_CHARACTERS:
            return True
        least = _PICTURE_SHARE if sum(map(bool, sight.text)) > _ROWS_OF_A_CAPTION else _SMALL_PICTURE_SHARE
        if sight.picture_share >= least and not (sight.has_hidden_text and length >= FEW_CHARACTERS):
            return _covered(sight.pictures, sight.text) < _TEXT_SHARE
        return sight.segments >= _SEGMENTS_OF_OUTLINES and _covered(sight.outlines, sight.text) < _TEXT_SHARE


def read(page: "PdfPage") -> PdfPageText:
    """The text layer of the page, in words, and what one sees besides."""
    textpage = page.get_textpage()
    try:
        text: str = textpage.get_text_range()
        boxes = _boxes(textpage)
        if (
            _SHORT_LINES.search(text)
            or _SHORT_WORDS.search(text)
            or any(top - bottom > max(18, 1.5 * (right - left)) for left, bottom, right, top in boxes)
        ):
            # some of it may run in another direction than the rest; PDFium glues it to its neighbours, or takes it letter by letter
            text = _text_by_direction(textpage) or text
        text = _joined(textpage, text) if len(text) <= _CHARACTERS_LOOKED_AT and _PERHAPS_SPACED.search(text) else text
        # U+FFFE stands for a hyphen at the end of a line, the line break after it left out: "Haftpflichtver\ufffesicherung", "E\ufffeMail"
        if "\ufffe" in text:
            text = _HYPHEN.sub("", text).replace("\ufffe", "-")
        sensible = makes_sense(text)
        return PdfPageText(text, sensible, None if sensible and len(text) > _MANY_CHARACTERS else _look(page, boxes))
    finally:
        textpage.close()


def combined(own: str, recognized: str) -> str:
    """The recognised text after those lines of the page's own that it does not tell as well."""
    known = set(re.findall(r"\w+", recognized.casefold()))
    lines = [line for line in own.splitlines() if line.strip() and not known.issuperset(re.findall(r"\w+", line.casefold()))]
    return "\n".join([*lines, recognized]) if lines else recognized


def _covered(behind: list[int], text: list[int]) -> float:
    """The share of the rows of `behind` in which there is text on it."""
    rows = [(seen, written) for seen, written in zip(behind, text, strict=True) if seen]
    return sum(bool(seen & written) for seen, written in rows) / max(1, len(rows))


def _boxes(textpage: "PdfTextPage") -> list[_Box]:
    """The boxes of pieces of text."""
    boxes = []
    left, top, right, bottom = (ctypes.c_double() for _ in range(4))
    for number in range(min(raw.FPDFText_CountRects(textpage, 0, -1), _BOXES_LOOKED_AT)):
        if raw.FPDFText_GetRect(textpage, number, left, top, right, bottom):
            boxes.append((left.value, bottom.value, right.value, top.value))
    return boxes


def _look(page: "PdfPage", text: list[_Box]) -> Sight:
    left, bottom, right, top = page.get_bbox()
    width, height = max(1.0, right - left), max(1.0, top - bottom)
    sight = Sight([0] * _CELLS, [0] * _CELLS, [0] * _CELLS)

    def mark(rows: list[int], box: _Box) -> None:
        x0, x1 = ((x - left) / width * _CELLS for x in (box[0], box[2]))
        y0, y1 = ((y - bottom) / height * _CELLS for y in (box[1], box[3]))
        if not all(map(math.isfinite, (x0, x1, y0, y1))) or x1 <= 0 or x0 >= _CELLS or y1 <= 0 or y0 >= _CELLS:
            return
        start, end = max(0, int(x0)), min(_CELLS, max(int(x0) + 1, math.ceil(x1)))
        bits = (1 << end) - (1 << start)
        for row in range(max(0, int(y0)), min(_CELLS, max(int(y0) + 1, math.ceil(y1)))):
            rows[row] |= bits

    texts: list[Any] = []
    for kind, item, matrix in _objects(page):
        if kind == raw.FPDF_PAGEOBJ_TEXT:
            texts.append(item)
        elif kind == raw.FPDF_PAGEOBJ_IMAGE:
            sight.has_picture = True
            mark(sight.pictures, _box(item, matrix))
            # text under a picture that covers the page is the text layer of a scan
            sight.has_hidden_text |= bool(texts) and sight.picture_share >= 0.8
        elif (segments := raw.FPDFPath_CountSegments(item)) > _SEGMENTS_OF_A_RECTANGLE:
            sight.segments += segments
            mark(sight.outlines, _box(item, matrix))
    if sight.has_picture or sight.segments >= _SEGMENTS_OF_OUTLINES:
        for box in text:
            mark(sight.text, box)
    if sight.has_picture:
        invisible = raw.FPDF_TEXTRENDERMODE_INVISIBLE
        sight.has_hidden_text |= any(raw.FPDFTextObj_GetTextRenderMode(item) == invisible for item in texts)
    return sight


def _objects(page: "PdfPage") -> Iterator[tuple[int, Any, _Matrix]]:
    """The first texts, pictures and paths of the page, those in its forms as well: kind, handle, matrix of the form."""
    left = [_OBJECTS_LOOKED_AT]
    yield from _objects_within(raw.FPDFPage_GetObject, page, raw.FPDFPage_CountObjects(page), (1, 0, 0, 1, 0, 0), _DEPTH, left)


def _objects_within(get: Any, holder: Any, count: int, matrix: _Matrix, depth: int, left: list[int]) -> Iterator[tuple[int, Any, _Matrix]]:
    kind_of = raw.FPDFPageObj_GetType
    shown = (raw.FPDF_PAGEOBJ_TEXT, raw.FPDF_PAGEOBJ_PATH, raw.FPDF_PAGEOBJ_IMAGE)
    holder = getattr(holder, "raw", holder)
    for number in range(count):
        if left[0] <= 0:
            return
        left[0] -= 1
        item = get(holder, number)
        kind = kind_of(item)
        if kind in shown:
            yield kind, item, matrix
        elif kind == raw.FPDF_PAGEOBJ_FORM and depth:
            own = raw.FS_MATRIX()
            if raw.FPDFPageObj_GetMatrix(item, own):
                inner = _multiplied((own.a, own.b, own.c, own.d, own.e, own.f), matrix)
                yield from _objects_within(raw.FPDFFormObj_GetObject, item, raw.FPDFFormObj_CountObjects(item), inner, depth - 1, left)


def _multiplied(first: _Matrix, then: _Matrix) -> _Matrix:
    a, b, c, d, e, f = first
    p, q, r, s, t, u = then
    return a * p + b * r, a * q + b * s, c * p + d * r, c * q + d * s, e * p + f * r + t, e * q + f * s + u


def _box(item: Any, matrix: _Matrix) -> _Box:
    left, bottom, right, top = (ctypes.c_float() for _ in range(4))
    if not raw.FPDFPageObj_GetBounds(item, left, bottom, right, top):
        return 0, 0, 0, 0
    a, b, c, d, e, f = matrix
    corners = [(a * x + c * y + e, b * x + d * y + f) for x in (left.value, right.value) for y in (bottom.value, top.value)]
    xs, ys = [x for x, _ in corners], [y for _, y in corners]
    return min(xs), min(ys), max(xs), max(ys)


@dataclass(frozen=True)
class _Glyph:
    code: int
    along: float
    across: float
    end: float
    size: float


def _text_by_direction(textpage: "PdfTextPage") -> str | None:
    """The text anew, that in each direction by itself; None if it runs in one only and PDFium has it in whole words."""
    count = raw.FPDFText_CountChars(textpage)
    if count > _CHARACTERS_LOOKED_AT:
        return None
    x, y = ctypes.c_double(), ctypes.c_double()
    matrix = raw.FS_MATRIX()
    box = raw.FS_RECTF()
    upright: list[str] = []
    turned: dict[int, list[_Glyph]] = {}
    degrees = 0
    for number in range(count):
        code = raw.FPDFText_GetUnicode(textpage, number)
        if raw.FPDFText_IsGenerated(textpage, number) == 1 or code in (10, 13):
            if not degrees:
                upright.append(chr(code))
            continue
        if raw.FPDFText_GetMatrix(textpage, number, ctypes.byref(matrix)):
            before, degrees = degrees, round(math.degrees(math.atan2(matrix.b, matrix.a)) / 5) * 5 % 360
        else:
            before = degrees
        if not degrees:
            if before and upright and not upright[-1].isspace():
                upright.append("\n")
            upright.append(chr(code))
            continue
        if not before and upright and not upright[-1].isspace():
            upright.append("\n")
        raw.FPDFText_GetCharOrigin(textpage, number, x, y)
        raw.FPDFText_GetLooseCharBox(textpage, number, ctypes.byref(box))
        cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
        along, across = x.value * cos + y.value * sin, y.value * cos - x.value * sin
        ends = [px * cos + py * sin for px in (box.left, box.right) for py in (box.bottom, box.top)]
        size = math.hypot(matrix.a, matrix.b) * max(0.1, raw.FPDFText_GetFontSize(textpage, number))
        turned.setdefault(degrees, []).append(_Glyph(code, along, across, max(ends), size))
    if not turned:
        return None
    return "\n".join(filter(None, ("".join(upright).strip(), *(_lines(glyphs) for glyphs in turned.values()))))


def _lines(glyphs: list[_Glyph]) -> str:
    """The lines of glyphs that all run one way, read from the top."""
    lines: list[list[_Glyph]] = []
    for glyph in sorted(glyphs, key=lambda glyph: -glyph.across):
        if lines and lines[-1][-1].across - glyph.across < 0.4 * glyph.size:
            lines[-1].append(glyph)
        else:
            lines.append([glyph])
    return "\n".join(map(_line, lines))


def _line(glyphs: list[_Glyph]) -> str:
    glyphs.sort(key=lambda glyph: glyph.along)
    gaps = [after.along - before.end for before, after in pairwise(glyphs)]
    usual = max(0.0, sorted(gaps)[len(gaps) // 2]) if gaps else 0.0
    text = chr(glyphs[0].code)
    for glyph, gap in zip(glyphs[1:], gaps, strict=True):
        text += (" " if gap > 0.2 * glyph.size + 2 * usual else "") + chr(glyph.code)
    return " ".join(text.split())


def _joined(textpage: "PdfTextPage", text: str) -> str:
    """Words whose letters are set apart in one piece, if their letters stand evenly and no further apart than a letter is high."""
    codes = [raw.FPDFText_GetUnicode(textpage, number) for number in range(min(raw.FPDFText_CountChars(textpage), _CHARACTERS_LOOKED_AT))]
    letters = "".join(map(chr, codes))
    position = 0

    def join(match: re.Match[str]) -> str:
        nonlocal position
        found = letters.find(match[0], position)
        if found < 0 or sum(map(str.isalpha, match[0])) * 2 < sum(map(str.isalnum, match[0])):
            return match[0]
        position = found + len(match[0])
        return _without_gaps(textpage, [number for number in range(found, position) if not letters[number].isspace()], letters)

    return _SPACED.sub(join, text)


def _without_gaps(textpage: "PdfTextPage", numbers: list[int], letters: str) -> str:
    boxes = []
    for number in numbers:
        box = raw.FS_RECTF()
        raw.FPDFText_GetLooseCharBox(textpage, number, ctypes.byref(box))
        boxes.append((box.left, box.right, box.top - box.bottom))
    gaps = [after[0] - before[1] for before, after in pairwise(boxes)]
    usual = sorted(gaps)[len(gaps) // 3]
    high = max(height for _, _, height in boxes)
    if usual > 0.9 * high:
        return " ".join(letters[number] for number in numbers)  # the columns of a table
    text = letters[numbers[0]]
    for number, gap in zip(numbers[1:], gaps, strict=True):
        text += (" " if gap > 1.5 * usual + 0.1 * high else "") + letters[number]
    return text
