"""Word, Excel, PowerPoint, OpenDocument and RTF, with kreuzberg."""

import os
import re
import zipfile
import zlib
from typing import Any, BinaryIO
from xml.parsers import expat

from shared.extraction.content_types import DOCX, NAMES, PPTX
from shared.extraction.failures import DocumentCorrupt, DocumentEncrypted, DocumentTooComplex
from shared.extraction.formats import Reading
from shared.extraction.limits import (
    MAX_ARCHIVE_ENTRIES,
    MAX_INFLATED,
    MAX_INFLATED_PART,
    MAX_INFLATION_RATIO,
    MAX_OFFICE_FILE,
    MIB,
)

_MARGINS = re.compile(r"word/(?:header|footer)\d*\.xml")


def read(file: BinaryIO, content_type: str) -> Reading:
    """The text, by page or slide where the file marks them; of Word files also what stands in page headers and footers."""
    import kreuzberg

    size = file.seek(0, os.SEEK_END)
    if size > MAX_OFFICE_FILE:
        raise DocumentTooComplex(f"The {NAMES[content_type]} is larger than {MAX_OFFICE_FILE // MIB} MiB.")
    file.seek(0)
    data = file.read()
    config = kreuzberg.ExtractionConfig(
        use_cache=False,
        enable_quality_processing=False,
        pages=kreuzberg.PageConfig(extract_pages=True),
        concurrency=kreuzberg.ConcurrencyConfig(max_threads=1),
        content_filter=kreuzberg.ContentFilterConfig(
            include_headers=True, include_footers=True, include_watermarks=True, strip_repeating_text=False
        ),
    )
    try:
        result = kreuzberg.extract_bytes_sync(data, content_type, config)
    except Exception as error:
        if re.search("password|encrypt", str(error), re.IGNORECASE):
            raise DocumentEncrypted() from None
        raise DocumentCorrupt(f"The {NAMES[content_type]} is damaged and cannot be read.") from None
    metadata: dict[str, Any] = dict(result.metadata or {})
    pages = _pages(result, metadata)
    if content_type == DOCX:
        headers, footers = _margins(file)
        pages = ["\n\n".join(part for part in (headers, pages[0] if pages else "") if part), *pages[1:]]
        pages[-1] = "\n\n".join(part for part in (pages[-1], footers) if part)
    title = metadata.get("title")
    return Reading(
        pages=pages,
        page_count=len(pages) if content_type == PPTX or len(pages) > 1 else None,
        title=title if isinstance(title, str) else None,
    )


def _pages(result: Any, metadata: dict[str, Any]) -> list[str]:
    content: str = result.content
    marked = [str(page["content"]) for page in result.pages or []]
    if sum(map(len, marked)) >= len(content) * 0.9:
        return marked or [content]
    # slides: kreuzberg gives their places in the text (in bytes) instead of their text
    boundaries = (metadata.get("pages") or {}).get("boundaries") or []
    raw = content.encode()
    slides = [raw[place["byte_start"] : place["byte_end"]].decode("utf-8", "ignore") for place in boundaries]
    return slides if sum(map(len, slides)) >= len(content) * 0.9 else [content]


def _margins(file: BinaryIO) -> tuple[str, str]:
    """Text of the headers and footers of a Word file, which hold a letter's sender or its bank account; each different one once."""
    found: dict[str, list[str]] = {"header": [], "footer": []}
    with zipfile.ZipFile(file) as archive:
        for name in sorted(archive.namelist()):
            if _MARGINS.fullmatch(name):
                text = _word_text(archive.read(name)).strip()
                kind = "header" if "header" in name else "footer"
                if text and text not in found[kind]:
                    found[kind].append(text)
    return "\n".join(found["header"]), "\n".join(found["footer"])


def _word_text(xml: bytes) -> str:
    parts: list[str] = []
    state = {"text": False}

    def start(name: str, _: dict[str, str]) -> None:
        local = name.rpartition(":")[2]
        state["text"] = local == "t"
        if local in ("p", "br"):
            parts.append("\n")
        elif local == "tab":
            parts.append("\t")

    def end(_: str) -> None:
        state["text"] = False

    def characters(data: str) -> None:
        if state["text"]:
            parts.append(data)

    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, characters
    try:
        parser.Parse(xml, True)
    except expat.ExpatError:
        return ""
    return "".join(parts)


def check_archive(file: BinaryIO, content_type: str) -> None:
    """Refuse a zip bomb: by what its directory declares, and, as that may lie, by inflating every part without keeping it.

    Raises DocumentTooComplex, DocumentEncrypted or DocumentCorrupt."""
    kind = NAMES[content_type]
    stored = file.seek(0, os.SEEK_END)
    bomb = DocumentTooComplex(f"The {kind} unpacks to far more than a document may.")
    try:
        with zipfile.ZipFile(file) as archive:
            parts = archive.infolist()
            if len(parts) > MAX_ARCHIVE_ENTRIES or sum(part.file_size for part in parts) > MAX_INFLATED:
                raise bomb
            if any(part.flag_bits & 1 for part in parts):
                raise DocumentEncrypted()
            total = 0
            for part in parts:
                with archive.open(part) as stream:
                    size = 0
                    while chunk := stream.read(MIB):
                        size += len(chunk)
                        total += len(chunk)
                        if size > MAX_INFLATED_PART or total > MAX_INFLATED or total > 10 * MIB + stored * MAX_INFLATION_RATIO:
                            raise bomb
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, ValueError, KeyError):
        raise DocumentCorrupt(f"The {kind} is damaged and cannot be unpacked.") from None
    except RuntimeError:  # what zipfile raises for a part that needs a password
        raise DocumentEncrypted() from None
