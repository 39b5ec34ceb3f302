"""How the pages of scans were recognised: kept beside their text, so that a hit can be shown on the picture and bad scans are named."""

import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from shared.db import Transaction
from shared.documents.page_numbers import in_words
from shared.extraction import RecognizedPage, ocr_languages

HARDLY_LEGIBLE = 60
"""Mean confidence (0 to 100) of a page below which it should be scanned again: print gives 85 and more, a photo in bad light 40 to 60."""


async def keep(tx: Transaction, *, owner_id: UUID, document_id: UUID, pages: Mapping[int, RecognizedPage]) -> None:
    """Keeps how these pages, by number, were recognised; what was kept of them before is replaced."""
    await tx.execute(
        """
        INSERT INTO document_recognized_pages (document_id, owner_id, number, confidence, width, height, missing, words)
        SELECT %(id)s, %(owner)s, page.*
        FROM unnest(
            %(numbers)s::integer[], %(confidences)s::smallint[], %(widths)s::integer[], %(heights)s::integer[], %(missing)s::text[],
            %(words)b::bytea[]
        ) AS page
        ON CONFLICT (document_id, number) DO UPDATE
        SET confidence = excluded.confidence, width = excluded.width, height = excluded.height, missing = excluded.missing,
            words = excluded.words
        """,
        {
            "id": document_id,
            "owner": owner_id,
            "numbers": list(pages),
            "confidences": [page.confidence for page in pages.values()],
            "widths": [max(1, page.width) for page in pages.values()],
            "heights": [max(1, page.height) for page in pages.values()],
            "missing": [page.missing for page in pages.values()],
            "words": [pack(page.words) for page in pages.values()],
        },
    )


def pack(words: Sequence[Sequence[object]]) -> bytes:
    """Words and their places as they are stored; some 5 kB for a dense page."""
    return zlib.compress(json.dumps(words, ensure_ascii=False, separators=(",", ":")).encode(), 6)


def unpack(stored: bytes) -> list[tuple[str, int, int, int, int]]:
    return [(text, left, top, width, height) for text, left, top, width, height in json.loads(zlib.decompress(stored))]


@dataclass(frozen=True)
class _StoredPage:
    number: int
    confidence: int
    missing: str


async def warnings_of(tx: Transaction, *, owner_id: UUID, document_id: UUID) -> list[dict[str, str]]:
    """What is to be told of the document's pages: those to scan again, and those whose language there are no data of."""
    pages = await tx.fetch_all(
        """
        SELECT number, confidence, missing FROM document_recognized_pages
        WHERE owner_id = %(owner)s AND document_id = %(id)s AND (missing <> '' OR (confidence < %(least)s AND octet_length(words) > 12))
        ORDER BY number
        """,
        {"owner": owner_id, "id": document_id, "least": HARDLY_LEGIBLE},
        row=_StoredPage,
    )
    told = []
    for missing in dict.fromkeys(page.missing for page in pages if page.missing):
        numbers = [page.number for page in pages if page.missing == missing]
        told.append({"code": "ocr_language_missing", "detail": ocr_languages.told_missing(missing, in_words(numbers))})
    if hardly := [page.number for page in pages if not page.missing]:
        detail = f"The text on {in_words(hardly)} could hardly be read. Scan it again: straight, in good light, with 300 dpi."
        told.append({"code": "page_hardly_legible", "detail": detail})
    return told
