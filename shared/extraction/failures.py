"""Why a document could not be read, as named failures with sentences a person understands.

They are raised inside the sandbox, cross it as `(code, detail)` and are raised again in the caller by `failure()`; each is final: the
same bytes will fail the same way, so nobody should retry by themselves. What is worth retrying is `SandboxUnavailable`, which is not one
of these.

A part that cannot be read (an attachment, a page) costs that part: an `ExtractionWarning` instead of a failure.
"""

from dataclasses import dataclass
from typing import ClassVar

from shared.errors import DomainError, Unavailable

EXIT_NOT_CONFINED = 77
"""Exit status of a child that could not be locked down and therefore parsed nothing."""


class ExtractionFailed(DomainError):
    """The document cannot be read; `code` says why to programs, `detail` to people."""

    status, code, title = 422, "extraction_failed", "The document could not be read."

    part: tuple[str, int] | None = None
    """The part of the document (`parts.py`) that its reader was at when it died."""


class DocumentCorrupt(ExtractionFailed):
    code, title = "document_corrupt", "The file is damaged, so its text could not be read."


class DocumentEncrypted(ExtractionFailed):
    code, title = "document_encrypted", "The file is protected with a password. Remove the password and upload it again."


class DocumentTooComplex(ExtractionFailed):
    code, title = "document_too_complex", "The file is too large or too intricate to be read safely."


class UnsupportedType(ExtractionFailed):
    status = 415
    code, title = "unsupported_type", "Files of this kind cannot be read."


class ExtractionTimeout(ExtractionFailed):
    code, title = "extraction_timeout", "Reading the file took too long and was stopped."


class ExtractionOutOfMemory(ExtractionFailed):
    code, title = "extraction_out_of_memory", "Reading the file needed more memory than a document may use."


class ExtractionCrashed(ExtractionFailed):
    code, title = "extraction_crashed", "The file made its reader crash. It is probably damaged."


@dataclass(frozen=True)
class ExtractionWarning:
    """A part of the document that was not read although the rest was: `code` for programs (one of WARNING_CODES), `detail` for people."""

    code: str
    detail: str


WARNING_CODES = frozenset(
    {
        "text_cut_short",  # the document goes on after what was read
        "page_unreadable",  # one page has no text here
        "page_not_recognized",  # pages that are only a picture: the text on them was not recognised
        "ocr_language_missing",  # pages in a language or script that text recognition has no data of
        "page_hardly_legible",  # pages whose text was recognised with little confidence, to be scanned again
        "picture_unreadable",  # one picture was not decoded: no thumbnail, or no text of it
        "attachment_unreadable",  # an attachment of an e-mail, or of a PDF
        "part_unreadable",  # any other part
    }
)


class SandboxUnavailable(Unavailable):
    """Documents cannot be read safely on this machine or just now: no fault of the document, worth another try."""

    title: ClassVar[str] = "Documents cannot be read just now"


_BY_CODE = {kind.code: kind for kind in ExtractionFailed.__subclasses__()}


def failure(code: str, detail: str) -> ExtractionFailed:
    """The failure of that code; an unknown code (the child is not trusted) is a crash."""
    kind = _BY_CODE.get(code)
    return kind(detail) if kind else ExtractionCrashed()
