"""Idempotency-Key on the operations that make documents."""

import asyncio
import secrets

import pytest

from shared.db import Database
from shared.storage import object_store
from tests.faas.asgi import Exchange, Heard, scope
from tests.functions.documents.conftest import Person

MEBIBYTE = 2**20
ASKED = {"filename": "a.txt", "size": 5, "content_type": "text/plain"}


def _form(content: bytes, boundary: str, filename: str = "a.txt", **fields: str) -> bytes:
    head = b"".join(
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode() for name, value in fields.items()
    )
    head += (
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{filename}"\r\nContent-Type: text/plain\r\n\r\n'
    ).encode()
    return head + content + f"\r\n--{boundary}--\r\n".encode()


def _sent(person: Person, body: bytes, boundary: str, key: str, *, told: bool) -> Exchange:
    headers = person.headers | {"content-type": f"multipart/form-data; boundary={boundary}", "idempotency-key": key}
    headers |= {"content-length": str(len(body))} if told else {}
    exchange = Exchange(person.app, scope("POST", "/api/documents/upload", headers=headers))
    for start in range(0, len(body), 100_000):
        exchange.send(body[start : start + 100_000], more=True)
    return exchange


async def _send(person: Person, content: bytes, key: str, *, told: bool = True, filename: str = "a.txt", **fields: str) -> Heard:
    """As a client does: with another boundary each time."""
    boundary = secrets.token_hex(secrets.choice((8, 20)))
    exchange = _sent(person, _form(content, boundary, filename, **fields), boundary, key, told=told)
    exchange.send(b"")
    return await exchange.end()


async def _held(db: Database, person: Person) -> tuple[int, int, int]:
    """Documents, bytes used, bytes reserved."""
    async with db.tenant(person.owner) as tx:
        documents = await tx.fetch_value("SELECT count(*) FROM documents WHERE owner_id = %s", (person.owner,))
        used = await tx.fetch_value("SELECT bytes_used FROM account_usage WHERE owner_id = %s", (person.owner,))
        reserved = await tx.fetch_value("SELECT bytes_reserved FROM account_usage WHERE owner_id = %s", (person.owner,))
    return documents, used, reserved


@pytest.mark.parametrize("size", [1000, 5 * MEBIBYTE])
@pytest.mark.parametrize("told", [True, False])
async def test_the_same_file_is_stored_once_and_another_one_is_refused(person: Person, db: Database, size: int, told: bool) -> None:
    content = secrets.token_bytes(size)
    first = await _send(person, content, "k", told=told)
    assert first.status == 201, first.body
    again = await _send(person, content, "k", told=not told)
    assert (again.status, again.body, again.header("idempotent-replayed")) == (201, first.body, "true")
    other = await _send(person, content[:-1] + bytes([content[-1] ^ 1]), "k", told=told)
    assert (other.status, other.code) == (422, "idempotency_key_reused")
    for changed in ({"filename": "b.txt"}, {"allow_duplicate": "true"}):
        assert (await _send(person, content, "k", told=told, **changed)).code == "idempotency_key_reused"
    assert (await _send(person, content + b"and more" * 100_000, "k", told=told)).code == "idempotency_key_reused"
    assert (await _send(person, content[:-1], "k", told=told)).code == "idempotency_key_reused"
    assert await _held(db, person) == (1, size, 0)


async def test_a_replay_that_breaks_off_changes_nothing(person: Person, db: Database) -> None:
    content = secrets.token_bytes(MEBIBYTE)
    first = await _send(person, content, "k")
    cut = _sent(person, _form(content, "b")[:-500_000], "b", "k", told=True)
    cut.leave()
    assert (await cut.end()).code == "malformed_body"
    assert (await _send(person, content, "k")).body == first.body
    assert await _held(db, person) == (1, len(content), 0)


async def test_a_first_upload_that_breaks_off_frees_its_key(person: Person, db: Database) -> None:
    content = secrets.token_bytes(5 * MEBIBYTE)
    cut = _sent(person, _form(content, "b")[:-500_000], "b", "k", told=True)
    cut.leave()
    assert (await cut.end()).code == "malformed_body"
    assert await _held(db, person) == (0, 0, 0)
    assert (await _send(person, content[::-1], "k")).status == 201


async def test_while_the_first_upload_runs_another_one_waits_whatever_it_sends(person: Person, db: Database) -> None:
    content = secrets.token_bytes(5 * MEBIBYTE)
    body = _form(content, "b")
    running = _sent(person, body[:-100], "b", "k", told=True)
    async with asyncio.timeout(60):
        while (await _held(db, person))[0] == 0:
            await asyncio.sleep(0.01)
    for sent in (content, secrets.token_bytes(1000)):
        meanwhile = await _send(person, sent, "k")
        assert (meanwhile.status, meanwhile.code, meanwhile.header("retry-after")) == (409, "idempotency_conflict", "1")
    running.send(body[-100:])
    assert (await running.end()).status == 201
    assert (await _send(person, content, "k")).header("idempotent-replayed") == "true"


async def _create(person: Person, key: str = "k") -> Heard:
    return await person.ask("POST", "/api/documents", json=ASKED, headers={"idempotency-key": key})


@pytest.mark.parametrize("path", ["/api/documents/{}/upload", "/api/documents/{}"])
async def test_once_an_upload_is_given_up_its_key_creates_a_new_one(person: Person, db: Database, path: str) -> None:
    first = (await _create(person)).json()["document"]
    assert (await _create(person)).json()["document"]["id"] == first["id"]
    kept = (await _create(person, "another")).json()["document"]
    assert (await person.ask("DELETE", path.format(first["id"]))).status == 204
    created = await _create(person)
    assert (created.status, created.header("idempotent-replayed")) == (201, None)
    document_id = created.json()["document"]["id"]
    assert document_id != first["id"]
    assert (await person.ask("GET", f"/api/documents/{document_id}")).status == 200
    assert (await _create(person, "another")).json()["document"]["id"] == kept["id"]
    assert await _held(db, person) == (2, 0, 10)


async def test_deleting_a_document_that_is_still_uploading_gives_it_up(person: Person, db: Database) -> None:
    created = (await person.ask("POST", "/api/documents", json=ASKED)).json()
    path = f"/api/documents/{created['document']['id']}"
    async with db.tenant(person.owner) as tx:
        key = await tx.fetch_value("SELECT object_key FROM documents WHERE id = %s", (created["document"]["id"],))
    await object_store().put(key, b"early", content_type="text/plain")
    assert (await person.ask("DELETE", path)).status == 204
    assert await _held(db, person) == (0, 0, 0)
    assert await object_store().stat(key) is None
    assert (await person.ask("GET", path)).status == 404
    assert (await person.ask("DELETE", path)).status == 404
    assert (await person.ask("POST", f"{path}/complete", json={})).status == 404


async def test_a_document_that_arrives_while_it_is_deleted_is_in_the_trash_or_gone(person: Person, db: Database) -> None:
    for _ in range(10):
        created = (await person.ask("POST", "/api/documents", json=ASKED | {"allow_duplicate": True})).json()
        document_id = created["document"]["id"]
        async with db.tenant(person.owner) as tx:
            key = await tx.fetch_value("SELECT object_key FROM documents WHERE id = %s", (document_id,))
        await object_store().put(key, b"bytes", content_type="text/plain")
        path = f"/api/documents/{document_id}"
        completed, deleted = await asyncio.gather(person.ask("POST", f"{path}/complete", json={}), person.ask("DELETE", path))
        assert deleted.status == 204
        found = await person.ask("GET", path)
        assert found.status == 404 or found.json()["trashed_at"] is not None
        assert completed.status in (202, 404, 409)
