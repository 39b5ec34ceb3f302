"""Archives of documents: what may be asked for, the link to one, and a line of its `manifest.jsonl`."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field, model_validator

from shared.api.models import RequestModel, ResponseModel
from shared.documents.change_models import IDS_AT_MOST
from shared.documents.models import Document, DocumentFilter


class ArchiveRequest(RequestModel):
    """The documents with these `ids`, those that a filter chooses, or with neither everything outside the trash."""

    ids: Annotated[list[UUID], Field(max_length=IDS_AT_MOST)] | None = None
    filter: DocumentFilter | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> "ArchiveRequest":
        if self.ids is not None and self.filter is not None:
            raise ValueError("takes either ids or a filter")
        return self


class ArchiveLink(ResponseModel):
    """A URL that streams the archive to whoever holds it and begins before it expires; what has begun goes on to its end."""

    url: str
    expires_at: datetime


class ArchivedVersion(ResponseModel):
    """An earlier version; `filename` and `archive_error` as those of ArchivedDocument."""

    number: int
    filename: str | None
    original_filename: str
    size: int
    content_type: str
    sha256: str | None = None
    created_at: datetime
    archive_error: str | None = None


class ArchivedDocument(Document):
    """A line of `manifest.jsonl`: the document as the API gives it, but for its `filename`, which is that in the archive.

    `filename` and `text_filename` are null if there is no such file; `archive_error` says what of the original is missing.
    """

    filename: str | None  # type: ignore[assignment]
    original_filename: str
    text_filename: str | None = None
    archive_error: str | None = None
    earlier_versions: list[ArchivedVersion]
