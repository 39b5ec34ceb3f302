"""Text, pages, language and thumbnail of an untrusted document, read in a sandboxed child process.

    extraction = await extract(path, filename="letter.pdf", declared_type="application/pdf")

A document that makes its reader crash, loop or balloon fails alone, with a sentence a person understands (`failures.py`). What a
document may cost stands in `limits.py`; what is locked down, in `confinement.py`. Importing this is cheap: parsers are imported in the
fork server only.

Text recognition (OCR) is slow, so it can be left for later: `extract(…, defer_recognition=True)` says which pages need it, and `recognize`
does some of them.
"""

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cache
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

from shared.extraction.content_types import SUPPORTED
from shared.extraction.failures import (
    WARNING_CODES,
    DocumentCorrupt,
    DocumentEncrypted,
    DocumentTooComplex,
    ExtractionCrashed,
    ExtractionFailed,
    ExtractionOutOfMemory,
    ExtractionTimeout,
    ExtractionWarning,
    SandboxUnavailable,
    UnsupportedType,
)
from shared.extraction.formats import Scan
from shared.extraction.limits import (
    MAX_PAGES_IN_ALL,
    MAX_TEXT_CHARACTERS,
    MAX_TITLE,
    MAX_WARNINGS,
    MAX_WORDS_OF_PAGE,
    Limits,
)
from shared.extraction.thumbnails import MAX_THUMBNAIL_BYTES

if TYPE_CHECKING:
    from shared.extraction.sandbox import Finished

__all__ = [
    "DocumentCorrupt",
    "DocumentEncrypted",
    "DocumentTooComplex",
    "Extraction",
    "ExtractionCrashed",
    "ExtractionFailed",
    "ExtractionOutOfMemory",
    "ExtractionTimeout",
    "ExtractionWarning",
    "Recognition",
    "RecognizedPage",
    "SandboxUnavailable",
    "Scan",
    "UnsupportedType",
    "extract",
    "extract_unsandboxed",
    "recognize",
]

_log = logging.getLogger(__name__)

_READ = "shared.extraction.reading:read"
_RECOGNIZE = "shared.extraction.reading:recognize"


@dataclass(frozen=True)
class Extraction:
    """What was read of a document.

    `pages` is the text by page in NFC, without NUL and lone surrogates, possibly empty strings; kinds without pages have one.
    `page_count` is None for those; it exceeds `len(pages)` where `truncated`. `language` is ISO 639-1. `title` and `created_on` are what
    the file says of itself. `thumbnail` is WebP of the first page. `warnings` name what was not read. `milliseconds` by step, for the log;
    "child_cpu" is CPU time, fork and confinement included.
    """

    content_type: str
    pages: list[str]
    page_count: int | None
    language: str | None
    title: str | None
    thumbnail: bytes | None
    milliseconds: dict[str, float]
    warnings: list[ExtractionWarning] = field(default_factory=list)
    created_on: date | None = None
    scans: list[Scan] = field(default_factory=list)
    """Pages whose text is still to be recognised, in order of pages; empty unless recognition was deferred."""

    @property
    def truncated(self) -> bool:
        """Whether there is more in the document than was read."""
        return any(warning.code == "text_cut_short" for warning in self.warnings)


@dataclass(frozen=True)
class RecognizedPage:
    """How a page was recognised: `confidence` from 0 to 100, the size of its picture, and the words where they stand on it, upright, as
    [text, left, top, width, height], in pixels. `missing` names the language or script for which there are no data, empty for none."""

    confidence: int
    width: int
    height: int
    words: list[list[Any]]
    missing: str = ""


@dataclass(frozen=True)
class Recognition:
    """The text on the first of some scans, None for one that cannot be decoded, and the CPU time that took in milliseconds.

    `pages` says how each was recognised; None for one on which nothing was looked for."""

    texts: list[str | None]
    cpu_milliseconds: float
    pages: list[RecognizedPage | None] = field(default_factory=list)


async def extract(
    path: Path, *, filename: str, declared_type: str, limits: Limits | None = None, defer_recognition: bool = False
) -> Extraction:
    """Read the document at `path`. `filename` tells plain-text kinds apart; `declared_type` is what the client said and decides nothing.

    With `defer_recognition`, pages that are only a picture have no text yet, and `Extraction.scans` lists them for `recognize`.
    Raises ExtractionFailed for good, SandboxUnavailable if it is worth trying again, OSError if `path` cannot be opened."""
    server = "reading" if defer_recognition else "recognition"
    arguments = _arguments(filename, defer_recognition=defer_recognition)
    limits, began, spent = limits or Limits(), monotonic(), 0.0
    finished = await _run(server, _READ, path, arguments, limits)
    if server == "reading" and finished.value == {"guess_encodings": True}:
        spent = finished.cpu_milliseconds
        left = replace(limits, wall_seconds=limits.wall_seconds - (monotonic() - began))
        finished = await _run("recognition", _READ, path, arguments | {"guess_encodings": True}, left)
    extraction = _checked(finished.value, finished.blob)
    extraction.milliseconds["child_cpu"] = spent + finished.cpu_milliseconds
    return extraction


async def recognize(path: Path, *, filename: str, scans: Sequence[Scan], limits: Limits, cpu_seconds: float) -> Recognition:
    """Recognise the text on as many of the `scans` of the document at `path` as begin within `cpu_seconds`, the first in any case.

    Raises what `extract` raises; then none of them is done."""
    addresses = [[scan.frame, scan.attachment] for scan in scans]
    arguments = _arguments(filename) | {"scans": addresses, "cpu_seconds": cpu_seconds, "page_seconds": limits.wall_seconds}
    finished = await _run("recognition", _RECOGNIZE, path, arguments, limits)
    texts = finished.value.get("texts")
    if not (isinstance(texts, list) and 0 < len(texts) <= len(scans) and all(text is None or _is_text(text) for text in texts)):
        raise ExtractionCrashed()
    pages = finished.value.get("pages")
    if not isinstance(pages, list) or len(pages) != len(texts):
        raise ExtractionCrashed()
    return Recognition(texts, finished.cpu_milliseconds, [None if page is None else _recognized_page(page) for page in pages])


def _recognized_page(page: object) -> RecognizedPage:
    if not (isinstance(page, list) and len(page) == 5):
        raise ExtractionCrashed()
    confidence, width, height, missing, words = page
    if not (
        _are_numbers(confidence, width, height)
        and isinstance(missing, str)
        and len(missing) < 50
        and isinstance(words, list)
        and len(words) <= MAX_WORDS_OF_PAGE
        and all(isinstance(word, list) and len(word) == 5 and _is_text(word[0]) and _are_numbers(*word[1:]) for word in words)
    ):
        raise ExtractionCrashed()
    return RecognizedPage(min(confidence, 100), width, height, words, missing)


def _are_numbers(*values: object) -> bool:
    return all(type(value) is int and 0 <= value < 2**31 for value in values)


async def _run(server: str, task: str, path: Path, arguments: dict[str, Any], limits: Limits | None) -> "Finished":
    import asyncio

    from shared.extraction import sandbox

    file = await asyncio.to_thread(open, path, "rb", buffering=0)
    with file:
        return await sandbox.run(task, file, arguments, limits, server=server)


def extract_unsandboxed(path: Path, *, filename: str, declared_type: str) -> Extraction:
    """The same reading in this very process, for benchmarks to compare with: a crash takes the process along. Never for real documents."""
    from shared.extraction import reading

    with open(path, "rb", buffering=0) as file:
        return _checked(*reading.read_unconfined(file, _arguments(filename)))


def _arguments(filename: str, *, defer_recognition: bool = False) -> dict[str, Any]:
    languages, places = _languages()
    return {"filename": filename[-255:], "ocr_languages": languages, "tessdata": places, "defer_recognition": defer_recognition}


@cache
def _languages() -> tuple[list[str], str]:
    """The languages of text recognition and the folders of their data; told in the log, once."""
    from shared.config import settings
    from shared.extraction import ocr_languages

    languages, places = list(settings().ocr_languages), ocr_languages.folders()
    known, missing = ocr_languages.in_words(languages, places)
    _log.info("text recognition knows %s; others are installed as tesseract-ocr-fra and the like", known or "no language")
    if missing:
        _log.warning("OCR_LANGUAGES names %s, for which there are no data in %s", missing, places)
    return languages, places


def _checked(value: dict[str, Any], blob: bytes) -> Extraction:
    """Make an Extraction of what came out of the sandbox, believing nothing: a child that was taken over may return anything."""
    from shared.extraction import cleaning

    pages, page_count, language, title = (value.get(name) for name in ("pages", "page_count", "language", "title"))
    milliseconds = value.get("milliseconds")
    if not (
        isinstance(content_type := value.get("content_type"), str)
        and content_type in SUPPORTED
        and isinstance(pages, list)
        and len(pages) <= MAX_PAGES_IN_ALL
        and all(_is_text(page) for page in pages)
        and sum(map(len, pages)) <= MAX_TEXT_CHARACTERS
        and (page_count is None or (type(page_count) is int and 0 <= page_count < 2**31))
        and (language is None or (isinstance(language, str) and len(language) == 2 and language.isascii() and language.isalpha()))
        and (title is None or isinstance(title, str))
        and isinstance(milliseconds, dict)
        and len(blob) <= MAX_THUMBNAIL_BYTES
        and (not blob or (blob[:4] == b"RIFF" and blob[8:12] == b"WEBP"))
    ):
        raise ExtractionCrashed()
    return Extraction(
        content_type=content_type,
        pages=pages,
        page_count=page_count,
        language=language,
        title=cleaning.title(title, MAX_TITLE) if title else None,
        thumbnail=blob or None,
        milliseconds={str(step): float(spent) for step, spent in list(milliseconds.items())[:50] if _is_duration(spent)},
        warnings=_warnings(value.get("warnings")),
        created_on=_created_on(value.get("created")),
        scans=_scans(value.get("scans"), len(pages)),
    )


def _created_on(value: object) -> date | None:
    """The day of `D:20240503120000+02'00'` (PDF 32000-1, section 7.9.4)."""
    match = re.match(r"(?:D:)?(\d{4})-?(\d\d)-?(\d\d)", value, re.ASCII) if isinstance(value, str) else None
    try:
        return None if match is None else date(int(match[1]), int(match[2]), int(match[3]))
    except ValueError:
        return None


def _scans(value: object, pages: int) -> list[Scan]:
    if not isinstance(value, list) or len(value) > pages:
        raise ExtractionCrashed()
    scans = []
    for triple in value:
        if not (isinstance(triple, list) and len(triple) == 3 and all(type(number) is int and 0 <= number < 2**31 for number in triple)):
            raise ExtractionCrashed()
        scans.append(Scan(*triple))
    numbers = [scan.page for scan in scans]
    if numbers != sorted(set(numbers)) or any(number >= pages for number in numbers):
        raise ExtractionCrashed()
    return scans


def _is_text(value: object) -> bool:
    from shared.extraction import cleaning

    return isinstance(value, str) and len(value) <= MAX_TEXT_CHARACTERS and cleaning.is_clean(value)


def _warnings(value: object) -> list[ExtractionWarning]:
    from shared.extraction import cleaning

    if not isinstance(value, list):
        raise ExtractionCrashed()
    warnings = []
    for pair in value[:MAX_WARNINGS]:
        if not (isinstance(pair, list) and len(pair) == 2 and all(isinstance(member, str) for member in pair)):
            raise ExtractionCrashed()
        code, detail = pair
        if code not in WARNING_CODES:
            raise ExtractionCrashed()
        warnings.append(ExtractionWarning(code, " ".join(cleaning.clean(detail[:500]).split())))
    return warnings


def _is_duration(value: object) -> bool:
    """Whether it is a number of milliseconds; JSON from Python also knows NaN, and integers that no float can hold."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 2**31
