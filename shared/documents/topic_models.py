"""Topics and suggestions of them, as clients send and see them."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, Field, StrictBool, StringConstraints, model_validator

from shared.api.models import RequestModel, ResponseModel, SingleLine
from shared.documents.models import AIPolicy, TopicRef
from shared.documents.name_keys import one_line

NAME_CHARACTERS = 100


DESCRIPTION_CHARACTERS = 1000


AT_ONCE = 100
"""Topics that a request may file documents under."""


Name = Annotated[SingleLine, StringConstraints(strip_whitespace=True, min_length=1, max_length=NAME_CHARACTERS), AfterValidator(one_line)]


Description = Annotated[str, StringConstraints(strip_whitespace=True, max_length=DESCRIPTION_CHARACTERS, pattern=r"^[^\x00]*$")]


Color = Annotated[str, StringConstraints(pattern="^#[0-9a-fA-F]{6}$", to_lower=True)]


class NewTopic(RequestModel):
    """A topic to make; white space around the name is dropped and within it made single spaces."""

    name: Name
    description: Description | None = None
    color: Color | None = Field(default=None, examples=["#2e7d32"])
    parent_id: UUID | None = None
    manual_only: StrictBool = False
    ai_policy: AIPolicy = "inherit"


class TopicChange(RequestModel):
    """What to change of a topic; what is absent stays. `description`, `color` and `parent_id` may be null."""

    name: Name | None = None
    description: Description | None = None
    color: Color | None = None
    parent_id: UUID | None = None
    manual_only: StrictBool | None = None
    ai_policy: AIPolicy | None = None

    @model_validator(mode="after")
    def _only_these_may_be_null(self) -> "TopicChange":
        for name in self.model_fields_set - {"description", "color", "parent_id"}:
            if getattr(self, name) is None:
                raise ValueError(f"{name} cannot be null")
        return self


class TopicMerge(RequestModel):
    """The topic that takes over another one's documents."""

    into: UUID


class Topic(ResponseModel):
    """A topic; `documents` counts those filed under it, the trash left out. `manual_only`: never proposed, which says nothing of the topics
    within it. `ai_policy` holds for the documents in it and in the topics within it, unless theirs is stricter."""

    id: UUID
    name: str
    description: str | None = None
    color: str | None = None
    parent_id: UUID | None = None
    manual_only: bool
    ai_policy: AIPolicy
    documents: int


Decision = Literal["accept", "reject"]


DECISIONS_AT_MOST = 1_000


class Suggestion(ResponseModel):
    """A suggestion as clients see it; `confidence` from 0 to 1, `quote` verbatim from page `page` (None: from the title or filename)."""

    id: UUID
    topic: TopicRef
    confidence: float
    quote: str | None = None
    page: int | None = None
    provider: str
    model: str
    state: Literal["open", "accepted", "rejected"]


class SuggestionDecision(RequestModel):
    """The owner's word on one suggestion."""

    document_id: UUID
    suggestion_id: UUID
    decision: Decision


class Decisions(RequestModel):
    """The owner's word on many."""

    decisions: list[SuggestionDecision] = Field(min_length=1, max_length=DECISIONS_AT_MOST)


class DecisionFailure(ResponseModel):
    """A decision that was not carried out; `code` as the problem of `decide_suggestion` would have it."""

    id: UUID
    code: str


class Decided(ResponseModel):
    """The suggestions that were decided, by id, in the order of the request, and those that were not."""

    done: list[UUID]
    failed: list[DecisionFailure]
