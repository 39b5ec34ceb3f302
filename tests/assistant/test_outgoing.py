"""The gate: what it lets out, what it keeps, and what it writes down; exact however many ask at once."""

import asyncio
import hashlib
import json
from dataclasses import replace
from decimal import Decimal
from uuid import UUID

import pytest

from shared.ai import registry
from shared.ai.provider import (
    AIProvider,
    DocumentText,
    PageText,
    ProviderAnswerInvalid,
    ProviderError,
    ProviderKeyRefused,
    ProviderRateLimited,
    ProviderUnavailable,
    TopicOption,
)
from shared.ai.registry import ProviderChoice
from shared.assistant import call_log, circuits
from shared.assistant.budgets import MONTH
from shared.assistant.models import AICall
from shared.assistant.outgoing import BudgetExceeded, CallSubject, PolicyForbids, ProviderResting, gate_for
from shared.assistant.policies import POLICY, TOPIC_POLICY
from shared.db import Database, TenantDatabase
from shared.documents import topics
from shared.documents.models import AIPolicy
from shared.documents.topic_models import NewTopic, TopicChange
from shared.ids import new_id
from tests.ai.servers import openai_server as openai_api
from tests.ai.servers.models import saying
from tests.ai.servers.openai_server import OpenAIServer
from tests.documents import papers

PAPER = DocumentText("bill", "bill.pdf", "en", (PageText(1, "Invoice number 7. The secret word is rumpelstiltskin."),))
TOPICS = [TopicOption(new_id(), "Invoices")]


def _opened(owner: UUID, choice: ProviderChoice, document: UUID | None = None) -> AIProvider:
    return registry.open_provider(choice, gate_for(CallSubject(owner, document), choice))


async def _calls(db: Database, owner: UUID) -> list[AICall]:
    return (await call_log.page(TenantDatabase(db, owner), limit=200, cursor=None)).items


async def _spending(db: Database, owner: UUID) -> tuple[Decimal, Decimal]:
    async with db.tenant(owner) as tx:
        return (
            await tx.fetch_value("SELECT coalesce(sum(spent), 0) FROM ai_spending WHERE owner_id = %s", (owner,)),
            await tx.fetch_value("SELECT coalesce(sum(reserved), 0) FROM ai_spending WHERE owner_id = %s", (owner,)),
        )


async def _budget(db: Database, owner: UUID, usd: str, provider: str = "openai") -> None:
    async with db.tenant(owner) as tx:
        await tx.execute(
            "INSERT INTO ai_settings (owner_id, provider, model, mode, monthly_budget_usd) VALUES (%s, %s, 'gpt-4o', 'apply', %s)",
            (owner, provider, usd),
        )


async def test_every_call_is_recorded_without_its_text(db: Database, owner: UUID, server: OpenAIServer, choice: ProviderChoice) -> None:
    await _opened(owner, choice).classify(PAPER, TOPICS)
    [call] = await _calls(db, owner)
    sent = server.requests[0].json["messages"]
    hashed = hashlib.sha256(json.dumps(sent, ensure_ascii=False, separators=(",", ":")).encode()).hexdigest()
    assert (call.kind, call.provider, call.model, call.outcome) == ("classify", "openai", "gpt-4o", "done")
    assert call.sha256 == hashed
    assert call.characters == len("bill") + len("bill.pdf") + len(PAPER.pages[0].text)
    assert call.input_tokens > 0
    assert call.output_tokens > 0
    assert call.cost_usd == pytest.approx((call.input_tokens * 2.5 + call.output_tokens * 10) / 1e6)
    async with db.tenant(owner) as tx:
        assert "rumpelstiltskin" not in str(await tx.fetch_value("SELECT jsonb_agg(c) FROM ai_calls AS c WHERE owner_id = %s", (owner,)))
    spent, reserved = await _spending(db, owner)
    assert float(spent) == pytest.approx(call.cost_usd)
    assert reserved == 0


@pytest.mark.parametrize(("status", "expected"), [(500, ProviderUnavailable), (401, ProviderKeyRefused), (429, ProviderRateLimited)])
async def test_a_refused_call_costs_nothing_and_is_recorded(
    db: Database, owner: UUID, server: OpenAIServer, choice: ProviderChoice, status: int, expected: type[ProviderError]
) -> None:
    server.always = openai_api.error(status)
    with pytest.raises(expected):
        await _opened(owner, choice).classify(PAPER, TOPICS)
    [call] = await _calls(db, owner)
    assert (call.outcome, call.cost_usd) == (expected.outcome, 0)
    assert await _spending(db, owner) == (Decimal(0), Decimal(0))


async def test_rambling_costs_what_the_provider_said(db: Database, owner: UUID, server: OpenAIServer, choice: ProviderChoice) -> None:
    server.model = saying("Well, that is hard to say. " * 20)
    with pytest.raises(ProviderAnswerInvalid):
        await _opened(owner, choice).classify(PAPER, TOPICS)
    [call] = await _calls(db, owner)
    assert call.outcome == "invalid_response"
    assert call.cost_usd > 0


async def test_fifty_at_once_with_one_cent_left_spend_no_more_than_it(
    db: Database, owner: UUID, server: OpenAIServer, choice: ProviderChoice
) -> None:
    await _budget(db, owner, "0.05")
    server.seconds = 0.2

    async def ask() -> bool:
        try:
            await _opened(owner, choice).classify(PAPER, TOPICS)
        except BudgetExceeded:
            return False
        return True

    served = sum(await asyncio.gather(*(ask() for _ in range(50))))
    spent, reserved = await _spending(db, owner)
    assert 1 <= served < 50
    assert len(server.requests) == served
    assert spent <= Decimal("0.05")
    assert reserved == 0
    # What the calls did not need was given back: there is room for more now, until there is none.
    for _ in range(200):
        if not await ask():
            break
    else:
        pytest.fail("the budget has no end")
    spent, reserved = await _spending(db, owner)
    assert Decimal("0.03") < spent <= Decimal("0.05")
    assert reserved == 0


async def test_fifty_owners_at_once_spend_no_more_than_the_systems_last_cent(
    own_instance: Database, server: OpenAIServer, choice: ProviderChoice
) -> None:
    owners = [new_id() for _ in range(50)]
    shared = replace(choice, model="gpt-4o-mini")  # of which a call reserves a fifteenth of a cent
    server.seconds = 0.2
    async with own_instance.system() as tx:
        for owner in owners:
            await tx.execute("INSERT INTO users (id, email, password_hash) VALUES (%s, %s, '!')", (owner, f"{owner.hex}@example.org"))
        await tx.execute(f"INSERT INTO ai_system_spending (month, spent) SELECT {MONTH}, 9.99")
        await tx.execute("INSERT INTO ai_system_settings (id, monthly_budget_usd) VALUES (1, 10)")

    async def ask(owner: UUID) -> bool:
        try:
            await _opened(owner, shared).classify(PAPER, TOPICS)
        except BudgetExceeded:
            return False
        return True

    served = sum(await asyncio.gather(*(ask(owner) for owner in owners)))
    async with own_instance.system() as tx:
        spent = await tx.fetch_value("SELECT spent FROM ai_system_spending")
        reserved = await tx.fetch_value("SELECT reserved FROM ai_system_spending")
    assert 1 <= served < 50
    assert len(server.requests) == served
    assert Decimal("9.99") < spent <= 10
    assert reserved == 0


async def test_a_budget_of_nothing_lets_nothing_out_that_costs(
    db: Database, owner: UUID, server: OpenAIServer, choice: ProviderChoice
) -> None:
    await _budget(db, owner, "0")
    with pytest.raises(BudgetExceeded):
        await _opened(owner, choice).classify(PAPER, TOPICS)
    assert server.requests == []
    assert await _calls(db, owner) == []


async def test_a_model_nobody_has_a_price_for_counts_as_dear(
    db: Database, owner: UUID, server: OpenAIServer, choice: ProviderChoice
) -> None:
    await _budget(db, owner, "0.02")
    unknown = ProviderChoice("openai", "house-model-1", base_url=choice.base_url, api_key=choice.api_key)
    with pytest.raises(BudgetExceeded):
        await _opened(owner, unknown).classify(PAPER, TOPICS)
    assert server.requests == []


async def test_a_call_whose_process_died_counts_as_spent(db: Database, owner: UUID, server: OpenAIServer, choice: ProviderChoice) -> None:
    server.seconds = 30
    call = asyncio.ensure_future(_opened(owner, choice).classify(PAPER, TOPICS))
    while not server.requests:
        await asyncio.sleep(0.01)
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    _, reserved = await _spending(db, owner)
    assert reserved > 0
    async with db.tenant(owner) as tx:
        await tx.execute("UPDATE ai_calls SET lost_from = now() - interval '1 second' WHERE owner_id = %s", (owner,))
    await call_log.end_lost(db)
    await call_log.end_lost(db)
    [lost] = await _calls(db, owner)
    assert lost.outcome == "lost"
    assert await _spending(db, owner) == (reserved, Decimal(0))


async def test_after_three_failures_a_provider_is_left_alone_then_tried_by_one(
    db: Database, owner: UUID, server: OpenAIServer, choice: ProviderChoice
) -> None:
    server.always = openai_api.error(500)
    for _ in range(circuits.FAILURES_ALLOWED):
        with pytest.raises(ProviderUnavailable):
            await _opened(owner, choice).classify(PAPER, TOPICS)
    with pytest.raises(ProviderResting) as resting:
        await _opened(owner, choice).classify(PAPER, TOPICS)
    assert resting.value.retry_after is not None
    assert 0 < resting.value.retry_after <= circuits.FIRST_REST_SECONDS
    assert len(server.requests) == circuits.FAILURES_ALLOWED
    await _time_is_up(db, circuits.endpoint(choice, owner))
    server.always, server.released = None, asyncio.Event()
    calls = [asyncio.ensure_future(_opened(owner, choice).classify(PAPER, TOPICS)) for _ in range(5)]
    while sum(call.done() for call in calls) < 4:
        await asyncio.sleep(0.01)
    server.released.set()
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert sum(isinstance(outcome, ProviderResting) for outcome in outcomes) == 4
    await _opened(owner, choice).classify(PAPER, TOPICS)


async def test_retry_after_is_honoured(db: Database, owner: UUID, server: OpenAIServer, choice: ProviderChoice) -> None:
    server.always = openai_api.error(429, headers={"retry-after": "17"})
    with pytest.raises(ProviderRateLimited):
        await _opened(owner, choice).classify(PAPER, TOPICS)
    with pytest.raises(ProviderResting) as resting:
        await _opened(owner, choice).classify(PAPER, TOPICS)
    assert resting.value.retry_after == pytest.approx(17, abs=2)
    assert len(server.requests) == 1


async def test_an_owners_broken_key_closes_the_way_for_nobody_else(
    db: Database, owner: UUID, other_owner: UUID, server: OpenAIServer, choice: ProviderChoice, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = ProviderChoice("openai", "gpt-4o", api_key="sk-wrong", own=True)
    assert circuits.endpoint(broken, owner) != circuits.endpoint(broken, other_owner)
    assert circuits.endpoint(choice, owner) == circuits.endpoint(choice, other_owner)
    async with db.system() as tx:
        await circuits.failed(tx, circuits.endpoint(broken, owner), ProviderKeyRefused("no"))
        assert (await circuits.admit(tx, circuits.endpoint(broken, owner)))[0] > 0
        assert (await circuits.admit(tx, circuits.endpoint(broken, other_owner)))[0] == 0
    await circuits.forget(owner)
    async with db.system() as tx:
        assert (await circuits.admit(tx, circuits.endpoint(broken, owner)))[0] == 0


@pytest.mark.parametrize("policy", ["never", "local_only"])
async def test_no_text_leaves_against_a_documents_policy(
    db: Database, owner: UUID, server: OpenAIServer, choice: ProviderChoice, policy: str
) -> None:
    document = await papers.extracted(db, owner, papers.INVOICE)
    provider = _opened(owner, choice, document)
    await provider.classify(PAPER, TOPICS)
    async with db.tenant(owner) as tx:
        await tx.execute("UPDATE documents SET ai_policy = %s WHERE id = %s", (policy, document))
    with pytest.raises(PolicyForbids):
        await provider.classify(PAPER, TOPICS)
    with pytest.raises(PolicyForbids):
        await provider.suggest_topics(PAPER, TOPICS)
    assert len(server.requests) == 1


async def test_a_topics_policy_holds_for_the_documents_in_it(
    db: Database, owner: UUID, server: OpenAIServer, choice: ProviderChoice
) -> None:
    document = await papers.extracted(db, owner, papers.INVOICE)
    topic = await topics.create(TenantDatabase(db, owner), NewTopic(name="Divorce", ai_policy="local_only"))
    async with db.tenant(owner) as tx:
        await topics.file(tx, owner_id=owner, document_id=document, topic_ids=[topic.id])
    with pytest.raises(PolicyForbids):
        await _opened(owner, choice, document).classify(PAPER, TOPICS)
    assert server.requests == []


@pytest.mark.parametrize(
    ("parents", "own"), [("never", "inherit"), ("local_only", "inherit"), ("inherit", "local_only"), ("never", "local_only")]
)
async def test_the_stricter_policy_of_a_topic_and_its_parent_holds_for_the_documents_in_it(
    db: Database, owner: UUID, server: OpenAIServer, choice: ProviderChoice, parents: AIPolicy, own: AIPolicy
) -> None:
    vault = TenantDatabase(db, owner)
    document = await papers.extracted(db, owner, papers.INVOICE)
    parent = await topics.create(vault, NewTopic(name="Family", ai_policy=parents))
    child = await topics.create(vault, NewTopic(name="Divorce", ai_policy=own))
    async with db.tenant(owner) as tx:
        await topics.file(tx, owner_id=owner, document_id=document, topic_ids=[child.id])
    if own == "inherit":
        await _opened(owner, choice, document).classify(PAPER, TOPICS)
        server.requests.clear()
    await topics.update(vault, child.id, TopicChange(parent_id=parent.id))
    async with db.tenant(owner) as tx:
        policy = await tx.fetch_value(f"SELECT {POLICY} FROM documents AS d WHERE d.id = %s", (document,))
        topic_policy = await tx.fetch_value(f"SELECT {TOPIC_POLICY} FROM topics AS t WHERE t.id = %s", (child.id,))
    assert policy == topic_policy == (parents if parents != "inherit" else own)
    with pytest.raises(PolicyForbids):
        await _opened(owner, choice, document).classify(PAPER, TOPICS)
    assert server.requests == []


async def test_a_topics_policy_says_nothing_of_the_documents_in_its_parent_and_beside_it(
    db: Database, owner: UUID, server: OpenAIServer, choice: ProviderChoice
) -> None:
    vault = TenantDatabase(db, owner)
    document = await papers.extracted(db, owner, papers.INVOICE)
    parent = await topics.create(vault, NewTopic(name="Family"))
    await topics.create(vault, NewTopic(name="Divorce", parent_id=parent.id, ai_policy="never"))
    beside = await topics.create(vault, NewTopic(name="House", parent_id=parent.id))
    async with db.tenant(owner) as tx:
        await topics.file(tx, owner_id=owner, document_id=document, topic_ids=[parent.id, beside.id])
    await _opened(owner, choice, document).classify(PAPER, TOPICS)
    assert len(server.requests) == 1


async def test_another_owners_document_is_none_of_the_callers(
    db: Database, owner: UUID, other_owner: UUID, server: OpenAIServer, choice: ProviderChoice
) -> None:
    document = await papers.extracted(db, other_owner, papers.INVOICE)
    with pytest.raises(PolicyForbids):
        await _opened(owner, choice, document).classify(PAPER, TOPICS)
    assert server.requests == []


async def _time_is_up(db: Database, endpoint: str) -> None:
    async with db.system() as tx:
        await tx.execute("UPDATE ai_circuits SET closed_until = now() - interval '1 second' WHERE endpoint = %s", (endpoint,))
