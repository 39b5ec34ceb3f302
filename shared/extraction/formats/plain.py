"""Plain text, Markdown and CSV, in whatever encoding they come."""

import codecs
from typing import BinaryIO

from shared.extraction import language
from shared.extraction.formats import Reading
from shared.extraction.limits import MAX_TEXT_FILE

_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_SAMPLE = 64 * 1024
_GUESS_FROM = 16 * 1024
_SURE_ENOUGH = 0.1
"""chardet's confidence; a handful of Latin letters gets 0.05, 25 letters of Turkish 0.12, whole sentences 0.25 to 0.65."""
_WESTERN = {"en", "de", "fr", "es", "it", "pt", "nl", "sv", "da", "no", "fi", "ca"}


def read(file: BinaryIO) -> Reading:
    """The text as one page; what lies beyond MAX_TEXT_FILE bytes is left out."""
    file.seek(0)
    data = file.read(MAX_TEXT_FILE + 1) or b""
    return Reading(pages=[decode(data[:MAX_TEXT_FILE])], truncated=len(data) > MAX_TEXT_FILE)


def decode(data: bytes, declared: str | None = None) -> str:
    """The text of any bytes; never raises. In this order: byte order mark, `declared`, UTF-8, UTF-16 by its zeros, the likeliest legacy
    encoding, and Windows-1252 with replacements."""
    for mark, encoding in _BYTE_ORDER_MARKS:
        if data.startswith(mark):
            return data[len(mark) :].decode(encoding, "replace")
    for candidate in (declared, "utf-8"):
        if candidate and (decoded := _decode_strictly(data, candidate)) is not None:
            return decoded
    if utf16 := _utf16_without_mark(data):
        return data.decode(utf16, "replace")
    text = data.decode("utf-8", "replace")
    # UTF-8 with some broken bytes: hardly any other encoding makes valid sequences by chance
    if sum(character > "\x7f" for character in text[:_SAMPLE]) > 2 * text.count("\ufffd", 0, _SAMPLE):
        return text
    return _decode_legacy(data)


def _decode_strictly(data: bytes, encoding: str) -> str | None:
    try:
        if not _is_text_encoding(encoding):
            return None
        text = data.decode(encoding)
    except (UnicodeError, ValueError):
        return None
    return None if text.count("\0") > len(text) // 10 else text


def _is_text_encoding(name: str) -> bool:
    """Whether Python has it and it makes text: "hex" and "zip" are codecs too."""
    try:
        return bool(codecs.lookup(name)._is_text_encoding)
    except (LookupError, ValueError):
        return False


def _utf16_without_mark(data: bytes) -> str | None:
    sample = data[:4096]
    half = max(1, len(sample) // 2)
    if sample[1::2].count(0) > half * 0.4 and sample[::2].count(0) < half * 0.05:
        return "utf-16-le"
    if sample[::2].count(0) > half * 0.4 and sample[1::2].count(0) < half * 0.05:
        return "utf-16-be"
    return None


def _decode_legacy(data: bytes) -> str:
    western = data.decode("cp1252", "replace")
    if language.detect(western[:_SAMPLE]) in _WESTERN:
        return western  # small words fit: no need to guess among thirty single-byte encodings
    import chardet  # only where it is needed: its models take 40 MB and a quarter of a second

    guess = chardet.detect(data[:_GUESS_FROM])
    encoding = guess["encoding"] or ""
    ruled_out = encoding.upper().startswith("UTF")  # by the marks, zeros and sequences looked for before
    if ruled_out or guess["confidence"] < _SURE_ENOUGH or not _is_text_encoding(encoding):
        return western
    return data.decode(encoding, "replace")
