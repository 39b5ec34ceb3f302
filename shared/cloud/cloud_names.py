"""The names that documents have in a cloud: their human names, as far as every cloud takes them.

The strictest rules hold for all: those of Windows, which OneDrive keeps ("Naming Files, Paths, and Namespaces" and OneDrive's own
"Restrictions and limitations"), and `;`, at which some WebDAV servers cut a name. So a document keeps its name from one cloud to the other.
"""

import re
import unicodedata
from datetime import datetime
from pathlib import PurePosixPath

ROOT = "DocuVault"
"""The folder in which everything lies, with one for each year, and in that, if its owner wants so, one for each topic."""
NAME_BYTES = 200
"""Of the 255 that most file systems take: room for a number, and for servers that add something of their own."""

_FORBIDDEN = re.compile(r'["*:<>?/\\|;\x00-\x1f\x7f-\x9f]')
_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$|desktop|\.lock|_vti_)", re.IGNORECASE)
_MOST_EXTENSION = 20
_OFFICE = frozenset(
    {".doc", ".docx", ".docm", ".dotx", ".xls", ".xlsx", ".xlsm", ".xltx", ".ppt", ".pptx", ".pptm", ".potx", ".vsdx", ".one"}
)


def folder_for(created_at: datetime, topic: str | None = None) -> str:
    """Where a document lies that came at that time, if it is to lie by topic in that topic's folder."""
    year = f"{ROOT}/{created_at:%Y}"
    return year if topic is None else f"{year}/{name_for(topic)}"


def name_for(filename: str, number: int = 1) -> str:
    """The document's name; the second of that name is `name (2).pdf`, and so on."""
    name = unicodedata.normalize("NFC", _FORBIDDEN.sub("_", filename)).strip().lstrip("~").rstrip(". ")
    path = PurePosixPath(name)
    ending = path.suffix if 1 < len(path.suffix) <= _MOST_EXTENSION else ""
    stem = name[: len(name) - len(ending)].strip().rstrip(".") or "document"
    if _RESERVED.fullmatch(stem.partition(".")[0]) or stem.startswith((".", "_vti_")):
        stem = f"_{stem.lstrip('.')}"
    mark = f" ({number})" if number > 1 else ""
    room = NAME_BYTES - len(ending.encode()) - len(mark)
    return f"{_cut(stem, room).rstrip('. ')}{mark}{ending}"


def is_office(filename: str) -> bool:
    """Whether the name says that it is a file of Microsoft Office, into which OneDrive for Business writes properties."""
    return PurePosixPath(filename).suffix.lower() in _OFFICE


def neutral(filename: str) -> str:
    """The name for a copy whose kind the cloud must not know, because it writes into files of that kind."""
    return f"{filename}.original"


def _cut(text: str, most: int) -> str:
    """At most so many bytes of UTF-8, cut between characters and never before a mark that belongs to the one before."""
    while len(text.encode()) > most:
        text = text[:-1]
        while text and (unicodedata.combining(text[-1]) or text[-1] in "\u200d\ufe0f"):
            text = text[:-1]
    return text
