"""The XML parts of an office file, as text: a streaming parser that refuses entities, and the flow that text is written into.

A reader (`word.py`, `opendocument.py`) is a `PartReader` with a method for each element that means something; what it does not know, it
walks through. Nothing recurses, so depth costs nothing.
"""

import time
import zipfile
from collections.abc import Callable
from typing import IO, ClassVar, Protocol
from xml.parsers import expat

from shared.extraction.formats import Reading
from shared.extraction.limits import KIB, MAX_PAGES, MAX_TEXT_CHARACTERS, QUICK_CPU_SECONDS

BLANK, TAB, LINE, PARAGRAPH = 1, 2, 3, 4
_SEPARATORS = ("", " ", "\t", "\n", "\n\n")
_MAX_NESTED_FLOWS = 20
_CHUNK = 64 * KIB

Attributes = dict[str, str]


class Readable(Protocol):
    def read(self, size: int = -1, /) -> bytes: ...


class Archive(Protocol):
    """What parts are taken from: a zip archive, or what looks like one."""

    def namelist(self) -> list[str]: ...

    def open(self, name: str, /) -> IO[bytes]: ...


class EnoughRead(Exception):
    """Text or CPU time is used up; what was written until now counts."""


class Flow:
    """Text that runs on, page by page: what is written, and the gaps between, of which the widest counts."""

    def __init__(self) -> None:
        self.pages: list[list[str]] = [[]]
        self.floats: list[str] = []
        """Text beside the running paragraph (text boxes), written once it ends."""
        self.notes: list[str] = []
        """Text at the foot of the running page."""
        self.cells = 0
        """Table cells that are open."""
        self._gap = 0

    def write(self, text: str) -> None:
        page = self.pages[-1]
        if self._gap:
            if page:
                page.append(_SEPARATORS[self._gap])
            self._gap = 0
        page.append(text)

    def gap(self, width: int) -> None:
        self._gap = max(self._gap, width)

    @property
    def at_start(self) -> bool:
        """Whether what is written next is the first of its paragraph or stands after a blank."""
        return bool(self._gap) or not self.pages[-1] or self.pages[-1][-1][-1].isspace()

    def end_paragraph(self) -> None:
        width = BLANK if self.cells else PARAGRAPH
        self.gap(width)
        if self.floats:
            floats, self.floats = self.floats, []
            for text in floats:
                self.gap(LINE)
                self.write(text)
                self.gap(max(width, LINE))

    def break_page(self) -> None:
        if len(self.pages) >= MAX_PAGES:
            self.gap(PARAGRAPH)
            return
        self._end_page()
        self.pages.append([])
        self._gap = 0

    def _end_page(self) -> None:
        notes, self.notes = self.notes, []
        for text in notes:
            self.gap(PARAGRAPH)
            self.write(text)

    def finish(self) -> list[str]:
        """The text of each page."""
        self.end_paragraph()
        while len(self.pages) > 1 and not self.pages[-1]:
            self.pages.pop()
        self._end_page()
        return ["".join(page) for page in self.pages]

    def text(self) -> str:
        return "\n\n".join(page for page in self.finish() if page.strip())


class PartReader:
    """Walks through XML and calls `OPENING[tag](self, attributes)` and `CLOSING[tag](self)`; a tag is prefix:name, the prefix that of
    NAMESPACES whatever the document calls it. Elements of SKIPPED are passed over with all that is in them."""

    NAMESPACES: ClassVar[dict[str, str]] = {}
    SKIPPED: ClassVar[frozenset[str]] = frozenset()

    def __init__(self) -> None:
        self.flow = Flow()
        self.written = 0
        self.until = time.process_time() + QUICK_CPU_SECONDS / 2
        self._flows: list[tuple[Flow, bool]] = []
        self._skipping = 0
        self._tags: dict[str, str] = {}
        self.opening: dict[str, Callable[[Attributes], None]] = {}
        self.closing: dict[str, Callable[[], None]] = {}

    def characters(self, text: str) -> None:
        """Text as it stands in the XML, in pieces."""

    def walk(self, part: Readable) -> None:
        """Read a part to its end. Raises ValueError if it is not well-formed or declares entities, EnoughRead."""
        parser = expat.ParserCreate(namespace_separator=" ")
        parser.buffer_text = True
        parser.StartElementHandler, parser.EndElementHandler = self._start, self._end
        parser.CharacterDataHandler = self._characters
        parser.EntityDeclHandler = _refuse_entity
        try:
            while chunk := part.read(_CHUNK):
                parser.Parse(chunk, False)
                if self.written > MAX_TEXT_CHARACTERS or time.process_time() > self.until:
                    raise EnoughRead
            parser.Parse(b"", True)
        except expat.ExpatError as error:
            raise ValueError(str(error)) from None

    def write(self, text: str) -> None:
        if text:
            self.written += len(text)
            # a hyphen that must not break is one, to whoever looks for the word
            self.flow.write(text if text.isascii() else text.replace("\u2011", "-").replace("\u2010", "-"))

    def skip(self) -> None:
        """From the handler that opens an element: pass over what is in it; its end is not told."""
        self._skipping = 1

    def open_flow(self) -> None:
        """What follows is text of its own, until `close_flow`."""
        nested = len(self._flows) < _MAX_NESTED_FLOWS
        self._flows.append((self.flow, nested))
        if nested:
            self.flow = Flow()
        else:
            self.flow.gap(BLANK)

    def close_flow(self) -> str:
        """The text since `open_flow`."""
        if not self._flows:
            return ""
        flow, nested = self._flows.pop()
        if not nested:
            self.flow.gap(BLANK)
            return ""
        text, self.flow = self.flow.text(), flow
        return text

    def close_float(self) -> None:
        """The text since `open_flow` stands beside the paragraph it is anchored in."""
        if text := self.close_flow():
            self.flow.floats.append(text)

    def close_note(self) -> None:
        """The text since `open_flow` stands at the foot of the page."""
        if text := self.close_flow():
            self.root.notes.append(text)

    @property
    def root(self) -> Flow:
        return self._flows[0][0] if self._flows else self.flow

    def pages(self) -> list[str]:
        """The text of each page; what was left open is closed."""
        while self._flows:
            self.close_float()
        return self.flow.finish()

    def _start(self, name: str, attributes: Attributes) -> None:
        if self._skipping:
            self._skipping += 1
            return
        tag = self._tags.get(name) or self._tag(name)
        if tag in self.SKIPPED:
            self._skipping = 1
        elif handler := self.opening.get(tag):
            handler(attributes)

    def _end(self, name: str) -> None:
        if self._skipping:
            self._skipping -= 1
        elif handler := self.closing.get(self._tags[name]):
            handler()

    def _characters(self, text: str) -> None:
        if not self._skipping:
            self.characters(text)

    def _tag(self, name: str) -> str:
        uri, _, local = name.rpartition(" ")
        tag = self._tags[name] = f"{self.NAMESPACES.get(uri, '')}:{local}"
        return tag


class Parts:
    """The parts of one archive, read within one budget of text and time; `reading` gets what is to be told of them."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._stored = {name.replace("\\", "/").lstrip("/").lower(): name for name in archive.namelist()}
        self._written = 0
        self._until = time.process_time() + QUICK_CPU_SECONDS / 2
        self.reading = Reading()

    def names(self) -> dict[str, str]:
        """Names as the archive has them, by names in lower case."""
        return self._stored

    def content(self, name: str) -> bytes | None:
        """A part in whole; None if it is not there."""
        stored = self._stored.get(name.lower())
        if stored is None:
            return None
        with self._archive.open(stored) as part:
            return part.read()

    def walk(self, reader: PartReader, name: str, *, needed: bool = False) -> bool:
        """Have a part read; False if it is not there or damaged. If it is `needed`, damage is left to the caller to tell."""
        stored = self._stored.get(name.lower())
        if stored is None:
            return False
        reader.until, reader.written = self._until, self._written
        try:
            with self._archive.open(stored) as part:
                reader.walk(part)
        except EnoughRead:
            self.reading.truncated = True
        except (ValueError, zipfile.BadZipFile):
            if not needed:
                self.reading.warn("part_unreadable", f"The part {name[-100:]} is damaged and was left out.")
            return False
        finally:
            self._written = max(self._written, reader.written)
        return True

    def title(self, name: str) -> str | None:
        """The title among the properties of the document, which are the part of that name (Dublin Core)."""
        reader = _Title()
        self.walk(reader, name)
        return reader.title


class _Title(PartReader):
    NAMESPACES: ClassVar[dict[str, str]] = {
        "http://purl.org/dc/elements/1.1/": "dc",
        "urn:oasis:names:tc:opendocument:xmlns:office:1.0": "office",
    }
    SKIPPED = frozenset({"office:body", "office:master-styles"})

    def __init__(self) -> None:
        super().__init__()
        self.title: str | None = None
        self._inside = False
        self.opening = {"dc:title": lambda _: self._in_title(True)}
        self.closing = {"dc:title": lambda: self._in_title(False)}

    def _in_title(self, inside: bool) -> None:
        self._inside = inside

    def characters(self, text: str) -> None:
        if self._inside:
            self.title = ((self.title or "") + text)[:10_000]


def value(attributes: Attributes, local: str) -> str | None:
    """An attribute by its name without the namespace."""
    for name, content in attributes.items():
        if name == local or name.endswith(f" {local}"):
            return content
    return None


def _refuse_entity(*_: object) -> None:
    raise ValueError("declares entities")
