"""What runs inside the sandbox: an open file in, its text and thumbnail out. `read` is the task that `extract` gives to the sandbox."""

import os
import time
from itertools import groupby
from typing import Any, BinaryIO

from shared.extraction import confinement, content_types, encodings, language, ocr_languages, refusals
from shared.extraction.cleaning import clean, title
from shared.extraction.content_types import (
    CSV,
    DOC,
    DOCX,
    EML,
    EPUB,
    HTML,
    MARKDOWN,
    MSG,
    ODG,
    ODP,
    ODS,
    ODT,
    PDF,
    PPT,
    PPTX,
    RTF,
    TEXT,
    XLS,
    XLSX,
)  # fmt: skip
from shared.extraction.failures import DocumentCorrupt, DocumentEncrypted, ExtractionFailed, UnsupportedType
from shared.extraction.formats import Reading, Stopwatch, recognition
from shared.extraction.formats.recognition import Recognizer
from shared.extraction.limits import MAX_TEXT_CHARACTERS, MAX_TITLE, MIB, QUICK_CPU_SECONDS

_OPENDOCUMENT = {ODT, ODS, ODP, ODG}
_ZIPPED = {DOCX, XLSX, PPTX, EPUB} | _OPENDOCUMENT

# one page with a line in each of the fonts that PDFium carries; it finds the objects without a cross-reference table
_SPECIMEN = b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj 2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj "
_SPECIMEN += b"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R/Resources<</Font<<"
_FONTS = (b"Helvetica", b"Helvetica-Bold", b"Helvetica-Oblique", b"Times-Roman", b"Times-Bold", b"Courier")
_SPECIMEN += b"".join(b"/F%d<</Type/Font/Subtype/Type1/BaseFont/%s>>" % font for font in enumerate(_FONTS))
_LINES = b"".join(b"BT /F%d 11 Tf 60 %d Td (The quick brown fox 0123456789) Tj ET " % (n, 700 - 20 * n) for n in range(len(_FONTS)))
_SPECIMEN += b">>>>>>endobj 4 0 obj<</Length %d>>stream\n%s\nendstream endobj trailer<</Root 1 0 R>>" % (len(_LINES), _LINES)


def warm_up() -> None:
    """Import and initialise what readers use, so that children find it done; called in the fork server, on no document.

    Starts no threads: they would not live on in the children. What few documents need is left to `prepare`: all memory of this process
    costs each child."""
    import contextlib
    import encodings as python_encodings
    import importlib
    import pkgutil
    from io import BytesIO

    import pypdfium2  # noqa: F401
    from PIL import Image

    from shared.extraction import formats
    from shared.extraction.formats import pdf, pictures

    for module in pkgutil.iter_modules(formats.__path__):
        importlib.import_module(f"{formats.__name__}.{module.name}")
    # A child finds no module that it has not (confinement.py), and text encodings are loaded when first used.
    for module in pkgutil.iter_modules(python_encodings.__path__):
        with contextlib.suppress(ImportError):  # some exist on Windows only
            importlib.import_module(f"encodings.{module.name}")
    encodings.leave_models_out()
    clean("é")
    clean("é\U00010200")
    Image.preinit()
    Image.init()
    pictures.prepare()
    # PDFium loads its fonts, Pillow its encoder on first use
    pdf.read(BytesIO(_SPECIMEN), Recognizer([], ""))


def prepare(arguments: dict[str, Any]) -> None:
    """Load what a task of this module will need with these arguments; called in the fork server before a child is made, cheap but the first
    time."""
    recognition.prepare(arguments["ocr_languages"], arguments["tessdata"], deferred=arguments["defer_recognition"])
    if arguments.get("guess_encodings") or not arguments["defer_recognition"]:
        encodings.load_models()


def read(file: BinaryIO, arguments: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    """Read a document. `arguments`: filename, ocr_languages (Tesseract codes), tessdata (folder), defer_recognition, guess_encodings.

    The response is only `{"guess_encodings": True}` if the document cannot be read without that. Raises ExtractionFailed; the response is
    what `shared.extraction` checks and makes an `Extraction` of. Takes what CPU time the process may have for OCR, and QUICK_CPU_SECONDS of
    it for anything else."""
    confinement.allow_cpu(QUICK_CPU_SECONDS)
    recognizer = Recognizer(
        arguments["ocr_languages"],
        arguments["tessdata"],
        lambda: confinement.allow_cpu(None),
        deferred=arguments.get("defer_recognition", False),
    )
    try:
        return _read_and_judge(file, arguments, recognizer)
    except encodings.ModelsLeftOut:
        return {"guess_encodings": True}, b""


def read_unconfined(file: BinaryIO, arguments: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    """`read` without touching the limits of the process."""
    return _read_and_judge(file, arguments, Recognizer(arguments["ocr_languages"], arguments["tessdata"]))


def recognize(file: BinaryIO, arguments: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    """Recognise the text on scans that `read` has deferred: as many as begin within a time, the first in any case.

    `arguments`: those of `read`, and scans ([frame, attachment], as from `read`), cpu_seconds, page_seconds. `texts` of the response are
    the text of the first scans, None for one that cannot be decoded; `pages` say how each was recognised (`RecognizedPage`)."""
    from shared.extraction.formats import mail, pdf, pictures

    recognizer = Recognizer(arguments["ocr_languages"], arguments["tessdata"], page_seconds=arguments["page_seconds"])
    texts: list[str | None] = []
    pages: list[list[Any] | None] = []
    for attachment, scans in groupby(arguments["scans"], key=lambda scan: int(scan[1])):
        frames = [int(frame) for frame, _ in scans]
        content, name = file, str(arguments["filename"])
        if attachment:
            container = pdf if content_types.detect(file, name) == PDF else mail
            content, name = container.attachment(file, attachment)
        reader = pdf if content_types.detect(content, name) == PDF else pictures
        for frame, text in zip(frames, reader.recognize(content, frames, recognizer), strict=True):
            if text is not None:
                text = clean(mail.headed(name, text) if attachment and frame == 0 else text)
            texts.append(text)
            pages.append(_how_recognized(recognizer) if text is not None else None)
            if time.process_time() >= arguments["cpu_seconds"]:
                return {"texts": texts, "pages": pages}, b""
    return {"texts": texts, "pages": pages}, b""


def _how_recognized(recognizer: Recognizer) -> list[Any] | None:
    page, recognizer.latest = recognizer.latest, None
    if page is None:
        return None
    words = [[cleaned, *place] for text, *place in page.words if (cleaned := clean(text))]
    return [page.confidence, page.width, page.height, page.missing, words]


def _read_and_judge(file: BinaryIO, arguments: dict[str, Any], recognizer: Recognizer) -> tuple[dict[str, Any], bytes]:
    watch = Stopwatch()
    filename = str(arguments["filename"])
    content_type = content_types.detect(file, filename)
    watch.lap("detect")
    reading = _read(file, content_type, recognizer, filename, attachments=True)
    watch.lap("read")
    pages, cut = _bounded(reading.pages)
    watch.lap("clean")
    if reading.truncated or cut:
        reading.warn("text_cut_short", _cut_short(reading, len(pages), cut))
    for missing in recognizer.missing:
        reading.warn("ocr_language_missing", ocr_languages.told_missing(missing, "some pages"))
    spoken = language.detect("\n".join(_until_enough(pages)))
    watch.lap("language")
    answer = {
        "content_type": content_type,
        "pages": pages,
        "page_count": reading.page_count,
        "language": spoken,
        "title": title(reading.title or "", MAX_TITLE),
        "created": (reading.created or "")[:32],
        "milliseconds": watch.milliseconds | {f"read.{step}": value for step, value in reading.milliseconds.items()},
        "warnings": [[warning.code, warning.detail] for warning in reading.warnings],
        "scans": [[scan.page, scan.frame, scan.attachment] for scan in reading.scans],
    }
    return answer, reading.thumbnail or b""


def _read(file: BinaryIO, content_type: str, recognizer: Recognizer, filename: str, *, attachments: bool) -> Reading:
    """Whatever its reader raises of a document of a kind we know counts as damage to it."""
    try:
        return _read_by_kind(file, content_type, recognizer, filename, attachments=attachments)
    except (ExtractionFailed, MemoryError):
        raise
    except Exception as error:
        if content_type in content_types.SUPPORTED:
            raise DocumentCorrupt(f"The {content_types.NAMES[content_type]} is damaged and cannot be read.") from error
        raise


def _read_by_kind(file: BinaryIO, content_type: str, recognizer: Recognizer, filename: str, *, attachments: bool) -> Reading:
    from shared.extraction.formats import (
        archive,
        epub,
        excel_97,
        html,
        mail,
        opendocument,
        pdf,
        pictures,
        plain,
        powerpoint_97,
        rtf,
        slides,
        spreadsheet,
        word,
        word_97,
    )  # fmt: skip

    def attached(content: BinaryIO, name: str) -> Reading:
        return _read(content, content_types.detect(content, name), recognizer, name, attachments=False)

    if content_type in _ZIPPED and not opendocument.is_flat(file):
        archive.check_archive(file, content_type)
    if content_type == PDF:
        return pdf.read(file, recognizer, attached if attachments else None)
    if content_type == DOCX:
        return word.read(file)
    if content_type in _OPENDOCUMENT:
        return opendocument.read(file, content_type)
    if content_type == PPTX:
        return slides.read(file)
    if content_type == XLSX:
        return spreadsheet.read(file)
    if content_type == RTF:
        return rtf.read(file)
    if content_type == HTML:
        return html.read(file)
    if content_type in (EML, MSG):
        return mail.read(file, attached if attachments else None)
    if content_type == EPUB:
        return epub.read(file)
    if content_type == DOC:
        return word_97.read(file)
    if content_type == XLS:
        return excel_97.read(file)
    if content_type == PPT:
        return powerpoint_97.read(file)
    if content_type in (TEXT, MARKDOWN, CSV):
        return plain.read(file)
    if content_type in content_types.SUPPORTED:
        return pictures.read(file, recognizer)
    if content_type == content_types.ENCRYPTED_OFFICE:
        raise DocumentEncrypted()
    raise _unsupported(file, content_type, filename)


def _unsupported(file: BinaryIO, content_type: str, filename: str) -> ExtractionFailed:
    file.seek(0, os.SEEK_SET)
    if content_type == content_types.OLE:
        if "EncryptedPackage".encode("utf-16-le") in (file.read(MIB) or b""):  # in a file whose tables are damaged
            return DocumentEncrypted()
        file.seek(0, os.SEEK_SET)
    return UnsupportedType(f"This is none of the kinds of file that can be read. {refusals.advice(filename, file.read(16) or b'')}")


def _bounded(raw: list[str]) -> tuple[list[str], bool]:
    """The pages cleaned, as far as MAX_TEXT_CHARACTERS; whether something was cut off."""
    left, cut = MAX_TEXT_CHARACTERS, False
    pages = []
    for page in raw:
        cleaned = clean(page[: left + 1])
        cut |= len(page) > left
        pages.append(cleaned[:left])
        left -= len(pages[-1])
    return pages, cut


def _cut_short(reading: Reading, pages: int, cut: bool) -> str:
    if cut:
        return f"The document holds more text than the {MAX_TEXT_CHARACTERS:,} characters that are read of one document."
    if reading.left_out:
        return reading.left_out
    if reading.page_count is not None and reading.page_count > pages:
        return f"{pages:,} of {reading.page_count:,} pages were read."
    return "The document is longer than what is read of one document; its end was left out."


def _until_enough(pages: list[str]) -> list[str]:
    enough, length = [], 0
    for page in pages:
        enough.append(page)
        length += len(page)
        if length > 20_000:
            break
    return enough
