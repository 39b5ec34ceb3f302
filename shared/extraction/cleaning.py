"""Text as it may be stored and shown: whatever a document held, this is what the rest of the system sees of it."""

import re
import unicodedata
from functools import cache

# NUL cannot be stored in PostgreSQL, lone surrogates cannot be encoded; the other controls say nothing to a reader
_UNWANTED = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")
# soft hyphens, joiners of nothing and marks of direction would keep words from being found; ligatures too
_INVISIBLE = re.compile("[\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff\ufb00-\ufb06]")
_LIGATURES = {"\ufb00": "ff", "\ufb01": "fi", "\ufb02": "fl", "\ufb03": "ffi", "\ufb04": "ffl", "\ufb05": "st", "\ufb06": "st"}
_BREAKS = re.compile("[\x0b\x85\u2028]")
_BLANKS = re.compile(r"(?<![ \t\u00a0])[ \t\u00a0]+\n")  # looked at from where a run begins only, or it takes the square of its length
_GAPS = re.compile(r"\n{4,}")


_MARKS = 30
"""Marks on one letter that are kept (Unicode Standard Annex 15, Stream-Safe Text Format): putting more in order takes the square of their
number."""


_RARE = re.compile("[\U000101fd-\U0001efff]")
"""What marks beyond the Basic Multilingual Plane are among."""


@cache
def _too_many_marks(highest: int) -> re.Pattern[str]:
    marks = "".join(character for character in map(chr, range(0x300, highest)) if unicodedata.combining(character))
    return re.compile(f"[{marks}][{marks}]{{{_MARKS},}}")


def _too_many_marks_in(text: str) -> re.Pattern[str]:
    """Of two expressions that find the same in this text the faster one: `re` looks up a set in a table only if no character is rare."""
    return _too_many_marks(0x1F000 if _RARE.search(text) else 0x10000)


def clean(text: str) -> str:
    """NFC (Unicode Standard Annex 15), line breaks as \\n, no controls, lone surrogates, ligatures, invisible marks or trailing blanks."""
    # what most texts have none of is looked for as a string first, which is ten times as fast
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    text = _UNWANTED.sub("", _BREAKS.sub("\n", text))
    if not text.isascii():
        text = _INVISIBLE.sub(lambda mark: _LIGATURES.get(mark[0], ""), text)
        text = _too_many_marks_in(text).sub(lambda run: run[0][:_MARKS], text)
        # last, as what stood between a letter and its accent is gone now
        if not unicodedata.is_normalized("NFC", text):
            text = unicodedata.normalize("NFC", text)
    if any(blank in text for blank in (" \n", "\t\n", "\u00a0\n")):
        text = _BLANKS.sub("\n", text)
    if "\n\n\n\n" in text:
        text = _GAPS.sub("\n\n\n", text)
    return text.strip("\n ")


def is_clean(text: str) -> bool:
    """Whether text from an untrusted place may be stored: in NFC, no NUL, no lone surrogates. Cheaper than cleaning it again."""
    if "\0" in text:
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    if text.isascii():
        return True
    return not _too_many_marks_in(text).search(text) and unicodedata.is_normalized("NFC", text)


# what programs write into a title nobody gave
_NO_TITLE = re.compile(r"untitled|unnamed|unspecified|\(?anonymous\)?|title|document\d*|dokument\d*|slide 1|powerpoint presentation", re.I)
_PROGRAM = re.compile(r"^Microsoft (?:Office )?(?:Word|Excel|PowerPoint) - ")


def title(text: str, longest: int) -> str | None:
    """A document's own title: cleaned, on one line, cut to `longest` characters; None if it says nothing."""
    line = _PROGRAM.sub("", " ".join(clean(text).split()))[:longest].strip()
    return None if _NO_TITLE.fullmatch(line) else line or None
