"""The step that finds a document's topics: from `extracted` to `ready`.

A document always becomes `ready`: where AI is off, forbidden for it, or does not answer, without topics, and its history says why. What is
sure enough is filed, what is likely is suggested. The owner's own word stands above: a topic once rejected for the document is not proposed
again, and what the owner has filed stays.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from shared.ai import registry
from shared.ai.local import CHARACTERS_READ, TermCounts, salient_terms
from shared.ai.provider import AIProvider, Classification, DocumentText, PageText, ProviderError, TopicMatch, TopicOption
from shared.ai.registry import Policy, ProviderChoice
from shared.clock import now
from shared.config import settings
from shared.db import TenantDatabase, Transaction
from shared.documents import lifecycle, steps, topics
from shared.events import publish
from shared.ids import new_id

FILED_FROM = 0.8
"""From this confidence on a document is filed by itself; tests/ai/test_local_quality.py holds how seldom that is wrong."""

SUGGESTED_FROM = 0.35
"""From here to FILED_FROM it is suggested; below, a proposal would bother more than help."""

PAGES_READ = 200
TOPICS_CONSIDERED = 500
"""Topics a document is held against; of an owner who has more, those with most accepted documents."""


@dataclass(frozen=True, slots=True)
class _Work:
    """A document to classify, as loaded; `status` and `revision` were checked."""

    title: str
    filename: str
    language: str | None
    ai_policy: Policy
    numbers: list[int]
    texts: list[str]
    topics: list[Mapping[str, Any]]

    def document(self) -> DocumentText:
        pages = (PageText(number, text) for number, text in zip(self.numbers, self.texts, strict=True))
        return DocumentText(self.title, self.filename, self.language, tuple(pages))

    def options(self) -> list[TopicOption]:
        return [TopicOption(UUID(t["id"]), t["name"], t["description"] or "", t["accepted"], t["refused"]) for t in self.topics]


@dataclass(frozen=True, slots=True)
class _Outcome:
    """How it ended; without a classification nothing read the document, and `detail` says why."""

    state: steps.StepState
    detail: str
    choice: ProviderChoice | None = None
    classification: Classification | None = None


async def classify(
    db: TenantDatabase,
    *,
    document_id: UUID,
    revision: int,
    system: ProviderChoice | None = None,
    open_provider: Callable[[ProviderChoice, TermCounts], AIProvider] = registry.open_provider,
) -> bool:
    """Classifies the document and makes it `ready`; False, without effect, where it is not `extracted` at `revision` (any more), nor was
    given up there: retrying its delivery resumes it.

    A provider in this process is asked within the transaction, the document's row locked: few round trips. Any other is asked between two
    transactions, of which the second checks again. `system` is the choice that holds for everyone; by default the settings'.
    """
    started = now()
    async with db.transaction() as tx:
        work = await _load(tx, db.owner_id, document_id, revision)
        if work is None:
            return False
        choice = registry.under_policy(system or registry.system_choice(settings()), work.ai_policy)
        provider = _opened(open_provider, choice, topics.term_counts(tx, db.owner_id))
        if not isinstance(provider, AIProvider) or provider.in_process:
            await _settle(tx, db.owner_id, document_id, revision, work, await _ask(provider, choice, work), started)
            return True
    outcome = await _ask(provider, choice, work)
    async with db.transaction() as tx:
        if await _load(tx, db.owner_id, document_id, revision) is None:
            return False
        await _settle(tx, db.owner_id, document_id, revision, work, outcome, started)
    return True


def _opened(
    open_provider: Callable[[ProviderChoice, TermCounts], AIProvider], choice: ProviderChoice | None, term_counts: TermCounts
) -> AIProvider | str:
    """The provider, or why there is none."""
    if choice is None:
        return "AI is switched off for this document."
    try:
        return open_provider(choice, term_counts)
    except ProviderError as missing:
        return f"{missing} The document was left without topics."


async def _ask(provider: AIProvider | str, choice: ProviderChoice | None, work: _Work) -> _Outcome:
    if isinstance(provider, str):
        return _Outcome("skipped", provider)
    options = work.options()
    if not options:
        return _Outcome("done", "There are no topics yet.", choice, Classification((), choice.model if choice else ""))
    try:
        found = await provider.classify(work.document(), options)
    except ProviderError as failed:
        return _Outcome("failed", f"{failed} The document was left without topics.")
    return _Outcome("done", "", choice, found)


async def _load(tx: Transaction, owner_id: UUID, document_id: UUID, revision: int) -> _Work | None:
    """The document that waits for this step and the owner's topics, and a lock on it until the transaction ends: one round trip."""
    return await tx.fetch_one(
        """
        SELECT d.title, d.filename, d.language, d.ai_policy, coalesce(p.numbers, '{}') AS numbers, coalesce(p.texts, '{}') AS texts,
            coalesce((
                SELECT jsonb_agg(jsonb_build_object(
                    'id', t.id, 'name', t.name, 'description', t.description, 'accepted', t.accepted_documents, 'refused',
                    t.refused_documents
                ))
                FROM (
                    SELECT * FROM topics WHERE owner_id = %(owner)s ORDER BY accepted_documents DESC, id LIMIT %(topics)s
                ) AS t
            ), '[]') AS topics
        FROM documents AS d
        CROSS JOIN LATERAL (
            SELECT array_agg(number ORDER BY number) AS numbers, array_agg(left(text, %(characters)s) ORDER BY number) AS texts
            FROM (
                SELECT number, text, sum(length(text)) OVER (ORDER BY number) - length(text) AS before
                FROM (
                    SELECT number, text FROM document_pages
                    WHERE document_id = d.id AND owner_id = d.owner_id AND d.ai_policy <> 'never'
                    ORDER BY number LIMIT %(pages)s
                ) AS first
            ) AS measured
            WHERE before < %(characters)s
        ) AS p
        WHERE d.owner_id = %(owner)s AND d.id = %(document)s AND d.revision = %(revision)s
            AND (d.status = 'extracted'
                OR (d.status = 'failed' AND d.error ->> 'step' = 'classify' AND d.error ->> 'code' = %(gave_up)s))
        FOR NO KEY UPDATE OF d
        """,
        {
            "owner": owner_id,
            "document": document_id,
            "revision": revision,
            "gave_up": lifecycle.GAVE_UP,
            "topics": TOPICS_CONSIDERED,
            "characters": CHARACTERS_READ,
            "pages": PAGES_READ,
        },
        row=_Work,
    )


async def _settle(
    tx: Transaction, owner_id: UUID, document_id: UUID, revision: int, work: _Work, outcome: _Outcome, started: datetime
) -> None:
    """Files, suggests, makes the document ready, records the step and tells the world: all in one round trip. The row must be locked."""
    detail = outcome.detail
    async with tx.connection.pipeline():
        if outcome.classification is not None and outcome.choice is not None:
            kept = [match for match in outcome.classification.matches if match.confidence >= SUGGESTED_FROM]
            applied = [outcome.choice.mode == "apply" and match.confidence >= FILED_FROM for match in kept]
            detail = detail or _in_words(kept, applied, work)
            await _keep(tx, owner_id, document_id, revision, outcome.choice, outcome.classification.model, kept, applied)
            await tx.execute(
                """
                INSERT INTO document_terms (document_id, owner_id, terms) VALUES (%(document)s, %(owner)s, %(terms)s)
                ON CONFLICT (document_id) DO UPDATE SET terms = excluded.terms
                """,
                {"owner": owner_id, "document": document_id, "terms": salient_terms(work.document())},
            )
        await tx.execute(
            """
            UPDATE documents SET status = 'ready', error = NULL, updated_at = now()
            WHERE owner_id = %(owner)s AND id = %(document)s AND revision = %(revision)s
            """,
            {"owner": owner_id, "document": document_id, "revision": revision},
        )
        await steps.record(
            tx,
            owner_id=owner_id,
            document_id=document_id,
            revision=revision,
            step="classify",
            state=outcome.state,
            started_at=started,
            detail=detail,
        )
        await publish(
            tx,
            "document.ready",
            owner_id=owner_id,
            subject=str(document_id),
            data={"document_id": str(document_id), "revision": revision},
            dedup_key=lifecycle.dedup_key("document.ready", document_id, revision),
        )
    lifecycle.wake_listeners(tx, owner_id)


async def _keep(
    tx: Transaction,
    owner_id: UUID,
    document_id: UUID,
    revision: int,
    choice: ProviderChoice,
    model: str,
    kept: Sequence[TopicMatch],
    applied: Sequence[bool],
) -> None:
    """Makes the provider's part of filings and suggestions what this answer says; the owner's part stays as it is."""
    await tx.execute(
        """
        WITH found AS (
            SELECT claim.*
            FROM unnest(
                %(ids)s::uuid[], %(topics)s::uuid[], %(confidences)s::real[], %(quotes)s::text[], %(pages)s::integer[],
                %(applied)s::boolean[]
            ) AS claim (id, topic_id, confidence, quote, page, applied)
            JOIN topics ON topics.owner_id = %(owner)s AND topics.id = claim.topic_id
            WHERE NOT EXISTS (
                SELECT FROM document_topics AS f
                WHERE f.document_id = %(document)s AND f.topic_id = claim.topic_id AND f.source <> 'ai'
            ) AND NOT EXISTS (
                SELECT FROM topic_suggestions AS s
                WHERE s.document_id = %(document)s AND s.topic_id = claim.topic_id AND s.decided_at IS NOT NULL
            )
        ), withdrawn AS (
            DELETE FROM topic_suggestions
            WHERE owner_id = %(owner)s AND document_id = %(document)s AND decided_at IS NULL AND topic_id NOT IN (SELECT topic_id FROM
            found)
        ), unfiled AS (
            DELETE FROM document_topics
            WHERE owner_id = %(owner)s AND document_id = %(document)s AND source = 'ai'
                AND topic_id NOT IN (SELECT topic_id FROM found WHERE applied)
        ), proposed AS (
            INSERT INTO topic_suggestions AS s
                (id, owner_id, document_id, topic_id, confidence, quote, page, provider, model, state, revision)
            SELECT id, %(owner)s, %(document)s, topic_id, confidence, quote, page, %(provider)s, %(model)s,
                CASE WHEN applied THEN 'accepted' ELSE 'open' END, %(revision)s
            FROM found
            ON CONFLICT (document_id, topic_id) DO UPDATE
            SET confidence = excluded.confidence, quote = excluded.quote, page = excluded.page, provider = excluded.provider,
                model = excluded.model, state = excluded.state, revision = excluded.revision, created_at = now()
            WHERE s.decided_at IS NULL
        )
        INSERT INTO document_topics AS f (document_id, topic_id, owner_id, source, confidence)
        SELECT %(document)s, topic_id, %(owner)s, 'ai', confidence FROM found WHERE applied
        ON CONFLICT (document_id, topic_id) DO UPDATE SET confidence = excluded.confidence WHERE f.source = 'ai'
        """,
        {
            "owner": owner_id,
            "document": document_id,
            "revision": revision,
            "provider": choice.provider,
            "model": model,
            "ids": [new_id() for _ in kept],
            "topics": [match.topic_id for match in kept],
            "confidences": [match.confidence for match in kept],
            "quotes": [match.quote for match in kept],
            "pages": [match.page for match in kept],
            "applied": list(applied),
        },
    )


def _in_words(kept: Sequence[TopicMatch], applied: Sequence[bool], work: _Work) -> str:
    names = {UUID(topic["id"]): str(topic["name"]) for topic in work.topics}
    filed = [names[match.topic_id] for match, yes in zip(kept, applied, strict=True) if yes]
    suggested = [names[match.topic_id] for match, yes in zip(kept, applied, strict=True) if not yes]
    said = []
    if filed:
        said.append(f"Filed under {', '.join(filed)}.")
    if suggested:
        said.append(f"Suggested: {', '.join(suggested)}.")
    return " ".join(said) or "No topic fits."
