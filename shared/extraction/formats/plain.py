"""Plain text, Markdown and CSV, in whatever encoding they come."""

import re
from typing import BinaryIO

from shared.extraction.encodings import decode
from shared.extraction.formats import Reading, calendars
from shared.extraction.limits import MAX_TEXT_FILE

_COLOURS = re.compile(r"\x1b\[[0-9;]{0,20}[A-Za-z]")
"""What programs colour their logs with on a terminal (ECMA-48, 8.3.117)."""

__all__ = ["decode", "read"]


def read(file: BinaryIO) -> Reading:
    """The text as one page; what lies beyond MAX_TEXT_FILE bytes is left out."""
    file.seek(0)
    data = file.read(MAX_TEXT_FILE + 1) or b""
    text = _COLOURS.sub("", decode(data[:MAX_TEXT_FILE]))
    if calendars.is_one(text):
        text = calendars.to_text(text)
    return Reading(pages=[text], truncated=len(data) > MAX_TEXT_FILE)
