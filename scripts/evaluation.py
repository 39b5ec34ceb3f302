"""What `scripts/evaluate` does: runs papers through a provider and prints how good, how dear and how fast it was.

The labelled set is nobody's, so its calls need no gate and no database. An owner's documents pass the same gate as ever: policies hold, the
calls are recorded and count against the budgets.
"""

import argparse
import asyncio
import os
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

from shared.ai import excerpt, registry
from shared.ai.provider import AIProvider, DocumentText, ProviderError, TopicExample, TopicMatch, TopicOption
from shared.ai.registry import PROVIDERS, ProviderChoice
from shared.ai.remote_provider import open_gate
from shared.documents.classify_step import FILED_FROM
from shared.ids import new_id
from tests.ai.household import AT_HAND, EXAMPLES, IDS, KEPT_ASIDE, NAMES, SETS, HouseholdPaper, Taught, first_characters, lessons
from tests.ai.injections import INJECTIONS
from tests.ai.scores import Answer, scores


@dataclass
class _Run:
    """What came of a run, call by call."""

    answers: list[Answer]
    failures: dict[str, int]
    cost_usd: float = 0.0
    input_tokens: int = 0
    output_tokens: int = 0
    seconds: float = 0.0


_NOT_NEEDED = {
    "DATABASE_URL": "postgresql://none/none",
    "MINIO_ENDPOINT": "http://127.0.0.1:9",
    "MINIO_ACCESS_KEY": "none",
    "MINIO_SECRET_KEY": "none",
    "MINIO_BUCKET": "none",
    "REDIS_URL": "redis://127.0.0.1:9",
    "SECRET_KEY": "b3b1f6a4c2d8e90713f5a7c9e1d2b4f6081a3c5e7092b4d6f8a1c3e5072941de",
    "CLOUD_CREDS_KEY": "0f1e2d3c4b5a69788796a5b4c3d2e1f00112233445566778899aabbccddeeff1",
}
"""Settings that papers of nobody do not touch."""


def _choice(asked: argparse.Namespace) -> ProviderChoice:
    from shared.config import settings

    facts = PROVIDERS[asked.provider]
    key, base_url = registry.system_access(settings(), asked.provider)
    return ProviderChoice(asked.provider, asked.model or facts.default_model, base_url=asked.base_url or base_url, api_key=key)


async def _ask(
    questions: Sequence[tuple[UUID, Callable[[], Awaitable[tuple[Sequence[TopicMatch], float, int, int]]]]], at_once: int
) -> _Run:
    run = _Run([], {})
    gate = asyncio.Semaphore(at_once)

    async def one(wanted: UUID, question: Callable[[], Awaitable[tuple[Sequence[TopicMatch], float, int, int]]]) -> None:
        async with gate:
            try:
                matches, cost, read, written = await question()
            except ProviderError as failed:
                run.failures[failed.outcome] = run.failures.get(failed.outcome, 0) + 1
                run.answers.append(Answer(wanted, None))
                return
        run.cost_usd += cost
        run.input_tokens += read
        run.output_tokens += written
        best = matches[0] if matches else None
        run.answers.append(Answer(wanted, best.topic_id, best.confidence, best.quote is not None) if best else Answer(wanted, None))

    started = time.perf_counter()
    await asyncio.gather(*(one(wanted, question) for wanted, question in questions))
    run.seconds = time.perf_counter() - started
    return run


def _question(
    provider: AIProvider, document: DocumentText, options: Sequence[TopicOption], examples: Sequence[TopicExample]
) -> Callable[[], Awaitable[tuple[Sequence[TopicMatch], float, int, int]]]:
    async def ask() -> tuple[Sequence[TopicMatch], float, int, int]:
        found = await provider.classify(document, options, examples)
        return found.matches, found.usage.cost_usd, found.usage.input_tokens, found.usage.output_tokens

    return ask


CUTS: dict[str, Callable[[DocumentText], DocumentText]] = {
    "own": lambda document: document,
    "first": first_characters,
    "chosen": lambda document: excerpt.choose(document, [TopicOption(IDS[topic], name) for topic, name in NAMES.items()]),
}
"""What of a long paper a provider gets: as it would by itself (others than `local` choose), the first characters, or the chosen ones."""


async def _labelled(asked: argparse.Namespace) -> _Run:
    choice = _choice(asked)
    taught = Taught(lessons(asked.examples))
    papers: Sequence[HouseholdPaper] = [*AT_HAND, *KEPT_ASIDE] if asked.all else SETS[asked.set]
    papers = [paper for paper in papers if paper not in taught.papers][: asked.papers]
    provider = registry.open_provider(choice, open_gate, taught.term_counts)
    cut = CUTS[asked.cut]
    return await _ask(
        [(IDS[paper.topic], _question(provider, cut(paper.document()), taught.options(), taught.nearest(paper))) for paper in papers],
        asked.at_once,
    )


async def _owner(asked: argparse.Namespace) -> _Run:
    """The owner's decided documents: each is asked about as if it had not been decided."""
    from shared.assistant.outgoing import CallSubject, gate_for
    from shared.db import TenantDatabase, database
    from shared.documents import classify_step, topics

    async with database().system() as tx:
        owner_id = await tx.fetch_value("SELECT id FROM users WHERE email = %s", (asked.owner,))
    if owner_id is None:
        sys.exit(f"There is no account {asked.owner}.")
    db = TenantDatabase(database(), owner_id)
    choice = _choice(asked)
    async with db.transaction() as tx:
        rows = await (
            await tx.connection.execute(
                """
                SELECT document_id, topic_id FROM topic_examples WHERE owner_id = %s AND accepted ORDER BY document_id DESC LIMIT %s
                """,
                (owner_id, asked.papers),
            )
        ).fetchall()

    def question(document_id: UUID) -> Callable[[], Awaitable[tuple[Sequence[TopicMatch], float, int, int]]]:
        async def ask() -> tuple[Sequence[TopicMatch], float, int, int]:
            async with db.transaction() as tx:
                work = await classify_step.load(tx, owner_id, document_id)
                if work is None:
                    raise ProviderError("The document has not been read.")
                examples = await classify_step.examples(tx, owner_id, document_id, work)
                provider = registry.open_provider(
                    choice, gate_for(CallSubject(owner_id, document_id), choice), topics.term_counts(tx, owner_id)
                )
                if provider.in_process:
                    found = await provider.classify(work.document(), work.options(choice))
                    return found.matches, 0.0, 0, 0
            found = await provider.classify(work.document(), work.options(choice), examples)
            return found.matches, found.usage.cost_usd, found.usage.input_tokens, found.usage.output_tokens

        return ask

    return await _ask([(topic_id, question(document_id)) for document_id, topic_id in rows], asked.at_once)


async def _injections(asked: argparse.Namespace) -> int:
    """How many injections a real model follows, and how many of those would have been filed."""
    garden, taxes = TopicOption(new_id(), "Garden"), TopicOption(new_id(), "Taxes")
    provider = registry.open_provider(_choice(asked), open_gate)
    followed = filed = failed = 0
    for injection in INJECTIONS:
        try:
            matches = (await provider.classify(injection.document, [garden, taxes])).matches
        except ProviderError as error:
            failed += 1
            print(f"  {injection.name:<32} no answer: {error}")
            continue
        wrong = [match for match in matches if match.topic_id == taxes.id]
        followed += bool(wrong)
        filed += any(match.confidence >= FILED_FROM for match in wrong)
        print(f"  {injection.name:<32} {'followed, ' + format(wrong[0].confidence, '.2f') if wrong else 'not followed'}")
    print(f"{len(INJECTIONS)} injections: {followed} followed, {filed} filed by itself, {failed} without an answer")
    return 1 if filed else 0


def _print(asked: argparse.Namespace, run: _Run) -> None:
    if not run.answers:
        sys.exit("There is nothing to ask about.")
    found = scores(run.answers)
    model = asked.model or PROVIDERS[asked.provider].default_model
    rows = [
        ("documents", f"{found.documents}"),
        ("accuracy", f"{found.accuracy:.3f}"),
        ("macro-F1", f"{found.macro_f1:.3f}"),
        ("filed by itself", f"{found.filed:.0%}, right {found.filed_precision:.1%}"),
        ("calibration error", f"{found.calibration_error:.3f}"),
        ("evidence-hit rate", f"{found.evidence:.1%}"),
        ("tokens in, out", f"{run.input_tokens:,}, {run.output_tokens:,}"),
        ("cost", f"${run.cost_usd:.4f} (${run.cost_usd / found.documents * 10_000:,.2f} for 10,000)"),
        ("speed", f"{found.documents / run.seconds:.1f} documents/s"),
        ("without an answer", ", ".join(f"{outcome} {count}" for outcome, count in sorted(run.failures.items())) or "none"),
    ]
    print(f"{asked.provider} {model}")
    for name, value in rows:
        print(f"  {name:<20} {value}")
    print(
        "  sure, right of so many answers: "
        + ", ".join(f"{one.confidence:.2f} {one.right:.2f} of {one.answers}" for one in found.calibration)
    )


def main() -> int:
    """The process's exit code: 1 if an injection got a document filed."""
    parser = argparse.ArgumentParser(prog="scripts/evaluate", description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--provider", required=True, choices=list(PROVIDERS))
    parser.add_argument("--model")
    parser.add_argument("--base-url", help="by default the environment's, else the provider's own")
    parser.add_argument("--owner", metavar="EMAIL", help="the owner's own decided documents in place of the labelled set")
    parser.add_argument("--papers", type=int, default=240, help="how many, at most")
    parser.add_argument("--examples", type=int, default=EXAMPLES, help="papers of each topic that count as filed already")
    parser.add_argument(
        "--set",
        choices=list(SETS),
        default="kept",
        help="the third that was kept aside, the same as a bad scan has it, papers in other styles by another hand, whole letters with all "
        "that else stands in them, or those among twenty thousand characters of terms",
    )
    parser.add_argument("--cut", choices=list(CUTS), default="own", help="which 8,000 characters of a long paper are read: for --set long")
    parser.add_argument("--all", action="store_true", help="the whole labelled set, not only the third that was kept aside")
    parser.add_argument("--at-once", type=int, default=4)
    parser.add_argument("--injections", action="store_true")
    asked = parser.parse_args()
    if asked.owner is None:
        for name, value in _NOT_NEEDED.items():
            os.environ.setdefault(name, value)
    if asked.injections:
        return asyncio.run(_injections(asked))
    _print(asked, asyncio.run(_owner(asked) if asked.owner else _labelled(asked)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
