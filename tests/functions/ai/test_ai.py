"""The AI's operations over HTTP, as a client uses them: choose, look, estimate, classify, decide, undo, and see what it cost."""

import asyncio
import csv
import importlib
import io
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any
from uuid import UUID

import pytest

from infra.functions import FUNCTIONS
from shared.clock import now
from shared.config import settings
from shared.db import Database, TenantDatabase
from shared.documents import classify_step
from shared.events.catalogue import ClassificationDue
from shared.faas.declarations import ENDPOINTS, EVENT_FUNCTIONS
from shared.identity import sessions, tokens
from shared.identity.client import Client
from shared.ids import new_id
from tests.ai.servers import openai_server as openai_api
from tests.ai.servers.openai_server import OpenAIServer, openai_server
from tests.documents import papers
from tests.documents.papers import INVOICE, POEM
from tests.faas.asgi import Heard, ask, serving

BROWSER = Client("192.0.2.1", "tests", "en")
Asking = Callable[..., Awaitable[Heard]]


async def _asking(db: Database, owner: UUID, role: str = "user") -> Asking:
    for folder in ("ai", "admin", "topics"):
        for file in sorted((FUNCTIONS / folder).glob("*.py")):
            importlib.import_module(f"functions.{folder}.{file.stem}")
    app = serving(*ENDPOINTS.values())
    async with db.system() as tx:
        session_id, _ = await sessions.create(tx, owner, BROWSER)
    token, _ = tokens.issue(owner, "admin" if role == "admin" else "user", session_id, BROWSER)
    headers = {"authorization": f"Bearer {token}", "user-agent": BROWSER.user_agent, "accept-language": BROWSER.accept_language}

    async def send(method: str, path: str, json: Any = None) -> Heard:
        return await ask(app, method, path, json=json, headers=headers | ({"content-type": "application/json"} if json is not None else {}))

    return send


@pytest.fixture
async def asking(db: Database, owner: UUID) -> Asking:
    """`await asking("GET", "/api/ai/settings")` as the owner, who has just signed in."""
    return await _asking(db, owner)


@pytest.fixture
def local_servers_allowed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """ALLOWED_PRIVATE_HOSTS lets owners use servers on this machine."""
    monkeypatch.setenv("ALLOWED_PRIVATE_HOSTS", "127.0.0.1")
    settings.cache_clear()
    yield
    monkeypatch.undo()
    settings.cache_clear()


@pytest.fixture
async def server(local_servers_allowed: None) -> AsyncIterator[OpenAIServer]:
    async with openai_server() as running:
        yield running


async def _choose(asking: Asking, server: OpenAIServer, **members: Any) -> Heard:
    wanted = {"provider": "openai", "model": "gpt-4o", "base_url": f"{server.url}/v1", "api_key": openai_api.KEY, **members}
    return await asking("PUT", "/api/ai/settings", json=wanted)


async def _turn(owner: UUID) -> None:
    """What a worker does on ClassificationDue."""
    importlib.import_module("functions.events.ask_ai_provider")
    await EVENT_FUNCTIONS["ask_ai_provider"].handler(ClassificationDue(owner_id=owner))


async def test_the_five_providers_are_listed(asking: Asking) -> None:
    listed = (await asking("GET", "/api/ai/providers")).json()
    assert {item["name"]: (item["needs_key"], item["local"]) for item in listed["items"]} == {
        "local": (False, True),
        "anthropic": (True, False),
        "openai": (True, False),
        "ollama": (False, True),
        "lmstudio": (False, True),
    }
    assert {item["name"] for item in listed["items"] if not item["configured"]} == {"anthropic", "openai"}
    first = (await asking("GET", "/api/ai/providers?limit=3")).json()
    rest = (await asking("GET", f"/api/ai/providers?limit=3&cursor={first['next_cursor']}")).json()
    assert first["items"] + rest["items"] == listed["items"]


async def test_settings_are_kept_and_a_key_is_never_given_back(asking: Asking, server: OpenAIServer) -> None:
    assert (await asking("GET", "/api/ai/settings")).json()["provider"] == "local"
    said = await _choose(asking, server, api_key="sk-secret-key-9876", monthly_budget_usd=12.5, mode="suggest")
    assert (said.status, said.json()["key_hint"], said.json()["monthly_budget_usd"]) == (200, "…9876", 12.5)
    again = await asking("GET", "/api/ai/settings")
    assert again.json() == said.json()
    assert "secret" not in str(again.json())
    assert (await asking("GET", "/api/ai/providers")).json()["items"][2]["configured"]


@pytest.mark.parametrize("url", ["http://10.0.0.1/v1", "http://169.254.169.254/latest/", "http://localhost:5432", "nonsense"])
async def test_a_private_address_is_refused(asking: Asking, url: str) -> None:
    refused = await asking("PUT", "/api/ai/settings", json={"provider": "openai", "base_url": url})
    assert (refused.status, refused.code) == (422, "url_not_allowed")


async def test_health_tells_what_is_wrong(asking: Asking, server: OpenAIServer) -> None:
    assert (await asking("POST", "/api/ai/health")).json()["ok"]
    await _choose(asking, server)
    well = (await asking("POST", "/api/ai/health")).json()
    assert well["ok"]
    assert well["latency_ms"] > 0
    await _choose(asking, server, api_key="sk-wrong")
    ill = (await asking("POST", "/api/ai/health")).json()
    assert not ill["ok"]
    assert "key" in ill["detail"]


async def test_calls_made_by_hand_to_a_slow_provider_keep_no_other_request_of_the_owner_waiting(
    db: Database, owner: UUID, asking: Asking, server: OpenAIServer
) -> None:
    document = await papers.extracted(db, owner, INVOICE, status="ready")
    await _choose(asking, server)
    server.released = asyncio.Event()
    paths = ["/api/ai/health", f"/api/documents/{document}/suggest-topics"]
    slow = [asyncio.ensure_future(asking("POST", path)) for path in paths * 8]
    try:
        async with asyncio.timeout(30):
            while server.at_work < 8 or sum(call.done() for call in slow) < 8:
                await asyncio.sleep(0.01)
            assert {(await call).status for call in slow if call.done()} == {429}
            assert (await asking("GET", "/api/ai/settings")).status == 200
            assert not all(call.done() for call in slow)
    finally:
        server.released.set()
        heard = await asyncio.gather(*slow)
    assert sorted(one.status for one in heard) == [200] * 8 + [429] * 8


async def test_a_document_from_preview_to_undo(db: Database, owner: UUID, asking: Asking, server: OpenAIServer) -> None:
    invoices = await papers.topic(db, owner, "Invoices")
    document = await papers.extracted(db, owner, INVOICE, status="ready")
    await papers.extracted(db, owner, POEM, status="ready", ai_policy="never")
    await _choose(asking, server)
    path = f"/api/documents/{document}"

    cost = (await asking("POST", "/api/ai/estimate", json={})).json()
    assert (cost["documents"], cost["calls"]) == (1, 1)
    assert 0 < cost["cost_usd"] < 0.05
    assert (await asking("POST", "/api/ai/estimate", json={"ids": [str(document), str(new_id())]})).json() == cost
    assert (await asking("POST", "/api/ai/estimate", json={"filter": {"status": ["failed"]}})).json()["calls"] == 0

    preview = (await asking("GET", f"{path}/ai-preview")).json()
    assert preview["provider"] == "openai"
    assert INVOICE in preview["messages"][-1]["content"]
    assert server.requests == []

    asked = await asking("POST", f"{path}/classify")
    assert (asked.status, asked.json()["id"]) == (202, str(document))
    await _turn(owner)
    assert server.requests[0].json["messages"] == preview["messages"]
    [suggestion] = (await asking("GET", f"{path}/suggestions")).json()["items"]
    assert suggestion["topic"] == {"id": str(invoices), "name": "Invoices"}
    assert suggestion["state"] == "accepted"
    assert suggestion["quote"] in INVOICE

    undone = await asking("POST", f"{path}/classify/undo")
    assert (undone.status, undone.json()["topics"]) == (200, [])
    [suggestion] = (await asking("GET", f"{path}/suggestions")).json()["items"]
    assert suggestion["state"] == "open"
    decided = await asking("POST", f"{path}/suggestions/{suggestion['id']}", json={"decision": "accept"})
    assert decided.json()["state"] == "accepted"
    rejected = await asking("POST", f"{path}/suggestions/{suggestion['id']}", json={"decision": "reject"})
    assert rejected.json()["state"] == "rejected"

    ideas = await asking("POST", f"{path}/suggest-topics")
    assert [idea["name"] for idea in ideas.json()["suggestions"]] == ["Web design", "Garden"]

    calls = (await asking("GET", "/api/ai/calls")).json()["items"]
    assert [(call["kind"], call["document_id"], call["outcome"]) for call in calls] == [
        ("suggest_topics", str(document), "done"),
        ("classify", str(document), "done"),
    ]
    assert all(INVOICE not in str(call) for call in calls)
    [month] = (await asking("GET", "/api/ai/usage")).json()["items"]
    assert (month["month"], month["provider"], month["model"], month["calls"]) == (f"{now():%Y-%m}", "openai", "gpt-4o", 2)
    assert month["cost_usd"] == pytest.approx(sum(call["cost_usd"] for call in calls))
    first = (await asking("GET", "/api/ai/calls?limit=1")).json()
    second = (await asking("GET", f"/api/ai/calls?limit=1&cursor={first['next_cursor']}")).json()
    assert first["items"] + second["items"] == calls


async def test_many_suggestions_are_decided_at_once_and_each_failure_is_told(
    db: Database, owner: UUID, other_owner: UUID, asking: Asking, server: OpenAIServer
) -> None:
    invoices = await papers.topic(db, owner, "Invoices")
    await _choose(asking, server, mode="suggest")
    documents = [await papers.extracted(db, owner, INVOICE) for _ in range(3)]
    decisions = []
    for document in documents:
        await classify_step.classify(TenantDatabase(db, owner), document_id=document, revision=1)
        await _turn(owner)
        [suggestion] = (await asking("GET", f"/api/documents/{document}/suggestions")).json()["items"]
        decisions.append({"document_id": str(document), "suggestion_id": suggestion["id"], "decision": "accept"})
    decisions[2]["decision"] = "reject"
    unknown, strange = str(new_id()), {**decisions[0], "document_id": str(documents[1])}
    sent = [*decisions, {**decisions[0], "suggestion_id": unknown}, strange]
    for _ in range(2):  # a second time nothing changes
        said = await asking("POST", "/api/ai/suggestions", json={"decisions": sent})
        assert said.status == 200
        assert said.json() == {
            "done": [decision["suggestion_id"] for decision in decisions],
            "failed": [{"id": unknown, "code": "not_found"}, {"id": strange["suggestion_id"], "code": "not_found"}],
        }
    states = [(await asking("GET", f"/api/documents/{document}/suggestions")).json()["items"][0]["state"] for document in documents]
    assert states == ["accepted", "accepted", "rejected"]
    stranger = await (await _asking(db, other_owner))("POST", "/api/ai/suggestions", json={"decisions": decisions})
    assert stranger.json()["done"] == []
    async with db.tenant(owner) as tx:
        assert [filing.topic_id for document in documents for filing in await papers.filings(tx, document)] == [invoices] * 2


@pytest.mark.parametrize("body", [{}, {"decisions": []}, {"decisions": [{"document_id": "x", "suggestion_id": "y", "decision": "accept"}]}])
async def test_decisions_of_another_form_are_refused(asking: Asking, body: Any) -> None:
    assert (await asking("POST", "/api/ai/suggestions", json=body)).status == 422


async def test_two_requests_that_decide_about_the_same_topics_both_end(
    db: Database, owner: UUID, asking: Asking, server: OpenAIServer
) -> None:
    for name in ("Invoices", "Northwind", "Harcourt"):
        await papers.topic(db, owner, name)
    await _choose(asking, server, mode="suggest")
    decisions = []
    for _ in range(6):
        document = await papers.extracted(db, owner, INVOICE)
        await classify_step.classify(TenantDatabase(db, owner), document_id=document, revision=1)
        await _turn(owner)
        for suggestion in (await asking("GET", f"/api/documents/{document}/suggestions")).json()["items"]:
            decisions.append({"document_id": str(document), "suggestion_id": suggestion["id"], "decision": "accept"})
    assert len(decisions) == 18
    orders = [decisions, decisions[::-1], sorted(decisions, key=str)]
    said = await asyncio.gather(*(asking("POST", "/api/ai/suggestions", json={"decisions": order}) for order in orders))
    assert [answer.status for answer in said] == [200, 200, 200]
    assert all(answer.json()["failed"] == [] for answer in said)


async def test_the_record_of_calls_is_exported_whole(
    db: Database, owner: UUID, other_owner: UUID, asking: Asking, server: OpenAIServer
) -> None:
    await _choose(asking, server, model="=HYPERLINK(1)")
    for _ in range(3):
        await asking("POST", "/api/ai/health")
    listed = (await asking("GET", "/api/ai/calls")).json()["items"]
    lines = await asking("GET", "/api/ai/calls/export")
    assert dict(lines.headers)["content-type"] == "application/jsonl"
    assert [json.loads(line) for line in lines.body.decode().splitlines()] == listed
    table = await asking("GET", "/api/ai/calls/export?format=csv")
    rows = list(csv.DictReader(io.StringIO(table.body.decode())))
    assert [row["id"] for row in rows] == [call["id"] for call in listed]
    assert {row["model"] for row in rows} == {"'=HYPERLINK(1)"}
    assert (await (await _asking(db, other_owner))("GET", "/api/ai/calls/export")).body == b""
    assert (await asking("GET", "/api/ai/calls/export?format=xlsx")).status == 422


async def test_details_are_listed_and_decided(db: Database, owner: UUID, asking: Asking, server: OpenAIServer) -> None:
    assert (await asking("PUT", "/api/ai/settings", json={"provider": "local", "propose": ["password"]})).status == 422
    said = await _choose(asking, server, mode="suggest", propose=["issued_on", "title"])
    assert said.json()["propose"] == ["title", "issued_on"]
    document = await papers.extracted(db, owner, INVOICE)
    await classify_step.classify(TenantDatabase(db, owner), document_id=document, revision=1)
    await _turn(owner)
    path = f"/api/documents/{document}/proposals"
    listed = (await asking("GET", path)).json()["items"]
    assert [(item["name"], item["value"], item["state"]) for item in listed] == [
        ("issued_on", "2024-05-02", "open"),
        ("title", "Northwind Web Studio Ltd", "open"),
    ]
    decided = await asking("POST", f"{path}/{listed[0]['id']}", json={"decision": "accept"})
    assert (decided.status, decided.json()["state"]) == (200, "accepted")
    assert (await asking("POST", f"{path}/{new_id()}", json={"decision": "accept"})).status == 404
    undone = (await asking("POST", f"/api/documents/{document}/classify/undo")).json()
    assert undone["issued_on"] == "2024-05-02", "what the owner accepted is the owner's own"


async def test_the_local_provider_does_all_of_it_without_a_call(db: Database, owner: UUID, asking: Asking) -> None:
    await papers.topic(db, owner, "Garden")
    document = await papers.extracted(db, owner, INVOICE, status="ready")
    path = f"/api/documents/{document}"
    preview = (await asking("GET", f"{path}/ai-preview")).json()
    assert (preview["provider"], preview["messages"], preview["characters"], preview["cost_usd"]) == ("local", [], 0, 0)
    assert "Invoices" in [idea["name"] for idea in (await asking("POST", f"{path}/suggest-topics")).json()["suggestions"]]
    estimate = (await asking("POST", "/api/ai/estimate", json={"filter": {"q": "invoice"}})).json()
    assert (estimate["calls"], estimate["cost_usd"]) == (0, 0)
    await asking("POST", f"{path}/classify")
    await _turn(owner)
    assert (await asking("GET", "/api/ai/calls")).json()["items"] == []


async def test_what_may_not_or_cannot_be_read_is_not_sent(db: Database, owner: UUID, asking: Asking, server: OpenAIServer) -> None:
    await papers.topic(db, owner, "Invoices")
    await _choose(asking, server)
    private = await papers.extracted(db, owner, INVOICE, status="ready", ai_policy="never")
    unread = await papers.extracted(db, owner, status="stored")
    for method, name in (("GET", "ai-preview"), ("POST", "classify"), ("POST", "suggest-topics")):
        assert (await asking(method, f"/api/documents/{private}/{name}")).code == "ai_not_allowed"
        assert (await asking(method, f"/api/documents/{unread}/{name}")).code == "not_read_yet"
        assert (await asking(method, f"/api/documents/{new_id()}/{name}")).status == 404
    at_home = await papers.extracted(db, owner, INVOICE, status="ready", ai_policy="local_only")
    assert (await asking("GET", f"/api/documents/{at_home}/ai-preview")).json()["provider"] == "local"
    await asking("POST", f"/api/documents/{at_home}/classify")
    await _turn(owner)
    assert server.requests == []


async def test_failures_of_a_call_made_by_hand_are_told(db: Database, owner: UUID, asking: Asking, server: OpenAIServer) -> None:
    document = await papers.extracted(db, owner, INVOICE, status="ready")
    await _choose(asking, server, monthly_budget_usd=0)
    over = await asking("POST", f"/api/documents/{document}/suggest-topics")
    assert (over.status, over.code) == (403, "budget_exceeded")
    await _choose(asking, server)
    server.always = openai_api.error(500)
    down = await asking("POST", f"/api/documents/{document}/suggest-topics")
    assert (down.status, down.code) == (503, "unavailable")
    assert int(dict(down.headers)["retry-after"]) > 0


async def test_an_admin_chooses_for_everyone_and_sees_no_key_either(db: Database, owner: UUID) -> None:
    admin = await _asking(db, owner, "admin")
    async with db.system() as tx:
        await tx.execute("UPDATE users SET role = 'admin' WHERE id = %s", (owner,))
    before = (await admin("GET", "/api/admin/settings")).json()
    wanted = {"provider": "local", "api_key": "sk-system-key-4321", "monthly_budget_usd": 50}
    try:
        said = await admin("PUT", "/api/admin/settings", json={"ai": wanted})
        assert said.status == 200
        assert said.json()["ai"]["key_hint"] == "…4321"
        assert said.json()["ai"]["monthly_budget_usd"] == 50
        assert "system-key" not in str((await admin("GET", "/api/admin/settings")).json())
        refused = await admin("PUT", "/api/admin/settings", json={"ai": {"provider": "ollama", "base_url": "ftp://x/"}})
        assert (refused.status, refused.code) == (422, "url_not_allowed")
    finally:
        async with db.system() as tx:
            await tx.execute("DELETE FROM ai_system_settings")
    assert before["ai"]["provider"] == "local"


async def test_two_turns_at_once_do_not_ask_about_one_document_twice(
    db: Database, owner: UUID, asking: Asking, server: OpenAIServer
) -> None:
    await papers.topic(db, owner, "Invoices")
    await _choose(asking, server)
    document = await papers.extracted(db, owner, INVOICE)
    await classify_step.classify(TenantDatabase(db, owner), document_id=document, revision=1)
    server.seconds = 0.2
    await asyncio.gather(*(_turn(owner) for _ in range(4)))
    assert len(server.requests) == 1
