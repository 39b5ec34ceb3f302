"""A document as clients see it, and the one piece of SQL that selects it.

`Document` is what clients get of a document. Every query that answers documents (get, list, search, server-sent events) selects
`DOCUMENT_COLUMNS` from `documents AS d` with `row=Document`, so that all of them say the same.
"""

from datetime import date, datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import ConfigDict

from shared.api.models import ResponseModel

Status = Literal["uploading", "stored", "extracted", "ready", "failed"]
AIPolicy = Literal["inherit", "local_only", "never"]
StorageProvider = Literal["minio", "google_drive", "onedrive", "nextcloud", "webdav"]


class TopicRef(ResponseModel):
    """A topic a document is filed under."""

    id: UUID
    name: str


class SenderRef(ResponseModel):
    """Who a document comes from."""

    id: UUID
    name: str


class DocumentError(ResponseModel):
    """Why a document is `failed`: `code` for machines, `detail` for people."""

    step: str
    code: str
    detail: str


class DocumentWarning(ResponseModel):
    """What of a document could not be read or indexed although the rest was: `code` for machines, `detail` for people."""

    code: str
    detail: str


class StorageRef(ResponseModel):
    """Where the original is kept."""

    provider: StorageProvider
    connection_id: UUID | None = None


class Document(ResponseModel):
    """A document; `size` in bytes, `language` as ISO 639-1, `sha256` in lower-case hex; `issued_on` is the date on the paper."""

    id: UUID
    filename: str
    title: str
    size: int
    content_type: str
    status: Status
    error: DocumentError | None = None
    warnings: list[DocumentWarning]
    page_count: int | None = None
    language: str | None = None
    sha256: str | None = None
    issued_on: date | None = None
    sender: SenderRef | None = None
    notes: str | None = None
    topics: list[TopicRef]
    ai_policy: AIPolicy
    storage: StorageRef
    version: int
    created_at: datetime
    updated_at: datetime
    trashed_at: datetime | None = None


def _there_with_a_query_only(schema: dict[str, Any]) -> None:
    schema["required"] = [name for name in schema["required"] if name not in ("snippet", "score")]


class DocumentHit(Document):
    """A document found by a query; `snippet` is HTML with the matches between `<mark>` and all else escaped."""

    model_config = ConfigDict(json_schema_extra=_there_with_a_query_only)

    snippet: str | None = None
    score: float | None = None


DOCUMENT_COLUMNS = """
    d.id, d.filename, d.title, d.size, d.content_type, d.status, d.error, d.warnings, d.page_count, d.language,
    d.sha256, d.issued_on,
    (
        SELECT jsonb_build_object('id', senders.id, 'name', senders.name) FROM senders
        WHERE senders.owner_id = d.owner_id AND senders.id = d.sender_id
    ) AS sender,
    d.notes,
    coalesce((
        SELECT jsonb_agg(jsonb_build_object('id', topics.id, 'name', topics.name) ORDER BY lower(topics.name))
        FROM document_topics JOIN topics ON topics.id = document_topics.topic_id
        WHERE document_topics.owner_id = d.owner_id AND document_topics.document_id = d.id
    ), '[]') AS topics,
    d.ai_policy,
    jsonb_build_object('provider', d.storage_provider, 'connection_id', d.connection_id) AS storage,
    d.version, d.created_at, d.updated_at, d.trashed_at
"""
"""The columns of `Document`, from `documents AS d`; also good in the RETURNING of an UPDATE or INSERT aliased `d`."""
