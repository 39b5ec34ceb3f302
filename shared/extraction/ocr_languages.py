"""Which languages text recognition has data for on this machine, and which data a script or a language needs.

Data are looked for in TESSDATA_PREFIX, where the wheels put theirs, and where systems do (Debian's `tesseract-ocr-fra`); the first folder
that has a language counts. Folders travel as one string, like PATH.
"""

import os
import sysconfig
from glob import glob
from itertools import chain, zip_longest
from pathlib import Path

_SYSTEM = ("/usr/share/tesseract-ocr/*/tessdata", "/usr/share/tessdata", "/usr/share/tesseract/tessdata", "/usr/local/share/tessdata")

BY_LANGUAGE = {
    "fr": "fra", "es": "spa", "it": "ita", "pt": "por", "nl": "nld", "pl": "pol", "cs": "ces", "sv": "swe", "da": "dan", "no": "nor",
    "fi": "fin", "hu": "hun", "ro": "ron", "tr": "tur", "ca": "cat", "de": "deu", "en": "eng",
    "sk": "slk", "hr": "hrv", "sl": "slv", "vi": "vie", "et": "est", "lv": "lav", "lt": "lit",
}  # fmt: skip
"""Tesseract's name of a language in Latin script by its ISO 639-1 code."""

BY_SCRIPT = {
    "Japanese": ("jpn", "jpn_vert"), "Hiragana": ("jpn",), "Katakana": ("jpn",), "Han": ("chi_sim", "chi_tra", "jpn"),
    "Korean": ("kor",), "Hangul": ("kor",), "Cyrillic": ("rus", "ukr", "bul", "srp"), "Greek": ("ell",), "Arabic": ("ara", "fas"),
    "Hebrew": ("heb",), "Thai": ("tha",), "Devanagari": ("hin",), "Georgian": ("kat",), "Armenian": ("hye",), "Bengali": ("ben",),
    "Tamil": ("tam",), "Telugu": ("tel",), "Kannada": ("kan",), "Gujarati": ("guj",), "Malayalam": ("mal",), "Khmer": ("khm",),
}  # fmt: skip
"""Languages by the scripts that Tesseract tells apart ("osd"), the likeliest first."""

NAMES = {
    "fr": "French", "es": "Spanish", "it": "Italian", "pt": "Portuguese", "pl": "Polish", "cs": "Czech", "sv": "Swedish", "da": "Danish",
    "no": "Norwegian", "fi": "Finnish", "hu": "Hungarian", "ro": "Romanian", "tr": "Turkish", "ca": "Catalan", "de": "German",
    "en": "English", "nl": "Dutch", "sk": "Slovak", "hr": "Croatian", "sl": "Slovenian", "vi": "Vietnamese", "et": "Estonian",
    "lv": "Latvian", "lt": "Lithuanian",
}  # fmt: skip
PLAIN = {"en", "nl"}
"""Languages that hardly have a letter beyond ASCII: they are read well with the data of any other."""

MAX_LOADED = 20
"""Languages that are loaded besides those of the settings; each takes a tenth of a second once, and some 10 MB."""


def folders() -> str:
    """The folders that may hold language data, in order, joined by `os.pathsep`."""
    wheels = os.path.join(sysconfig.get_path("data"), "share", "tessdata")
    system = (place for pattern in _SYSTEM for place in sorted(glob(pattern), reverse=True))
    return os.pathsep.join(dict.fromkeys(filter(None, (os.environ.get("TESSDATA_PREFIX"), wheels, *system))))


def folder_of(code: str, places: str) -> str | None:
    """The first of the folders that has data of a language (Tesseract's code); raises OSError in a process that may not look."""
    if not code.replace("_", "").isalnum():
        return None
    return next((place for place in places.split(os.pathsep) if place and (Path(place) / f"{code}.traineddata").is_file()), None)


def besides(languages: list[str], places: str) -> list[str]:
    """The languages there are data of besides those, as many as are loaded: if all that Debian has are installed, the likeliest of each
    script and those of Latin letters in turn."""
    likeliest = dict.fromkeys(codes[0] for codes in BY_SCRIPT.values())
    others = (code for codes in BY_SCRIPT.values() for code in codes)
    known = dict.fromkeys((*filter(None, chain.from_iterable(zip_longest(BY_LANGUAGE.values(), likeliest))), *others))
    return [code for code in known if code not in languages and folder_of(code, places)][:MAX_LOADED]


def told_missing(name: str, where: str) -> str:
    """The sentence of a warning about a script or a language that there are no data of."""
    package = next(iter(BY_SCRIPT.get(name, ())), "") or next((BY_LANGUAGE[code] for code, known in NAMES.items() if known == name), "")
    advice = (
        f" The administrator can install tesseract-ocr-{package.replace('_', '-')}; then process the document again." if package else ""
    )
    if name in BY_SCRIPT:
        return f"The text on {where} is in {name} letters, which text recognition has no data of here, so it was not read.{advice}"
    return f"The text on {where} seems to be {name}, which text recognition has no data of here: words with accents may be wrong.{advice}"


def in_words(languages: list[str], places: str) -> tuple[str, str]:
    """Which languages are recognised, and which of those asked for are not; empty if there are none."""
    missing = [code for code in languages if not folder_of(code, places)]
    return ", ".join([code for code in languages if code not in missing] + besides(languages, places)), ", ".join(missing)
