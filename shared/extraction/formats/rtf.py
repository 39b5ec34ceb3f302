r"""RTF (Microsoft's Rich Text Format Specification 1.9.1): its tokens, read for their text alone.

Why a reader of our own: kreuzberg decodes every byte in the code page of the header. Bytes are in the character set of the font they are
set in (`\fcharset`), which may take two of them for a character.
"""

import codecs
import os
import re
from dataclasses import dataclass
from typing import BinaryIO

from shared.extraction.content_types import NAMES, RTF
from shared.extraction.encodings import decode
from shared.extraction.failures import DocumentCorrupt, DocumentTooComplex, ExtractionFailed
from shared.extraction.formats import Reading, as_one_page
from shared.extraction.limits import MAX_OFFICE_FILE, MAX_TEXT_CHARACTERS, MIB

_TOKEN = re.compile(
    rb"\\([a-zA-Z]{1,32})(-?\d{1,10})? ?"  # a control word, its number, and the blank that ends it
    rb"|((?:\\'[0-9a-fA-F]{2})+)"
    rb"|\\([^a-zA-Z'])"
    rb"|([{}])"
    rb"|([^\\{}\r\n]+)",
    re.S,
)

_CHARSETS = {
    0: "cp1252", 2: "cp1252", 77: "mac_roman", 78: "cp932", 79: "cp949", 80: "gb18030", 81: "big5hkscs", 128: "cp932", 129: "cp949",
    130: "johab", 134: "gb18030", 136: "big5hkscs", 161: "cp1253", 162: "cp1254", 163: "cp1258", 177: "cp1255", 178: "cp1256",
    186: "cp1257", 204: "cp1251", 222: "cp874", 238: "cp1250", 254: "cp437", 255: "cp850",
}  # fmt: skip
r"""`\fcharset` to encoding; 1 (default) is left to the header."""
_CODE_PAGES = {10000: "mac_roman", 10007: "mac_cyrillic", 936: "gb18030", 950: "big5hkscs", 1361: "johab", 65001: "utf-8", 708: "iso8859-6"}
_SEVERAL_BYTES = {"cp932", "cp949", "gb18030", "big5hkscs", "johab", "utf-8"}
_HEADER_CHARSETS = {"ansi": "cp1252", "mac": "mac_roman", "pc": "cp437", "pca": "cp850"}

_SIGNS = {
    "par": "\n", "sect": "\n\n", "page": "\n\n", "line": "\n", "softline": "\n", "column": "\n", "tab": "\t", "cell": "\t", "row": "\n",
    "nestcell": "\t", "nestrow": "\n", "emdash": "—", "endash": "–", "bullet": "•", "lquote": "‘", "rquote": "’", "ldblquote": "“",
    "rdblquote": "”", "emspace": " ", "enspace": " ", "qmspace": " ", "zwj": "\u200d", "zwnj": "\u200c",
}  # fmt: skip
_SYMBOLS = {"~": "\u00a0", "_": "-", "-": "", "\\": "\\", "{": "{", "}": "}", "\n": "\n", "\r": "\n", "\t": "\t"}

_UNREAD = {
    "colortbl", "stylesheet", "listtable", "listoverridetable", "info", "pict", "objdata", "fldinst", "filetbl", "revtbl", "template",
    "bkmkstart", "bkmkend", "datafield", "private", "xe", "tc", "nonshppict", "falt", "panose", "atnid", "atnref", "atndate", "atntime",
    "atrfstart", "atrfend", "ftnsep", "ftnsepc", "ftncn", "aftnsep", "aftnsepc", "aftncn", "sp", "shprslt", "nonesttables", "upr", "bin",
}  # fmt: skip
r"""Destinations without text of the document, or with a second version of it; after `\*`, which tells older programs to pass over what they
do not know, any other than these three kinds:"""
_READ = {"shpinst", "shptxt", "shppict", "ud", "nesttableprops", "fldrslt", "result", "moMath", "mmath", "background", "listtext", "pntext"}
_HEADERS = {"header", "headerl", "headerr", "headerf"}
_NOTES = {"footer", "footerl", "footerr", "footerf", "footnote", "annotation", "atnauthor"}
_NAMED_FONT = re.compile(r" (CE|CYR|Greek|TUR|Baltic)\s*;", re.I)
_BY_FONT_NAME = {"CE": "cp1250", "CYR": "cp1251", "GREEK": "cp1253", "TUR": "cp1254", "BALTIC": "cp1257"}
_NOISE = re.compile(rb"[^\\{}]*")
_STATE = {"f", "fcharset", "cpg", "uc", "plain", "deleted", "v", "ansicpg", "deff", "fonttbl", "title"}
_KNOWN = _STATE | _SIGNS.keys() | _HEADER_CHARSETS.keys() | _UNREAD | _READ | _HEADERS | _NOTES
_DEEPEST = 10_000


@dataclass(slots=True)
class _State:
    """What a group sets and its end resets."""

    encoding: str = "cp1252"
    skip: int = 1
    r"""Characters after `\u` that stand for it in older programs (`\uc`)."""
    destination: str = "text"
    """The list its text goes to, "fonts" for the font table, or "" for what is not read."""
    deleted: bool = False
    hidden: bool = False

    def copy(self) -> "_State":
        return _State(self.encoding, self.skip, self.destination, self.deleted, self.hidden)


def read(file: BinaryIO) -> Reading:
    """The text as one page: page headers first, footers, footnotes and comments last, deleted and hidden text left out."""
    size = file.seek(0, os.SEEK_END)
    if size > MAX_OFFICE_FILE:
        raise DocumentTooComplex(f"The {NAMES[RTF]} is larger than {MAX_OFFICE_FILE // MIB} MiB.")
    file.seek(0)
    reader = _RtfText()
    reader.feed(file.read())
    return Reading(pages=as_one_page(reader.parts()), title=reader.written("title") or None, truncated=reader.full)


def text(data: bytes) -> str:
    """The text of RTF that stands in another document; empty if it is damaged."""
    reader = _RtfText()
    try:
        reader.feed(data)
    except ExtractionFailed:
        return ""
    return as_one_page(reader.parts())[0]


class _RtfText:
    def __init__(self) -> None:
        self._written: dict[str, list[str]] = {"title": [], "header": [], "text": [], "note": []}
        self.full = False
        self._length = 0
        self._state = _State()
        self._states: list[_State] = []
        self._header = "cp1252"
        self._fonts: dict[int, str] = {}
        self._default_font: int | None = None
        self._font = 0
        self._bytes = bytearray()
        self._to_skip = 0
        self._starred = False
        self._surrogate = 0

    def written(self, destination: str) -> str:
        return "".join(self._written[destination])

    def parts(self) -> list[str]:
        """Headers, text and notes; a header or footer that stands in every section, once."""
        header, notes = ("\n".join(dict.fromkeys(self.written(destination).split("\n"))) for destination in ("header", "note"))
        return [header, self.written("text"), notes]

    def feed(self, data: bytes) -> None:
        position = data.find(b"{\\rtf")
        if position < 0:
            raise DocumentCorrupt(f"The {NAMES[RTF]} is damaged and cannot be read.")
        while not self.full and (token := _TOKEN.search(data, position)):
            position = token.end()
            word, number, codes, symbol, brace, run = token.groups()
            if run is not None:
                self._run(run, raw=True)
            elif codes is not None:
                self._run(bytes.fromhex(codes.replace(b"\\'", b"").decode("ascii")))
            elif word is not None:
                value = int(number) if number is not None else None
                if word == b"bin":
                    position += max(0, value or 0)
                    self._to_skip = max(0, self._to_skip - 1)
                else:
                    self._word(word.decode("ascii"), value)
            elif symbol is not None:
                self._symbol(symbol.decode("latin-1"))
            else:
                self._flush()
                self._to_skip = 0
                if brace == b"{":
                    if len(self._states) > _DEEPEST:
                        raise DocumentTooComplex(f"The {NAMES[RTF]} is too intricate to be read safely.")
                    self._states.append(self._state)
                    self._state = self._state.copy()
                elif self._states:
                    self._end_group()
                self._starred = False
            if not self._state.destination and (noise := _NOISE.match(data, position)):
                position = noise.end()
        self._flush()

    def _end_group(self) -> None:
        inner, self._state = self._state, self._states.pop()
        if inner.destination != self._state.destination and inner.destination in ("header", "note"):
            self._written[inner.destination].append("\n")

    def _run(self, run: bytes, *, raw: bool = False) -> None:
        if raw and not run.isascii() and self._state.encoding not in _SEVERAL_BYTES and (text := _in_utf8(run)) is not None:
            # no program is to write bytes like these; some write UTF-8
            self._flush()
            self._add(text[self._to_skip :])
            self._to_skip = max(0, self._to_skip - len(text))
            return
        if self._to_skip:
            skipped = min(self._to_skip, len(run))
            self._to_skip -= skipped
            run = run[skipped:]
        self._bytes += run

    def _symbol(self, symbol: str) -> None:
        if symbol == "*":
            self._starred = True
            return
        if self._to_skip:
            self._to_skip -= 1
            return
        self._flush()
        self._add(_SYMBOLS.get(symbol, ""))

    def _word(self, word: str, value: int | None) -> None:
        state = self._state
        if word == "u" and value is not None:
            self._flush()
            self._unicode(value % 0x10000)
            self._to_skip = state.skip
            return
        if self._to_skip and word not in ("uc", "f", "plain"):
            self._to_skip -= 1
            if word in _SIGNS:
                return
        if word not in _KNOWN and not self._starred:
            return
        self._flush()
        starred, self._starred = self._starred, False
        if sign := _SIGNS.get(word):
            self._add(sign)
        elif word == "f" and value is not None:
            self._font = value
            if state.destination != "fonts":
                state.encoding = self._fonts.get(value, self._header)
        elif word == "fcharset" and value is not None:
            if value != 1 and (charset := _CHARSETS.get(value)):
                self._fonts[self._font] = charset
        elif word == "cpg" and state.destination == "fonts" and value is not None:
            self._fonts[self._font] = _code_page(value)
        elif word == "uc" and value is not None:
            state.skip = min(max(0, value), 10)
        elif word == "plain":
            state.encoding = self._fonts.get(self._default_font, self._header) if self._default_font is not None else self._header
            state.deleted = state.hidden = False
        elif word == "deleted":
            state.deleted = value != 0
        elif word == "v":
            state.hidden = value != 0
        elif word in _HEADER_CHARSETS:
            self._header = state.encoding = _HEADER_CHARSETS[word]
        elif word == "ansicpg" and value:
            self._header = state.encoding = _code_page(value)
        elif word == "deff" and value is not None:
            self._default_font = value
        else:
            self._destination(word, starred)

    def _destination(self, word: str, starred: bool) -> None:
        state = self._state
        if word == "fonttbl":
            state.destination = "fonts"
        elif word == "title" and len(self._states) > 1:
            state.destination = "title"
        elif word == "ud":  # what `upr` holds a second time, in Unicode
            state.destination = self._states[-2].destination if len(self._states) > 2 else ""
        elif word in _UNREAD:
            state.destination = ""
        elif state.destination in ("text", "header", "note"):
            if word in _HEADERS:
                state.destination = "header"
            elif word in _NOTES:
                state.destination = "note"
            elif starred and word not in _READ:
                state.destination = ""

    def _unicode(self, unit: int) -> None:
        if 0xD800 <= unit < 0xDC00:
            self._surrogate = unit
        elif 0xDC00 <= unit < 0xE000:
            if self._surrogate:
                self._add(chr(0x10000 + ((self._surrogate - 0xD800) << 10) + unit - 0xDC00))
            self._surrogate = 0
        else:
            # the private area is where Windows puts the characters of symbol fonts
            self._add(chr(unit) if not 0xF020 <= unit <= 0xF0FF else " ")

    def _flush(self) -> None:
        if self._bytes:
            raw, self._bytes = bytes(self._bytes), bytearray()
            if not self._state.destination or self._state.deleted or self._state.hidden:
                return
            if raw.isascii():
                self._add(raw.decode("ascii"))
            else:
                self._add(decode(raw) if self._state.encoding == "utf-8" else raw.decode(self._state.encoding, "replace"))

    def _add(self, text: str) -> None:
        state = self._state
        if not text or state.deleted or state.hidden:
            return
        if state.destination == "fonts":
            if named := _NAMED_FONT.search(text):
                self._fonts.setdefault(self._font, _BY_FONT_NAME[named[1].upper()])
        elif state.destination:
            self._written[state.destination].append(text)
            self._length += len(text)
            self.full = self._length > MAX_TEXT_CHARACTERS


def _in_utf8(run: bytes) -> str | None:
    try:
        return run.decode()
    except UnicodeDecodeError:
        return None


def _code_page(number: int) -> str:
    name = _CODE_PAGES.get(number, f"cp{number}")
    try:
        return name if codecs.lookup(name)._is_text_encoding else "cp1252"
    except LookupError:
        return "cp1252"
