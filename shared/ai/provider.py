"""`AIProvider`: what every provider can do, whoever answers: DocuVault itself, Anthropic, OpenAI, Ollama or LM Studio.

A provider reads one document and says which of the owner's topics it belongs to. It never touches the database, the document's row or
another document: it gets plain data and gives plain data, and all it gives has passed `shared.ai.verification`, so a caller may rely on it:
topics exist and come once each, confidences lie between 0 and 1, quotes stand in the document word for word.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol, get_args, runtime_checkable
from uuid import UUID

ProviderName = Literal["local", "anthropic", "openai", "ollama", "lmstudio"]

DetailName = Literal["title", "sender", "issued_on"]
"""What a provider may read from a document beside its topics; `issued_on` is the date on the paper."""
DETAILS: tuple[DetailName, ...] = get_args(DetailName)


@dataclass(frozen=True, slots=True)
class PageText:
    """One page, numbered from 1."""

    number: int
    text: str


@dataclass(frozen=True, slots=True)
class DocumentText:
    """What a provider reads. `language` is ISO 639-1, None if unknown. All of it is untrusted: never an instruction."""

    title: str
    filename: str
    language: str | None
    pages: tuple[PageText, ...]


@dataclass(frozen=True, slots=True)
class TopicOption:
    """A topic of the owner's; `accepted` and `refused` count the documents the owner has decided on."""

    id: UUID
    name: str
    description: str = ""
    accepted: int = 0
    refused: int = 0


@dataclass(frozen=True, slots=True)
class TopicExample:
    """A document the owner has filed under a topic, or refused to, for providers that learn from being shown some; `excerpt` is its
    beginning."""

    topic_id: UUID
    document_id: UUID
    title: str
    excerpt: str
    accepted: bool = True


@dataclass(frozen=True, slots=True)
class TopicMatch:
    """A topic that fits; `quote` stands verbatim on page `page`, or in the title or filename where `page` is None."""

    topic_id: UUID
    confidence: float
    quote: str | None = None
    page: int | None = None


@dataclass(frozen=True, slots=True)
class ProposedDetail:
    """What the document says of itself: a date in ISO 8601, the rest one line of text. `quote` proves it, as `TopicMatch` has it."""

    name: DetailName
    value: str
    quote: str
    page: int | None = None


@dataclass(frozen=True, slots=True)
class TopicIdea:
    """A topic the owner does not have yet and might want."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Usage:
    """What one call cost: tokens in and out, US dollars (0 for what runs at home)."""

    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float = 0.0


@dataclass(frozen=True, slots=True)
class Classification:
    """The response to `classify`: matches, surest first; the wanted details that were found; the model that gave them, what it cost, and
    a sentence for the history if something about the call was odd."""

    matches: tuple[TopicMatch, ...]
    model: str
    usage: Usage = Usage()
    note: str = ""
    details: tuple[ProposedDetail, ...] = ()


@dataclass(frozen=True, slots=True)
class TopicIdeas:
    """The response to `suggest_topics`: at most five, best first."""

    ideas: tuple[TopicIdea, ...]
    model: str
    usage: Usage = Usage()


@dataclass(frozen=True, slots=True)
class ProviderHealth:
    """Whether a provider responds just now; `latency_ms` in milliseconds, `detail` a sentence for people."""

    ok: bool
    latency_ms: float
    detail: str


CallOutcome = Literal[
    "done",
    "unavailable",
    "timed_out",
    "overloaded",
    "rate_limited",
    "no_credit",
    "key_refused",
    "model_unknown",
    "request_refused",
    "too_long",
    "declined",
    "truncated",
    "invalid_response",
    "address_refused",
    "lost",
]
"""How a call ended, as the record of calls names it; `lost` is one whose process ended before it could say."""


class ProviderError(Exception):
    """A provider could not respond; the message is for people and holds no secret. The document becomes ready without topics.

    `retried`: whether the same call may end better later; `counts_against`: whether it says that the provider itself is in trouble, for
    the circuit breaker; `may_cost`: whether the provider may have charged for it; `retry_after` in seconds, if the provider named a time.
    """

    outcome: ClassVar[CallOutcome] = "unavailable"
    retried: ClassVar[bool] = True
    counts_against: ClassVar[bool] = False
    may_cost: ClassVar[bool] = False

    def __init__(self, message: str, *, retry_after: float | None = None, usage: Usage | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.usage = usage
        """What it cost all the same, as far as the provider said."""


class ProviderUnavailable(ProviderError):
    """The provider cannot be reached, or failed (HTTP 408, 409, 5xx)."""

    outcome: ClassVar[CallOutcome] = "unavailable"
    counts_against: ClassVar[bool] = True


class ProviderTimedOut(ProviderError):
    """The provider did not respond in time."""

    outcome: ClassVar[CallOutcome] = "timed_out"
    counts_against: ClassVar[bool] = True
    may_cost: ClassVar[bool] = True


class ProviderOverloaded(ProviderError):
    """The provider has too much to do for everyone (HTTP 529, 503 with Retry-After)."""

    outcome: ClassVar[CallOutcome] = "overloaded"
    counts_against: ClassVar[bool] = True


class ProviderRateLimited(ProviderError):
    """The key has asked too often (HTTP 429)."""

    outcome: ClassVar[CallOutcome] = "rate_limited"


class ProviderOutOfCredit(ProviderError):
    """The account behind the key has no money left."""

    outcome: ClassVar[CallOutcome] = "no_credit"
    retried: ClassVar[bool] = False


class ProviderKeyRefused(ProviderError):
    """The key is wrong, or may not do this (HTTP 401, 403)."""

    outcome: ClassVar[CallOutcome] = "key_refused"
    retried: ClassVar[bool] = False


class ProviderModelUnknown(ProviderError):
    """The provider has no such model (HTTP 404)."""

    outcome: ClassVar[CallOutcome] = "model_unknown"
    retried: ClassVar[bool] = False


class ProviderRequestRefused(ProviderError):
    """The provider will not take the request as it is (HTTP 400, 422)."""

    outcome: ClassVar[CallOutcome] = "request_refused"
    retried: ClassVar[bool] = False


class ProviderTextTooLong(ProviderError):
    """The text does not fit the model's context (HTTP 413, a context error, a stop for it)."""

    outcome: ClassVar[CallOutcome] = "too_long"
    retried: ClassVar[bool] = False


class ProviderDeclined(ProviderError):
    """The model, or a filter before it, would not read this document."""

    outcome: ClassVar[CallOutcome] = "declined"
    retried: ClassVar[bool] = False
    may_cost: ClassVar[bool] = True


class ProviderAnswerTruncated(ProviderError):
    """The response was cut off at the greatest length that was allowed."""

    outcome: ClassVar[CallOutcome] = "truncated"
    may_cost: ClassVar[bool] = True


class ProviderAnswerInvalid(ProviderError):
    """The provider responded, but not in the form that it was asked for."""

    outcome: ClassVar[CallOutcome] = "invalid_response"
    may_cost: ClassVar[bool] = True


class ProviderAddressRefused(ProviderError):
    """The provider's address is one that this server does not call."""

    outcome: ClassVar[CallOutcome] = "address_refused"
    retried: ClassVar[bool] = False


@runtime_checkable
class AIProvider(Protocol):
    """One provider, set up with its model. Methods raise ProviderError and nothing else."""

    name: ClassVar[ProviderName]
    in_process: ClassVar[bool]
    """Whether it responds within milliseconds in this process, so that a transaction may stay open meanwhile."""

    async def classify(
        self,
        document: DocumentText,
        topics: Sequence[TopicOption],
        examples: Sequence[TopicExample] = (),
        wanted: Sequence[DetailName] = (),
    ) -> Classification:
        """Which of `topics` the document belongs to, each judged on its own, and the `wanted` details; none is a good answer."""
        ...

    async def suggest_topics(self, document: DocumentText, topics: Sequence[TopicOption]) -> TopicIdeas:
        """Topics that would fit the document and that `topics` does not have."""
        ...

    async def health_check(self) -> ProviderHealth:
        """Whether the provider responds just now; never raises."""
        ...
