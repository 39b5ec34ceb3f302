"""Documents that a provider outside reads: always ready in time, filed when it answers, tried again when it does not, never for ever."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from functools import partial
from typing import Any
from uuid import UUID

import pytest

from shared.ai.provider import ProviderName
from shared.ai.registry import PROVIDERS, ProviderChoice
from shared.assistant import call_log, choices, circuits, tasks
from shared.assistant.models import NewAISettings
from shared.db import Database, TenantDatabase
from shared.documents import ai_requests, classify_step, suggestions, topics
from shared.documents.ai_models import EstimateRequest
from shared.documents.topic_models import NewTopic
from shared.errors import NotFound
from tests.ai.servers import openai_server as openai_api
from tests.ai.servers.http_server import Response, json_response
from tests.ai.servers.models import obedient, saying
from tests.ai.servers.openai_server import OpenAIServer, openai_server
from tests.ai.test_remote_providers import REMOTE, server_of
from tests.documents import papers
from tests.documents.papers import INVOICE, POEM

AT_ONCE = PROVIDERS["openai"].at_once


@asynccontextmanager
async def _server(**members: Any) -> AsyncIterator[tuple[OpenAIServer, ProviderChoice]]:
    async with openai_server(OpenAIServer(**members)) as server:
        yield server, ProviderChoice("openai", "gpt-4o", base_url=f"{server.url}/v1", api_key=openai_api.KEY)


async def _step(db: Database, owner: UUID, document: UUID, choice: ProviderChoice, *, revision: int = 1) -> bool:
    return await classify_step.classify(TenantDatabase(db, owner), document_id=document, revision=revision, system=choice)


async def _turn(db: Database, owner: UUID, choice: ProviderChoice) -> bool:
    return await classify_step.run_tasks(TenantDatabase(db, owner), system=choice)


async def _status(db: Database, owner: UUID, document: UUID) -> str:
    async with db.tenant(owner) as tx:
        return str(await tx.fetch_value("SELECT status FROM documents WHERE id = %s", (document,)))


async def _filed(db: Database, owner: UUID, document: UUID) -> list[UUID]:
    async with db.tenant(owner) as tx:
        return [filing.topic_id for filing in await papers.filings(tx, document)]


async def _detail(db: Database, owner: UUID, document: UUID) -> tuple[str, str]:
    async with db.tenant(owner) as tx:
        step = await papers.step(tx, document)
    assert step is not None
    return step.state, step.detail or ""


async def _due(db: Database, owner: UUID, choice: ProviderChoice) -> None:
    """Time passes for everything that waits, here and at the provider."""
    async with db.system() as tx:
        await tx.execute("UPDATE ai_tasks SET not_before = now() WHERE owner_id = %s", (owner,))
        await tx.execute("DELETE FROM ai_circuits WHERE endpoint = %s", (circuits.endpoint(choice, owner),))


async def _task(db: Database, owner: UUID, document: UUID) -> tuple[str, int, float]:
    async with db.tenant(owner) as tx:
        row = await tx.connection.execute(
            "SELECT state, attempts, extract(epoch FROM not_before - now())::float8 FROM ai_tasks WHERE document_id = %s", (document,)
        )
        found = await row.fetchone()
    assert found is not None
    return str(found[0]), int(found[1]), float(found[2])


async def test_a_document_gets_in_line_is_asked_about_and_filed(db: Database, owner: UUID) -> None:
    invoices = await papers.topic(db, owner, "Invoices")
    document = await papers.extracted(db, owner, "Cover letter", INVOICE)
    async with _server() as (server, choice):
        assert await _step(db, owner, document, choice)
        assert await _status(db, owner, document) == "extracted"
        assert server.requests == []
        assert await _turn(db, owner, choice)
        assert not await _turn(db, owner, choice)
        assert len(server.requests) == 1
    assert await _status(db, owner, document) == "ready"
    assert await _filed(db, owner, document) == [invoices]
    async with db.tenant(owner) as tx:
        [suggestion] = await suggestions.of_document(tx, owner_id=owner, document_id=document)
        assert await papers.published(tx, document) == ["document.ready"]
    assert (suggestion.provider, suggestion.model, suggestion.page, suggestion.state) == ("openai", "gpt-4o", 2, "accepted")
    assert (suggestion.quote or "?") in INVOICE
    assert await _detail(db, owner, document) == ("done", "Filed under Invoices.")


async def test_a_turn_goes_on_with_the_owners_next_documents_for_a_while(db: Database, owner: UUID) -> None:
    invoices = await papers.topic(db, owner, "Invoices")
    async with _server() as (server, choice):
        documents = [await papers.extracted(db, owner, INVOICE) for _ in range(3)]
        for document in documents:
            await _step(db, owner, document, choice)
        async with db.system() as tx:
            await tx.execute("DELETE FROM events WHERE owner_id = %s AND type = 'classification.due'", (owner,))
        assert await classify_step.run_tasks(TenantDatabase(db, owner), seconds=600, system=choice)
        assert len(server.requests) == 3
    for document in documents:
        assert await _filed(db, owner, document) == [invoices]
    async with db.system() as tx:
        assert await tx.execute("DELETE FROM events WHERE owner_id = %s AND type = 'classification.due'", (owner,)) == 0


async def test_turns_that_go_on_run_no_more_at_once_than_the_owner_may(db: Database, owner: UUID) -> None:
    await papers.topic(db, owner, "Invoices")
    released = asyncio.Event()
    async with _server(released=released) as (server, choice):
        for _ in range(4 * AT_ONCE):
            await _step(db, owner, await papers.extracted(db, owner, INVOICE), choice)
        async with asyncio.timeout(60), asyncio.TaskGroup() as group:
            run = partial(classify_step.run_tasks, TenantDatabase(db, owner), seconds=600, system=choice)
            turns = [group.create_task(run()) for _ in range(AT_ONCE + 3)]
            while server.at_work + sum(turn.done() for turn in turns) < len(turns):
                await asyncio.sleep(0.01)
            # As many as may are at the provider, all at once; the others have looked for a task, got none and ended.
            assert server.at_work == AT_ONCE
            released.set()
        assert sorted(turn.result() for turn in turns) == [False] * 3 + [True] * AT_ONCE
        assert len(server.requests) == 4 * AT_ONCE
        assert server.most_at_once == AT_ONCE


async def test_one_wakes_the_next_until_none_is_due(db: Database, owner: UUID) -> None:
    await papers.topic(db, owner, "Invoices")
    async with _server() as (server, choice):
        documents = [await papers.extracted(db, owner, INVOICE) for _ in range(3)]
        for document in documents:
            await _step(db, owner, document, choice)
        async with db.system() as tx:
            await tx.execute("DELETE FROM events WHERE owner_id = %s AND type = 'classification.due'", (owner,))
        for left in (1, 1, 0):
            await _turn(db, owner, choice)
            async with db.system() as tx:
                woken = await tx.execute("DELETE FROM events WHERE owner_id = %s AND type = 'classification.due'", (owner,))
            assert woken == left
        assert len(server.requests) == 3


async def test_without_topics_nothing_is_asked(db: Database, owner: UUID) -> None:
    document = await papers.extracted(db, owner, INVOICE)
    async with _server() as (server, choice):
        await _step(db, owner, document, choice)
        assert await _status(db, owner, document) == "ready"
        assert not await _turn(db, owner, choice)
        assert server.requests == []


async def test_a_document_does_not_wait_for_a_slow_provider_and_its_topics_follow(db: Database, owner: UUID) -> None:
    invoices = await papers.topic(db, owner, "Invoices")
    document = await papers.extracted(db, owner, INVOICE)
    async with _server() as (server, choice):
        answer = asyncio.Event()
        respond = server.handle

        async def hold(request: Any) -> Response:
            response = await respond(request)
            await answer.wait()
            return response

        server.handle = hold  # type: ignore[method-assign]
        async with openai_server(server) as slow:
            choice = ProviderChoice("openai", "gpt-4o", base_url=f"{slow.url}/v1", api_key=openai_api.KEY)
            await _step(db, owner, document, choice)
            async with db.tenant(owner) as tx:
                await tx.execute("UPDATE ai_tasks SET created_at = now() - interval '1 minute' WHERE owner_id = %s", (owner,))
            turn = asyncio.ensure_future(_turn(db, owner, choice))
            async with asyncio.timeout(20):
                while await _status(db, owner, document) != "ready":
                    await asyncio.sleep(0.02)
            assert (await _detail(db, owner, document))[0] == "running"
            assert not turn.done()
            answer.set()
            assert await turn
    assert await _filed(db, owner, document) == [invoices]
    assert (await _detail(db, owner, document))[0] == "done"


async def test_in_a_long_line_the_reconciler_makes_it_ready(db: Database, owner: UUID) -> None:
    invoices = await papers.topic(db, owner, "Invoices")
    document = await papers.extracted(db, owner, INVOICE)
    async with _server() as (_, choice):
        await _step(db, owner, document, choice)
        async with db.tenant(owner) as tx:
            await tx.execute("UPDATE ai_tasks SET created_at = now() - interval '1 minute' WHERE owner_id = %s", (owner,))
        await _step(db, owner, document, choice)  # which it calls for documents that stand still
        assert await _status(db, owner, document) == "ready"
        assert await _filed(db, owner, document) == []
        assert await _turn(db, owner, choice)
    assert await _filed(db, owner, document) == [invoices]


BAD: dict[str, dict[str, Any]] = {
    "down": {"always": openai_api.error(500)},
    "overloaded": {"always": openai_api.error(529)},
    "refusing the key": {"always": openai_api.error(401)},
    "refusing to read": {"refusal": "I can't help with that."},
    "filtering": {"finish_reason": "content_filter"},
    "rambling": {"model": saying("Let me think about that. " * 50)},
    "truncated": {"finish_reason": "length"},
    "wrong JSON": {"model": saying('{"answer": 42}')},
    "unknown aliases": {"model": saying('{"topics": [{"topic": "t99", "confidence": 1, "quote": "INVOICE", "page": 1}]}')},
    "empty": {"model": saying("")},
    "a page of HTML": {"always": Response(200, b"<html><h1>It works!</h1></html>", {"content-type": "text/html"})},
    "garbage": {"always": Response(raw=b"\x16\x03\x01\x02garbage" * 100)},
    "hanging up": {"always": Response(200, b"{}" * 50, cut_after=3)},
    "obeying the paper": {"model": obedient},
}


@pytest.mark.parametrize("members", BAD.values(), ids=BAD.keys())
async def test_whatever_the_provider_does_the_document_becomes_ready(db: Database, owner: UUID, members: dict[str, Any]) -> None:
    await papers.topic(db, owner, "Invoices")
    document = await papers.extracted(db, owner, INVOICE)
    async with _server(**members) as (_, choice):
        await _step(db, owner, document, choice)
        await _turn(db, owner, choice)
    assert await _status(db, owner, document) == "ready"
    assert await _filed(db, owner, document) == []
    state, detail = await _detail(db, owner, document)
    assert detail
    assert state in ("done", "failed")


async def test_a_response_that_no_database_could_hold_is_kept_as_far_as_one_can(db: Database, owner: UUID) -> None:
    invoices = await papers.topic(db, owner, "Invoices")
    document = await papers.extracted(db, owner, INVOICE)
    said = json.dumps(
        {
            "topics": [{"topic": "t1", "confidence": 1, "quote": "Invoice number: NW-4471", "page": 10**30}],
            "title": {"value": "Invoice \ud800 number\x00\u202e", "quote": "Invoice number: NW-4471", "page": "\x00"},
        }
    )
    body = {
        "model": "gpt\x00-\udfff4o\u202e" + "x" * 5000,
        "choices": [{"message": {"content": said}, "finish_reason": "stop\x00"}],
        "usage": {"prompt_tokens": 10**40, "completion_tokens": 1e300},
    }
    async with _server(always=json_response(body)) as (server, choice):
        await _step(db, owner, document, choice)
        async with db.tenant(owner) as tx:
            await tx.execute(
                "INSERT INTO ai_settings (owner_id, provider, model, mode, propose) VALUES (%s, 'openai', 'gpt-4o', 'apply', '{title}')",
                (owner,),
            )
        await _turn(db, owner, choice)
        assert len(server.requests) == 1
    assert await _status(db, owner, document) == "ready"
    assert await _filed(db, owner, document) == [invoices]
    async with db.tenant(owner) as tx:
        assert await tx.fetch_value("SELECT title FROM documents WHERE id = %s", (document,)) == "Invoice number"
        [suggestion] = await suggestions.of_document(tx, owner_id=owner, document_id=document)
    assert suggestion.model.startswith("gpt -4ox")
    assert len(suggestion.model) == 100


async def test_that_ollama_cut_the_document_stands_in_its_history(db: Database, owner: UUID) -> None:
    await papers.topic(db, owner, "Invoices")
    document = await papers.extracted(db, owner, INVOICE)
    async with _server(tokens_counted=40, key="ollama") as (server, _):
        choice = ProviderChoice("ollama", "llama3.2", base_url=f"{server.url}/v1")
        await _step(db, owner, document, choice)
        await _turn(db, owner, choice)
    state, detail = await _detail(db, owner, document)
    assert state == "done"
    assert "read only a part of the document" in detail


async def test_when_the_provider_is_back_the_document_is_filed(db: Database, owner: UUID) -> None:
    invoices = await papers.topic(db, owner, "Invoices")
    document = await papers.extracted(db, owner, INVOICE)
    async with _server(always=openai_api.error(503)) as (server, choice):
        await _step(db, owner, document, choice)
        await _turn(db, owner, choice)
        assert await _status(db, owner, document) == "ready"
        assert "again later" in (await _detail(db, owner, document))[1]
        assert not await _turn(db, owner, choice)
        server.always = None
        await _due(db, owner, choice)
        assert await _turn(db, owner, choice)
    assert await _filed(db, owner, document) == [invoices]
    assert (await _detail(db, owner, document))[0] == "done"


async def test_a_document_that_always_fails_is_given_up(db: Database, owner: UUID) -> None:
    await papers.topic(db, owner, "Invoices")
    document = await papers.extracted(db, owner, INVOICE)
    async with _server(model=saying("no JSON")) as (server, choice):
        await _step(db, owner, document, choice)
        waits = []
        for _ in range(20):
            if not await _turn(db, owner, choice):
                break
            state, _, wait = await _task(db, owner, document)
            waits.append(wait if state == "waiting" else 0.0)
            await _due(db, owner, choice)
        assert len(server.requests) == tasks.ATTEMPTS
        assert waits[:-1] == sorted(waits[:-1])
        assert (await _task(db, owner, document))[0] == "gave_up"
        # Whatever asks for it, a document gets so many calls and no more by itself: new revisions, too.
        for revision in range(2, 12):
            async with db.tenant(owner) as tx:
                await tx.execute("UPDATE documents SET revision = %s, status = 'extracted' WHERE id = %s", (revision, document))
            await _step(db, owner, document, choice, revision=revision)
            for _ in range(10):
                await _turn(db, owner, choice)
                await _due(db, owner, choice)
        assert len(server.requests) == tasks.ATTEMPTS_EVER
        assert await _status(db, owner, document) == "ready"
        # By hand it may be tried again.
        await choices.update(TenantDatabase(db, owner), NewAISettings(provider="openai"))
        async with db.tenant(owner) as tx:
            await tasks.request(tx, owner, document, 11, by_owner=True)
        await _turn(db, owner, choice)
        assert len(server.requests) == tasks.ATTEMPTS_EVER + 1


async def test_a_process_that_dies_in_a_call_leaves_a_task_that_is_taken_up_again(db: Database, owner: UUID) -> None:
    invoices = await papers.topic(db, owner, "Invoices")
    document = await papers.extracted(db, owner, INVOICE)
    async with _server(seconds=30) as (server, choice):
        await _step(db, owner, document, choice)
        turn = asyncio.ensure_future(_turn(db, owner, choice))
        while not server.requests:
            await asyncio.sleep(0.01)
        turn.cancel()
        await asyncio.gather(turn, return_exceptions=True)
        assert (await _task(db, owner, document))[:2] == ("running", 1)
        server.seconds = 0
        async with db.tenant(owner) as tx:
            await tx.execute("UPDATE ai_tasks SET lease_until = now() - interval '1 second' WHERE owner_id = %s", (owner,))
        assert await tasks.requeue(db) >= 1
        assert await _turn(db, owner, choice)
        assert (await _task(db, owner, document))[:2] == ("done", 2)
    assert await _filed(db, owner, document) == [invoices]


async def test_a_document_that_ends_each_process_that_sends_it_is_not_sent_for_ever(db: Database, owner: UUID) -> None:
    await papers.topic(db, owner, "Invoices")
    document = await papers.extracted(db, owner, INVOICE)
    async with _server(seconds=60) as (server, choice):
        await _step(db, owner, document, choice)
        for sent in range(1, tasks.ATTEMPTS + 1):
            turn = asyncio.ensure_future(_turn(db, owner, choice))
            while len(server.requests) < sent:
                await asyncio.sleep(0.01)
            turn.cancel()
            await asyncio.gather(turn, return_exceptions=True)
            async with db.tenant(owner) as tx:
                await tx.execute("UPDATE ai_tasks SET lease_until = now() - interval '1 second' WHERE owner_id = %s", (owner,))
            await tasks.requeue(db)
        assert await _turn(db, owner, choice)
        assert len(server.requests) == tasks.ATTEMPTS
        assert (await _task(db, owner, document))[0] == "gave_up"
        assert await _status(db, owner, document) == "ready"
        assert not await _turn(db, owner, choice)


async def test_an_owner_with_a_slow_provider_takes_no_place_from_others(db: Database, owner: UUID, other_owner: UUID) -> None:
    for somebody in (owner, other_owner):
        await papers.topic(db, somebody, "Invoices")
    async with _server(seconds=60) as (slow, slow_choice), _server() as (_, quick_choice):
        for _ in range(30):
            await _step(db, owner, await papers.extracted(db, owner, INVOICE), slow_choice)
        turns = [asyncio.ensure_future(_turn(db, owner, slow_choice)) for _ in range(30)]
        try:
            async with asyncio.timeout(30):
                while len(slow.requests) < AT_ONCE or sum(turn.done() for turn in turns) < 30 - AT_ONCE:
                    await asyncio.sleep(0.02)
            # All the others ended at once: their places in the queue are free.
            assert len(slow.requests) == AT_ONCE
            document = await papers.extracted(db, other_owner, INVOICE)
            async with asyncio.timeout(10):
                await _step(db, other_owner, document, quick_choice)
                await _turn(db, other_owner, quick_choice)
            assert await _status(db, other_owner, document) == "ready"
        finally:
            for turn in turns:
                turn.cancel()
            await asyncio.gather(*turns, return_exceptions=True)


async def test_over_budget_the_document_is_ready_and_waits_for_the_settings(db: Database, owner: UUID) -> None:
    await papers.topic(db, owner, "Invoices")
    vault = TenantDatabase(db, owner)
    async with _server() as (server, choice):
        await choices.update(vault, NewAISettings(provider="openai", monthly_budget_usd=Decimal(0)))
        documents = [await papers.extracted(db, owner, INVOICE) for _ in range(3)]
        for document in documents:
            await _step(db, owner, document, choice)
        await _turn(db, owner, choice)
        assert "budget" in (await _detail(db, owner, documents[0]))[1]
        assert not await _turn(db, owner, choice)  # one has found out for all
        assert server.requests == []
        await choices.update(vault, NewAISettings(provider="openai", monthly_budget_usd=Decimal(5)))
        for _ in documents:
            assert await _turn(db, owner, choice)
        assert len(server.requests) == 3


async def test_mode_off_asks_nobody_and_mode_suggest_files_nothing(db: Database, owner: UUID) -> None:
    invoices = await papers.topic(db, owner, "Invoices")
    vault = TenantDatabase(db, owner)
    async with _server() as (server, choice):
        await choices.update(vault, NewAISettings(provider="openai", mode="off"))
        document = await papers.extracted(db, owner, INVOICE)
        await _step(db, owner, document, choice)
        assert await _status(db, owner, document) == "ready"
        assert (await _detail(db, owner, document))[0] == "skipped"
        with pytest.raises(ai_requests.AINotAllowed):
            await ai_requests.classify_now(vault, document)
        assert server.requests == []
        await choices.update(vault, NewAISettings(provider="openai", mode="suggest"))
        await ai_requests.classify_now(vault, document)
        await _turn(db, owner, choice)
    assert await _filed(db, owner, document) == []
    async with db.tenant(owner) as tx:
        assert [(s.topic.id, s.state) for s in await suggestions.of_document(tx, owner_id=owner, document_id=document)] == [
            (invoices, "open")
        ]


async def test_topics_for_hands_alone_are_not_named_to_anyone_private_ones_not_outside(db: Database, owner: UUID) -> None:
    vault = TenantDatabase(db, owner)
    await papers.topic(db, owner, "Invoices")
    await topics.create(vault, NewTopic(name="Shoebox", manual_only=True))
    await topics.create(vault, NewTopic(name="Divorce", ai_policy="local_only"))
    await topics.create(vault, NewTopic(name="Diary", ai_policy="never"))
    document = await papers.extracted(db, owner, INVOICE)
    async with _server() as (server, choice):
        await _step(db, owner, document, choice)
        await _turn(db, owner, choice)
        [request] = server.requests
    sent = request.body.decode()
    assert "Invoices" in sent
    assert not [name for name in ("Shoebox", "Divorce", "Diary") if name in sent]


async def test_topics_within_a_private_one_are_not_named_outside_those_within_one_for_hands_alone_are(db: Database, owner: UUID) -> None:
    vault = TenantDatabase(db, owner)
    shoebox = await topics.create(vault, NewTopic(name="Shoebox", manual_only=True))
    family = await topics.create(vault, NewTopic(name="Family", ai_policy="local_only"))
    diary = await topics.create(vault, NewTopic(name="Diary", ai_policy="never"))
    await topics.create(vault, NewTopic(name="Invoices", parent_id=shoebox.id))
    await topics.create(vault, NewTopic(name="Divorce", parent_id=family.id))
    await topics.create(vault, NewTopic(name="Confessions", parent_id=diary.id))
    document = await papers.extracted(db, owner, INVOICE)
    async with _server() as (server, choice):
        await _step(db, owner, document, choice)
        await _turn(db, owner, choice)
        [request] = server.requests
    sent = request.body.decode()
    assert "Invoices" in sent
    assert not [name for name in ("Shoebox", "Family", "Diary", "Divorce", "Confessions") if name in sent]
    async with db.tenant(owner) as tx:
        assert set(await topics.described(tx, owner)) == {"Invoices", "Family", "Divorce"}


async def test_the_nearest_decisions_are_shown_but_none_whose_document_stays_here(db: Database, owner: UUID) -> None:
    vault = TenantDatabase(db, owner)
    invoices = await papers.topic(db, owner, "Invoices")
    near = await papers.extracted(db, owner, INVOICE.replace("Harcourt Bakery", "Zebra Carpets"))
    private = await papers.extracted(db, owner, INVOICE.replace("Harcourt Bakery", "Quiet Clinic"), ai_policy="local_only")
    refused = await papers.extracted(db, owner, INVOICE.replace("Harcourt Bakery", "Nearly Invoice Ltd"))
    far = await papers.extracted(db, owner, POEM)
    for document in (near, private, refused, far):
        await classify_step.classify(vault, document_id=document, revision=1)  # by the local provider: their words are kept
    async with db.tenant(owner) as tx:
        for document in (near, private, far):
            await topics.file(tx, owner_id=owner, document_id=document, topic_ids=[invoices])
        await topics.unfile(tx, owner_id=owner, document_id=refused, topic_ids=[invoices])
    document = await papers.extracted(db, owner, INVOICE)
    async with _server() as (server, choice):
        await _step(db, owner, document, choice)
        await _turn(db, owner, choice)
        sent = server.requests[0].body.decode()
    assert "Zebra Carpets" in sent
    assert "t1 does NOT fit" in sent
    assert "Nearly Invoice Ltd" in sent
    assert "Quiet Clinic" not in sent
    assert "tomcat" not in sent


async def test_undoing_takes_back_what_the_last_run_filed_and_nothing_else(db: Database, owner: UUID) -> None:
    invoices, keep = await papers.topic(db, owner, "Invoices"), await papers.topic(db, owner, "Keep")
    document = await papers.extracted(db, owner, INVOICE)
    async with _server() as (_, choice):
        await _step(db, owner, document, choice)
        await _turn(db, owner, choice)
    async with db.tenant(owner) as tx:
        await topics.file(tx, owner_id=owner, document_id=document, topic_ids=[keep])
    assert await _filed(db, owner, document) == sorted([invoices, keep])
    for _ in range(2):
        async with db.tenant(owner) as tx:
            await classify_step.undo(tx, owner_id=owner, document_id=document)
        assert await _filed(db, owner, document) == [keep]
        async with db.tenant(owner) as tx:
            [suggestion] = await suggestions.of_document(tx, owner_id=owner, document_id=document)
        assert suggestion.state == "open"
    async with db.tenant(owner) as tx:
        with pytest.raises(NotFound):
            await classify_step.undo(tx, owner_id=owner, document_id=invoices)


async def test_undoing_a_second_run_leaves_what_the_first_one_filed(db: Database, owner: UUID) -> None:
    invoices, poems = await papers.topic(db, owner, "Invoices"), await papers.topic(db, owner, "tomcat")
    document = await papers.extracted(db, owner, INVOICE)
    async with _server() as (_, choice):
        await _step(db, owner, document, choice)
        await _turn(db, owner, choice)
        async with db.tenant(owner) as tx:
            await tx.execute("UPDATE documents SET revision = 2, status = 'extracted' WHERE id = %s", (document,))
            await tx.execute("UPDATE document_pages SET text = %s WHERE document_id = %s", (POEM, document))
        await _step(db, owner, document, choice, revision=2)
        await _turn(db, owner, choice)
    assert await _filed(db, owner, document) == [poems]
    async with db.tenant(owner) as tx:
        await classify_step.undo(tx, owner_id=owner, document_id=document)
    assert await _filed(db, owner, document) == [invoices]


async def test_what_is_previewed_is_what_is_sent(db: Database, owner: UUID) -> None:
    await papers.topic(db, owner, "Invoices")
    document = await papers.extracted(db, owner, "Cover letter", INVOICE)
    async with _server() as (server, choice):
        preview = await ai_requests.preview(TenantDatabase(db, owner), document, system=choice)
        assert server.requests == []
        await _step(db, owner, document, choice)
        await _turn(db, owner, choice)
        assert [message.model_dump() for message in preview.messages] == server.requests[0].json["messages"]
    assert (preview.provider, preview.model, preview.base_url) == ("openai", "gpt-4o", choice.base_url)
    assert preview.characters > len(INVOICE)
    assert 0 < preview.cost_usd < 0.05


@pytest.mark.parametrize("name", REMOTE)
async def test_what_is_previewed_leaves_byte_for_byte_and_nothing_else_of_the_owners(db: Database, owner: UUID, name: ProviderName) -> None:
    vault = TenantDatabase(db, owner)
    invoices = await papers.topic(db, owner, "Rechnungen “alt”", "Was zu zahlen ist: 日本語 & <b>")
    filed = await papers.extracted(db, owner, INVOICE.replace("Harcourt Bakery", "Zebra Carpets"), status="ready")
    async with db.tenant(owner) as tx:
        await topics.file(tx, owner_id=owner, document_id=filed, topic_ids=[invoices])
        await tx.execute(
            "INSERT INTO topic_examples (document_id, topic_id, owner_id, accepted, terms) VALUES (%s, %s, %s, true, %s)"
            " ON CONFLICT (document_id, topic_id) DO UPDATE SET terms = excluded.terms",
            (filed, invoices, owner, ["invoice", "harcourt", "bakery", "studio", "northwind", "payment"]),
        )
    document = await papers.extracted(db, owner, "Anschreiben \t «é»", f"{INVOICE}\n" * 80, filename='scan "7" \\ ü.pdf')
    async with server_of(name) as server:
        base_url = server.url if name == "anthropic" else f"{server.url}/v1"
        choice = ProviderChoice(name, "a-model", base_url=base_url, api_key=server.key, propose=("title", "issued_on"))
        preview = await ai_requests.preview(vault, document, system=choice)
        await _step(db, owner, document, choice)
        await _turn(db, owner, choice)
        [request] = server.requests
    said = {message.role: message.content for message in preview.messages}
    assert "Zebra Carpets" in said["user"]
    assert 7_000 < preview.characters <= 8_000
    for content in said.values():
        # As JSON puts it, in UTF-8: what the wire carried.
        assert json.dumps(content, ensure_ascii=False).encode() in request.body
    rest = request.body
    for content in said.values():
        rest = rest.replace(json.dumps(content, ensure_ascii=False).encode(), b"")
    for mine in ("Northwind", "Zebra", "Rechnungen", "Anschreiben", "scan", str(owner), str(document), str(filed), str(invoices)):
        assert mine.encode() not in rest
        assert mine not in json.dumps({name: value for name, value in request.headers.items() if name != "authorization"})
    messages = [{"role": message.role, "content": message.content} for message in preview.messages]
    hashed = hashlib.sha256(json.dumps(messages, ensure_ascii=False, separators=(",", ":")).encode()).hexdigest()
    [call] = (await call_log.page(vault, limit=10, cursor=None)).items
    assert (call.sha256, call.characters, call.document_id) == (hashed, preview.characters, document)


@pytest.mark.parametrize("length", [1, 8, 60])
async def test_an_estimate_is_near_what_the_previews_add_up_to(db: Database, owner: UUID, length: int) -> None:
    vault = TenantDatabase(db, owner)
    topic_ids = [
        await papers.topic(db, owner, f"{name} of the house", "What belongs here, and what does not. " * 5)
        for name in ("Invoices", "Letters", "Taxes", "Clubs", "Travel", "Rent")
    ]
    documents = [await papers.extracted(db, owner, f"{INVOICE}\n{POEM}\n" * length, status="ready") for _ in range(6)]
    async with db.tenant(owner) as tx:
        for document in documents:
            await tx.execute(
                "INSERT INTO topic_examples (document_id, topic_id, owner_id, accepted, terms) VALUES (%s, %s, %s, true, %s)",
                (document, topic_ids[0], owner, ["invoice", "moon", "harcourt", "bakery", "studio", "northwind"]),
            )
    async with _server() as (server, choice):
        previews = [await ai_requests.preview(vault, document, system=choice) for document in documents]
        estimate = await ai_requests.estimate(vault, EstimateRequest(ids=documents), system=choice)
        assert server.requests == []
    assert all("What the owner decided" in preview.messages[1].content for preview in previews)
    print(estimate.cost_usd / sum(preview.cost_usd for preview in previews))
    assert 0.8 <= estimate.cost_usd / sum(preview.cost_usd for preview in previews) <= 1.25


async def test_the_answer_is_thrown_away_if_the_document_has_moved_on(db: Database, owner: UUID) -> None:
    await papers.topic(db, owner, "Invoices")
    document = await papers.extracted(db, owner, INVOICE)
    async with _server(seconds=0.5) as (server, choice):
        await _step(db, owner, document, choice)
        turn = asyncio.ensure_future(_turn(db, owner, choice))
        while not server.requests:
            await asyncio.sleep(0.01)
        async with db.tenant(owner) as tx:
            await tx.execute("UPDATE documents SET revision = 2, status = 'stored' WHERE id = %s", (document,))
        assert await turn
    assert await _filed(db, owner, document) == []
    assert await _status(db, owner, document) == "stored"
