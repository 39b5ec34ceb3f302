"""What owners ask an AI provider for by hand: a classification now, ideas for topics, a look at what would be sent, what it would cost."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

from shared.ai import prices, prompts, registry, token_counts
from shared.ai.excerpt import MAX_AI_CHARS
from shared.ai.prices import Price
from shared.ai.provider import (
    DetailName,
    DocumentText,
    ProviderAnswerInvalid,
    ProviderError,
    ProviderHealth,
    TopicExample,
)
from shared.ai.registry import PROVIDERS, Policy, ProviderChoice
from shared.assistant import choices, tasks
from shared.assistant.outgoing import AttemptsUsedUp, BudgetExceeded, CallSubject, PolicyForbids, gate_for
from shared.assistant.policies import POLICY
from shared.db import TenantDatabase
from shared.documents import classify_step, library, lifecycle, listing, topics
from shared.documents.ai_models import AIHealth, Estimate, EstimateRequest, Idea, Ideas, Message, Preview, Provider
from shared.documents.listing import Filters
from shared.documents.models import Document, DocumentFilter, Status
from shared.documents.topic_models import NAME_CHARACTERS
from shared.errors import Conflict, DomainError, NotFound, Unavailable

OUTPUT_TOKENS = 150
"""Tokens of an ordinary classification's answer: two topics with their quotes."""

TOPIC_TOKENS = 12
"""Tokens of a topic's alias and brackets, and of the alias in the schema."""

DETAIL_OUTPUT_TOKENS = 50
"""Tokens of a title, sender or date with its quote."""

_TOKENS_A_CHARACTER = {
    "zh": 1.4,
    "ja": 1.4,
    "ko": 1.4,
    "th": 1.4,
    "ru": 0.6,
    "uk": 0.6,
    "bg": 0.6,
    "sr": 0.6,
    "el": 0.6,
    "ar": 0.8,
    "he": 0.8,
}
"""By language, where the text itself is not looked at; digits and punctuation counted."""
_TOKENS_A_CHARACTER_OTHERS = 0.4

ESTIMATED_AT_MOST = 10_000
"""Documents of a query with words that an estimate looks at."""


class NotReadYet(Conflict):
    code, title = "not_read_yet", "The document has not been read yet"


class AINotAllowed(Conflict):
    """AI is switched off, or the document's policy forbids it."""

    code, title = "ai_not_allowed", "AI may not read this document"


class AIBudgetExceeded(DomainError):
    status, code, title = 403, "budget_exceeded", "The budget for AI is used up for this month"


class AIFailed(Unavailable):
    """The provider did not respond, or not usefully."""


@dataclass(frozen=True)
class _DocumentState:
    status: Status
    revision: int
    policy: Policy


async def classify_now(db: TenantDatabase, document_id: UUID) -> Document:
    """Puts the document in line again, first of all, whatever was tried before. Raises NotFound, NotReadYet, AINotAllowed."""
    system = await choices.system_choice()
    async with db.transaction() as tx:
        await tasks.lock(tx, db.owner_id)
        standing = await tx.fetch_one(
            f"""
            SELECT d.status, d.revision, {POLICY} AS policy FROM documents AS d
            WHERE d.owner_id = %(owner)s AND d.id = %(document)s FOR NO KEY UPDATE
            """,
            {"owner": db.owner_id, "document": document_id},
            row=_DocumentState,
        )
        if standing is None:
            raise NotFound
        if standing.status not in ("extracted", "ready"):
            raise NotReadYet
        _narrowed(await choices.effective(tx, db.owner_id, system), standing.policy)
        await tasks.request(tx, db.owner_id, document_id, standing.revision, by_owner=True)
        lifecycle.wake_listeners(tx, db.owner_id)
    return await library.get(db, document_id)


async def preview(db: TenantDatabase, document_id: UUID, *, system: ProviderChoice | None = None) -> Preview:
    """Exactly what a classification would send now. Raises NotFound, NotReadYet, AINotAllowed.

    Here as below, `system` is the choice that holds for everyone; by default the admin's.
    """
    choice, work, examples = await _loaded(db, document_id, system)
    if not choice.remote:
        return Preview(provider=choice.provider, model=choice.model, messages=[], characters=0, cost_usd=0.0)
    prompt = prompts.classification(work.document(), work.options(choice), examples, choice.propose)
    cost = price_of(choice).cost(prompt.input_tokens, _output_tokens(choice))
    return Preview(
        provider=choice.provider,
        model=choice.model,
        base_url=choice.base_url,
        messages=[Message(**message) for message in prompt.messages()],
        characters=prompt.characters,
        cost_usd=float(cost),
    )


async def suggest_topics(db: TenantDatabase, document_id: UUID, *, system: ProviderChoice | None = None) -> Ideas:
    """New topics that would fit the document. Raises NotFound, NotReadYet, AINotAllowed, AIBudgetExceeded, AIFailed."""
    choice, work, _ = await _loaded(db, document_id, system)
    async with db.transaction() as tx:
        learned = topics.term_counts(tx, db.owner_id)
        if not choice.remote:
            found = await registry.open_provider(choice, gate_for(CallSubject(db.owner_id), choice), learned).suggest_topics(
                work.document(), work.options(choice)
            )
            return Ideas(suggestions=[Idea(name=idea.name, reason=idea.reason) for idea in found.ideas])
    try:
        provider = registry.open_provider(choice, gate_for(CallSubject(db.owner_id, document_id), choice))
        found = await provider.suggest_topics(work.document(), work.options(choice))
    except ProviderError as failed:
        raise _problem(failed) from None
    return Ideas(suggestions=[Idea(name=idea.name, reason=idea.reason) for idea in found.ideas])


async def health(db: TenantDatabase, *, system: ProviderChoice | None = None) -> AIHealth:
    """Asks the chosen provider for a word."""
    system = system or await choices.system_choice()
    async with db.transaction() as tx:
        choice = await choices.effective(tx, db.owner_id, system)
    try:
        found = await registry.open_provider(choice, gate_for(CallSubject(db.owner_id), choice)).health_check()
    except ProviderError as failed:
        found = ProviderHealth(False, 0.0, str(failed))
    return AIHealth(ok=found.ok, latency_ms=found.latency_ms, detail=found.detail)


async def providers(db: TenantDatabase) -> list[Provider]:
    """All of them."""
    system = await choices.system_choice()
    async with db.transaction() as tx:
        chosen = await choices.effective(tx, db.owner_id, system)
    return [
        Provider(
            name=facts.name,
            default_model=facts.default_model,
            needs_key=facts.needs_key,
            local=facts.local,
            configured=chosen.configured if facts.name == chosen.provider else choices.system_can(facts.name, system),
        )
        for facts in PROVIDERS.values()
    ]


@dataclass(frozen=True)
class _DocumentsRead:
    language: str
    documents: int
    characters: int


async def estimate(db: TenantDatabase, request: EstimateRequest, *, system: ProviderChoice | None = None) -> Estimate:
    """What classifying these documents would take with the provider that is chosen now. Documents that no AI may read do not count."""
    system = system or await choices.system_choice()
    chosen_filter = request.filter or DocumentFilter()
    ids = request.ids
    if ids is None and chosen_filter.q is not None and chosen_filter.q.strip():
        ids = await _found(db, chosen_filter)
    parameters = Filters.of(chosen_filter).parameters() | {"owner": db.owner_id, "ids": ids, "most": MAX_AI_CHARS}
    parameters |= {"examples": prompts.EXAMPLES_SENT, "example": prompts.EXAMPLE_CHARACTERS}
    conditions = ["d.owner_id = %(owner)s", "d.id = ANY (%(ids)s)"] if ids is not None else listing.conditions_of(Filters.of(chosen_filter))
    async with db.transaction() as tx:
        choice = await choices.effective(tx, db.owner_id, system)
        options = await topics.described(tx, db.owner_id) if choice.remote else []
        read = await tx.fetch_all(
            f"""
            SELECT coalesce(language, '') AS language, count(*)::integer AS documents, coalesce(sum(characters), 0)::bigint AS characters
            FROM (
                SELECT d.language, {POLICY} AS policy, (
                    SELECT least(coalesce(sum(length(p.text)), 0) + shown.characters, %(most)s) FROM document_pages AS p
                    WHERE p.owner_id = d.owner_id AND p.document_id = d.id
                ) AS characters
                FROM documents AS d CROSS JOIN (
                    SELECT %(example)s * count(*) AS characters
                    FROM (SELECT FROM topic_examples WHERE owner_id = %(owner)s LIMIT %(examples)s) AS decided
                ) AS shown
                WHERE {" AND ".join(conditions)}
            ) AS read
            WHERE policy = 'inherit' OR (policy = 'local_only' AND %(local)s)
            GROUP BY 1
            """,
            parameters | {"local": choice.facts.local},
            row=_DocumentsRead,
        )
    documents = sum(row.documents for row in read)
    if not choice.remote or choice.mode == "off":
        return Estimate(documents=documents if choice.mode != "off" else 0, calls=0, input_tokens=0, output_tokens=0, cost_usd=0.0)
    frame = _frame_tokens(options, choice.propose)
    text = sum(row.characters * _TOKENS_A_CHARACTER.get(row.language, _TOKENS_A_CHARACTER_OTHERS) for row in read)
    input_tokens, output_tokens = int(text) + frame * documents, _output_tokens(choice) * documents
    cost: Decimal = price_of(choice).cost(input_tokens, output_tokens)
    return Estimate(
        documents=documents, calls=documents, input_tokens=input_tokens, output_tokens=output_tokens, cost_usd=round(float(cost), 6)
    )


def price_of(choice: ProviderChoice) -> Price:
    """What the choice's tokens cost."""
    return prices.price_of(choice.provider, choice.model, choice.base_url, at_home=choice.facts.local)


def _output_tokens(choice: ProviderChoice) -> int:
    return OUTPUT_TOKENS + DETAIL_OUTPUT_TOKENS * len(choice.propose)


def _frame_tokens(described: Sequence[str], wanted: Sequence[DetailName]) -> int:
    """Tokens of everything in a call that is not the document."""
    empty = prompts.classification(DocumentText("", "", None, ()), (), (), wanted)
    return empty.input_tokens + sum(
        token_counts.estimate(topic[: NAME_CHARACTERS + prompts.DESCRIPTION_CHARACTERS]) + TOPIC_TOKENS
        for topic in described[: prompts.TOPICS_SENT]
    )


async def _found(db: TenantDatabase, chosen: DocumentFilter) -> list[UUID]:
    ids: list[UUID] = []
    cursor: str | None = None
    while len(ids) < ESTIMATED_AT_MOST:
        page = await listing.search_documents(db, chosen.q or "", Filters.of(chosen), "-relevance", 200, cursor)
        ids += [hit.id for hit in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
    return ids


async def _loaded(
    db: TenantDatabase, document_id: UUID, system: ProviderChoice | None
) -> tuple[ProviderChoice, classify_step.Work, list[TopicExample]]:
    system = system or await choices.system_choice()
    async with db.transaction() as tx:
        work = await classify_step.load(tx, db.owner_id, document_id)
        if work is None:
            if not await tx.fetch_value(
                "SELECT true FROM documents WHERE owner_id = %(owner)s AND id = %(id)s", {"owner": db.owner_id, "id": document_id}
            ):
                raise NotFound
            raise NotReadYet
        choice = _narrowed(await choices.effective(tx, db.owner_id, system), work.policy)
        examples = await classify_step.examples(tx, db.owner_id, document_id, work) if choice.remote else []
    return choice, work, examples


def _narrowed(choice: ProviderChoice, policy: Policy) -> ProviderChoice:
    narrowed = registry.under_policy(choice, policy)
    if narrowed is None:
        raise AINotAllowed("AI is switched off in your settings." if choice.mode == "off" else "This document is not to be read by any AI.")
    return narrowed


def _problem(failed: ProviderError) -> DomainError:
    """A provider's failure as a problem for the caller."""
    if isinstance(failed, BudgetExceeded):
        return AIBudgetExceeded(str(failed))
    if isinstance(failed, PolicyForbids | AttemptsUsedUp):
        return AINotAllowed(str(failed))
    wait = failed.retry_after if failed.retry_after is not None else 30
    if isinstance(failed, ProviderAnswerInvalid):
        wait = 5
    return AIFailed(str(failed), retry_after=max(1, round(wait)))
