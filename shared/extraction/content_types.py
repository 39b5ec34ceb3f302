"""What kind of document these bytes are. Decided from the bytes; the name only tells plain-text kinds apart.

`detect()` never raises on any input and never inflates more than a few kilobytes of an archive.
"""

import re
import zipfile
from pathlib import PurePath
from typing import BinaryIO

from shared.extraction import encodings
from shared.extraction.compound import SIGNATURE, Compound

PDF = "application/pdf"
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
PPTX = "application/vnd.openxmlformats-officedocument.presentationml.presentation"
ODT = "application/vnd.oasis.opendocument.text"
ODS = "application/vnd.oasis.opendocument.spreadsheet"
ODP = "application/vnd.oasis.opendocument.presentation"
ODG = "application/vnd.oasis.opendocument.graphics"
DOC, XLS, PPT = "application/msword", "application/vnd.ms-excel", "application/vnd.ms-powerpoint"
EPUB = "application/epub+zip"
RTF = "application/rtf"
HTML = "text/html"
EML = "message/rfc822"
MSG = "application/vnd.ms-outlook"
MARKDOWN = "text/markdown"
CSV = "text/csv"
TEXT = "text/plain"
PNG, JPEG, TIFF, WEBP, GIF, BMP, HEIC = "image/png", "image/jpeg", "image/tiff", "image/webp", "image/gif", "image/bmp", "image/heic"

ENCRYPTED_OFFICE = "application/vnd.openxmlformats-officedocument.encrypted"
"""A DOCX, XLSX or PPTX under a password, which is a compound file: recognised so that the refusal can say so."""
OLE = "application/x-ole-storage"
"""A compound file of another program."""
BINARY = "application/octet-stream"
"""Nothing we know."""

SUPPORTED = frozenset(
    (
        PDF, DOCX, XLSX, PPTX, ODT, ODS, ODP, ODG, DOC, XLS, PPT, RTF, EPUB, HTML, EML, MSG, MARKDOWN, CSV, TEXT,
        PNG, JPEG, TIFF, WEBP, GIF, BMP, HEIC,
    )
)  # fmt: skip

EXTENSIONS = {
    ".pdf": PDF, ".docx": DOCX, ".docm": DOCX, ".dotx": DOCX, ".dotm": DOCX, ".xlsx": XLSX, ".xlsm": XLSX, ".xltx": XLSX, ".xltm": XLSX,
    ".pptx": PPTX, ".pptm": PPTX, ".ppsx": PPTX, ".ppsm": PPTX, ".potx": PPTX, ".potm": PPTX,
    ".odt": ODT, ".ott": ODT, ".fodt": ODT, ".odm": ODT, ".oth": ODT,
    ".ods": ODS, ".ots": ODS, ".fods": ODS, ".odp": ODP, ".otp": ODP, ".fodp": ODP,
    ".odg": ODG, ".otg": ODG, ".fodg": ODG, ".doc": DOC, ".dot": DOC, ".xls": XLS, ".xlt": XLS, ".ppt": PPT, ".pps": PPT, ".pot": PPT,
    ".epub": EPUB, ".rtf": RTF, ".html": HTML, ".htm": HTML, ".xhtml": HTML, ".eml": EML, ".mht": EML, ".mhtml": EML, ".msg": MSG,
    ".md": MARKDOWN, ".markdown": MARKDOWN,
    ".csv": CSV, ".tsv": CSV, ".txt": TEXT, ".text": TEXT, ".log": TEXT, ".png": PNG, ".jpg": JPEG, ".jpeg": JPEG, ".jpe": JPEG,
    ".tif": TIFF, ".tiff": TIFF, ".webp": WEBP, ".gif": GIF, ".bmp": BMP, ".dib": BMP, ".heic": HEIC, ".heif": HEIC,
}  # fmt: skip
"""Filename extension (lower case, with its dot) to content type, for what can be refused before a byte has been sent."""

NAMES = {
    PDF: "PDF", DOCX: "Word document", XLSX: "Excel workbook", PPTX: "PowerPoint presentation", ODT: "OpenDocument text",
    ODS: "OpenDocument spreadsheet", ODP: "OpenDocument presentation",
    ODG: "OpenDocument drawing", DOC: "Word document", XLS: "Excel workbook", PPT: "PowerPoint presentation", EPUB: "EPUB book",
    RTF: "RTF document", HTML: "HTML page", EML: "e-mail", MSG: "Outlook message", MARKDOWN: "Markdown text", CSV: "CSV table",
    TEXT: "text", PNG: "PNG picture", JPEG: "JPEG picture", TIFF: "TIFF picture", WEBP: "WebP picture", GIF: "GIF picture",
    BMP: "BMP picture", HEIC: "HEIC picture",
}  # fmt: skip
"""What people call each kind, for sentences."""

HEAD = 8192
"""Bytes from the beginning of a file that detection looks at, but for the directory of a zip archive at its end."""

_MAIN_STREAMS = {
    "encryptedpackage": ENCRYPTED_OFFICE, "worddocument": DOC, "workbook": XLS, "book": XLS, "powerpoint document": PPT,
    "__properties_version1.0": MSG,
}  # fmt: skip
"""The stream that tells what a compound file is, in lower case."""
_BITMAP_HEADERS = {size.to_bytes(4, "little") for size in (12, 40, 52, 56, 64, 108, 124)}
_BITMAP_WITHOUT_NULS = re.compile(rb"P[4-7]\n(?:#[^\n]{0,200}\n)?(?:\d{1,6} \d{1,6}\n|WIDTH \d)")
"""Netpbm's pictures, which would pass for text in an old encoding."""
_HEVC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"}
"""Of ISO 23008-12, annex B; those of other codecs (AV1) are not read."""
_OFFICE_MAIN_PARTS = {"word/": DOCX, "xl/": XLSX, "ppt/": PPTX}
_ODF = {kind + suffix: kind for kind in (ODT, ODS, ODP, ODG) for suffix in ("", "-template")} | {f"{ODT}-master": ODT, f"{ODT}-web": ODT}
_ODF_IN_MANIFEST = re.compile(rb"<manifest:file-entry\b[^>]{0,1000}\bmanifest:full-path=\"/\"[^>]{0,1000}>")
_MEDIA_TYPE = re.compile(rb"\bmanifest:media-type=\"([a-z./-]{1,100})\"")
_FLAT_ODF = re.compile(rb"<office:document\b[^>]{0,8000}?\boffice:mimetype\s*=\s*[\"']([a-z./-]{1,100})[\"']", re.S)
_MAX_DIRECTORY_ENTRIES = 20_000
_TEXT_KINDS = {HTML, EML, MARKDOWN, CSV, TEXT}
_HTML = re.compile(rb"\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)*<(?:!doctype\s+html|html|head|body|meta|title)\b", re.I | re.S)
_HEADER = re.compile(rb"([!-9;-~]{1,80}):[ \t]?.*\r?\n(?:[ \t].*\r?\n)*")
_MAIL_HEADERS = {
    b"from", b"to", b"subject", b"date", b"message-id", b"received", b"return-path", b"delivered-to", b"mime-version", b"content-type",
    b"dkim-signature", b"reply-to", b"cc", b"sender", b"arc-seal", b"x-mailer",
}  # fmt: skip
_SENT_HEADERS = {b"received", b"return-path", b"delivered-to", b"mime-version", b"dkim-signature", b"arc-seal"}
_NEWS_HEADERS = {b"newsgroups", b"path", b"xref", b"nntp-posting-host", b"lines"}
_TEXT_EXTENSIONS = {extension for extension, kind in EXTENSIONS.items() if kind in (TEXT, MARKDOWN, CSV)}
_CONTROL = bytes(set(range(32)) - set(b"\t\n\r\f\x1b\b")) + b"\x7f"
_NO_SHIFT = re.compile(rb"[\x00-\x07\x0b\x10-\x1a\x1c-\x1f\x7f]")


def detect(file: BinaryIO, filename: str = "") -> str:
    """The content type of an open, seekable file: one of SUPPORTED, or ENCRYPTED_OFFICE, OLE or BINARY for what cannot be read."""
    file.seek(0)
    head = file.read(HEAD) or b""
    by_name = EXTENSIONS.get(PurePath(filename.lower()).suffix, TEXT)
    for signature, kind in (
        (b"\x89PNG\r\n\x1a\n", PNG),
        (b"\xff\xd8\xff", JPEG),
        (b"II*\0", TIFF),
        (b"MM\0*", TIFF),
        (b"II+\0", TIFF),
        (b"MM\0+", TIFF),
        (b"GIF87a", GIF),
        (b"GIF89a", GIF),
        (b"{\\rtf", RTF),
    ):
        if head.startswith(signature):
            return kind
    if _BITMAP_WITHOUT_NULS.match(head):
        return BINARY
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return WEBP
    if head[:2] == b"BM" and head[14:18] in _BITMAP_HEADERS:
        return BMP
    if head[4:8] == b"ftyp" and _HEVC_BRANDS & {head[place : place + 4] for place in range(8, min(64, head[3]), 4)}:
        return HEIC
    if head.startswith(SIGNATURE):
        return _compound_kind(file)
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _zip_kind(file)
    # ISO 32000-1, 7.5.2 note and implementation note 13: readers accept the header within the first 1,024 bytes
    if b"%PDF-" in head[:1024]:
        return PDF
    start = _in_utf8(head)
    if not _is_text(start):
        return BINARY
    if _HTML.match(start):
        return HTML
    if (flat := _FLAT_ODF.search(start)) and (declared := flat[1].decode("ascii")) in _ODF:
        return _ODF[declared]
    if _is_mail(start, PurePath(filename.lower()).suffix):
        return EML
    return by_name if by_name in _TEXT_KINDS else TEXT


def _zip_kind(file: BinaryIO) -> str:
    try:
        with zipfile.ZipFile(file) as archive:
            names = set(archive.namelist()[:_MAX_DIRECTORY_ENTRIES])
            if "[Content_Types].xml" in names:
                for prefix, kind in _OFFICE_MAIN_PARTS.items():
                    if any(name.startswith(prefix) for name in names):
                        return kind
            if "mimetype" in names:
                with archive.open("mimetype") as part:
                    declared = part.read(200).decode("ascii", "replace").strip()
                if declared in _ODF:
                    return _ODF[declared]
                if declared == EPUB:
                    return EPUB
            if "META-INF/manifest.xml" in names and "content.xml" in names and "mimetype" not in names:  # zipped anew by hand
                with archive.open("META-INF/manifest.xml") as part:
                    entry = _ODF_IN_MANIFEST.search(part.read(HEAD))
                if entry and (media_type := _MEDIA_TYPE.search(entry[0])):
                    return _ODF.get(media_type[1].decode("ascii"), BINARY)
            if "META-INF/container.xml" in names and any(name.endswith(".opf") for name in names):
                return EPUB
    except Exception:  # zipfile raises many kinds on hostile input, RuntimeError and struct.error among them
        return BINARY
    return BINARY


def _compound_kind(file: BinaryIO) -> str:
    try:
        names = Compound(file).streams
    except Exception:  # one that is cut off or hostile
        return OLE
    return next((kind for name, kind in _MAIN_STREAMS.items() if name in names), OLE)


def _is_mail(head: bytes, extension: str) -> bool:
    """A block of header fields (RFC 5322) with two known names in it, or one if the file is also named so. A file named as a text has to
    have gone through a mail server; posts to newsgroups are kept as texts."""
    if head.startswith(b"From "):  # the separator line of an mbox
        head = head.partition(b"\n")[2]
    position, known = 0, set()
    while match := _HEADER.match(head, position):
        known.add(match[1].lower())
        position = match.end()
    rest = head[position:]
    complete = not rest or rest.startswith((b"\n", b"\r\n")) or len(head) >= HEAD - 3
    found = known & _MAIL_HEADERS
    if not complete or (extension in _TEXT_EXTENSIONS and (known & _NEWS_HEADERS or not found & _SENT_HEADERS)):
        return False
    sent = bool(found & {b"from", b"received", b"message-id", b"mime-version"})
    return (len(found) >= 2 and sent) or (EXTENSIONS.get(extension) == EML and bool(found))


def _is_text(head: bytes) -> bool:
    if not head or _escaped(head):
        return True
    controls = len(head) - len(head.translate(None, _CONTROL))
    return controls <= max(3, len(head) * 0.01)  # a stray NUL or two does not make a letter a program


def _escaped(head: bytes) -> bool:
    """East Asian text in seven bits (ISO 2022), which shifts by controls."""
    return b"\x1b$" in head and head.isascii() and not _NO_SHIFT.search(head)


def _in_utf8(head: bytes) -> bytes:
    """The beginning of a text, its Unicode as UTF-8 without a mark; other encodings as they are."""
    for mark, encoding in encodings.BYTE_ORDER_MARKS:
        if head.startswith(mark):
            return head[len(mark) :].decode(encoding, "ignore").encode("utf-8", "ignore")
    wide = encodings.wide_encoding(head)
    return head.decode(wide, "ignore").encode("utf-8", "ignore") if wide else head
