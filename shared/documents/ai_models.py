"""What owners ask an AI provider for by hand, and what they get."""

from typing import Literal
from uuid import UUID

from pydantic import Field, model_validator

from shared.ai.provider import (
    DetailName,
    ProviderName,
)
from shared.api.models import RequestModel, ResponseModel
from shared.documents.models import DocumentFilter


class Message(ResponseModel):
    """A message as it would be sent."""

    role: str
    content: str


class Preview(ResponseModel):
    """A call that would be made now; `characters` of documents are in it. Without messages nothing leaves this server."""

    provider: ProviderName
    model: str
    base_url: str | None = None
    messages: list[Message]
    characters: int
    cost_usd: float


class Idea(ResponseModel):
    """A topic that would fit."""

    name: str
    reason: str


class Ideas(ResponseModel):
    """New topics that would fit, best first."""

    suggestions: list[Idea]


class AIHealth(ResponseModel):
    """Whether the chosen provider responds just now."""

    ok: bool
    latency_ms: float
    detail: str


class Estimate(ResponseModel):
    """What classifying documents would take; nothing if nothing leaves this server."""

    documents: int
    calls: int
    input_tokens: int
    output_tokens: int
    cost_usd: float


class EstimateRequest(RequestModel):
    """Which documents; neither `ids` nor `filter`: everything outside the trash."""

    ids: list[UUID] | None = Field(default=None, max_length=1000)
    filter: DocumentFilter | None = None

    @model_validator(mode="after")
    def _one_of_them(self) -> "EstimateRequest":
        if self.ids is not None and self.filter is not None:
            raise ValueError("takes either ids or a filter")
        return self


class Provider(ResponseModel):
    """A provider; `configured` says that the caller could be served by it: it has the key that it needs."""

    name: ProviderName
    default_model: str
    needs_key: bool
    local: bool
    configured: bool


class Proposal(ResponseModel):
    """A proposal as clients see it; `value` of `issued_on` is a date, `quote` stands verbatim on page `page` (None: in title or file name).

    `accepted` without the owner's word: it was set by itself.
    """

    id: UUID
    name: DetailName
    value: str
    quote: str
    page: int | None = None
    provider: str
    model: str
    state: Literal["open", "accepted", "rejected"]
