"""Attacks on every operation of openapi.yaml: without a token, with another's things, with members that are nobody's business."""

import asyncio
import json
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx
import pytest

from shared.config import settings
from shared.db import Database, Transaction
from shared.identity import tokens
from shared.identity.client import Client
from shared.ids import new_id
from tests.attacks.operations import ANOTHER_NIL, NIL, Operation, call, gateway, operations, sample
from tests.identity.browser import Browser, Person, new_person

OPERATIONS = list(operations())
STREAM_SECONDS = 1.0

named = pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)


def _browser() -> Browser:
    return Browser(app=gateway())


@named
async def test_without_a_good_token_nothing_opens(operation: Operation, db: Database) -> None:
    if not operation.needs_sign_in:
        pytest.skip("open to everyone")
    expired, _ = tokens.issue(new_id(), "admin", new_id(), Client("192.0.2.1", "x", "x"))
    for authorization in (None, "Bearer x", "Bearer a.b.c", "Basic YWRtaW46YWRtaW4=", f"Bearer {expired}", "Bearer dvt_" + "a" * 49):
        browser = _browser()
        if authorization:
            browser.headers["authorization"] = authorization
        answer = await call(operation, browser, {}, bare=operation.content_type != "application/json")
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
        assert "bearer" in answer.headers["www-authenticate"].lower()


@named
async def test_unknown_members_are_refused(operation: Operation, db: Database) -> None:
    if operation.body is None:
        pytest.skip("takes no JSON")
    person = await _attacker()
    body = sample(operation.body, {})
    for member in ("role", "is_admin", "owner_id", "user_id", "bytes_quota", "created_at", "password_hash", "disabled"):
        if member in str(operation.body) or (isinstance(body, dict) and member in body):
            continue
        answer = await call(operation, person, {}, body={**body, member: "admin"})
        # What the caller may not do at all is refused before the body is read.
        assert answer.status_code in (403, 422), (member, answer.text)


NASTY = [
    "\0",
    "a\0b@example.org",
    "\ud800",
    "\u202e",
    "x" * 20_000,
    "' OR 1=1 --",
    "../../etc/passwd",
    "\r\nSet-Cookie: x=y",
    "{{7*7}}",
    "\u0130",
]


def _with(body: dict[str, Any], changes: dict[str, Any]) -> bytes:
    return json.dumps({**body, **changes}).encode()


@named
async def test_no_text_breaks_an_operation(operation: Operation, db: Database) -> None:
    if operation.body is None:
        pytest.skip("takes no JSON")
    body = sample(operation.body, {})
    attacker = await _attacker()
    for member in [name for name, value in body.items() if isinstance(value, str)]:
        for text in NASTY:
            browser = _browser()
            browser.headers["authorization"] = attacker.headers["authorization"]
            answer = await browser.request(
                operation.method, operation.at({}), content=_with(body, {member: text}), headers={"content-type": "application/json"}
            )
            assert answer.status_code < 500, (member, text[:20], answer.text)


@named
async def test_nobody_is_sent_elsewhere(operation: Operation, db: Database) -> None:
    """Whatever a request says of its host, no answer leads to another one."""
    browser = await _attacker()
    browser.headers.update({"host": "evil.example", "x-forwarded-host": "evil.example", "forwarded": "host=evil.example"})
    browser.headers.update({"referer": "https://evil.example/", "origin": "https://evil.example"})
    answer = await _answer(operation, browser, {})
    if answer is not None:
        assert "evil.example" not in str(answer.headers)
        assert "evil.example" not in answer.text
        if answer.is_redirect:
            assert answer.headers["location"].startswith(f"{settings().frontend_url}/")


MARK = f"mark{secrets.token_hex(8)}"


@dataclass
class Victim:
    """Somebody with one of everything; all of it carries MARK where there is a text."""

    person: Person
    ids: dict[str, str]


async def _insert(tx: Transaction, table: str, **values: Any) -> None:
    columns = ", ".join(values)
    places = ", ".join(f"%({name})s" for name in values)
    await tx.execute(f"INSERT INTO {table} ({columns}) VALUES ({places})", values)


async def _document(victim: Person, db: Database) -> str:
    document_id, owner = new_id(), UUID(victim.id)
    async with db.tenant(owner) as tx:
        await _insert(
            tx,
            "documents",
            id=document_id,
            owner_id=owner,
            filename=f"{MARK}.txt",
            title=MARK,
            size=5,
            content_type="text/plain",
            status="ready",
            object_key=f"{owner}/{document_id}/{MARK}.txt",
            thumbnail_key=f".derived/{owner}/{document_id}/1.webp",
        )
        await _insert(tx, "document_pages", document_id=document_id, owner_id=owner, number=1, text=MARK)
    return str(document_id)


async def _topic(victim: Person, db: Database) -> str:
    answer = await _as(victim).post("/api/topics", json={"name": MARK, "description": MARK})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def _suggestion(victim: Person, db: Database) -> str:
    """Of the victim's document and topic, which were made before it."""
    suggestion_id, owner = new_id(), UUID(victim.id)
    async with db.tenant(owner) as tx:
        await _insert(
            tx,
            "topic_suggestions",
            id=suggestion_id,
            owner_id=owner,
            document_id=await tx.fetch_value("SELECT id FROM documents WHERE owner_id = %s", (owner,)),
            topic_id=await tx.fetch_value("SELECT id FROM topics WHERE owner_id = %s", (owner,)),
            confidence=0.5,
            quote=MARK,
            provider="local",
            model=MARK,
            state="open",
            revision=1,
        )
    return str(suggestion_id)


async def _session(victim: Person, db: Database) -> str:
    return str((await victim.browser.get("/api/auth/sessions")).json()["items"][0]["id"])


async def _api_token(victim: Person, db: Database) -> str:
    answer = await victim.browser.post("/api/auth/tokens", json={"name": MARK, "scopes": ["account:read"]})
    return str(answer.json()["id"])


async def _job(victim: Person, db: Database) -> str:
    answer = await _as(victim).post("/api/documents/bulk", json={"filter": {"q": MARK}, "action": "restore"})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


async def _view(victim: Person, db: Database) -> str:
    answer = await _as(victim).post("/api/views", json={"name": MARK, "query": {"q": MARK}})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def _sender(victim: Person, db: Database) -> str:
    """Of the victim's document, which was made before it."""
    document_id = (await _as(victim).get("/api/documents")).json()["items"][0]["id"]
    answer = await _as(victim).patch(f"/api/documents/{document_id}", json={"sender": MARK})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["sender"]["id"])


async def _proposal(victim: Person, db: Database) -> str:
    """Of the victim's document, which was made before it."""
    proposal_id, owner = new_id(), UUID(victim.id)
    async with db.tenant(owner) as tx:
        await _insert(
            tx,
            "detail_proposals",
            id=proposal_id,
            owner_id=owner,
            document_id=await tx.fetch_value("SELECT id FROM documents WHERE owner_id = %s", (owner,)),
            name="title",
            value=MARK,
            quote=MARK,
            provider="local",
            model=MARK,
            state="open",
            revision=1,
        )
    return str(proposal_id)


async def _connection(victim: Person, db: Database) -> str:
    connection_id, owner = new_id(), UUID(victim.id)
    async with db.tenant(owner) as tx:
        await _insert(
            tx, "cloud_connections", id=connection_id, owner_id=owner, provider="webdav", name=MARK, account=MARK, sealed=MARK.encode()
        )
    return str(connection_id)


async def _watched_folder(victim: Person, db: Database) -> str:
    """In the victim's connection, which was made before it."""
    folder_id, owner = new_id(), UUID(victim.id)
    async with db.tenant(owner) as tx:
        connection_id = await tx.fetch_value("SELECT id FROM cloud_connections WHERE owner_id = %s", (owner,))
        await _insert(tx, "watched_folders", id=folder_id, owner_id=owner, connection_id=connection_id, path=MARK)
    return str(folder_id)


async def _share(victim: Person, db: Database) -> str:
    """Of the victim's document, which was made before it."""
    document_id = (await _as(victim).get("/api/documents")).json()["items"][0]["id"]
    answer = await _as(victim).post(f"/api/documents/{document_id}/shares", json={"expires_at": "2999-01-01T00:00:00Z"})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def _version(victim: Person, db: Database) -> str:
    """An earlier version of a document."""
    document_id = await _document(victim, db)
    file = (f"{MARK}.txt", f"{MARK} again".encode(), "text/plain")
    answer = await _as(victim).post("/api/documents/upload", data={"replaces": document_id}, files={"file": file})
    assert answer.status_code == 201, answer.text
    listed = await _as(victim).get(f"/api/documents/{document_id}/versions")
    earlier: str = listed.json()["items"][1]["id"]
    return earlier


MAKERS: dict[str, Callable[[Person, Database], Awaitable[str]]] = {
    "document_id": _document,
    "topic_id": _topic,
    "suggestion_id": _suggestion,
    "job_id": _job,
    "view_id": _view,
    "sender_id": _sender,
    "proposal_id": _proposal,
    "connection_id": _connection,
    "folder_id": _watched_folder,
    "share_id": _share,
    "version_id": _version,
    "session_id": _session,
    "token_id": _api_token,
}
"""How a victim comes by the thing that a path parameter names."""


def _as(person: Person) -> Browser:
    browser = _browser()
    browser.headers["authorization"] = f"Bearer {person.browser.access_token}"
    return browser


async def _attacker() -> Browser:
    return _as(await new_person())


async def new_victim(db: Database) -> Victim:
    person = await new_person()
    ids = {name: await make(person, db) for name, make in MAKERS.items()}
    return Victim(person, {**ids, "user_id": person.id, "id": ids["document_id"]})


async def _everything(db: Database, owner: str) -> str:
    """All rows that belong to somebody, in every table there is."""
    rows: dict[str, Any] = {}
    async with db.system() as tx:
        tables = await (
            await tx.connection.execute(
                """
                SELECT DISTINCT table_name, column_name FROM information_schema.columns
                WHERE table_schema = 'public' AND column_name IN ('owner_id', 'user_id')
                  AND table_name NOT IN ('audit_queue', 'events', 'deliveries')
                UNION SELECT 'users', 'id'
                """
            )
        ).fetchall()
        for table, column in tables:
            found = await tx.fetch_value(f"SELECT jsonb_agg(t ORDER BY t::text) FROM {table} AS t WHERE {column} = %s", (owner,))
            rows[table] = found
    return json.dumps(rows, default=str, sort_keys=True)


async def _answer(operation: Operation, browser: Browser, ids: dict[str, str]) -> httpx.Response | None:
    """The answer; None where it is a stream that goes on."""
    try:
        async with asyncio.timeout(STREAM_SECONDS if operation.answers == "text/event-stream" else 30):
            return await call(operation, browser, ids)
    except TimeoutError:
        return None


@named
async def test_with_anothers_things_nothing_opens_shows_or_changes(operation: Operation, db: Database) -> None:
    if not operation.needs_sign_in:
        pytest.skip("open to everyone")
    admin = operation.path.startswith("/api/admin")
    unknown = [name for name in operation.parameters if name.endswith("_id") and name not in MAKERS and not admin]
    assert not unknown, f"say in MAKERS how somebody comes by {unknown}, so that {operation.name} can be attacked"
    victim, attacker = await new_victim(db), await _attacker()
    before = await _everything(db, victim.person.id)
    answer = await _answer(operation, attacker, victim.ids)
    if answer is not None:
        if admin:
            assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
        elif operation.parameters:
            assert answer.status_code == 404, answer.text
            nobodys = await call(operation, attacker, dict.fromkeys(operation.parameters, NIL) | {"id": NIL, "into": ANOTHER_NIL})
            same = ("status", "code", "title", "detail")
            assert [nobodys.json()[name] for name in same] == [answer.json()[name] for name in same]
        assert MARK not in answer.text
        assert victim.person.email not in answer.text
        assert answer.status_code < 500 or answer.json()["code"] == "not_configured"
    assert await _everything(db, victim.person.id) == before


@named
async def test_a_role_claimed_by_a_user_opens_nothing_of_the_admins(operation: Operation, db: Database) -> None:
    if not operation.path.startswith("/api/admin"):
        pytest.skip("not the admins'")
    answer = await call(operation, await _attacker(), {})
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


def test_the_description_is_of_these_functions() -> None:
    from infra.functions import http_functions

    assert {operation.name for operation in OPERATIONS} == {declaration.name for declaration in http_functions()}
