"""Shares as clients meet them."""

import asyncio
import secrets
from collections.abc import Iterator
from datetime import datetime
from ipaddress import IPv4Address
from typing import Any
from uuid import uuid4

import httpx
import pytest

from shared.config import settings
from shared.db import Database
from shared.identity import api_tokens
from tests.faas.asgi import Heard, ask
from tests.functions.documents.conftest import Person

LATER = "2999-01-01T00:00:00Z"
JSON = {"content-type": "application/json"}


async def _share(person: Person, document_id: str, **more: Any) -> dict[str, Any]:
    answer = await person.ask("POST", f"/api/documents/{document_id}/shares", json={"expires_at": LATER, **more})
    assert answer.status == 201, answer.body
    made: dict[str, Any] = answer.json()
    return made


async def _open(person: Person, share: dict[str, Any] | str, body: Any = None, address: str = "") -> Heard:
    """As somebody who is not signed in, from an address of their own."""
    token = share if isinstance(share, str) else share["url"].rpartition("/")[2]
    client = (address or str(IPv4Address(0x0B000000 + secrets.randbelow(1 << 24))), 1)
    more = {} if body is None else {"json": body, "headers": JSON}
    return await ask(person.app, "POST", f"/api/shared/{token}", client=client, **more)


async def test_a_document_is_shared_opened_listed_and_revoked(person: Person) -> None:
    document = await person.upload(b"Dear heron")
    made = await _share(person, document["id"], max_downloads=3)
    url = made.pop("url")
    assert url == f"{settings().frontend_url}/shared/{url.rpartition('/')[2]}"
    assert made.keys() == {"id", "expires_at", "has_password", "max_downloads", "downloads"}
    assert (datetime.fromisoformat(made["expires_at"]).year, made["has_password"], made["max_downloads"]) == (2999, False, 3)
    token = url.rpartition("/")[2]
    for body in (None, {}, {"password": None}):
        opened = await _open(person, token, body)
        assert (opened.status, opened.json().keys()) == (200, {"filename", "size", "url"})
        assert opened.header("cache-control") == "no-store"
        async with httpx.AsyncClient() as browser:
            assert (await browser.get(opened.json()["url"])).content == b"Dear heron"
    listed = (await person.ask("GET", f"/api/documents/{document['id']}/shares")).json()
    assert listed == {"items": [{**made, "downloads": 3}], "next_cursor": None}
    other = await _share(person, document["id"])
    path = f"/api/documents/{document['id']}/shares/{other['id']}"
    assert (await person.ask("DELETE", path)).status == 204
    assert (await person.ask("DELETE", path)).code == "not_found"
    used_up, revoked, unknown = [await _open(person, one) for one in (token, other, "x")]
    for answer in (used_up, revoked, unknown):
        assert (answer.status, answer.code, answer.json()["detail"]) == (404, "not_found", unknown.json()["detail"])


async def test_a_password_is_asked_for(person: Person) -> None:
    document = await person.upload(b"Dear heron")
    share = await _share(person, document["id"], password="wades at dawn")
    assert share["has_password"]
    for body, code in ((None, "share_password_required"), ({"password": "x"}, "share_password_wrong")):
        answer = await _open(person, share, body)
        assert (answer.status, answer.code) == (401, code)
        assert answer.header("www-authenticate") is not None
    assert (await _open(person, share, {"password": "wades at dawn"})).status == 200


async def test_of_fifty_requests_at_once_as_many_open_as_may(person: Person) -> None:
    document = await person.upload(b"Dear heron")
    share = await _share(person, document["id"], max_downloads=5)
    answers = await asyncio.gather(*(_open(person, share, address="192.0.2.77") for _ in range(50)))
    assert sorted(answer.status for answer in answers) == [200] * 5 + [404] * 45


async def test_an_idempotency_key_makes_one_share_whose_link_is_not_kept(person: Person) -> None:
    document = await person.upload(b"Dear heron")
    path, headers = f"/api/documents/{document['id']}/shares", {"idempotency-key": str(uuid4())}
    first, again = [await person.ask("POST", path, json={"expires_at": LATER}, headers=headers) for _ in range(2)]
    assert (first.status, again.status, again.code) == (201, 409, "already_done")
    assert len((await person.ask("GET", path)).json()["items"]) == 1


async def test_a_program_that_may_only_read_shares_nothing(person: Person, db: Database) -> None:
    document = await person.upload(b"Dear heron")
    async with db.system() as tx:
        _, text = await api_tokens.create(tx, person.owner, name="reader", scopes=["documents:read"], expires_at=None)
    headers = {"authorization": f"Bearer {text}"}
    path = f"/api/documents/{document['id']}/shares"
    assert (await person.ask("POST", path, json={"expires_at": LATER}, headers=headers)).code == "insufficient_scope"
    assert (await person.ask("GET", path, headers=headers)).status == 200


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"expires_at": "2001-01-01T00:00:00Z"},
        {"expires_at": "2999-01-01"},
        {"expires_at": None},
        {"expires_at": LATER, "max_downloads": 0},
        {"expires_at": LATER, "max_downloads": 1.5},
        {"expires_at": LATER, "max_downloads": 2**40},
        {"expires_at": LATER, "password": ""},
        {"expires_at": LATER, "password": "x" * 129},
        {"expires_at": LATER, "password": 1234},
        {"expires_at": LATER, "downloads": 3},
    ],
    ids=str,
)
async def test_what_makes_no_share_is_refused(person: Person, body: dict[str, Any]) -> None:
    document = await person.upload(b"Dear heron")
    answer = await person.ask("POST", f"/api/documents/{document['id']}/shares", json=body)
    assert (answer.status, answer.code) == (422, "validation_failed")


@pytest.fixture
def three_a_day(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("RATE_LIMIT_SHARE", "3/day")
    settings.cache_clear()
    yield
    monkeypatch.undo()
    settings.cache_clear()


async def test_an_address_opens_so_often(person: Person, three_a_day: None) -> None:
    address = str(IPv4Address(0x0C000000 + secrets.randbelow(1 << 24)))
    answers = [await _open(person, "x", address=address) for _ in range(4)]
    assert [answer.status for answer in answers] == [404] * 3 + [429]
    assert answers[-1].header("retry-after") is not None
    assert (await _open(person, "x")).status == 404
