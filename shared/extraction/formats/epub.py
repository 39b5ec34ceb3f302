"""Books in EPUB (W3C EPUB 3.3; OCF): the chapters in the order of the spine, a page each."""

import posixpath
import zipfile
from typing import BinaryIO
from urllib.parse import unquote
from xml.parsers import expat

from shared.extraction.failures import DocumentCorrupt, DocumentEncrypted
from shared.extraction.formats import Reading
from shared.extraction.formats.html import to_text
from shared.extraction.limits import MAX_PAGES, MAX_TEXT_CHARACTERS, MIB

_CONTAINER, _ENCRYPTION = "META-INF/container.xml", "META-INF/encryption.xml"
_MAX_CHAPTER = 32 * MIB
_FONTS = ("/embedding", "/RC")
"""Algorithms that only hide fonts (OCF 4.3): `http://www.idpf.org/2008/embedding`, `http://ns.adobe.com/pdf/enc#RC`."""


def read(file: BinaryIO) -> Reading:
    """The text of each chapter, the first after title and authors.

    Raises DocumentEncrypted if a shop's lock is on it, DocumentCorrupt."""
    with zipfile.ZipFile(file) as archive:
        names = set(archive.namelist())
        if _ENCRYPTION in names and _is_locked(archive.read(_ENCRYPTION)):
            raise DocumentEncrypted("The book is locked by the shop that sold it (DRM), so its text cannot be read.")
        package = _EpubPackage()
        try:
            path = _rootfile(archive.read(_CONTAINER))
            package.parse(archive.read(path))
        except (KeyError, expat.ExpatError, ValueError):
            raise DocumentCorrupt("The EPUB book is damaged and cannot be read.") from None
        reading = Reading(title=package.metadata.get("title", [None])[0])
        head = "\n".join(text for name in ("title", "creator", "publisher", "description") for text in package.metadata.get(name, []))
        left = MAX_TEXT_CHARACTERS
        chapters = [package.files[id] for id in package.spine if id in package.files]
        for href in chapters[:MAX_PAGES]:
            name = posixpath.normpath(posixpath.join(posixpath.dirname(path), unquote(href.partition("#")[0])))
            if name not in names:
                reading.warn("part_unreadable", f"The part {name[:100]} is not in the book.")
                continue
            with archive.open(name) as part:
                text = to_text(part.read(_MAX_CHAPTER))[0]
            if text:
                reading.pages.append(text)
                left -= len(text)
            if left <= 0:
                reading.truncated = True
                break
    reading.truncated |= len(chapters) > MAX_PAGES
    reading.pages = reading.pages or [""]
    reading.pages[0] = "\n\n".join(filter(None, (head, reading.pages[0])))
    reading.page_count = len(reading.pages) if len(reading.pages) > 1 else None
    return reading


def _is_locked(encryption: bytes) -> bool:
    found: list[str] = []

    def start(name: str, attributes: dict[str, str]) -> None:
        if name.rpartition(":")[2] == "EncryptionMethod":
            found.append(attributes.get("Algorithm", ""))

    parser = _parser()
    parser.StartElementHandler = start
    try:
        parser.Parse(encryption, True)
    except (expat.ExpatError, ValueError):
        return False
    # keys are encrypted by one algorithm, the chapters by another
    return any(not algorithm.endswith(_FONTS) for algorithm in found)


def _rootfile(container: bytes) -> str:
    """The path of the package document. Raises KeyError, ValueError."""
    paths: list[str] = []

    def start(name: str, attributes: dict[str, str]) -> None:
        if name.rpartition(":")[2] == "rootfile" and "full-path" in attributes:
            paths.append(attributes["full-path"])

    parser = _parser()
    parser.StartElementHandler = start
    parser.Parse(container, True)
    if not paths:
        raise KeyError("rootfile")
    return paths[0]


class _EpubPackage:
    """The package document: metadata, files by their identifiers, and the spine."""

    def __init__(self) -> None:
        self.metadata: dict[str, list[str]] = {}
        self.files: dict[str, str] = {}
        self.spine: list[str] = []
        self._text: list[str] | None = None

    def parse(self, data: bytes) -> None:
        parser = _parser()
        parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = self._start, self._end, self._characters
        parser.Parse(data, True)

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        local = name.rpartition(":")[2]
        self._text = None
        if local in ("title", "creator", "publisher", "description") and name != local:
            self._text = []
        elif local == "item" and attributes.get("media-type") in ("application/xhtml+xml", "text/html"):
            self.files.setdefault(attributes.get("id", ""), attributes.get("href", ""))
        elif local == "itemref":
            self.spine.append(attributes.get("idref", ""))

    def _characters(self, text: str) -> None:
        if self._text is not None:
            self._text.append(text)

    def _end(self, name: str) -> None:
        if self._text is not None and (text := " ".join("".join(self._text).split())):
            self.metadata.setdefault(name.rpartition(":")[2], []).append(to_text(text)[0] if "<" in text else text)
        self._text = None


def _parser() -> expat.XMLParserType:
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.EntityDeclHandler = _refuse_entity
    return parser


def _refuse_entity(*_: object) -> None:
    raise ValueError("declares entities")
