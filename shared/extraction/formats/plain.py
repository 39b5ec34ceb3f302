"""Plain text, Markdown and CSV, in whatever encoding they come."""

from typing import BinaryIO

from shared.extraction.encodings import decode
from shared.extraction.formats import Reading
from shared.extraction.limits import MAX_TEXT_FILE

__all__ = ["decode", "read"]


def read(file: BinaryIO) -> Reading:
    """The text as one page; what lies beyond MAX_TEXT_FILE bytes is left out."""
    file.seek(0)
    data = file.read(MAX_TEXT_FILE + 1) or b""
    return Reading(pages=[decode(data[:MAX_TEXT_FILE])], truncated=len(data) > MAX_TEXT_FILE)
