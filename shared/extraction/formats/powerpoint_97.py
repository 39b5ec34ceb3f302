"""PowerPoint presentations from before 2007 (PPT, MS-PPT): the text of what the last save left in the file, slide by slide.

Saves append, so old versions of slides stand in the stream, too; the directory of objects says which count.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

from shared.extraction.compound import Compound, title
from shared.extraction.failures import DocumentCorrupt, DocumentEncrypted
from shared.extraction.formats import Reading
from shared.extraction.limits import MAX_PAGES, MAX_TEXT_CHARACTERS

_NOTES, _SLIDE_ATOM, _SLIDE_PERSIST, _TEXT_REFERENCE = 1008, 1007, 1011, 3998
_CHARACTERS, _BYTES, _TEXT_HEADER, _STRING, _LIST, _MARGINS, _USER_EDIT, _DIRECTORY = 4000, 4008, 3999, 4026, 4080, 4057, 4085, 6002
_TABLES, _COMMENT = 1010, 12000
_CONTAINER = 0xF
_ENCRYPTED = 0xF3D1C4DF
_MAX_EDITS, _MAX_OBJECTS, _MAX_RECORDS, _MAX_DEPTH = 10_000, 100_000, 2_000_000, 40
_SLIDES, _NOTES_LIST = 0, 2


@dataclass(frozen=True)
class _Record:
    kind: int
    instance: int
    is_container: bool
    place: int
    """Of its content."""
    end: int


@dataclass
class _Persisted:
    """A slide or a page of notes as the document lists it: its number in the directory, its identifier, the texts of its placeholders."""

    reference: int
    identifier: int
    outline: list[str] = field(default_factory=list)


def read(file: BinaryIO) -> Reading:
    """A page a slide in the order of the presentation: its text boxes and tables, its notes and comments.

    Raises DocumentEncrypted, DocumentCorrupt."""
    compound = Compound(file)
    data, user = compound.read("powerpoint document"), compound.read("current user", 1024)
    if len(user) >= 20 and struct.unpack_from("<I", user, 12)[0] == _ENCRYPTED:
        raise DocumentEncrypted()
    try:
        edit = struct.unpack_from("<I", user, 16)[0]
        presentation = _Presentation(data, edit)
        pages = presentation.pages()
    except struct.error:
        raise DocumentCorrupt("The PowerPoint presentation is damaged and cannot be read.") from None
    return Reading(
        pages=pages or [""], page_count=presentation.count or None, title=title(compound), truncated=len(pages) < presentation.count
    )


class _Presentation:
    def __init__(self, data: bytes, edit: int) -> None:
        self._data = data
        self._left = _MAX_RECORDS
        self._places, document = self._directory(edit)
        self._document = self._record(self._places[document]) if document in self._places else None
        if self._document is None:
            raise DocumentCorrupt("The PowerPoint presentation is damaged and cannot be read.")
        self.count = 0

    def pages(self) -> list[str]:
        assert self._document is not None
        lists = {_SLIDES: list[_Persisted](), _NOTES_LIST: list[_Persisted]()}
        margins: list[str] = []
        for record in self._within(self._document):
            if record.kind == _LIST and record.instance in lists:
                lists[record.instance] += self._listed(record)
            elif record.kind == _MARGINS:
                margins += [self._text(one) for one in self._within(record) if one.kind == _STRING and one.instance in (1, 2)]
        notes = {one.identifier: one for one in lists[_NOTES_LIST]}
        self.count = len(lists[_SLIDES])
        pages: list[str] = []
        left = MAX_TEXT_CHARACTERS
        for slide in lists[_SLIDES][:MAX_PAGES]:
            texts, notes_id = self._of_slide(slide)
            if notes_id in notes:
                texts += self._of_slide(notes[notes_id])[0]
            if not pages:
                texts += margins
            pages.append("\n\n".join(text for text in dict.fromkeys(texts) if text))
            left -= len(pages[-1])
            if left <= 0:
                break
        return pages

    def _directory(self, edit: int) -> tuple[dict[int, int], int]:
        """Where each object lies, by its number, the last edit counting; and the number of the document (2.3.3, 2.3.4)."""
        places: dict[int, int] = {}
        document, seen = 0, set[int]()
        while edit and edit not in seen and len(seen) < _MAX_EDITS:
            seen.add(edit)
            record = self._record(edit)
            if record is None or record.kind != _USER_EDIT:
                break
            edit, table, reference = struct.unpack_from("<8xIII", self._data, record.place)
            document = document or reference
            directory = self._record(table)
            if directory is None or directory.kind != _DIRECTORY:
                continue
            place = directory.place
            while place + 4 <= directory.end and len(places) < _MAX_OBJECTS:
                (numbers,) = struct.unpack_from("<I", self._data, place)
                first, count = numbers & 0xF_FFFF, numbers >> 20
                count = min(count, (directory.end - place - 4) // 4)
                for index, offset in enumerate(struct.unpack_from(f"<{count}I", self._data, place + 4)):
                    places.setdefault(first + index, offset)
                place += 4 + 4 * count
                if not count:
                    break
        return places, document

    def _record(self, place: int) -> _Record | None:
        if place + 8 > len(self._data):
            return None
        head, kind, length = struct.unpack_from("<HHI", self._data, place)
        return _Record(kind, head >> 4, head & 0xF == _CONTAINER, place + 8, min(len(self._data), place + 8 + length))

    def _children(self, parent: _Record) -> Iterator[_Record]:
        place = parent.place
        while place + 8 <= parent.end and self._left > 0:
            self._left -= 1
            record = self._record(place)
            if record is None:
                return
            yield record
            place = record.end

    def _within(self, parent: _Record) -> Iterator[_Record]:
        """All records in a container, whatever they stand in, in their order."""
        stack = [self._children(parent)]
        while stack:
            record = next(stack[-1], None)
            if record is None:
                stack.pop()
                continue
            yield record
            if record.is_container and record.kind not in (_LIST, _MARGINS) and len(stack) < _MAX_DEPTH:
                stack.append(self._children(record))

    def _listed(self, record: _Record) -> list[_Persisted]:
        listed: list[_Persisted] = []
        for one in self._children(record):
            if one.kind == _SLIDE_PERSIST:
                reference, identifier = struct.unpack_from("<I8xI", self._data, one.place)
                listed.append(_Persisted(reference, identifier))
            elif listed and one.kind == _TEXT_HEADER:
                listed[-1].outline.append("")
            elif listed and one.kind in (_CHARACTERS, _BYTES):
                if listed[-1].outline:
                    listed[-1].outline[-1] += self._text(one)
                else:
                    listed[-1].outline.append(self._text(one))
        return listed

    def _of_slide(self, slide: _Persisted) -> tuple[list[str], int]:
        """Its texts in the order in which they are drawn, and the identifier of its notes."""
        place = self._places.get(slide.reference)
        container = self._record(place) if place is not None else None
        texts: list[str] = []
        notes = 0
        drawn: set[int] = set()
        if container is not None:
            for record in self._within(container):
                if record.kind in (_CHARACTERS, _BYTES):
                    texts.append(self._text(record))
                elif record.kind == _TEXT_REFERENCE:
                    (number,) = struct.unpack_from("<I", self._data, record.place)
                    if number < len(slide.outline):
                        drawn.add(number)
                        texts.append(slide.outline[number])
                elif record.kind == _SLIDE_ATOM and container.kind != _NOTES:
                    (notes,) = struct.unpack_from("<16xI", self._data, record.place)
                elif record.kind == _COMMENT:
                    strings = {one.instance: self._text(one) for one in self._children(record) if one.kind == _STRING}
                    texts.append(": ".join(filter(None, (strings.get(0), strings.get(1)))))
        texts[:0] = [text for number, text in enumerate(slide.outline) if number not in drawn]
        return texts, notes

    def _text(self, record: _Record) -> str:
        content = self._data[record.place : record.end]
        text = content.decode("latin-1" if record.kind == _BYTES else "utf-16-le", "replace")
        return text.replace("\r", "\n").replace("\x0b", "\n").replace("*\n", "\n").strip("\0\n ") if text != "*" else ""
