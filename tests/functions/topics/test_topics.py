"""create_topic, list_topics and update_topic over HTTP, classify_document as the worker calls it."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import pytest

from functions.events.classify_document import classify_document
from functions.topics.create_topic import create_topic
from functions.topics.list_topics import list_topics
from functions.topics.update_topic import update_topic
from shared.db import Database
from shared.events.catalogue import DocumentExtracted
from shared.faas.declarations import ENDPOINTS, EVENT_FUNCTIONS
from shared.identity import api_tokens, tokens
from shared.identity.client import Client
from shared.ids import new_id
from tests.documents import papers
from tests.documents.papers import INVOICE
from tests.faas.asgi import Heard, ask, serving

BROWSER = Client("192.0.2.1", "tests", "en")
Asking = Callable[..., Awaitable[Heard]]


@pytest.fixture
def asking(db: Database, owner: UUID) -> Asking:
    """`await asking("POST", "/api/topics", json={...})` as the owner, or with the headers given."""
    app = serving(*(ENDPOINTS[function.__name__] for function in (create_topic, list_topics, update_topic)))
    token, _ = tokens.issue(owner, "user", new_id(), BROWSER)
    own = {"authorization": f"Bearer {token}", "user-agent": BROWSER.user_agent, "accept-language": BROWSER.accept_language}

    async def send(method: str, path: str, *, json: Any = None, headers: dict[str, str] | None = None) -> Heard:
        sent = own if headers is None else headers
        if json is not None:
            sent = sent | {"content-type": "application/json"}
        return await ask(app, method, path, json=json, headers=sent)

    return send


async def test_a_topic_is_made_and_listed(asking: Asking) -> None:
    made = await asking("POST", "/api/topics", json={"name": " Invoices ", "color": "#2E7D32"})
    assert made.status == 201
    topic = made.json()
    shown = {
        "name": "Invoices",
        "description": None,
        "color": "#2e7d32",
        "parent_id": None,
        "manual_only": False,
        "ai_policy": "inherit",
        "documents": 0,
    }
    assert topic == {"id": topic["id"], **shown}
    assert (await asking("GET", "/api/topics")).json() == {"items": [topic], "next_cursor": None}


async def test_a_topic_is_changed_by_what_is_said_and_no_more(asking: Asking) -> None:
    path = f"/api/topics/{(await asking('POST', '/api/topics', json={'name': 'Divorce', 'color': '#2e7d32'})).json()['id']}"
    changed = await asking("PATCH", path, json={"manual_only": True, "ai_policy": "never", "color": None})
    assert (changed.status, changed.json()["name"], changed.json()["color"]) == (200, "Divorce", None)
    assert (changed.json()["manual_only"], changed.json()["ai_policy"]) == (True, "never")
    assert (await asking("PATCH", path, json={})).json() == changed.json()
    assert (await asking("GET", "/api/topics")).json()["items"] == [changed.json()]
    await asking("POST", "/api/topics", json={"name": "Taxes"})
    taken = await asking("PATCH", path, json={"name": "TAXES"})
    assert (taken.status, taken.code) == (409, "topic_exists")
    for body in ({"name": None}, {"ai_policy": "maybe"}, {"manual_only": 1}, {"documents": 3}):
        assert (await asking("PATCH", path, json=body)).status == 422
    assert (await asking("PATCH", f"/api/topics/{new_id()}", json={"name": "x"})).status == 404


async def test_a_name_that_is_taken_is_refused_whatever_its_case(asking: Asking) -> None:
    await asking("POST", "/api/topics", json={"name": "Straße"})
    again = await asking("POST", "/api/topics", json={"name": "STRASSE"})
    assert (again.status, again.code) == (409, "topic_exists")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": ""},
        {"name": "a\u0000b"},
        {"name": "x", "color": "blue"},
        {"name": "x" * 101},
        {"name": 7},
        {"name": "x", "owner_id": "y"},
    ],
)
async def test_what_is_no_topic_is_refused(asking: Asking, body: dict[str, Any]) -> None:
    refused = await asking("POST", "/api/topics", json=body)
    assert (refused.status, refused.code) == (422, "validation_failed")
    assert refused.json()["errors"]


async def test_pages_follow_one_another(asking: Asking) -> None:
    for name in "abc":
        await asking("POST", "/api/topics", json={"name": name})
    first = (await asking("GET", "/api/topics?limit=2")).json()
    second = (await asking("GET", f"/api/topics?limit=2&cursor={first['next_cursor']}")).json()
    assert [topic["name"] for page in (first, second) for topic in page["items"]] == ["a", "b", "c"]
    assert second["next_cursor"] is None
    broken = await asking("GET", "/api/topics?cursor=nonsense")
    assert (broken.status, broken.code) == (422, "invalid_cursor")


async def test_strangers_are_turned_away_and_programs_need_the_scope(asking: Asking, db: Database, owner: UUID) -> None:
    assert (await asking("GET", "/api/topics", headers={})).status == 401
    async with db.system() as tx:
        _, reader = await api_tokens.create(tx, owner, name="test", scopes=["topics:read"], expires_at=None)
    headers = {"authorization": f"Bearer {reader}"}
    assert (await asking("GET", "/api/topics", headers=headers)).status == 200
    refused = await asking("POST", "/api/topics", json={"name": "x"}, headers=headers)
    assert (refused.status, refused.code) == (403, "insufficient_scope")


async def test_the_event_makes_the_document_ready(db: Database, owner: UUID) -> None:
    invoices = await papers.topic(db, owner, "Invoices")
    document = await papers.extracted(db, owner, INVOICE)
    function = EVENT_FUNCTIONS[classify_document.__name__].handler
    for _ in range(2):
        await function(DocumentExtracted(owner_id=owner, document_id=document, revision=1))
    async with db.tenant(owner) as tx:
        assert [filing.topic_id for filing in await papers.filings(tx, document)] == [invoices]
        assert await tx.fetch_value("SELECT status FROM documents WHERE id = %s", (document,)) == "ready"


async def test_a_document_that_is_gone_is_no_failure(db: Database, owner: UUID) -> None:
    await EVENT_FUNCTIONS["classify_document"].handler(DocumentExtracted(owner_id=owner, document_id=new_id(), revision=1))
