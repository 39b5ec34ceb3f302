"""Names people give to files: cleaned once on the way in, and made into titles, object keys' endings and download headers.

The human name lives in the database only; what stands in an object's key is made by us.
"""

import re
import unicodedata
from pathlib import PurePosixPath
from urllib.parse import quote

from shared.storage.backend import Disposition
from shared.storage.object_keys import EXTENSION

MAX_LENGTH = 255
MAX_EXTENSION = 20
MAX_TITLE = 200

# Marks that change the direction of what follows (Unicode TR 36, section 3.2: `gpj.exe` shown as `exe.jpg`), and what has no shape at all.
# Joiners stay: emoji and Persian are written with them.
_INVISIBLE = re.compile("[\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff]")
_SPACES = re.compile(r"\s+")
_SAFE_EXTENSION = re.compile(EXTENSION)
_MEANINGLESS_TITLES = re.compile(
    r"(untitled|unbenannt|ohne titel|no title|sans titre|title|document|dokument|scan|scanned document|image|slide|powerpoint presentation"
    r"|microsoft word|word document|doc|page|seite|book|mappe|workbook|new document|neues dokument|pdf)[\s\d()._-]*",
    re.IGNORECASE,
)
_PROGRAM_PREFIX = re.compile(r"^microsoft (word|excel|powerpoint) - ", re.IGNORECASE)
_FILE_ENDING = re.compile(r"\.(pdf|docx?|xlsx?|pptx?|od[tsp]|rtf|html?|txt|tex|dvi|ps|indd|qxd|pages|numbers|key)$", re.IGNORECASE)


def clean(name: str) -> str:
    """The file's own name without folders, control characters and direction marks, in NFC, at most 255 characters, its ending kept.

    What is left empty is called `document`.
    """
    name = unicodedata.normalize("NFC", _INVISIBLE.sub("", name)).replace("\\", "/")
    name = "".join(" " if unicodedata.category(character) == "Cc" and character != "\0" else character for character in name)
    name = _SPACES.sub(" ", name.replace("\0", ""))
    name = next((part for part in reversed(name.split("/")) if part.strip(" .")), "").strip().rstrip(". ")
    if not name:
        return "document"
    return _shortened(name, MAX_LENGTH)


def extension(filename: str) -> str:
    """The ending with its dot, in lower case, where it is plain letters and digits; else nothing."""
    ending = PurePosixPath(filename).suffix.lower()
    return ending if _SAFE_EXTENSION.fullmatch(ending) else ""


def title(filename: str) -> str:
    """A title for a document that brings none of its own."""
    stem = PurePosixPath(filename).stem.replace("_", " ").strip()
    return _cut(stem or filename, MAX_TITLE)


def sane_title(given: str | None) -> str | None:
    """A document's own title if it tells people something; None for `Microsoft Word - x.doc`, `untitled-1`, bare numbers."""
    if given is None:
        return None
    text = unicodedata.normalize("NFC", _INVISIBLE.sub("", given))
    text = "".join(character for character in text if unicodedata.category(character) != "Cc" or character.isspace())
    text = _FILE_ENDING.sub("", _PROGRAM_PREFIX.sub("", _SPACES.sub(" ", text).strip())).strip()
    letters = sum(character.isalpha() for character in text)
    if letters < 3 or letters * 2 < len(text.replace(" ", "")) or "://" in text or "\\" in text or _MEANINGLESS_TITLES.fullmatch(text):
        return None
    return _cut(text, MAX_TITLE)


def content_disposition(disposition: Disposition, filename: str) -> str:
    """The header's value by RFC 6266: an ASCII name for old clients, the real one by RFC 8187."""
    plain = unicodedata.normalize("NFKD", filename).encode("ascii", "ignore").decode()
    plain = re.sub(r'["\\%;]', "_", plain).strip() or "document"
    encoded = quote(filename, safe="!#$&+-.^_`|~")
    return f"{disposition}; filename=\"{plain}\"; filename*=UTF-8''{encoded}"


def _shortened(name: str, length: int) -> str:
    if len(name) <= length:
        return name
    ending = PurePosixPath(name).suffix
    if not 1 < len(ending) <= MAX_EXTENSION:
        ending = ""
    return _cut(name[: len(name) - len(ending)], length - len(ending)).rstrip(". ") + ending


def _cut(text: str, length: int) -> str:
    """At most `length` characters, never between a letter and its marks or inside a joined emoji."""
    if len(text) <= length:
        return text
    while length > 0 and (unicodedata.combining(text[length]) or text[length] in "\u200d\ufe0f" or text[length - 1] == "\u200d"):
        length -= 1
    return text[:length].rstrip()
