"""Versions of a document, as clients see them."""

from datetime import datetime
from uuid import UUID

from shared.api.models import ResponseModel


class DocumentVersion(ResponseModel):
    """A version of a document; `size` in bytes. `download_document` takes its `id`, too."""

    id: UUID
    number: int
    filename: str
    size: int
    sha256: str | None = None
    created_at: datetime
    current: bool
