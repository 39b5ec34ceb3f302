"""Documents and uploads, as clients send and see them, and the one piece of SQL that selects a document.

`Document` is what clients get of a document. Every query for documents (get, list, search, server-sent events) selects
`DOCUMENT_COLUMNS` from `documents AS d` with `row=Document`, so that all of them say the same.
"""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import ConfigDict, Field, StrictBool, StringConstraints
from typing_extensions import TypedDict

from shared.api.models import Day, Moment, RequestModel, ResponseModel, SingleLine

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


class StorageUsage(ResponseModel):
    """Bytes kept, bytes promised to uploads under way, bytes allowed; documents kept."""

    bytes_used: int
    bytes_reserved: int
    bytes_quota: int
    documents: int


class PlacedWord(TypedDict):
    """A recognised word and where it stands on the picture of its page: left, top, width and height in pixels."""

    text: str
    x: int
    y: int
    w: int
    h: int


class TextPage(ResponseModel):
    """A page's text; numbers begin with 1.

    If boxes are asked for, a page whose text was recognised on a picture also has the picture's size in pixels (upright), the mean
    `confidence` (0 to 100) and its words; otherwise these are null."""

    number: int
    text: str
    width: int | None = None
    height: int | None = None
    confidence: int | None = None
    words: list[PlacedWord] | None = None


class DocumentPages(ResponseModel):
    """Empty until the document has been read."""

    pages: list[TextPage]


class DownloadLink(ResponseModel):
    """A URL that gives the document to whoever holds it, until it expires."""

    url: str
    expires_at: datetime


StepState = Literal["running", "done", "failed", "skipped"]


class Step(ResponseModel):
    """A step as clients see it; `duration_ms` is None while it runs."""

    step: str
    state: StepState
    attempts: int
    started_at: datetime
    duration_ms: int | None = None
    detail: str | None = None


class NamedFacet(ResponseModel):
    """A topic or a sender, and how many of the documents have it."""

    id: UUID
    name: str
    documents: int


class ValueFacet(ResponseModel):
    """A content type, a language or a year, and how many of the documents have it."""

    value: str
    documents: int


class Facets(ResponseModel):
    """The facets of a list; what no document has is not there."""

    topics: list[NamedFacet]
    senders: list[NamedFacet]
    content_types: list[ValueFacet]
    languages: list[ValueFacet]
    years: list[ValueFacet]


QUERY_LIMIT = 10_000
"""Characters of a query."""
_SEVERAL: Any = Field(default=[], max_length=50)
Sort = Literal["created_at", "-created_at", "filename", "-filename", "size", "-size", "issued_on", "-issued_on", "relevance", "-relevance"]

_Value = Annotated[SingleLine, Field(min_length=1, max_length=255)]


class DocumentFilter(RequestModel):
    """The parameters of list_documents that choose documents."""

    q: Annotated[str, Field(max_length=QUERY_LIMIT)] | None = None
    topic_id: list[UUID] = _SEVERAL
    status: list[Status] = _SEVERAL
    content_type: list[_Value] = _SEVERAL
    language: list[_Value] = _SEVERAL
    created_after: Moment | None = None
    created_before: Moment | None = None
    trashed: StrictBool = False
    sender_id: list[UUID] = _SEVERAL
    issued_after: Day | None = None
    issued_before: Day | None = None


class SearchSuggestion(ResponseModel):
    """A suggestion; `document_id` with a title."""

    kind: Literal["word", "title", "topic", "sender"]
    text: str
    document_id: UUID | None = None


MAX_PARTS = 10_000
"""S3's own limit; larger documents get larger parts."""


class CreateUpload(RequestModel):
    """A document that a client wants to upload; `size` in bytes, `sha256` of the whole content; `replaces` makes it another version of
    the document with that id."""

    filename: str = Field(min_length=1, max_length=4096)
    size: int = Field(ge=0, le=2**53)
    content_type: str = Field(max_length=255)
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")] | None = None
    allow_duplicate: bool = False
    replaces: UUID | None = None


class SingleUpload(ResponseModel):
    """One PUT to `url` with exactly these headers (and the Content-Length that clients send by themselves)."""

    method: Literal["single"] = "single"
    url: str
    headers: Mapping[str, str]
    expires_at: datetime


class PartsUpload(ResponseModel):
    """Parts of `part_size` bytes, the last one smaller; sign_upload_parts gives their URLs."""

    method: Literal["multipart"] = "multipart"
    part_size: int
    part_count: int
    expires_at: datetime


class UploadedPart(ResponseModel):
    """A part that is there; `size` in bytes."""

    number: int
    size: int
    etag: str


class ResumableUpload(ResponseModel):
    """The instructions, freshly signed, and the parts that are there already."""

    method: Literal["single", "multipart"]
    url: str | None = None
    headers: Mapping[str, str] | None = None
    expires_at: datetime
    part_size: int | None = None
    part_count: int | None = None
    parts: list[UploadedPart]


class CreatedUpload(ResponseModel):
    document: Document
    upload: SingleUpload | PartsUpload


class SignParts(RequestModel):
    """The numbers of the parts to sign."""

    numbers: list[Annotated[int, Field(ge=1, le=MAX_PARTS)]] = Field(min_length=1, max_length=1000)


class SignedPart(ResponseModel):
    number: int
    url: str
    headers: Mapping[str, str]


class SignedParts(ResponseModel):
    items: list[SignedPart]


class CompletedPart(RequestModel):
    """A part as the client sent it; `etag` as the store answered."""

    number: int = Field(ge=1, le=MAX_PARTS)
    etag: str = Field(min_length=1, max_length=255)


class CompleteUpload(RequestModel):
    """The parts that make the document; without them the store's own list counts."""

    parts: list[CompletedPart] | None = Field(default=None, max_length=MAX_PARTS)
