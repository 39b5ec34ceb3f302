"""Word documents from before 2007 (DOC, MS-DOC): the text by its piece table, without what was deleted under change tracking.

Formatting is looked at for one thing only, whether a run of characters is marked as deleted.
"""

import struct
from bisect import bisect_right
from typing import BinaryIO

from shared.extraction.compound import Compound, title
from shared.extraction.failures import DocumentCorrupt, DocumentEncrypted
from shared.extraction.formats import Reading
from shared.extraction.limits import MAX_PAGES, MAX_TEXT_CHARACTERS

_WORD_97 = 0xC1
"""The first version whose text may be Unicode; before it the tables stand at other places."""
_ENCRYPTED, _OTHER_TABLE = 0x0100, 0x0200
_STORIES = ("text", "footnotes", "headers", "macros", "comments", "endnotes", "boxes", "header boxes")
_DELETED = 0x0800
"""sprmCFRMarkDel (MS-DOC 2.6.1)."""
_OPERANDS = (1, 1, 2, 4, 2, 2, -1, 3)
"""Bytes of what follows a property, by its three highest bits; -1: the next byte says it (2.2.5.1)."""
_PIECES = 500_000
_RUNS = 500_000
_SIGNS = {
    0x07: "\t", 0x0B: "\n", 0x0D: "\n", 0x0E: "\n", 0x1E: "-", 0x1F: "", 0xA0: " ", 0x2011: "-",
} | dict.fromkeys((*range(7), 0x08, 0x0F, 0x10, 0x11, 0x12, *range(0x16, 0x1E)), "")  # fmt: skip
_BEGIN, _SEPARATE, _END = "\x13", "\x14", "\x15"

_Ranges = list[tuple[int, int]]


def read(file: BinaryIO) -> Reading:
    """The text by page, as far as it says where pages end: page headers and footers first, notes, comments and text boxes last.

    Raises DocumentEncrypted, DocumentCorrupt."""
    compound = Compound(file)
    main = compound.read("worddocument")
    if len(main) < 0x200:
        raise DocumentCorrupt("The Word document is damaged and cannot be read.")
    version, flags = struct.unpack_from("<2xH6xH", main)
    if flags & _ENCRYPTED:
        raise DocumentEncrypted()
    table = compound.read("1table" if flags & _OTHER_TABLE else "0table")
    text = _text(main, table, version)
    stories = _stories(text, main, version)
    pages = [_plain(page) for page in stories.pop("text").split("\x0c")]
    truncated = len(pages) > MAX_PAGES
    pages = [page for number, page in enumerate(pages[:MAX_PAGES]) if page.strip() or number == 0]
    headers = dict.fromkeys(line.strip() for line in _plain(stories.pop("headers", "")).split("\n"))
    pages[0] = "\n\n".join(filter(None, ("\n".join(filter(None, headers)), pages[0])))
    pages[-1] = "\n\n".join(filter(None, (pages[-1], *(_plain(story).strip() for name, story in stories.items() if name != "macros"))))
    return Reading(pages=pages, page_count=len(pages) if len(pages) > 1 else None, title=title(compound), truncated=truncated)


def _stories(text: str, main: bytes, version: int) -> dict[str, str]:
    """The parts that the text is made of, one after the other, by the lengths that the file gives (2.5.4)."""
    lengths = struct.unpack_from("<8I", main, 0x4C if version >= _WORD_97 else 0x34)
    if sum(lengths) > 2 * len(text) + 100:
        return {"text": text}
    stories, position = {}, 0
    for name, length in zip(_STORIES, lengths, strict=True):
        stories[name] = text[position : position + length]
        position += length
    return stories


def _text(main: bytes, table: bytes, version: int) -> str:
    if version >= _WORD_97:
        place, length = struct.unpack_from("<II", main, 0x1A2)
        pieces = _pieces(table[place : place + length])
        deleted = _deleted(main, table)
    else:
        place, length = struct.unpack_from("<II", main, 0x160)
        pieces = _pieces(main[place : place + length], narrow=True)
        deleted = []
    if not pieces:  # a file that was saved in whole
        start, end = struct.unpack_from("<II", main, 0x18)
        pieces = [(start, max(0, end - start), False)]
    starts = [start for start, _ in deleted]
    texts, left = [], MAX_TEXT_CHARACTERS
    for place, count, wide in pieces:
        size = 2 if wide else 1
        count = min(count, left)
        piece = main[place : place + count * size].decode("utf-16-le" if wide else "cp1252", "replace")
        left -= count
        texts.append(_without(piece, place, size, deleted, starts) if deleted else piece)
        if left <= 0:
            break
    return "".join(texts)


def _pieces(clx: bytes, *, narrow: bool = False) -> list[tuple[int, int, bool]]:
    """Where each piece of the text lies, how many characters it has, and whether they take two bytes each (2.9.38, 2.9.177)."""
    position = 0
    while position + 3 <= len(clx) and clx[position] == 1:
        position += 3 + struct.unpack_from("<H", clx, position + 1)[0]
    if position + 5 > len(clx) or clx[position] != 2:
        return []
    table = clx[position + 5 : position + 5 + struct.unpack_from("<I", clx, position + 1)[0]]
    count = min(max(0, len(table) - 4) // 12, _PIECES)
    ends = struct.unpack_from(f"<{count + 1}I", table)
    pieces = []
    for number in range(count):
        (place,) = struct.unpack_from("<I", table, 4 * (count + 1) + 8 * number + 2)
        length = ends[number + 1] - ends[number]
        if length <= 0:
            continue
        if narrow:
            pieces.append((place, length, False))
        elif place & 0x4000_0000:
            pieces.append(((place & 0x3FFF_FFFF) // 2, length, False))
        else:
            pieces.append((place & 0x3FFF_FFFF, length, True))
    return pieces


def _deleted(main: bytes, table: bytes) -> _Ranges:
    """Where runs of characters lie that were deleted while changes were tracked (PlcBteChpx, ChpxFkp: 2.8.5, 2.9.33)."""
    place, length = struct.unpack_from("<II", main, 0xFA)
    pages = table[place : place + length]
    count = max(0, len(pages) - 4) // 8
    ranges: _Ranges = []
    if not count:
        return ranges
    runs_left = _RUNS
    for number in struct.unpack_from(f"<{count}I", pages, 4 * (count + 1)):
        page = main[(number & 0x3F_FFFF) * 512 : ((number & 0x3F_FFFF) + 1) * 512]
        if len(page) < 512:
            continue
        runs = min(page[511], 101)
        runs_left -= runs
        if runs_left < 0:
            break
        ends = struct.unpack_from(f"<{runs + 1}I", page)
        for run in range(runs):
            offset = page[4 * (runs + 1) + run] * 2
            if offset and _says_deleted(page[offset + 1 : offset + 1 + page[offset]]) and ends[run] < ends[run + 1]:
                ranges.append((ends[run], ends[run + 1]))
    return sorted(ranges)


def _says_deleted(properties: bytes) -> bool:
    position = 0
    while position + 3 <= len(properties):
        (code,) = struct.unpack_from("<H", properties, position)
        if code == _DELETED:
            return properties[position + 2] == 1
        operand = _OPERANDS[code >> 13]
        position += 2 + (operand if operand >= 0 else 1 + properties[position + 2])
    return False


def _without(piece: str, place: int, size: int, deleted: _Ranges, starts: list[int]) -> str:
    """The piece with its deleted characters made the sign of nothing, so that the lengths of stories stay right."""
    end = place + len(piece) * size
    number = max(0, bisect_right(starts, place) - 1)
    out, kept = [], 0
    while number < len(deleted) and deleted[number][0] < end:
        first = max(kept, (deleted[number][0] - place) // size)
        last = min(len(piece), (deleted[number][1] - place) // size)
        if last > first:
            out += [piece[kept:first], "\x01" * (last - first)]
            kept = last
        number += 1
    return "".join(out) + piece[kept:] if out else piece


def _plain(story: str) -> str:
    """Without the codes of fields and marks of pictures; cells apart by tabs, rows by lines."""
    if _BEGIN in story:
        out: list[str] = []
        codes: list[bool] = []
        position = 0
        for place, character in enumerate(story):
            if character in (_BEGIN, _SEPARATE, _END):
                if not any(codes):
                    out.append(story[position:place])
                position = place + 1
                if character == _BEGIN:
                    codes.append(True)
                elif codes and character == _SEPARATE:
                    codes[-1] = False
                elif codes:
                    codes.pop()
        out.append(story[position:])
        story = "".join(out)
    return story.replace("\x07\x07", "\n").translate(_SIGNS)
