"""list_sessions, revoke_session, revoke_other_sessions; create_api_token, list_api_tokens, revoke_api_token; jwks."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import uuid4

import jwt
import pytest

from shared import clock
from shared.db import Database
from shared.identity import api_tokens
from tests.identity.browser import Browser, Person, new_person


@pytest.fixture
async def person(db: Database) -> Person:
    return await new_person()


async def _second(person: Person) -> Browser:
    browser = Browser("203.0.113.9", user_agent="Phone/2.0")
    await browser.login(person.email, person.password)
    return browser


async def test_one_sees_where_one_is_signed_in(person: Person) -> None:
    phone = await _second(person)
    listed = (await person.browser.get("/api/auth/sessions")).json()
    assert [item["current"] for item in listed["items"]] == [False, True]
    assert listed["items"][0]["ip"] == "203.0.113.9"
    assert listed["items"][0]["user_agent"] == "Phone/2.0"
    assert set(listed["items"][0]) == {"id", "created_at", "last_used_at", "user_agent", "ip", "current"}
    assert listed["next_cursor"] is None
    assert [item["current"] for item in (await phone.get("/api/auth/sessions")).json()["items"]] == [True, False]


async def test_sessions_come_in_pages(person: Person) -> None:
    for _ in range(4):
        await _second(person)
    seen: list[str] = []
    cursor: str | None = None
    while True:
        query: dict[str, Any] = {"limit": 2, **({"cursor": cursor} if cursor else {})}
        page = (await person.browser.get("/api/auth/sessions", params=query)).json()
        seen += [item["id"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert len(seen) == len(set(seen)) == 5
    stranger = await new_person()
    first = (await person.browser.get("/api/auth/sessions", params={"limit": 2})).json()["next_cursor"]
    stolen = await stranger.browser.get("/api/auth/sessions", params={"cursor": first})
    assert (stolen.status_code, stolen.json()["code"]) == (422, "invalid_cursor")


async def test_a_revoked_session_is_over_at_once(person: Person) -> None:
    phone = await _second(person)
    session = next(item for item in (await phone.get("/api/auth/sessions")).json()["items"] if item["current"])
    assert (await person.browser.delete(f"/api/auth/sessions/{session['id']}")).status_code == 204
    assert (await phone.get("/api/account")).status_code == 401
    assert (await phone.refresh()).json()["code"] == "session_revoked"
    assert (await person.browser.get("/api/account")).status_code == 200
    assert (await person.browser.delete(f"/api/auth/sessions/{session['id']}")).status_code == 404


async def test_anothers_session_cannot_be_revoked(person: Person) -> None:
    stranger = await new_person()
    session = (await person.browser.get("/api/auth/sessions")).json()["items"][0]["id"]
    assert (await stranger.browser.delete(f"/api/auth/sessions/{session}")).status_code == 404
    assert (await stranger.browser.delete(f"/api/auth/sessions/{uuid4()}")).status_code == 404
    assert (await stranger.browser.delete("/api/auth/sessions/nonsense")).status_code == 404
    assert (await person.browser.get("/api/account")).status_code == 200


async def test_all_other_sessions_end(person: Person) -> None:
    others = [await _second(person) for _ in range(3)]
    assert (await person.browser.delete("/api/auth/sessions")).status_code == 204
    assert [(await other.get("/api/account")).status_code for other in others] == [401] * 3
    assert (await person.browser.get("/api/account")).status_code == 200
    assert len((await person.browser.get("/api/auth/sessions")).json()["items"]) == 1


async def test_no_session_slips_in_while_all_are_ended(person: Person, db: Database) -> None:
    browsers = [Browser(f"198.18.5.{n}") for n in range(10)]
    *signed_in, ended = await asyncio.gather(
        *(browser.login(person.email, person.password) for browser in browsers), person.browser.delete("/api/auth/sessions")
    )
    assert ended.status_code == 204
    # Each is either before (ended with the rest) or after (listed): none is signed in and not listed.
    listed = len((await person.browser.get("/api/auth/sessions")).json()["items"]) - 1
    alive = [await browser.get("/api/account") for browser in browsers]
    assert [answer.status_code for answer in alive].count(200) == listed
    assert {answer.status_code for answer in signed_in} == {200}


async def _new_token(person: Person, *scopes: str, **more: Any) -> dict[str, Any]:
    answer = await person.browser.post("/api/auth/tokens", json={"name": "script", "scopes": list(scopes), **more})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def test_an_api_token_does_what_its_scopes_say(person: Person) -> None:
    token = await _new_token(person, "account:read")
    assert set(token) == {"id", "name", "scopes", "expires_at", "created_at", "last_used_at", "token"}
    program = Browser(user_agent="curl/8")
    program.headers["authorization"] = f"Bearer {token['token']}"
    assert (await program.get("/api/account")).json()["id"] == person.id
    narrow = await _new_token(person, "topics:read")
    program.headers["authorization"] = f"Bearer {narrow['token']}"
    refused = await program.get("/api/account")
    assert (refused.status_code, refused.json()["code"]) == (403, "insufficient_scope")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/auth/sessions"),
        ("DELETE", "/api/auth/sessions"),
        ("POST", "/api/auth/password/change"),
        ("POST", "/api/auth/totp/begin"),
        ("POST", "/api/auth/tokens"),
        ("GET", "/api/auth/tokens"),
        ("POST", "/api/account/delete"),
        ("PATCH", "/api/account"),
    ],
)
async def test_api_tokens_never_touch_identity(person: Person, method: str, path: str) -> None:
    token = await _new_token(person, "account:read", "documents:write")
    answer = await Browser().request(method, path, headers={"authorization": f"Bearer {token['token']}"}, json={})
    assert answer.status_code == 403


async def test_a_token_is_shown_once_and_stored_as_a_hash(person: Person, db: Database) -> None:
    token = await _new_token(person, "account:read")
    listed = (await person.browser.get("/api/auth/tokens")).json()["items"]
    assert [item["id"] for item in listed] == [token["id"]]
    assert "token" not in listed[0]
    async with db.system() as tx:
        row = await tx.fetch_value("SELECT api_tokens::text FROM api_tokens WHERE id = %s", (token["id"],))
    assert token["token"] not in row
    assert api_tokens.is_well_formed(token["token"])


async def test_a_replayed_creation_does_not_show_the_token_again(person: Person) -> None:
    body, headers = {"name": "script", "scopes": ["account:read"]}, {"idempotency-key": uuid4().hex}
    assert (await person.browser.post("/api/auth/tokens", json=body, headers=headers)).status_code == 201
    again = await person.browser.post("/api/auth/tokens", json=body, headers=headers)
    assert (again.status_code, again.json()["code"]) == (409, "already_done")


async def test_a_revoked_token_is_over_at_once(person: Person) -> None:
    token = await _new_token(person, "account:read")
    program = Browser()
    program.headers["authorization"] = f"Bearer {token['token']}"
    assert (await program.get("/api/account")).status_code == 200
    assert (await person.browser.delete(f"/api/auth/tokens/{token['id']}")).status_code == 204
    assert (await program.get("/api/account")).status_code == 401
    assert (await person.browser.delete(f"/api/auth/tokens/{token['id']}")).status_code == 404


async def test_an_expired_token_is_refused(person: Person, db: Database) -> None:
    past = (clock.now() - timedelta(seconds=1)).isoformat()
    refused = await person.browser.post("/api/auth/tokens", json={"name": "x", "scopes": ["account:read"], "expires_at": past})
    assert (refused.status_code, refused.json()["code"]) == (422, "validation_failed")
    token = await _new_token(person, "account:read", expires_at=(clock.now() + timedelta(hours=1)).isoformat())
    async with db.system() as tx:
        await tx.execute("UPDATE api_tokens SET expires_at = now() WHERE id = %s", (token["id"],))
    answer = await Browser().get("/api/account", headers={"authorization": f"Bearer {token['token']}"})
    assert answer.status_code == 401


@pytest.mark.parametrize("scopes", [[], ["admin"], ["documents:*"], ["account:write"]])
async def test_only_known_scopes_can_be_asked_for(person: Person, scopes: list[str]) -> None:
    answer = await person.browser.post("/api/auth/tokens", json={"name": "x", "scopes": scopes})
    assert answer.status_code == 422


def test_a_mistyped_token_is_known_by_its_checksum() -> None:
    token = api_tokens.new_token()
    assert token.startswith("dvt_")
    changed = token[:10] + ("a" if token[10] != "a" else "b") + token[11:]
    assert api_tokens.is_well_formed(token)
    assert not api_tokens.is_well_formed(changed)


async def test_anyone_can_verify_tokens_by_the_published_keys(person: Person) -> None:
    answer = await Browser().get("/.well-known/jwks.json")
    keys = jwt.PyJWKSet.from_dict(answer.json())
    kid = jwt.get_unverified_header(person.browser.access_token)["kid"]
    claims = jwt.decode(person.browser.access_token, keys[kid].key, algorithms=["ES256"])
    assert claims["sub"] == person.id
    assert set(claims) == {"iss", "sub", "role", "jti", "sid", "fgp", "iat", "exp"}
    assert claims["exp"] - claims["iat"] == 900
    assert all("d" not in key for key in answer.json()["keys"])
