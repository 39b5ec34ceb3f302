"""What owners change of their documents, of one or of many, and the jobs that go on by themselves."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from shared.api.models import Day, RequestModel, ResponseModel, SingleLine
from shared.documents import filenames
from shared.documents.models import AIPolicy, DocumentFilter
from shared.documents.name_keys import one_line
from shared.documents.sender_models import SenderName
from shared.documents.topic_models import AT_ONCE

NOTES_CHARACTERS = 10_000


DocumentTitle = Annotated[
    SingleLine, StringConstraints(strip_whitespace=True, min_length=1, max_length=filenames.MAX_TITLE), AfterValidator(one_line)
]


class DocumentChange(RequestModel):
    """What to change of a document; what is absent stays. Null takes notes, date or sender away; `topic_ids` are all there shall be."""

    filename: Annotated[str, Field(min_length=1, max_length=4096)] | None = None
    title: DocumentTitle | None = None
    notes: Annotated[str, StringConstraints(strip_whitespace=True, max_length=NOTES_CHARACTERS, pattern=r"^[^\x00]*$")] | None = None
    issued_on: Day | None = None
    sender: SenderName | None = None
    topic_ids: Annotated[list[UUID], Field(max_length=AT_ONCE)] | None = None
    ai_policy: AIPolicy | None = None

    @model_validator(mode="after")
    def _only_these_may_be_null(self) -> "DocumentChange":
        for name in self.model_fields_set - {"notes", "issued_on", "sender"}:
            if getattr(self, name) is None:
                raise ValueError(f"{name} cannot be null")
        return self


JobKind = Literal["bulk", "import", "export", "reprocess"]


JobState = Literal["running", "done", "failed", "cancelled"]


class FailedItem(ResponseModel):
    """What could not be done, and why: `code` as the operation on that one alone would have answered.

    `path` is there only for a file of a cloud that has become no document; `id` is then the one that it would have had.
    """

    id: UUID
    code: str
    path: str | None = Field(default=None, exclude_if=lambda path: path is None)


class Job(ResponseModel):
    """Long work; `total` once it is known, `failed` the first thousand of what could not be done."""

    id: UUID
    kind: JobKind
    state: JobState
    total: int | None = None
    done: int
    failed: list[FailedItem]
    created_at: datetime
    finished_at: datetime | None = None


Action = Literal["trash", "restore", "purge", "add_topics", "remove_topics", "reprocess"]


IDS_AT_MOST = 1_000


_Ids = Annotated[list[UUID], Field(max_length=IDS_AT_MOST)]


class BulkRequest(RequestModel):
    """An action on documents: on those with these `ids`, or on all that a filter chooses but for some."""

    action: Action
    ids: _Ids | None = None
    filter: DocumentFilter | None = None
    but: _Ids = Field(default=[], alias="except")
    topic_ids: list[UUID] = Field(default=[], max_length=AT_ONCE)

    @model_validator(mode="after")
    def _fits_together(self) -> "BulkRequest":
        if (self.ids is None) == (self.filter is None):
            raise ValueError("takes either ids or a filter")
        if self.but and self.filter is None:
            raise ValueError("takes except with a filter only")
        if self.action in ("add_topics", "remove_topics") and not self.topic_ids:
            raise ValueError(f"{self.action} needs topic_ids")
        return self


class BulkResult(ResponseModel):
    """Which documents were done, in the order asked for, and which were not, with the code that the action on them alone has."""

    done: list[UUID]
    failed: list[FailedItem]
