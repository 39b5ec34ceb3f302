"""Title, sender and date that a provider reads: set with a quote, never over a person's own value, undone, accepted, rejected."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import date
from typing import Any
from uuid import UUID

import pytest

from shared.ai.provider import DETAILS, DetailName
from shared.ai.registry import ProviderChoice
from shared.api.models import PageQuery
from shared.assistant import choices
from shared.assistant.models import NewAISettings
from shared.db import Database, TenantDatabase
from shared.documents import ai_requests, classify_step, details, proposals, senders
from shared.documents.ai_models import EstimateRequest, Proposal
from shared.documents.change_models import DocumentChange
from shared.documents.topic_models import Decision
from shared.errors import NotFound
from shared.ids import new_id
from tests.ai.servers import openai_server as openai_api
from tests.ai.servers.models import saying
from tests.ai.servers.openai_server import OpenAIServer, openai_server
from tests.documents import papers
from tests.documents.papers import INVOICE

FOUND = ("Northwind Web Studio Ltd", "Northwind Web Studio Ltd", date(2024, 5, 2))


@asynccontextmanager
async def _server(**members: Any) -> AsyncIterator[tuple[OpenAIServer, ProviderChoice]]:
    async with openai_server(OpenAIServer(**members)) as server:
        yield server, ProviderChoice("openai", "gpt-4o", base_url=f"{server.url}/v1", api_key=openai_api.KEY, propose=DETAILS)


async def _classify(db: Database, owner: UUID, document: UUID, choice: ProviderChoice, *, revision: int = 1) -> None:
    await _choose(db, owner, choice)
    vault = TenantDatabase(db, owner)
    await classify_step.classify(vault, document_id=document, revision=revision, system=choice)
    await classify_step.run_tasks(vault, system=choice)


async def _choose(db: Database, owner: UUID, choice: ProviderChoice) -> None:
    """The system's provider is `choice`; what is read beside topics is the owner's own setting."""
    async with db.tenant(owner) as tx:
        await tx.execute(
            """
            INSERT INTO ai_settings (owner_id, provider, model, mode, propose) VALUES (%s, %s, %s, %s, %s)
            ON CONFLICT (owner_id) DO UPDATE SET mode = excluded.mode, propose = excluded.propose
            """,
            (owner, choice.provider, choice.model, choice.mode, list(choice.propose)),
        )


@dataclass(frozen=True)
class _Details:
    title: str
    sender: str | None
    issued_on: date | None
    sources: Sequence[str | None]
    issued_on_place: str | None


async def _details(db: Database, owner: UUID, document: UUID) -> _Details:
    async with db.tenant(owner) as tx:
        found = await tx.fetch_one(
            """
            SELECT title, issued_on, issued_on_place, ARRAY[title_source, sender_source, issued_on_source] AS sources,
                (SELECT name FROM senders WHERE id = sender_id) AS sender
            FROM documents WHERE id = %s
            """,
            (document,),
            row=_Details,
        )
    assert found is not None
    return found


async def _proposals(db: Database, owner: UUID, document: UUID) -> dict[DetailName, Proposal]:
    found = await proposals.page(TenantDatabase(db, owner), document, PageQuery())
    return {proposal.name: proposal for proposal in found.items}


async def _decide(db: Database, owner: UUID, document: UUID, name: DetailName, decision: Decision) -> Proposal:
    proposal = (await _proposals(db, owner, document))[name]
    async with db.tenant(owner) as tx:
        return await proposals.decide(tx, owner_id=owner, document_id=document, proposal_id=proposal.id, decision=decision)


async def test_what_is_read_is_set_with_its_quote_in_the_same_call(db: Database, owner: UUID) -> None:
    await papers.topic(db, owner, "Invoices")
    document = await papers.extracted(db, owner, INVOICE)
    async with _server() as (server, choice):
        await _classify(db, owner, document, choice)
        assert len(server.requests) == 1
    now = await _details(db, owner, document)
    assert (now.title, now.sender, now.issued_on) == FOUND
    assert now.sources == ["ai", "ai", "ai"]
    assert now.issued_on_place == "page 1: date: 2 May 2024"
    found = await _proposals(db, owner, document)
    assert {proposal.state for proposal in found.values()} == {"accepted"}
    assert all(proposal.quote in INVOICE and proposal.page == 1 for proposal in found.values())
    async with db.tenant(owner) as tx:
        step = await papers.step(tx, document)
    assert step is not None
    assert step.detail == "Filed under Invoices. Read from it: the title, the sender, the date."


async def test_without_the_setting_nothing_is_asked_for(db: Database, owner: UUID) -> None:
    await papers.topic(db, owner, "Invoices")
    document = await papers.extracted(db, owner, INVOICE)
    async with _server() as (server, choice):
        await _classify(db, owner, document, replace(choice, propose=()))
        assert "issued_on" not in server.requests[0].body.decode()
    assert await _proposals(db, owner, document) == {}


async def test_details_are_read_of_an_owner_without_topics(db: Database, owner: UUID) -> None:
    document = await papers.extracted(db, owner, INVOICE)
    async with _server() as (_, choice):
        await _classify(db, owner, document, replace(choice, propose=("issued_on",)))
    now = await _details(db, owner, document)
    assert (now.issued_on, now.sender) == (date(2024, 5, 2), None)


async def test_a_persons_own_value_stays_and_gets_no_proposal(db: Database, owner: UUID) -> None:
    document = await papers.extracted(db, owner, INVOICE)
    async with db.tenant(owner) as tx:
        await tx.execute(
            """
            UPDATE documents SET title = 'Mine', title_source = 'owner', issued_on_source = 'owner', sender_source = 'owner' WHERE id = %s
            """,
            (document,),
        )
    async with _server() as (_, choice):
        await _classify(db, owner, document, choice)
    now = await _details(db, owner, document)
    assert (now.title, now.sender, now.issued_on) == ("Mine", None, None)
    assert await _proposals(db, owner, document) == {}


async def test_what_a_surer_source_said_is_only_proposed_against(db: Database, owner: UUID) -> None:
    document = await papers.extracted(db, owner, INVOICE)
    async with db.tenant(owner) as tx:
        await details.propose(tx, owner_id=owner, document_id=document, source="mail", issued_on=date(2024, 5, 3))
    async with _server() as (_, choice):
        await _classify(db, owner, document, choice)
    assert (await _details(db, owner, document)).issued_on == date(2024, 5, 3)
    assert (await _proposals(db, owner, document))["issued_on"].state == "open"
    assert (await _decide(db, owner, document, "issued_on", "accept")).state == "accepted"
    now = await _details(db, owner, document)
    assert (now.issued_on, now.sources[2]) == (date(2024, 5, 2), "owner")


async def test_in_the_mode_suggest_nothing_is_set_until_the_owner_accepts(db: Database, owner: UUID) -> None:
    document = await papers.extracted(db, owner, INVOICE)
    async with _server() as (_, choice):
        await _classify(db, owner, document, replace(choice, mode="suggest"))
    before = await _details(db, owner, document)
    assert (before.title, before.sender, before.issued_on) == ("scan.pdf", None, None)
    assert {proposal.state for proposal in (await _proposals(db, owner, document)).values()} == {"open"}
    for name in DETAILS:
        await _decide(db, owner, document, name, "accept")
    now = await _details(db, owner, document)
    assert (now.title, now.sender, now.issued_on) == FOUND
    assert now.sources == ["owner", "owner", "owner"]


async def test_a_sender_that_was_accepted_stays_when_its_last_document_goes(db: Database, owner: UUID) -> None:
    document = await papers.extracted(db, owner, INVOICE)
    async with _server() as (_, choice):
        await _classify(db, owner, document, choice)
    await _decide(db, owner, document, "sender", "accept")
    await details.update(TenantDatabase(db, owner), document, DocumentChange(sender="Another"))
    async with db.tenant(owner) as tx:
        assert await tx.fetch_value("SELECT by_owner FROM senders WHERE owner_id = %s AND name = %s", (owner, FOUND[1])) is True


async def test_a_sender_is_accepted_as_the_one_that_is_written_so(db: Database, owner: UUID) -> None:
    document = await papers.extracted(db, owner, INVOICE)
    async with db.tenant(owner) as tx:
        northwind = await senders.named(tx, owner, "Northwind")
        await senders.learn(tx, owner, written="Northwind Web Studio Ltd", sender_id=northwind)
    async with _server() as (_, choice):
        await _classify(db, owner, document, replace(choice, mode="suggest"))
    await _decide(db, owner, document, "sender", "accept")
    assert (await _details(db, owner, document)).sender == "Northwind"


async def test_there_is_room_for_a_sender_that_a_person_accepts(db: Database, owner: UUID) -> None:
    document = await papers.extracted(db, owner, INVOICE)
    async with db.tenant(owner) as tx:
        await tx.execute(
            """
            INSERT INTO senders (id, owner_id, name, name_key, alias_key)
            SELECT gen_random_uuid(), %s, 'S' || n, 's' || n, 's' || n FROM generate_series(1, %s) AS n
            """,
            (owner, senders.READ_AT_MOST),
        )
    async with _server() as (_, choice):
        await _classify(db, owner, document, choice)
    assert (await _details(db, owner, document)).sender is None
    await _decide(db, owner, document, "sender", "accept")
    assert (await _details(db, owner, document)).sender == FOUND[1]


async def test_undoing_puts_back_what_stood_there_and_opens_the_proposals(db: Database, owner: UUID) -> None:
    document = await papers.extracted(db, owner, INVOICE)
    async with db.tenant(owner) as tx:
        await details.propose(tx, owner_id=owner, document_id=document, source="text", sender="Harcourt Bakery", issued_on=date(2024, 1, 1))
    before = await _details(db, owner, document)
    async with _server() as (_, choice):
        await _classify(db, owner, document, choice)
        assert (await _details(db, owner, document)).sender == FOUND[1]
        for _ in range(2):
            async with db.tenant(owner) as tx:
                await classify_step.undo(tx, owner_id=owner, document_id=document)
            assert await _details(db, owner, document) == before
            assert {proposal.state for proposal in (await _proposals(db, owner, document)).values()} == {"open"}


async def test_undoing_leaves_what_a_person_has_set_since(db: Database, owner: UUID) -> None:
    document = await papers.extracted(db, owner, INVOICE)
    async with _server() as (_, choice):
        await _classify(db, owner, document, choice)
    async with db.tenant(owner) as tx:
        await tx.execute("UPDATE documents SET title = 'Mine', title_source = 'owner' WHERE id = %s", (document,))
        await classify_step.undo(tx, owner_id=owner, document_id=document)
    now = await _details(db, owner, document)
    assert (now.title, now.sender, now.issued_on) == ("Mine", None, None)


async def test_what_is_rejected_is_taken_back_and_not_proposed_again(db: Database, owner: UUID) -> None:
    document = await papers.extracted(db, owner, INVOICE)
    async with _server() as (_, choice):
        await _classify(db, owner, document, choice)
        assert (await _decide(db, owner, document, "sender", "reject")).state == "rejected"
        assert (await _details(db, owner, document)).sender is None
        async with db.tenant(owner) as tx:
            await tx.execute("UPDATE documents SET revision = 2, status = 'extracted' WHERE id = %s", (document,))
        await _classify(db, owner, document, choice, revision=2)
    assert (await _details(db, owner, document)).sender is None
    assert (await _proposals(db, owner, document))["sender"].state == "rejected"


async def test_a_second_run_that_says_the_same_is_undone_to_the_first(db: Database, owner: UUID) -> None:
    document = await papers.extracted(db, owner, INVOICE)
    async with _server() as (_, choice):
        await _classify(db, owner, document, choice)
        async with db.tenant(owner) as tx:
            await tx.execute("UPDATE documents SET revision = 2, status = 'extracted' WHERE id = %s", (document,))
        await _classify(db, owner, document, choice, revision=2)
    async with db.tenant(owner) as tx:
        await classify_step.undo(tx, owner_id=owner, document_id=document)
    now = await _details(db, owner, document)
    assert (now.title, now.sender, now.issued_on) == FOUND


async def test_open_proposals_that_a_later_run_does_not_make_are_withdrawn(db: Database, owner: UUID) -> None:
    document = await papers.extracted(db, owner, INVOICE)
    async with _server() as (server, choice):
        suggesting = replace(choice, mode="suggest")
        await _classify(db, owner, document, suggesting)
        server.model = saying('{"topics": [], "title": null, "sender": null, "issued_on": null}')
        async with db.tenant(owner) as tx:
            await tx.execute("UPDATE documents SET revision = 2, status = 'extracted' WHERE id = %s", (document,))
        await _classify(db, owner, document, suggesting, revision=2)
    assert await _proposals(db, owner, document) == {}


async def test_proposals_are_their_owners_alone(db: Database, owner: UUID, other_owner: UUID) -> None:
    document = await papers.extracted(db, owner, INVOICE)
    async with _server() as (_, choice):
        await _classify(db, owner, document, choice)
    proposal = (await _proposals(db, owner, document))["title"]
    with pytest.raises(NotFound):
        await proposals.page(TenantDatabase(db, other_owner), document, PageQuery())
    async with db.tenant(other_owner) as tx:
        with pytest.raises(NotFound):
            await proposals.decide(tx, owner_id=other_owner, document_id=document, proposal_id=proposal.id, decision="reject")
    elsewhere = await papers.extracted(db, owner, INVOICE)
    async with db.tenant(owner) as tx:
        for document_id, proposal_id in ((elsewhere, proposal.id), (document, new_id())):
            with pytest.raises(NotFound):
                await proposals.decide(tx, owner_id=owner, document_id=document_id, proposal_id=proposal_id, decision="accept")


async def test_the_setting_is_kept_once_each_in_order_and_told(db: Database, owner: UUID) -> None:
    vault = TenantDatabase(db, owner)
    said = await choices.update(vault, NewAISettings(provider="openai", propose=("issued_on", "title", "title")))
    assert said.propose == ("title", "issued_on")
    assert await choices.get(vault) == said
    async with db.tenant(owner) as tx:
        assert (await choices.effective(tx, owner, ProviderChoice("openai", "gpt-4o"))).propose == ("title", "issued_on")
    assert (await choices.update(vault, NewAISettings(provider="openai"))).propose == ()


async def test_details_are_in_the_preview_and_in_the_estimate(db: Database, owner: UUID) -> None:
    await papers.topic(db, owner, "Invoices")
    document = await papers.extracted(db, owner, INVOICE, status="ready")
    vault = TenantDatabase(db, owner)
    async with _server() as (_, choice):
        costs = []
        for propose in ((), DETAILS):
            await _choose(db, owner, replace(choice, propose=propose))
            preview = await ai_requests.preview(vault, document, system=choice)
            estimate = await ai_requests.estimate(vault, EstimateRequest(ids=[document]), system=choice)
            assert ("issued_on" in preview.messages[0].content) == bool(propose)
            costs.append((preview.cost_usd, estimate.cost_usd))
        assert costs[1][0] > costs[0][0]
        assert costs[1][1] > costs[0][1]
