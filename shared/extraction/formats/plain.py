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
    if len(text) > 200 and text.count("\ufffd") <= len(text) * 0.001 + 1:
        return text  # UTF-8 with a few broken bytes, or cut in the middle of a character
    return _decode_legacy(data)


def _decode_strictly(data: bytes, encoding: str) -> str | None:
    try:
        # only text encodings: "hex" and "zip" are codecs too
        if not codecs.lookup(encoding)._is_text_encoding:
            return None
        text = data.decode(encoding)
    except (UnicodeError, LookupError, ValueError):
        return None
    return None if text.count("\0") > len(text) // 10 else text


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
    from charset_normalizer import from_bytes

    try:
        best = from_bytes(data[:_SAMPLE]).best()
        return western if best is None else data.decode(best.encoding, "replace")
    except Exception:
        return western
