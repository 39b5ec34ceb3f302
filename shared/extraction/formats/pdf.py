"""PDFs, with PDFium: text and thumbnail from the one library, page by page; OCR for pages that are only a picture."""

import ctypes
import mmap
import os
import re
import time
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any, BinaryIO

from shared.extraction import parts
from shared.extraction.failures import DocumentCorrupt, DocumentEncrypted
from shared.extraction.formats import Reading, Scan, Stopwatch
from shared.extraction.formats.pictures import START_OF_SCAN, too_many_scans, webp
from shared.extraction.formats.recognition import Recognizer
from shared.extraction.limits import (
    MAX_OCR_PIXELS,
    MAX_PAGES,
    MAX_PDF_IN_MEMORY,
    MAX_PIXELS,
    MAX_TEXT_CHARACTERS,
    OCR_DPI,
    QUICK_CPU_SECONDS,
    THUMBNAIL_SIDE,
)

if TYPE_CHECKING:
    from PIL.Image import Image
    from pypdfium2 import PdfDocument, PdfImage, PdfPage

_POINTS_PER_INCH = 72
_FEW_CHARACTERS = 16
"""A page with fewer characters than this and a picture on it is taken for a scan (a scanner's stamp or page number is no text layer)."""
_PICTURES_LOOKED_AT = 200
_FIELDS_LOOKED_AT = 1_000
_HYPHEN = re.compile(r"(?<=[^\W\d_])\ufffe(?=[^\W\dA-ZÄÖÜ_])")


def read(file: BinaryIO, recognizer: Recognizer) -> Reading:
    """The text of each page up to MAX_PAGES, title, thumbnail of the first page.

    Raises DocumentEncrypted where a password is needed to open it, DocumentCorrupt where PDFium cannot read it."""
    watch = Stopwatch()
    document = _open(file)
    document.init_forms()
    reading = Reading(page_count=len(document), title=_title(document))
    watch.lap("open")
    characters = 0
    until = time.process_time() + QUICK_CPU_SECONDS / 2
    scans: list[int] = []
    unreadable: list[int] = []
    for number in range(min(len(document), MAX_PAGES)):
        try:
            if not parts.begin("page", number + 1):
                raise DocumentCorrupt
            page = document[number]
            text = "\n".join(filter(None, (_text(page), *_field_values(document, page))))
        except Exception:  # PdfiumError; a broken page does not make the others unreadable
            reading.pages.append("")
            unreadable.append(number + 1)
            continue
        watch.lap("text")
        scanned = len(text.strip()) < _FEW_CHARACTERS
        pictures = _pictures(page) if scanned or number == 0 else []
        bearable = all(map(_is_bearable, pictures))
        if scanned and pictures and bearable:
            scans.append(number)
        reading.pages.append(text)
        characters += len(text)
        if number == 0 and bearable and parts.begin("thumbnail"):
            reading.thumbnail = _thumbnail(page)
            watch.lap("thumbnail")
        page.close()
        if characters > MAX_TEXT_CHARACTERS or time.process_time() > until:
            break
    parts.begin("document")
    reading.truncated = len(reading.pages) < len(document)
    if unreadable and len(unreadable) == len(reading.pages):
        raise DocumentCorrupt("None of the pages of the PDF can be read.")
    for number in unreadable:
        reading.warn("page_unreadable", f"Page {number:,} could not be read.")
    if recognizer.deferred:
        reading.scans = [Scan(number, number) for number in scans]
        scans = []
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


def _recognized(document: "PdfDocument", number: int, recognizer: Recognizer) -> str:
    page = document[number]
    scale = _recognition_scale(page)
    recognized = recognizer.text_of(_render(page, scale, grayscale=True), round(scale * _POINTS_PER_INCH))
    page.close()
    return recognized


def _open(file: BinaryIO) -> "PdfDocument":
    import pypdfium2
    from pypdfium2 import raw

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
        raise DocumentCorrupt("The PDF is damaged and cannot be opened.") from None


def _title(document: "PdfDocument") -> str | None:
    try:
        return document.get_metadata_value("Title") or None
    except Exception:
        return None


def _text(page: "PdfPage") -> str:
    textpage = page.get_textpage()
    try:
        # U+FFFE stands for a hyphen at the end of a line, the line break after it left out: "Haftpflichtver\ufffesicherung", "E\ufffeMail"
        return _HYPHEN.sub("", textpage.get_text_range()).replace("\ufffe", "-")
    finally:
        textpage.close()


def _field_values(document: "PdfDocument", page: "PdfPage") -> list[str]:
    """What was filled into the form fields of the page; it is no part of its text."""
    from pypdfium2 import raw

    form = document.formenv
    values: list[str] = []
    for number in range(min(raw.FPDFPage_GetAnnotCount(page), _FIELDS_LOOKED_AT) if form else 0):
        annotation = raw.FPDFPage_GetAnnot(page, number)
        if not annotation:
            continue
        if raw.FPDFAnnot_GetFormFieldType(form, annotation) in (raw.FPDF_FORMFIELD_TEXTFIELD, raw.FPDF_FORMFIELD_COMBOBOX):
            size = raw.FPDFAnnot_GetFormFieldValue(form, annotation, None, 0)  # in bytes, with the NUL at the end
            buffer = (raw.FPDF_WCHAR * (size // 2))()
            raw.FPDFAnnot_GetFormFieldValue(form, annotation, buffer, size)
            values.append(bytes(buffer).decode("utf-16-le", "replace").rstrip("\0"))
        raw.FPDFPage_CloseAnnot(annotation)
    return values


def _pictures(page: "PdfPage") -> "list[PdfImage]":
    """The pictures among the first objects of the page: rendering it decodes them whole."""
    from pypdfium2 import PdfImage, raw

    found = page.get_objects(filter=(raw.FPDF_PAGEOBJ_IMAGE,), max_depth=3)
    return [picture for picture in islice(found, _PICTURES_LOOKED_AT) if isinstance(picture, PdfImage)]


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
    picture: Image = page.render(scale=scale, grayscale=grayscale, rev_byteorder=True).to_pil()
    return picture
