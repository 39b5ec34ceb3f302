"""Text, pages, language and thumbnail of an untrusted document, read in a sandboxed child process.

    extraction = await extract(path, filename="letter.pdf", declared_type="application/pdf")

A document that makes its reader crash, loop or balloon fails alone, with a sentence a person understands (`failures.py`). What a
document may cost stands in `limits.py`; what is locked down, in `confinement.py`. Importing this is cheap: parsers are imported in the
fork server only.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

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
from shared.extraction.limits import (
    MAX_EMAIL_ATTACHMENTS,
    MAX_PAGES,
    MAX_TEXT_CHARACTERS,
    MAX_THUMBNAIL,
    MAX_TITLE,
    MAX_WARNINGS,
    Limits,
)

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
    "SandboxUnavailable",
    "UnsupportedType",
    "extract",
    "extract_unsandboxed",
]

_TASK = "shared.extraction.reading:read"


@dataclass(frozen=True)
class Extraction:
    """What was read of a document.

    `pages` is the text by page in NFC, without NUL and lone surrogates, possibly empty strings; kinds without pages have one.
    `page_count` is None for those; it exceeds `len(pages)` where `truncated`. `language` is ISO 639-1. `title` is the document's own.
    `thumbnail` is WebP of the first page. `warnings` name what was not read. `milliseconds` by step, for the log; "child_cpu" is CPU
    time, fork and confinement included.
    """

    content_type: str
    pages: list[str]
    page_count: int | None
    language: str | None
    title: str | None
    thumbnail: bytes | None
    milliseconds: dict[str, float]
    warnings: list[ExtractionWarning] = field(default_factory=list)

    @property
    def truncated(self) -> bool:
        """Whether there is more in the document than was read."""
        return any(warning.code == "text_cut_short" for warning in self.warnings)


async def extract(path: Path, *, filename: str, declared_type: str, limits: Limits | None = None) -> Extraction:
    """Read the document at `path`. `filename` tells plain-text kinds apart; `declared_type` is what the client said and decides nothing.

    Raises ExtractionFailed for good, SandboxUnavailable where it is worth trying again, OSError where `path` cannot be opened."""
    import asyncio

    from shared.extraction import sandbox

    file = await asyncio.to_thread(open, path, "rb", buffering=0)
    with file:
        finished = await sandbox.run(_TASK, file, _arguments(filename), limits)
    extraction = _checked(finished.value, finished.blob)
    extraction.milliseconds["child_cpu"] = finished.cpu_milliseconds
    return extraction


def extract_unsandboxed(path: Path, *, filename: str, declared_type: str) -> Extraction:
    """The same reading in this very process, for benchmarks to compare with: a crash takes the process along. Never for real documents."""
    from shared.extraction import reading

    with open(path, "rb", buffering=0) as file:
        return _checked(*reading.read_unconfined(file, _arguments(filename)))


def _arguments(filename: str) -> dict[str, Any]:
    from shared.config import settings
    from shared.extraction import sandbox

    return {"filename": filename[-255:], "ocr_languages": list(settings().ocr_languages), "tessdata": sandbox.tessdata()}


def _checked(value: dict[str, Any], blob: bytes) -> Extraction:
    """Make an Extraction of what came out of the sandbox, believing nothing: a child that was taken over may answer anything."""
    from shared.extraction import cleaning

    pages, page_count, language, title = (value.get(name) for name in ("pages", "page_count", "language", "title"))
    milliseconds = value.get("milliseconds")
    if not (
        isinstance(content_type := value.get("content_type"), str)
        and content_type in SUPPORTED
        and isinstance(pages, list)
        and len(pages) <= (1 + MAX_EMAIL_ATTACHMENTS) * MAX_PAGES
        and all(isinstance(page, str) and cleaning.is_clean(page) for page in pages)
        and sum(map(len, pages)) <= MAX_TEXT_CHARACTERS
        and (page_count is None or (type(page_count) is int and 0 <= page_count < 2**31))
        and (language is None or (isinstance(language, str) and len(language) == 2 and language.isascii() and language.isalpha()))
        and (title is None or isinstance(title, str))
        and isinstance(milliseconds, dict)
        and len(blob) <= MAX_THUMBNAIL
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
    )


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
