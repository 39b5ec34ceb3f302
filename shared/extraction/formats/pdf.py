"""PDFs, with PDFium: text and thumbnail from the one library, page by page; OCR for pages on which one sees more than their text tells.

What a page says and whether it is to be recognised: pdf_pages.py; notes, form fields and attached files: pdf_annotations.py.
"""

import contextlib
import ctypes
import io
import mmap
import os
import re
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any, BinaryIO

import pypdfium2
from pypdfium2 import raw

from shared.extraction import parts
from shared.extraction.failures import DocumentCorrupt, DocumentEncrypted, ExtractionFailed, ExtractionWarning, UnsupportedType
from shared.extraction.formats import Reading, Scan, Stopwatch, pdf_annotations, pdf_pages
from shared.extraction.formats.mail import headed
from shared.extraction.formats.pictures import START_OF_SCAN, too_many_scans
from shared.extraction.formats.recognition import Recognizer
from shared.extraction.formats.text_layers import makes_sense
from shared.extraction.limits import (
    KIB,
    MAX_EMAIL_ATTACHMENTS,
    MAX_OCR_PIXELS,
    MAX_PAGES,
    MAX_PAGES_IN_ALL,
    MAX_PDF_IN_MEMORY,
    MAX_PIXELS,
    MAX_TEXT_CHARACTERS,
    MIB,
    OCR_DPI,
    QUICK_CPU_SECONDS,
)
from shared.extraction.thumbnails import THUMBNAIL_SIDE, webp

if TYPE_CHECKING:
    from PIL.Image import Image
    from pypdfium2 import PdfDocument, PdfImage, PdfPage

_POINTS_PER_INCH = 72
_PICTURES_LOOKED_AT = 200
_PICTURES_DEPTH = 3
_MAX_COMPLETED = 64 * MIB
"""Bytes of a damaged PDF that is tried again with a trailer."""
_CATALOG, _OBJECT = re.compile(rb"/Type\s{0,9}/Catalog\b"), re.compile(rb"\b(\d{1,9}) 0 obj\b")
_CATALOGS_LOOKED_AT = 10

ReadAttachment = Callable[[BinaryIO, str], Reading]


def read(file: BinaryIO, recognizer: Recognizer, read_attachment: ReadAttachment | None = None) -> Reading:
    """The text of each page up to MAX_PAGES, title, thumbnail of the first page; then pages for the attached files, headed by their names.

    `read_attachment(file, filename)` reads one of those; without it, and if it cannot be read, it is only named.

    Raises DocumentEncrypted if a password is needed to open it, DocumentCorrupt if PDFium cannot read it."""
    watch = Stopwatch()
    document = _open(file)
    document.init_forms()
    reading = Reading(page_count=len(document), title=_said(document, "Title"), created=_said(document, "CreationDate"))
    watch.lap("open")
    characters = 0
    until = time.process_time() + QUICK_CPU_SECONDS / 2
    scans: list[int] = []
    unreadable: list[int] = []
    pinned: list[pdf_annotations.Attachment] = []
    for number in range(min(len(document), MAX_PAGES)):
        try:
            if not parts.begin("page", number + 1):
                raise DocumentCorrupt
            page = document[number]
            layer = pdf_pages.read(page)
            notes = pdf_annotations.texts_of(document, page)
            pinned += pdf_annotations.pinned(page)
            if pdf_annotations.has_drawn(page):
                notes += _drawn(document, number, [layer.text, *notes])
        except Exception:  # PdfiumError; a broken page does not make the others unreadable
            reading.pages.append("")
            unreadable.append(number + 1)
            continue
        watch.lap("text")
        scanned, text = layer.is_to_be_recognized, layer.text
        pictures = _pictures(page) if scanned or number == 0 else []
        bearable = all(map(_is_bearable, pictures))
        if scanned and bearable:
            scans.append(number)
            text = text if layer.makes_sense else ""  # what is recognised counts instead, be it longer or not
        text = "\n".join(filter(None, (text, *notes)))
        reading.pages.append(text)
        characters += len(text)
        if number == 0 and bearable and parts.begin("thumbnail"):
            reading.thumbnail = _thumbnail(page)
            watch.lap("thumbnail")
        page.close()
        if characters > MAX_TEXT_CHARACTERS or time.process_time() > until:
            break
    parts.begin("document")
    if reading.pages and (entered := pdf_annotations.entered(document)):
        known = " ".join(" ".join(reading.pages).split())
        reading.pages[-1] = "\n".join((reading.pages[-1], *(text for text in entered if text not in known)))
    reading.truncated = len(reading.pages) < len(document)
    if unreadable and len(unreadable) == len(reading.pages):
        raise DocumentCorrupt("None of the pages of the PDF can be read.")
    for number in unreadable:
        reading.warn("page_unreadable", f"Page {number:,} could not be read.")
    if recognizer.deferred:
        reading.scans = [Scan(number, number) for number in scans]
        scans = []
    _read_attachments(reading, [*pdf_annotations.embedded(document), *pinned], read_attachment if time.process_time() < until else None)
    parts.begin("document")
    watch.lap("attachments")
    for number in scans:
        if recognizer.exhausted():
            reading.truncated = True
            break
        if not parts.begin("picture", number + 1):
            reading.warn("page_not_recognized", f"The text on page {number + 1:,}, which is a picture, could not be recognized.")
            continue
        recognized = _recognized(document, number, recognizer)
        reading.pages[number] = recognized if len(recognized) > len(reading.pages[number]) else reading.pages[number]
        watch.lap("ocr")
    parts.begin("document")
    reading.milliseconds = watch.milliseconds
    return reading


def recognize(file: BinaryIO, numbers: Iterable[int], recognizer: Recognizer) -> Iterator[str | None]:
    """The text on the pages of these numbers (from 0), one after the other; None for a page that cannot be rendered."""
    document = _open(file)
    document.init_forms()
    for number in numbers:
        try:
            yield _recognized(document, number, recognizer)
        except MemoryError:
            raise
        except Exception:
            yield None


def attachment(file: BinaryIO, number: int) -> tuple[BinaryIO, str]:
    """The `number`-th attached file (from 1), and its name.

    Raises IndexError if there are fewer, DocumentCorrupt if it cannot be decoded."""
    document = _open(file)
    attachments = pdf_annotations.embedded(document)
    for page_number in range(min(len(document), MAX_PAGES)):
        if len(attachments) >= number:
            break
        with contextlib.suppress(Exception):  # a broken page, as in `read`
            attachments += pdf_annotations.pinned(document[page_number])
    name, content = attachments[number - 1]
    data = content()
    if data is None:
        raise DocumentCorrupt
    return io.BytesIO(data), name


def _read_attachments(reading: Reading, attachments: "list[pdf_annotations.Attachment]", read_attachment: ReadAttachment | None) -> None:
    only_named = []
    read = 0
    until = time.process_time() + QUICK_CPU_SECONDS / 4
    for number, (name, content) in enumerate(attachments, 1):
        attached = None
        room = time.process_time() < until and len(reading.pages) <= MAX_PAGES_IN_ALL - MAX_PAGES
        if read_attachment and number <= MAX_EMAIL_ATTACHMENTS and room:
            read = number
            attached = _attached(reading, number, name, content, read_attachment)
        if attached is None or not (attached.scans or any(page.strip() for page in attached.pages)):
            only_named.append(f"Attachment: {name}")
            continue
        reading.scans += [Scan(len(reading.pages) + scan.page, scan.frame, number) for scan in attached.scans]
        reading.pages += [headed(name, attached.pages[0]), *attached.pages[1:]]
        reading.truncated |= attached.truncated
        reading.warnings += [ExtractionWarning(warning.code, f"{name}: {warning.detail}") for warning in attached.warnings]
    if read_attachment:
        reading.leave_out_attachments(read, len(attachments))
    if only_named:
        reading.pages.append("\n".join(only_named))


def _attached(
    reading: Reading, number: int, name: str, content: Callable[[], bytes | None], read_attachment: ReadAttachment
) -> Reading | None:
    """None for one that cannot be read, with a warning if it is of a kind that can."""
    try:
        if parts.begin("attachment", number) and (data := content()) is not None:
            with parts.inside():
                return read_attachment(io.BytesIO(data), name)
    except UnsupportedType:
        return None
    except (ExtractionFailed, MemoryError):
        pass
    reading.warn("attachment_unreadable", f"The attachment {name} could not be read.")
    return None


def _recognized(document: "PdfDocument", number: int, recognizer: Recognizer) -> str:
    """What is recognised on the page, with what its own text and its notes say beside that."""
    page = document[number]
    scale = _recognition_scale(page)
    recognized = recognizer.text_of(_render(page, scale, grayscale=True), round(scale * _POINTS_PER_INCH))
    layer = pdf_pages.read(page)
    own = layer.text
    if not layer.makes_sense and recognized.strip() and makes_sense(recognized):
        own = ""  # otherwise the paper itself is full of such letters, codes for instance
    notes = pdf_annotations.texts_of(document, page)
    page.close()
    own = "\n".join(filter(None, (own, *notes)))
    return pdf_pages.combined(own, recognized) if recognized.strip() else own


def _drawn(document: "PdfDocument", number: int, known: list[str]) -> list[str]:
    """The lines of text in what was drawn onto the page later, stamps and signatures, that nothing else tells."""
    page = document[number]
    try:
        if raw.FPDFPage_Flatten(page, raw.FLAT_NORMALDISPLAY) != raw.FLATTEN_SUCCESS:
            return []
        page.close()
        page = document[number]
        words = {word for text in known for word in text.split()}
        return [line.strip() for line in pdf_pages.read(page).text.splitlines() if not words.issuperset(line.split())]
    finally:
        page.close()


def _open(file: BinaryIO) -> "PdfDocument":
    size = file.seek(0, os.SEEK_END)
    source: Any = file
    if 0 < size <= MAX_PDF_IN_MEMORY:
        try:
            # private and so writable, which ctypes insists on; nothing writes, so nothing is copied
            source = (ctypes.c_ubyte * size).from_buffer(mmap.mmap(file.fileno(), size, access=mmap.ACCESS_COPY))
        except (OSError, ValueError):  # an attachment, which lies in memory already
            file.seek(0)
            source = file.read()
    try:
        return pypdfium2.PdfDocument(source)
    except pypdfium2.PdfiumError as error:
        if error.err_code in (raw.FPDF_ERR_PASSWORD, raw.FPDF_ERR_SECURITY):
            raise DocumentEncrypted("The PDF is protected with a password. Remove the password and upload it again.") from None
        if 0 < size <= _MAX_COMPLETED and (completed := _with_trailer(bytes(source))):
            with contextlib.suppress(pypdfium2.PdfiumError):
                return pypdfium2.PdfDocument(completed)
        raise DocumentCorrupt("The PDF is damaged and cannot be opened.") from None


def _with_trailer(data: bytes) -> bytes | None:
    """A PDF that was cut off, with the trailer that PDFium needs to find its pages; None if they cannot be found."""
    for catalog in reversed(deque(_CATALOG.finditer(data), _CATALOGS_LOOKED_AT)):  # the last is that of the newest version
        if numbers := _OBJECT.findall(data, max(0, catalog.start() - KIB), catalog.start()):
            return data + b"\nendstream\nendobj\ntrailer<</Root %s 0 R>>" % numbers[-1]
    return None


def _said(document: "PdfDocument", name: str) -> str | None:
    """What the file says of itself under this name."""
    try:
        return document.get_metadata_value(name) or None
    except Exception:
        return None


def _pictures(page: "PdfPage") -> "list[PdfImage]":
    """The pictures among the first objects of the page: rendering it decodes them whole."""
    handles = _picture_handles(raw.FPDFPage_GetObject, page.raw, raw.FPDFPage_CountObjects(page), _PICTURES_DEPTH)
    return [pypdfium2.PdfImage(handle, page=page, pdf=page.pdf) for handle in islice(handles, _PICTURES_LOOKED_AT)]


def _picture_handles(get: Any, holder: Any, count: int, depth: int) -> Iterator[Any]:
    """Without pypdfium2's objects: one for each piece of text would cost more than the rest of the page."""
    for number in range(count):
        item = get(holder, number)
        kind = raw.FPDFPageObj_GetType(item)
        if kind == raw.FPDF_PAGEOBJ_IMAGE:
            yield item
        elif kind == raw.FPDF_PAGEOBJ_FORM and depth > 1:
            yield from _picture_handles(raw.FPDFFormObj_GetObject, item, raw.FPDFFormObj_CountObjects(item), depth - 1)


def _is_bearable(picture: "PdfImage") -> bool:
    width, height = picture.get_px_size()
    if width * height > MAX_PIXELS:
        return False
    if "DCTDecode" not in picture.get_filters():
        return True
    return not too_many_scans(bytes(picture.get_data()).count(START_OF_SCAN), width, height)


def _recognition_scale(page: "PdfPage") -> float:
    width, height = page.get_size()
    wanted = OCR_DPI / _POINTS_PER_INCH
    pixels = max(1.0, width * wanted) * max(1.0, height * wanted)
    return wanted if pixels <= MAX_OCR_PIXELS else wanted * (MAX_OCR_PIXELS / pixels) ** 0.5


def _thumbnail(page: "PdfPage") -> bytes | None:
    width, height = page.get_size()
    longest = max(width, height)
    if longest <= 0:
        return None
    return webp(_render(page, THUMBNAIL_SIDE / longest))


def _render(page: "PdfPage", scale: float, *, grayscale: bool = False) -> "Image":
    # four bytes a pixel, as Pillow has them: its picture is PDFium's own memory then, no copy
    picture: Image = page.render(scale=scale, grayscale=grayscale, rev_byteorder=True, prefer_bgrx=True).to_pil()
    return picture
