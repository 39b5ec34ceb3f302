"""Text on pictures: Tesseract, in the languages of the settings at once, and in another one alone if the page turns out to be in that.

Through tesserocr, not through the Tesseract inside kreuzberg: measured on one scanned A4 page with two languages, 0.75 s against 1.7 s.
"""

import math
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

from PIL import ImageChops, ImageFilter, ImageOps
from PIL.Image import Resampling

from shared.extraction import language
from shared.extraction.limits import MAX_OCR_PAGES, MAX_OCR_PIXELS, MAX_WORDS_OF_PAGE, OCR_PAGE_SECONDS, OCR_SECONDS
from shared.extraction.ocr_languages import BY_LANGUAGE, BY_SCRIPT, MAX_LOADED, NAMES, PLAIN, besides, folder_of

if TYPE_CHECKING:
    from PIL.Image import Image
    from tesserocr import PyTessBaseAPI

_UPSIDE_DOWN = 75
"""Mean confidence (0 to 100) below which the page may lie on its side: upright print has 85 and more, that on its side or head 20 to 65."""

_SOMETHING = 10
"""Characters below which there is nothing to turn."""


_DOUBTFUL = 70
"""Mean confidence below which the page may be in another script: Russian read as English gets 53, Japanese 13."""

_FEW_CHARACTERS, _ENOUGH_CHARACTERS = 10, 50
_SURE = 2.0
"""Characters that Tesseract asks for before it tells a script: 50 by default; with fewer, it must be so sure of it. One line of Arabic or
Hebrew gets 8 to 17, noise 0."""

_SUSPICIOUS = 85
"""Mean confidence below which a page in no known language may be in another script: one line of Russian read as German gets 74."""

_CANDIDATES = 3
"""Languages of a script that are tried."""

_EXPECTED = 3
"""Points of confidence by which a language that the words speak for may be worse."""

_MOST_SKEW = 15
_SKEW_SIDE = 400
_CLEARLY = 1.3
"""Degrees of slant that are looked for, on a page scaled down to so many pixels; level lines must be so much sharper than the page is."""

_SHADOW = 50
_SHADOW_SCALE = 8
"""Difference of light on the paper, of 255, that is a shadow or a lamp, and no colour of the paper; looked for on an eighth of the page."""

Word = tuple[str, int, int, int, int]
"""Its text, left, top, width and height in pixels."""


@dataclass(frozen=True)
class Recognized:
    """A page: its text, the mean confidence (0 to 100), the size of the picture and where the words stand on it.

    `missing` names the script or language of the page if there are no data of it."""

    text: str
    confidence: int
    width: int
    height: int
    words: list[Word]
    languages: list[str]
    missing: str = ""


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
        """`languages` are Tesseract's codes ("eng"); those without data in the folders `tessdata` (`ocr_languages.folders`) are left out.

        `page_seconds` is the wall time after which a page stays without text."""
        self._page_seconds = page_seconds
        self._before_first_use = before_first_use
        self._tessdata = tessdata
        self._languages = list(_primary(tuple(languages), tessdata))
        self._besides = _besides(tuple(languages), tessdata)
        self._first: list[str] = []
        """What the page before was recognised with, if not with the languages of the settings."""
        self.missing: list[str] = []
        """Languages and scripts that were seen and that there are no data of."""
        self.latest: Recognized | None = None
        """How the last picture was recognised."""
        self.deferred = deferred and bool(self._languages)
        self._pages = MAX_OCR_PAGES
        self._until = time.monotonic() + OCR_SECONDS
        self._begun = False

    def exhausted(self) -> bool:
        """Whether the budget is spent: the remaining pages stay without text and the document counts as truncated."""
        return self._pages <= 0 or time.monotonic() >= self._until

    def text_of(self, picture: "Image", dpi: int | None = None) -> str:
        """The text on a picture, empty if there is none; a page lying on its side is turned first. `dpi` if known."""
        page = self.page_of(picture, dpi)
        return page.text if page else ""

    def page_of(self, picture: "Image", dpi: int | None = None) -> "Recognized | None":
        """The text as of `text_of`, and where its words stand; None if nothing is looked for."""
        self.latest = None
        if not self._languages or min(picture.size) < 16:
            return None
        self._pages -= 1
        page = _fit(picture)
        upright = page.size
        best = self._recognize(page, dpi, self._first or self._languages)
        quarters = 0
        if best.confidence < _UPSIDE_DOWN and len(best.text.strip()) >= _SOMETHING and (quarters := self._quarters(page)):
            turned = page.rotate(90 * quarters, expand=True)
            again = self._recognize(turned, dpi, self._languages)
            if again.confidence > best.confidence:
                page, best, upright = turned, again, turned.size
            else:
                quarters = 0
        angle = 0.0
        if (best.confidence < _UPSIDE_DOWN or len(best.text.strip()) < _SOMETHING) and (angle := _skew(page)):
            straight = page.rotate(angle, Resampling.BICUBIC, expand=True, fillcolor=255)
            again = self._recognize(straight, dpi, self._languages)
            if again.text.strip() and (again.confidence > best.confidence or len(best.text.strip()) < _SOMETHING):
                page, best = straight, again
            else:
                angle = 0.0
        best = self._in_its_language(page, dpi, self._not_as_the_last(page, dpi, best))
        if best.missing and best.missing not in self.missing:
            self.missing.append(best.missing)
        if angle:
            best = replace(best, words=[_slanted_back(word, angle, page.size, upright) for word in best.words])
            best = replace(best, width=upright[0], height=upright[1])
        if quarters:
            best = replace(best, words=[_turned_back(word, quarters, upright) for word in best.words])
            best = replace(best, width=best.height, height=best.width) if quarters != 2 else best
        self.latest = best
        return best

    def _not_as_the_last(self, page: "Image", dpi: int | None, first: "Recognized") -> "Recognized":
        """The page recognised in the languages of the settings if it is not in that of the page before, which was tried first."""
        if not self._first or BY_LANGUAGE.get(_language_of(first) or "") == self._first[0]:
            return first
        if self._first[0] not in BY_LANGUAGE.values() and first.confidence >= _DOUBTFUL:  # another script, told by its letters
            return first
        self._first = []
        again = self._recognize(page, dpi, self._languages)
        return again if again.confidence + _EXPECTED > first.confidence else first

    def _in_its_language(self, page: "Image", dpi: int | None, first: "Recognized") -> "Recognized":
        """The page recognised anew if its script or language is another than those of the settings, and there are data of it."""
        if len(first.text.strip()) < _SOMETHING:
            return first
        spoken = _language_of(first)
        if first.confidence < _DOUBTFUL and (script := self._script(page)) in BY_SCRIPT:
            codes = [code for code in BY_SCRIPT[script] if code in self._besides]
            if not codes and not set(BY_SCRIPT[script]) & set(self._languages):
                # what makes up words of some language is kept, whatever the script seems to be
                return replace(first, missing=script) if spoken else replace(first, text="", words=[], missing=script)
            best = self._best(page, dpi, first, [[code] for code in codes[:_CANDIDATES]])
            if best is not first:
                return best
        if spoken is None and _DOUBTFUL <= first.confidence < _SUSPICIOUS:
            codes = [code for code in BY_SCRIPT.get(self._script(page), ()) if code in self._besides]
            return self._best(page, dpi, first, [[code] for code in codes[:_CANDIDATES]])
        code = BY_LANGUAGE.get(spoken or "")
        if spoken is None or code is None or code in first.languages:
            return first
        if code in self._languages:
            return self._best(page, dpi, first, [self._languages], handicap=_EXPECTED)
        if code in self._besides:
            return self._best(page, dpi, first, [[code]], handicap=_EXPECTED)
        return first if spoken in PLAIN else replace(first, missing=NAMES[spoken])

    def _best(self, page: "Image", dpi: int | None, first: "Recognized", sets: list[list[str]], *, handicap: int = 0) -> "Recognized":
        best = first
        for languages in sets:
            again = self._recognize(page, dpi, languages)
            if again.confidence + handicap > best.confidence:
                best, handicap = again, 0
                self._first = languages  # the next page is likely in the same
        return best

    def _recognize(self, page: "Image", dpi: int | None, languages: list[str]) -> "Recognized":
        if not self._begun:
            self._begun = True
            self._before_first_use()
        engine = _text_engine(self._tessdata, tuple(languages))
        engine.SetImage(page)
        engine.SetSourceResolution(dpi or _guessed_dpi(page))
        left = min(self._page_seconds, max(1.0, self._until - time.monotonic()))
        if not engine.Recognize(round(left * 1000)):
            return Recognized("", 100, *page.size, [], languages)
        return Recognized(engine.GetUTF8Text(), engine.MeanTextConf(), *page.size, list(_words(engine.GetTSVText(0))), languages)

    def _script(self, page: "Image") -> str:
        engine = _orientation_engine(self._tessdata) if _has("osd", self._tessdata) else None
        if engine is None:
            return ""
        engine.SetImage(page)
        # DetectOrientationScript follows a null pointer if it finds no letters
        if engine.DetectOS():
            return str(engine.DetectOrientationScript()["script_name"])
        try:
            engine.SetVariable("min_characters_to_try", str(_FEW_CHARACTERS))
            told = engine.DetectOrientationScript() if engine.DetectOS() else {"script_conf": 0.0}
        finally:
            engine.SetVariable("min_characters_to_try", str(_ENOUGH_CHARACTERS))
        return str(told["script_name"]) if told["script_conf"] >= _SURE else ""

    def _quarters(self, page: "Image") -> int:
        """Quarter turns after which the page can be read; 0 if it is upright already, or nobody can tell."""
        if not _has("osd", self._tessdata):
            return 0
        engine = _orientation_engine(self._tessdata)
        engine.SetImage(page)
        # not DetectOrientationScript, which follows a null pointer where it finds no letters
        found = engine.DetectOS()
        quarters = int(found["orientation"]) if found else 0
        return quarters if quarters in (1, 2, 3) else 0


def _language_of(page: "Recognized") -> str | None:
    """The language of what was recognised, with wrong accents or none if need be; nothing is made of what was hardly legible."""
    spoken = language.detect(page.text)
    return language.guess_without_accents(page.text) if spoken is None and page.confidence >= _DOUBTFUL else spoken


def prepare(languages: list[str], tessdata: str, *, deferred: bool = False) -> None:
    """Load the language data, once for all the children that will be forked: they may open no file, and it would cost each of them a tenth
    of a second. For those of a `deferred` Recognizer, only what there are data of is looked up."""
    together = [_primary(tuple(languages), tessdata), *((code,) for code in _besides(tuple(languages), tessdata))]
    turns = _has("osd", tessdata)
    if deferred:
        return
    for codes in filter(None, together):
        _text_engine(tessdata, codes)
    if turns:
        _orientation_engine(tessdata)


@lru_cache(maxsize=1000)
def _has(code: str, tessdata: str) -> bool:
    return _folder(code, tessdata) is not None


@lru_cache(maxsize=1000)
def _folder(code: str, tessdata: str) -> str | None:
    try:
        return folder_of(code, tessdata)
    except OSError:  # in a child that nobody prepared
        return None


@lru_cache(maxsize=10)
def _primary(languages: tuple[str, ...], tessdata: str) -> tuple[str, ...]:
    """Those of the languages that Tesseract can use at once: which lie in one folder, that of the first. English is the last of them: of
    two languages that are as sure of a word Tesseract takes the one named first, and English is sure of "Muller"."""
    known = [code for code in languages if _has(code, tessdata)]
    together = [code for code in known if _folder(code, tessdata) == _folder(known[0], tessdata)]
    return tuple(sorted(together, key=lambda code: code == "eng"))


@lru_cache(maxsize=10)
def _besides(languages: tuple[str, ...], tessdata: str) -> tuple[str, ...]:
    """What else there are data of, and may be tried alone."""
    try:
        primary = _primary(languages, tessdata)
        rest = [code for code in languages if code not in primary and _has(code, tessdata)]
        return tuple(dict.fromkeys((*rest, *besides(list(languages), tessdata)))) if primary else ()
    except OSError:
        return ()


@lru_cache(maxsize=MAX_LOADED + 10)
def _text_engine(tessdata: str, languages: tuple[str, ...]) -> "PyTessBaseAPI":
    import tesserocr

    folder = _folder(languages[0], tessdata) or ""
    return _logging_to_stderr(
        tesserocr.PyTessBaseAPI(path=folder, lang="+".join(languages), oem=tesserocr.OEM.LSTM_ONLY, psm=tesserocr.PSM.AUTO)
    )


@lru_cache(maxsize=1)
def _orientation_engine(tessdata: str) -> "PyTessBaseAPI":
    import tesserocr

    return _logging_to_stderr(tesserocr.PyTessBaseAPI(path=_folder("osd", tessdata) or "", lang="osd", psm=tesserocr.PSM.OSD_ONLY))


def _logging_to_stderr(engine: "PyTessBaseAPI") -> "PyTessBaseAPI":
    """tesserocr sends Tesseract's remarks to /dev/null. Tesseract does not check whether it could open that, and crashes if not."""
    engine.SetVariable("debug_file", "")
    return engine


def _words(table: str) -> Iterator[Word]:
    """The words of Tesseract's table: level, page, block, paragraph, line, word, left, top, width, height, confidence, text."""
    count = 0
    for line in table.splitlines():
        fields = line.split("\t")
        if len(fields) == 12 and fields[0] == "5" and (text := fields[11].strip()) and count < MAX_WORDS_OF_PAGE:
            count += 1
            left, top, width, height = map(int, fields[6:10])
            yield text, max(0, left), max(0, top), max(0, width), max(0, height)


def _turned_back(word: Word, quarters: int, size: tuple[int, int]) -> Word:
    """Where a word stands on the page as it was before it was turned by `quarters` to the left; `size` is that of the turned one."""
    text, left, top, width, height = word
    if quarters == 1:
        return text, size[1] - top - height, left, height, width
    if quarters == 2:
        return text, size[0] - left - width, size[1] - top - height, width, height
    return text, top, size[0] - left - width, height, width


def _slanted_back(word: Word, angle: float, size: tuple[int, int], before: tuple[int, int]) -> Word:
    """Where a word stands on the page of size `before`, which was turned by `angle` degrees to the left and is of this `size` since."""
    text, left, top, width, height = word
    x, y = left + width / 2 - size[0] / 2, top + height / 2 - size[1] / 2
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    x, y = x * cos - y * sin + before[0] / 2, x * sin + y * cos + before[1] / 2
    return text, max(0, round(x - width / 2)), max(0, round(y - height / 2)), width, height


def _skew(page: "Image") -> float:
    """Degrees by which the page must be turned to the left for its lines to run level; 0 if they do, or nobody can tell.

    Lines that run level make the mean of each row of pixels differ most from that of the next."""
    small = ImageOps.autocontrast(page.resize(_fitting_in(page.size, _SKEW_SIDE)))
    fill = 255 if sum(small.resize((1, 1)).tobytes()) > 127 else 0

    def sharpness(angle: int) -> int:
        turned = small.rotate(angle / 2, Resampling.BILINEAR, fillcolor=fill)
        rows = turned.resize((1, turned.height), Resampling.BOX).tobytes()
        return sum((first - second) ** 2 for first, second in pairwise(rows))

    level = sharpness(0)
    best = max(range(-2 * _MOST_SKEW, 2 * _MOST_SKEW + 1), key=sharpness)
    return best / 2 if abs(best) >= 2 and sharpness(best) > _CLEARLY * level else 0.0


def _fitting_in(size: tuple[int, int], side: int) -> tuple[int, int]:
    scale = min(1.0, side / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _evenly_lit(page: "Image") -> "Image":
    """A page on which a shadow lies, without it: the light is what the lightest places all around have."""
    light = page.reduce(_SHADOW_SCALE).filter(ImageFilter.MaxFilter(5)).filter(ImageFilter.GaussianBlur(4))
    counts = list(accumulate(light.histogram()))
    if bisect_left(counts, counts[-1] * 0.95) - bisect_left(counts, counts[-1] * 0.05) < _SHADOW:
        return page
    return ImageChops.add(page, ImageChops.invert(light.resize(page.size)))


def _fit(picture: "Image") -> "Image":
    """In grey and no larger than OCR needs."""
    grey = _evenly_lit(picture if picture.mode == "L" else picture.convert("L"))
    width, height = grey.size
    scale = (MAX_OCR_PIXELS / (width * height)) ** 0.5
    if scale >= 1:
        return grey
    return grey.resize((max(1, round(width * scale)), max(1, round(height * scale))), Resampling.BILINEAR, reducing_gap=2.0)


def _guessed_dpi(page: "Image") -> int:
    """As if the longer side were that of an A4 sheet, 11.7 inches, within what Tesseract takes."""
    return min(600, max(70, round(max(page.size) / 11.7)))
