"""What was written onto the pages of a PDF later (form fields, notes, text typed with a viewer), and the files attached to it."""

import contextlib
import ctypes
import re
from collections.abc import Callable, Iterable, Iterator
from html import unescape
from typing import TYPE_CHECKING, Any
from xml.parsers import expat

from pypdfium2 import raw

from shared.extraction.limits import MAX_TEXT_FILE

Attachment = tuple[str, Callable[[], bytes | None]]
"""Its name, and what decodes its content: None if that cannot be done, or would be more than MAX_TEXT_FILE."""

if TYPE_CHECKING:
    from pypdfium2 import PdfDocument, PdfPage

_ANNOTATIONS_LOOKED_AT = 1_000
_OPTIONS_LOOKED_AT = 500
_ATTACHMENTS_NAMED = 200
_PACKETS_LOOKED_AT = 50
_TEXTS_LOOKED_AT = 2_000
_MAX_STRING = 200_000
"""Bytes of one note or field value."""

_TAG = re.compile(r"<[^<>]{0,1000}>")


def texts_of(document: "PdfDocument", page: "PdfPage") -> list[str]:
    """What a person reads in the form fields and the notes of the page; it is no part of the page's own text. Each text once."""
    # What a link holds is for programs; the note of a popup is that of its parent; a field's is told by its value
    silent = (raw.FPDF_ANNOT_LINK, raw.FPDF_ANNOT_WIDGET)
    texts: dict[str, None] = {}
    for annotation in _annotations(page):
        kind = raw.FPDFAnnot_GetSubtype(annotation)
        found = _field_values(document, annotation) if kind == raw.FPDF_ANNOT_WIDGET else []
        if kind not in silent:
            found = [_string(annotation, b"Contents") or _without_tags(_string(annotation, b"RC"))]
        texts.update(dict.fromkeys(text for text in found if text.strip()))
    return list(texts)


def has_drawn(page: "PdfPage") -> bool:
    """Whether there are stamps or signatures on the page, whose text may be told by nothing but how they look."""
    for annotation in _annotations(page):
        kind = raw.FPDFAnnot_GetSubtype(annotation)
        if kind == raw.FPDF_ANNOT_STAMP or (kind == raw.FPDF_ANNOT_WIDGET and _string(annotation, b"FT") == "Sig"):
            return True
    return False


def entered(document: "PdfDocument") -> list[str]:
    """What was entered into a form of the kind that only its maker's program shows (XFA 3.3, data sets)."""
    for number in range(min(raw.FPDF_GetXFAPacketCount(document), _PACKETS_LOOKED_AT)):
        name = ctypes.create_string_buffer(16)
        if raw.FPDF_GetXFAPacketName(document, number, name, len(name)) <= len(name) and name.value == b"datasets":
            return _texts_in(_packet(document, number))
    return []


def _texts_in(xml: bytes) -> list[str]:
    texts: list[str] = []
    pieces: list[str] = []

    def end(*_: object) -> None:
        if len(texts) < _TEXTS_LOOKED_AT and (text := " ".join("".join(pieces).split())):
            texts.append(text)
        pieces.clear()

    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = end, end, pieces.append
    parser.EntityDeclHandler = _refuse_entity
    with contextlib.suppress(expat.ExpatError, ValueError):
        parser.Parse(xml, True)
    return texts


def _refuse_entity(*_: object) -> None:
    raise ValueError("declares entities")


def _packet(document: "PdfDocument", number: int) -> bytes:
    size = ctypes.c_ulong()
    if not raw.FPDF_GetXFAPacketContent(document, number, None, 0, size) or not 0 < size.value <= MAX_TEXT_FILE:
        return b""
    buffer = ctypes.create_string_buffer(size.value)
    return buffer.raw if raw.FPDF_GetXFAPacketContent(document, number, buffer, size.value, size) else b""


def embedded(document: "PdfDocument") -> list[Attachment]:
    """The files attached to the document as a whole."""
    count = max(0, min(raw.FPDFDoc_GetAttachmentCount(document), _ATTACHMENTS_NAMED))
    return _attachments(raw.FPDFDoc_GetAttachment(document, number) for number in range(count))


def pinned(page: "PdfPage") -> list[Attachment]:
    """The files pinned to the page (FileAttachment annotations)."""
    kind = raw.FPDF_ANNOT_FILEATTACHMENT
    return _attachments(
        raw.FPDFAnnot_GetFileAttachment(annotation) for annotation in _annotations(page) if raw.FPDFAnnot_GetSubtype(annotation) == kind
    )


def _attachments(handles: Iterable[Any]) -> list[Attachment]:
    return [(_attachment_name(handle), _content(handle)) for handle in handles if handle]


def _annotations(page: "PdfPage") -> Iterator[Any]:
    for number in range(min(raw.FPDFPage_GetAnnotCount(page), _ANNOTATIONS_LOOKED_AT)):
        annotation = raw.FPDFPage_GetAnnot(page, number)
        if annotation:
            try:
                yield annotation
            finally:
                raw.FPDFPage_CloseAnnot(annotation)


def _field_values(document: "PdfDocument", annotation: Any) -> list[str]:
    form = document.formenv
    kind = raw.FPDFAnnot_GetFormFieldType(form, annotation) if form else -1
    if kind not in (raw.FPDF_FORMFIELD_TEXTFIELD, raw.FPDF_FORMFIELD_COMBOBOX, raw.FPDF_FORMFIELD_LISTBOX):
        return []
    chosen = []
    if kind != raw.FPDF_FORMFIELD_TEXTFIELD:
        for option in range(min(raw.FPDFAnnot_GetOptionCount(form, annotation), _OPTIONS_LOOKED_AT)):
            if raw.FPDFAnnot_IsOptionSelected(form, annotation, option):
                chosen.append(_wide(raw.FPDFAnnot_GetOptionLabel, form, annotation, option))
    # the label is what one sees, the value may be a code for it, or what was typed beside the options
    value = _wide(raw.FPDFAnnot_GetFormFieldValue, form, annotation)
    return [*chosen, *([] if chosen or not value else [value])]


def _string(annotation: Any, key: bytes) -> str:
    return _wide(raw.FPDFAnnot_GetStringValue, annotation, key)


def _wide(function: Any, *arguments: Any) -> str:
    """The UTF-16 string that a function of PDFium writes into a buffer after telling its size in bytes, with the NUL at the end."""
    size = min(function(*arguments, None, 0), _MAX_STRING)
    if size < 2:
        return ""
    buffer = (raw.FPDF_WCHAR * (size // 2))()
    function(*arguments, buffer, size)
    return bytes(buffer).decode("utf-16-le", "replace").rstrip("\0")


def _without_tags(rich: str) -> str:
    return unescape(_TAG.sub(" ", rich)).strip()


def _attachment_name(handle: Any) -> str:
    def name(buffer: Any, size: int) -> int:
        target = ctypes.cast(buffer, ctypes.POINTER(raw.FPDF_WCHAR)) if buffer else None
        return int(raw.FPDFAttachment_GetName(handle, target, size))

    return " ".join(_wide(name).split())[:255] or "unnamed"


def _content(handle: Any) -> Callable[[], bytes | None]:
    def content() -> bytes | None:
        size = ctypes.c_ulong()
        if not raw.FPDFAttachment_GetFile(handle, None, 0, size) or size.value > MAX_TEXT_FILE:
            return None
        buffer = (ctypes.c_ubyte * size.value)()
        if size.value and not raw.FPDFAttachment_GetFile(handle, buffer, size.value, size):
            return None
        return bytes(buffer)

    return content
