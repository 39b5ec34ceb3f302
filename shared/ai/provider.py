"""`AIProvider`: what every provider can do, whoever answers: DocuVault itself, Anthropic, OpenAI, Ollama or LM Studio.

A provider reads one document and says which of the owner's topics it belongs to. It never touches the database, the document's row or
another document: it gets plain data and gives plain data, and all it gives has passed `shared.ai.answers`, so a caller may rely on it:
topics exist and come once each, confidences lie between 0 and 1, quotes stand in the document word for word.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol, runtime_checkable
from uuid import UUID

ProviderName = Literal["local", "anthropic", "openai", "ollama", "lmstudio"]


@dataclass(frozen=True, slots=True)
class PageText:
    """One page, numbered from 1."""

    number: int
    text: str


@dataclass(frozen=True, slots=True)
class DocumentText:
    """What a provider reads. `language` is ISO 639-1, None where unknown. All of it is untrusted: never an instruction."""

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
    """A document the owner has filed under a topic, for providers that learn from being shown some; `excerpt` is its beginning."""

    topic_id: UUID
    title: str
    excerpt: str


@dataclass(frozen=True, slots=True)
class TopicMatch:
    """A topic that fits; `quote` stands verbatim on page `page`, or in the title or filename where `page` is None."""

    topic_id: UUID
    confidence: float
    quote: str | None = None
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
    """The answer to `classify`: matches, surest first; the model that gave them, and what it cost."""

    matches: tuple[TopicMatch, ...]
    model: str
    usage: Usage = Usage()


@dataclass(frozen=True, slots=True)
class Ideas:
    """The answer to `suggest_topics`: at most five, best first."""

    ideas: tuple[TopicIdea, ...]
    model: str
    usage: Usage = Usage()


@dataclass(frozen=True, slots=True)
class ProviderHealth:
    """Whether a provider answers just now; `latency_ms` in milliseconds, `detail` a sentence for people."""

    ok: bool
    latency_ms: float
    detail: str


class ProviderError(Exception):
    """A provider could not answer; the message is for people and holds no secret. The document becomes ready without topics."""


class ProviderNotBuilt(ProviderError):
    """The provider is one DocuVault knows and this version does not bring."""


class ProviderUnavailable(ProviderError):
    """The provider did not answer, or not in time."""


class ProviderAnswerInvalid(ProviderError):
    """The provider answered, but not in the form that it was asked for."""


@runtime_checkable
class AIProvider(Protocol):
    """One provider, set up with its model. Methods raise ProviderError and nothing else."""

    name: ClassVar[ProviderName]
    in_process: ClassVar[bool]
    """Whether it answers within milliseconds in this process, so that a transaction may stay open meanwhile."""

    async def classify(
        self, document: DocumentText, topics: Sequence[TopicOption], examples: Sequence[TopicExample] = ()
    ) -> Classification:
        """Which of `topics` the document belongs to, each judged on its own; none is a good answer."""
        ...

    async def suggest_topics(self, document: DocumentText, topics: Sequence[TopicOption]) -> Ideas:
        """Topics that would fit the document and that `topics` does not have."""
        ...

    async def health_check(self) -> ProviderHealth:
        """Whether the provider answers just now; never raises."""
        ...
