"""The step that finds a document's topics: from `extracted` to `ready`, and what of it comes later.

A document always becomes `ready`. The provider in this process is asked within the step. Any other is somebody else's machine: the document
gets in line (shared/assistant/tasks.py), and becomes `ready` when it was asked, or after `READY_WITHIN` seconds without topics, which then
follow. If AI is off, forbidden for it, down or over budget, it is `ready` without topics, its history says why, and it is tried again
later. What is sure enough is filed, what is likely is suggested. The owner's own word stands above: a topic once rejected for the document
is not proposed again, and what the owner has filed stays.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from shared.ai import registry
from shared.ai.local import CHARACTERS_READ, TermCounts, salient_terms
from shared.ai.prompts import EXAMPLE_CHARACTERS, EXAMPLES_SENT
from shared.ai.provider import (
    AIProvider,
    Classification,
    DetailName,
    DocumentText,
    PageText,
    ProviderError,
    TopicExample,
    TopicMatch,
    TopicOption,
)
from shared.ai.registry import Policy, ProviderChoice
from shared.ai.remote_provider import Gate
from shared.assistant import choices, tasks
from shared.assistant.outgoing import CallSubject, NotAdmitted, gate_for
from shared.assistant.policies import POLICY, TOPIC_POLICY
from shared.assistant.tasks import Task
from shared.clock import now
from shared.cloud import moves
from shared.db import TenantDatabase, Transaction
from shared.documents import lifecycle, lookalikes, proposals, step_history, topics
from shared.documents.models import StepState
from shared.events import publish
from shared.events.catalogue import DocumentReady
from shared.ids import new_id

FILED_FROM = 0.8
"""From this confidence on a document is filed by itself; tests/ai/test_local_quality.py holds how seldom that is wrong."""

SUGGESTED_FROM = 0.35
"""From here to FILED_FROM it is suggested; below, a proposal would bother more than help."""

READY_WITHIN = timedelta(seconds=20)
"""So long a document waits for its provider before it becomes ready without it; less than the reconciler waits before it checks it."""

PAGES_READ = 200
TOPICS_CONSIDERED = 500
"""Topics a document is held against; of an owner who has more, those with most accepted documents."""

EXAMPLES_WEIGHED = 2_000
"""Decisions that the nearest are looked for among, the latest."""

EXAMPLE_ALIKE = 4
"""Telling words that an example has in common with the document, at least."""

NO_CREDIT_RETRY_SECONDS = 6 * 3600.0

Opener = Callable[[ProviderChoice, Gate, TermCounts], AIProvider]


@dataclass(frozen=True, slots=True)
class Work:
    """A document to classify, as loaded; `status` and `revision` were checked. `policy` is the strictest of it and its topics."""

    title: str
    filename: str
    language: str | None
    policy: Policy
    numbers: list[int]
    texts: list[str]
    topics: list[Mapping[str, Any]]

    def document(self) -> DocumentText:
        pages = (PageText(number, text) for number, text in zip(self.numbers, self.texts, strict=True))
        return DocumentText(self.title, self.filename, self.language, tuple(pages))

    def options(self, choice: ProviderChoice | None = None) -> list[TopicOption]:
        """The topics that may be proposed; those that must not leave this house are not even named to a provider outside."""
        outside = choice is not None and choice.remote and not choice.facts.local
        return [
            TopicOption(UUID(t["id"]), t["name"], t["description"] or "", t["accepted"], t["refused"])
            for t in self.topics
            if not (outside and t["policy"] == "local_only")
        ]


@dataclass(frozen=True, slots=True)
class _ClassifyOutcome:
    """How it ended; without a classification nothing read the document, and `detail` says why."""

    state: StepState
    detail: str
    choice: ProviderChoice | None = None
    classification: Classification | None = None


_OFF = _ClassifyOutcome("skipped", "AI is switched off for this document.")

_EXTRACTED = """
    (d.status = 'extracted' OR (d.status = 'failed' AND d.error ->> 'step' = 'classify' AND d.error ->> 'code' = %(gave_up)s))
"""
_READ = "(d.status IN ('extracted', 'ready') OR (d.status = 'failed' AND d.error ->> 'step' = 'classify'))"


async def classify(
    db: TenantDatabase,
    *,
    document_id: UUID,
    revision: int,
    system: ProviderChoice | None = None,
    open_provider: Opener = registry.open_provider,
) -> bool:
    """Takes the document on from `extracted`; False, without effect, if it is not `extracted` at `revision` (any more), nor was given up
    there: retrying its delivery resumes it.

    The provider in this process is asked within the transaction, the document's row locked: few round trips, and the document is `ready`.
    For any other it gets in line. Called again when it has waited there too long (the reconciler does), it becomes ready. `system` is the
    choice that holds for everyone; by default the admin's.
    """
    started = now()
    system = system or await choices.system_choice()
    async with db.transaction() as tx:
        chosen = await choices.effective(tx, db.owner_id, system)
        if chosen.remote:
            await tasks.lock(tx, db.owner_id)
        work = await _load(tx, db.owner_id, document_id, revision, _EXTRACTED)
        if work is None:
            return False
        choice = registry.under_policy(chosen, work.policy)
        if choice is None:
            outcome = _OFF
        elif not choice.remote:
            outcome = await _ask_here(tx, db.owner_id, choice, work, open_provider)
        elif not work.options(choice) and not choice.propose:
            outcome = _ClassifyOutcome("done", "There are no topics yet.", choice, Classification((), choice.model))
        elif not choice.configured:
            outcome = _ClassifyOutcome("failed", f"There is no API key for “{choice.provider}”. The document keeps the topics it has.")
            await tasks.park(tx, db.owner_id, document_id, revision)
        else:
            since = await tasks.created_at(tx, db.owner_id, document_id, revision)
            if since is None or now() - since < READY_WITHIN:
                await tasks.request(tx, db.owner_id, document_id, revision)
                return True
            outcome = _LATE
        await _finish(tx, db.owner_id, document_id, revision, work, outcome, started)
    return True


_LATE = _ClassifyOutcome("running", "The AI provider has not answered yet; topics follow when it does.")


async def run_tasks(
    db: TenantDatabase,
    *,
    seconds: float = 0.0,
    system: ProviderChoice | None = None,
    open_provider: Opener = registry.open_provider,
) -> bool:
    """Takes the owner's next document in line to a provider, and goes on with those after it for `seconds`; False if none is due, or as
    many run as may.

    No failure of a provider is one of this function: the document becomes ready all the same, and its task waits, or is given up.
    """
    until = time.monotonic() + seconds
    async with db.transaction() as tx:
        # A claim that is lost with the database's last moments is one that nobody has acted on: the record of the call is kept after it.
        await tx.execute("SELECT set_config('synchronous_commit', 'off', true)")
        turn = await _next_turn(tx, db.owner_id, system or await choices.system_choice())
    if turn is None:
        return False
    while turn is not None:
        turn = await _take(db, turn, system, open_provider, go_on=time.monotonic() < until)
    return True


@dataclass(frozen=True, slots=True)
class _Turn:
    """A task that was claimed; `work` is None if its document has moved on, `choice` if no AI may read it. `chosen` is the owner's choice
    for all documents."""

    task: Task
    started: datetime
    chosen: ProviderChoice
    work: Work | None = None
    choice: ProviderChoice | None = None
    examples: Sequence[TopicExample] = ()


async def _next_turn(tx: Transaction, owner_id: UUID, system: ProviderChoice) -> _Turn | None:
    chosen = await choices.effective(tx, owner_id, system)
    task = await tasks.claim(tx, owner_id, at_once=chosen.facts.at_once, seconds=chosen.facts.seconds)
    if task is None:
        return None
    work = await _load(tx, owner_id, task.document_id, task.revision, _READ, lock=False)
    choice = registry.under_policy(chosen, work.policy) if work is not None else None
    if work is None or choice is None or not choice.remote:
        return _Turn(task, now(), chosen, work, choice)
    return _Turn(task, now(), chosen, work, choice, await _examples(tx, owner_id, task.document_id, work))


async def _take(db: TenantDatabase, turn: _Turn, system: ProviderChoice | None, open_provider: Opener, *, go_on: bool) -> _Turn | None:
    """Takes a claimed document to its provider, and claims the next one with the same commit if it is to `go_on`."""
    task, work, choice = turn.task, turn.work, turn.choice
    if work is None or choice is None or not choice.remote:
        await _finish_here(db, task, turn.chosen, open_provider, turn.started)
        return None
    outcome, retry_in = await _ask_outside(db, task, work, choice, turn.examples, open_provider, turn.started)
    system = system or await choices.system_choice()
    async with db.transaction() as tx:
        await tasks.lock(tx, db.owner_id)
        if await _load(tx, db.owner_id, task.document_id, task.revision, _READ) is not None:
            await _finish(tx, db.owner_id, task.document_id, task.revision, work, outcome, turn.started)
        gave_up = outcome.state == "failed" and retry_in is None
        await tasks.finish(tx, db.owner_id, task, retry_in=retry_in, gave_up=gave_up, wake_next=not go_on)
        return await _next_turn(tx, db.owner_id, system) if go_on else None


async def _finish_here(db: TenantDatabase, task: Task, chosen: ProviderChoice, open_provider: Opener, started: datetime) -> None:
    """A task that needs no call out: the document is gone, AI is off for it, or the provider is the one in this process."""
    async with db.transaction() as tx:
        await tasks.lock(tx, db.owner_id)
        work = await _load(tx, db.owner_id, task.document_id, task.revision, _READ)
        if work is not None:
            choice = registry.under_policy(chosen, work.policy)
            if choice is not None and choice.remote:
                # Its policy was changed just now: the next turn asks.
                await tasks.finish(tx, db.owner_id, task, retry_in=0.0)
                return
            outcome = _OFF if choice is None else await _ask_here(tx, db.owner_id, choice, work, open_provider)
            await _finish(tx, db.owner_id, task.document_id, task.revision, work, outcome, started)
        await tasks.finish(tx, db.owner_id, task)


async def _ask_here(tx: Transaction, owner_id: UUID, choice: ProviderChoice, work: Work, open_provider: Opener) -> _ClassifyOutcome:
    options = work.options(choice)
    if not options:
        return _ClassifyOutcome("done", "There are no topics yet.", choice, Classification((), choice.model))
    try:
        provider = open_provider(choice, gate_for(CallSubject(owner_id), choice), topics.term_counts(tx, owner_id))
        return _ClassifyOutcome("done", "", choice, await provider.classify(work.document(), options))
    except ProviderError as failed:
        return _ClassifyOutcome("failed", f"{failed} The document keeps the topics it has.")


async def _ask_outside(
    db: TenantDatabase,
    task: Task,
    work: Work,
    choice: ProviderChoice,
    examples: Sequence[TopicExample],
    open_provider: Opener,
    started: datetime,
) -> tuple[_ClassifyOutcome, float | None]:
    """Makes the call; how it ended, and in how many seconds to try again (None: not by itself). No transaction is open meanwhile."""
    gate = gate_for(CallSubject(db.owner_id, task.document_id, counted=True), choice)
    try:
        provider = open_provider(choice, gate, _nothing_learned)
        call = asyncio.ensure_future(provider.classify(work.document(), work.options(choice), examples, choice.propose))
        try:
            patience = (task.created_at + READY_WITHIN - now()).total_seconds()
            done, _ = await asyncio.wait({call}, timeout=max(0.0, patience))
            if not done:
                await _ready_meanwhile(db, task, work, started)
            found = await call
        finally:
            call.cancel()
    except ProviderError as failed:
        retry_in = _retry_seconds(task, failed)
        if isinstance(failed, NotAdmitted) and retry_in is not None:
            async with db.transaction() as tx:
                await tasks.postpone_all(tx, db.owner_id, retry_in)
        follows = "It is tried again later." if retry_in is not None else "The document keeps the topics it has."
        return _ClassifyOutcome("failed", f"{failed} {follows}"), retry_in
    return _ClassifyOutcome("done", "", choice, found), None


def _retry_seconds(task: Task, failed: ProviderError) -> float | None:
    if not failed.retried:
        return None
    if isinstance(failed, NotAdmitted):
        return failed.retry_after if failed.retry_after is not None else tasks.FIRST_RETRY_SECONDS
    if task.attempts + 1 >= tasks.ATTEMPTS:
        return None
    if failed.outcome == "no_credit":
        return NO_CREDIT_RETRY_SECONDS
    return max(failed.retry_after or 0.0, tasks.retry_seconds(task.attempts + 1))


async def _ready_meanwhile(db: TenantDatabase, task: Task, work: Work, started: datetime) -> None:
    """The provider is slow: the document does not wait for it any longer."""
    async with db.transaction() as tx:
        if await _load(tx, db.owner_id, task.document_id, task.revision, _EXTRACTED) is not None:
            await _finish(tx, db.owner_id, task.document_id, task.revision, work, _LATE, started)


async def _nothing_learned(terms: Sequence[str]) -> Sequence[Any]:
    return ()


async def load(tx: Transaction, owner_id: UUID, document_id: UUID) -> Work | None:
    """A document that was read, as a provider would get it now; not locked. None if there is none, or it has not been read."""
    return await _load(tx, owner_id, document_id, None, _READ, lock=False)


async def examples(tx: Transaction, owner_id: UUID, document_id: UUID, work: Work) -> list[TopicExample]:
    """The owner's decisions about the documents most like this one."""
    return await _examples(tx, owner_id, document_id, work)


async def _examples(tx: Transaction, owner_id: UUID, document_id: UUID, work: Work) -> list[TopicExample]:
    # Documents whose policy keeps them here are not among them; the gate looks again.
    return await tx.fetch_all(
        f"""
        SELECT e.topic_id, e.document_id, d.title, e.accepted,
            coalesce((
                SELECT left(p.text, %(characters)s) FROM document_pages AS p
                WHERE p.owner_id = d.owner_id AND p.document_id = d.id ORDER BY p.number LIMIT 1
            ), '') AS excerpt
        FROM (
            SELECT topic_id, document_id, accepted,
                (SELECT count(*) FROM unnest(latest.terms) AS term WHERE term = ANY (%(terms)s)) AS alike
            FROM (
                SELECT topic_id, document_id, accepted, terms FROM topic_examples
                WHERE owner_id = %(owner)s AND document_id <> %(document)s
                ORDER BY document_id DESC LIMIT {EXAMPLES_WEIGHED}
            ) AS latest
        ) AS e
        JOIN documents AS d ON d.owner_id = %(owner)s AND d.id = e.document_id
        WHERE e.alike >= {EXAMPLE_ALIKE} AND {POLICY} = 'inherit'
        ORDER BY e.alike DESC, e.document_id DESC, e.topic_id
        LIMIT {EXAMPLES_SENT}
        """,
        {"owner": owner_id, "document": document_id, "terms": salient_terms(work.document()), "characters": EXAMPLE_CHARACTERS},
        row=TopicExample,
    )


async def _load(
    tx: Transaction, owner_id: UUID, document_id: UUID, revision: int | None, standing: str, *, lock: bool = True
) -> Work | None:
    """The document that waits for this step and the owner's topics, and a lock on it until the transaction ends: one round trip."""
    return await tx.fetch_one(
        f"""
        SELECT d.title, d.filename, d.language, {POLICY} AS policy, coalesce(p.numbers, '{{}}') AS numbers,
            coalesce(p.texts, '{{}}') AS texts,
            coalesce((
                SELECT jsonb_agg(jsonb_build_object(
                    'id', t.id, 'name', t.name, 'description', t.description, 'accepted', t.accepted_documents, 'refused',
                    t.refused_documents, 'policy', t.policy
                ))
                FROM (
                    SELECT * FROM (
                        SELECT t.*, {TOPIC_POLICY} AS policy FROM topics AS t WHERE t.owner_id = %(owner)s AND NOT t.manual_only
                    ) AS proposable
                    WHERE policy <> 'never'
                    ORDER BY accepted_documents DESC, id LIMIT %(topics)s
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
        WHERE d.owner_id = %(owner)s AND d.id = %(document)s AND (%(revision)s::integer IS NULL OR d.revision = %(revision)s)
            AND {standing}
        {"FOR NO KEY UPDATE OF d" if lock else ""}
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
        row=Work,
    )


async def _finish(
    tx: Transaction, owner_id: UUID, document_id: UUID, revision: int, work: Work, outcome: _ClassifyOutcome, started: datetime
) -> None:
    """Files, suggests, makes the document ready, records the step and tells the world: all in one round trip. The row must be locked."""
    detail = outcome.detail
    read: list[DetailName] = []
    if outcome.classification is not None and outcome.choice is not None and outcome.choice.propose:
        read = await proposals.keep(
            tx,
            owner_id=owner_id,
            document_id=document_id,
            revision=revision,
            provider=outcome.choice.provider,
            model=outcome.classification.model,
            found=outcome.classification.details,
            apply=outcome.choice.mode == "apply",
        )
    async with tx.pipeline():
        if outcome.classification is not None and outcome.choice is not None:
            kept = [match for match in outcome.classification.matches if match.confidence >= SUGGESTED_FROM]
            applied = [outcome.choice.mode == "apply" and match.confidence >= FILED_FROM for match in kept]
            detail = detail or f"{_in_words(kept, applied, read, work)} {outcome.classification.note}".strip()
            await _remember(tx, owner_id, document_id, revision, outcome.choice, outcome.classification.model)
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
        await step_history.record(
            tx,
            owner_id=owner_id,
            document_id=document_id,
            revision=revision,
            step="classify",
            state=outcome.state,
            started_at=started,
            detail=detail,
        )
        await publish(tx, DocumentReady(owner_id=owner_id, document_id=document_id, revision=revision))
    await lookalikes.find(tx, owner_id=owner_id, document_id=document_id)
    await moves.request_home(tx, owner_id, document_id)
    lifecycle.wake_listeners(tx, owner_id)


async def _remember(tx: Transaction, owner_id: UUID, document_id: UUID, revision: int, choice: ProviderChoice, model: str) -> None:
    """Keeps what the provider's part of the filing was, for `undo`."""
    await tx.execute(
        """
        INSERT INTO classification_runs (document_id, owner_id, revision, provider, model, before_topics, before_confidences)
        SELECT %(document)s, %(owner)s, %(revision)s, %(provider)s, %(model)s,
            coalesce(array_agg(topic_id ORDER BY topic_id), '{}'), coalesce(array_agg(coalesce(confidence, 1) ORDER BY topic_id), '{}')
        FROM document_topics WHERE owner_id = %(owner)s AND document_id = %(document)s AND source = 'ai'
        ON CONFLICT (document_id) DO UPDATE
        SET revision = excluded.revision, provider = excluded.provider, model = excluded.model, at = now(),
            before_topics = excluded.before_topics, before_confidences = excluded.before_confidences
        """,
        {"owner": owner_id, "document": document_id, "revision": revision, "provider": choice.provider, "model": model},
    )


@dataclass(frozen=True)
class _Run:
    before_topics: list[UUID]
    before_confidences: list[float]


async def undo(tx: Transaction, *, owner_id: UUID, document_id: UUID) -> None:
    """Takes back what the last classification filed and set; its suggestions and proposals are open again. What the owner
    decided since stays.

    A second time nothing changes. Raises NotFound.
    """
    await topics.touch(tx, owner_id, document_id)
    await proposals.undo(tx, owner_id=owner_id, document_id=document_id)
    given = {"owner": owner_id, "document": document_id}
    run = await tx.fetch_one(
        """
        DELETE FROM classification_runs WHERE owner_id = %(owner)s AND document_id = %(document)s
        RETURNING before_topics, before_confidences
        """,
        given,
        row=_Run,
    )
    if run is None:
        return
    before = {**given, "topics": run.before_topics, "confidences": run.before_confidences}
    await tx.execute(
        """
        DELETE FROM document_topics
        WHERE owner_id = %(owner)s AND document_id = %(document)s AND source = 'ai' AND topic_id <> ALL (%(topics)s)
        """,
        before,
    )
    await tx.execute(
        """
        INSERT INTO document_topics (document_id, topic_id, owner_id, source, confidence)
        SELECT %(document)s, topics.id, %(owner)s, 'ai', before.confidence
        FROM unnest(%(topics)s::uuid[], %(confidences)s::real[]) AS before (topic_id, confidence)
        JOIN topics ON topics.owner_id = %(owner)s AND topics.id = before.topic_id
        WHERE NOT EXISTS (
            SELECT FROM topic_suggestions AS s
            WHERE s.document_id = %(document)s AND s.topic_id = before.topic_id AND s.state = 'rejected'
        )
        ON CONFLICT DO NOTHING
        """,
        before,
    )
    await tx.execute(
        """
        UPDATE topic_suggestions SET state = 'open'
        WHERE owner_id = %(owner)s AND document_id = %(document)s AND state = 'accepted' AND decided_at IS NULL
            AND topic_id <> ALL (%(topics)s)
        """,
        before,
    )


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
    """Makes the provider's part of filings and suggestions what this response says; the owner's part stays as it is."""
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


_NAMES: dict[DetailName, str] = {"title": "the title", "sender": "the sender", "issued_on": "the date"}


def _in_words(kept: Sequence[TopicMatch], applied: Sequence[bool], read: Sequence[DetailName], work: Work) -> str:
    names = {UUID(topic["id"]): str(topic["name"]) for topic in work.topics}
    filed = [names[match.topic_id] for match, yes in zip(kept, applied, strict=True) if yes]
    suggested = [names[match.topic_id] for match, yes in zip(kept, applied, strict=True) if not yes]
    said = []
    if filed:
        said.append(f"Filed under {', '.join(filed)}.")
    if suggested:
        said.append(f"Suggested: {', '.join(suggested)}.")
    if not said:
        said.append("No topic fits." if work.topics else "There are no topics yet.")
    if read:
        said.append(f"Read from it: {', '.join(_NAMES[name] for name in read)}.")
    return " ".join(said)
