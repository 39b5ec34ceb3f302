"""Attacks on access tokens, sessions and sign-in."""

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from shared import clock, keys
from shared.config import settings
from shared.db import Database
from shared.identity import resets, tokens
from shared.identity.client import Client
from shared.ids import new_id
from tests.identity.browser import PASSWORD, Browser, Person, mails_to, new_person
from tests.identity.guessing import HELD_UP, guess


@pytest.fixture
async def person(db: Database) -> Person:
    return await new_person()


async def _opens(token: str) -> bool:
    answer = await Browser().get("/api/account", headers={"authorization": f"Bearer {token}"})
    assert answer.status_code in (200, 401)
    return answer.status_code == 200


def _parts(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    return jwt.get_unverified_header(token), jwt.decode(token, options={"verify_signature": False})


def _segment(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


async def test_the_token_itself_opens(person: Person) -> None:
    assert await _opens(person.browser.access_token)


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "nOnE", ""])
async def test_no_algorithm_is_no_signature(person: Person, algorithm: str) -> None:
    header, claims = _parts(person.browser.access_token)
    for signature in ("", person.browser.access_token.rpartition(".")[2]):
        assert not await _opens(f"{_segment(header | {'alg': algorithm})}.{_segment(claims)}.{signature}")


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
async def test_the_public_key_is_no_secret_of_an_hmac(person: Person, algorithm: str) -> None:
    header, claims = _parts(person.browser.access_token)
    public = keys.signing_keys()[0].public
    digest = {"HS256": hashlib.sha256, "HS384": hashlib.sha384, "HS512": hashlib.sha512}[algorithm]
    for secret in (
        public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo),
        public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo),
        json.dumps(keys.jwks()[0]).encode(),
        b"",
    ):
        signed = f"{_segment(header | {'alg': algorithm})}.{_segment(claims)}"
        signature = base64.urlsafe_b64encode(hmac.digest(secret, signed.encode(), digest)).rstrip(b"=").decode()
        assert not await _opens(f"{signed}.{signature}")


def _forgers() -> Iterator[tuple[str, Any, str]]:
    yield "another P-256 key", ec.generate_private_key(ec.SECP256R1()), "ES256"
    yield "a P-384 key", ec.generate_private_key(ec.SECP384R1()), "ES384"
    yield "an RSA key", rsa.generate_private_key(65537, 2048), "RS256"
    yield "an RSA key, PSS", rsa.generate_private_key(65537, 2048), "PS256"


@pytest.mark.parametrize(("key", "algorithm"), [pytest.param(key, algorithm, id=name) for name, key, algorithm in _forgers()])
async def test_another_key_does_not_sign(person: Person, key: Any, algorithm: str) -> None:
    header, claims = _parts(person.browser.access_token)
    assert not await _opens(jwt.encode(claims, key, algorithm=algorithm, headers={"kid": header["kid"], "typ": header["typ"]}))


@pytest.mark.parametrize(
    "change",
    [
        {"kid": "unknown"},
        {"kid": None},
        {"kid": ""},
        {"kid": ["x"]},
        {"kid": "../../../../etc/passwd"},
        {"kid": "' OR 1=1 --"},
        {"typ": "JWT"},
        {"crit": ["exp"]},
        {"jku": "https://evil.example/jwks.json", "kid": "unknown"},
        {"b64": False, "crit": ["b64"]},
    ],
)
async def test_headers_of_another_kind_are_refused(person: Person, change: dict[str, Any]) -> None:
    header, claims = _parts(person.browser.access_token)
    forged = header | change
    # Signed with our own key, so that nothing but the header can be what is wrong.
    signed = f"{_segment(forged)}.{_segment(claims)}"
    signature = jwt.api_jws.PyJWS().get_algorithm_by_name("ES256").sign(signed.encode(), keys.signing_keys()[0].private)
    assert not await _opens(f"{signed}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}")


async def test_an_embedded_key_is_not_used(person: Person) -> None:
    header, claims = _parts(person.browser.access_token)
    mine = ec.generate_private_key(ec.SECP256R1())
    jwk = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(mine.public_key()))
    for kid in (header["kid"], "mine"):
        assert not await _opens(jwt.encode(claims, mine, algorithm="ES256", headers={**header, "kid": kid, "jwk": jwk}))


@pytest.mark.parametrize(
    "change",
    [
        {"role": "admin"},
        {"sub": "00000000-0000-0000-0000-000000000000"},
        {"exp": 4102444800},
        {"jti": "00000000-0000-0000-0000-000000000000"},
        {"sid": "00000000-0000-0000-0000-000000000000"},
        {"fgp": "x"},
    ],
)
async def test_a_claim_that_was_changed_breaks_the_signature(person: Person, change: dict[str, Any]) -> None:
    header, _, signature = person.browser.access_token.split(".")
    _, claims = _parts(person.browser.access_token)
    assert not await _opens(f"{header}.{_segment(claims | change)}.{signature}")


async def test_a_signature_that_was_changed_is_refused(person: Person) -> None:
    head, _, signature = person.browser.access_token.rpartition(".")
    raw = base64.urlsafe_b64decode(signature + "==")
    for forged in (b"", raw[:-1], bytes(64), raw[:32] + bytes(32), raw[32:] + raw[:32], raw + b"\0"):
        assert not await _opens(f"{head}.{base64.urlsafe_b64encode(forged).rstrip(b'=').decode()}")


def _signed(claims: dict[str, Any], **header: Any) -> str:
    key = keys.signing_keys()[0]
    return jwt.encode(claims, key.private, algorithm="ES256", headers={"kid": key.kid, "typ": "at+jwt", **header})


async def test_expired_by_a_second_is_expired(person: Person) -> None:
    user, session = UUID(person.id), UUID(_parts(person.browser.access_token)[1]["sid"])
    client = Client("192.0.2.1", "Browser/1.0", "en")
    almost, _ = tokens.issue(user, "user", session, client, now=clock.now() - tokens.LIFETIME + timedelta(seconds=30))
    assert await _opens(almost)
    expired, _ = tokens.issue(user, "user", session, client, now=clock.now() - tokens.LIFETIME - timedelta(seconds=1))
    assert not await _opens(expired)


async def test_a_cached_token_expires_too(person: Person) -> None:
    user, session = UUID(person.id), UUID(_parts(person.browser.access_token)[1]["sid"])
    client = Client("192.0.2.1", "Browser/1.0", "en")
    seconds, opened, expiry = 1, False, 0
    while time.time() >= expiry:  # on a busy machine it may be over before it was looked at: then one that lives longer
        seconds *= 2
        soon, _ = tokens.issue(user, "user", session, client, now=clock.now() - tokens.LIFETIME + timedelta(seconds=seconds))
        expiry = _parts(soon)[1]["exp"]
        opened = await _opens(soon)
    assert opened
    while time.time() < expiry:
        await asyncio.sleep(0.02)
    assert not await _opens(soon)


@pytest.mark.parametrize("claim", ["iss", "sub", "role", "jti", "sid", "fgp", "iat", "exp"])
async def test_every_claim_must_be_there_and_sane(person: Person, claim: str) -> None:
    _, claims = _parts(person.browser.access_token)
    assert await _opens(_signed(claims))
    assert not await _opens(_signed({name: value for name, value in claims.items() if name != claim}))
    values: tuple[Any, ...] = ("nonsense", "", None, [], 0)
    for nonsense in values:
        if claim == "iss" and not isinstance(nonsense, str):
            continue  # PyJWT does not even sign that
        if claim == "iat" and nonsense == 0:
            continue  # a long time ago, but a time
        assert not await _opens(_signed(claims | {claim: nonsense})), nonsense


async def test_a_token_of_a_machine_whose_clock_is_a_little_ahead_is_good(person: Person) -> None:
    user, session = UUID(person.id), UUID(_parts(person.browser.access_token)[1]["sid"])
    ahead, _ = tokens.issue(user, "user", session, Client("192.0.2.1", "Browser/1.0", "en"), now=clock.now() + timedelta(seconds=20))
    assert await _opens(ahead)
    _, claims = _parts(ahead)
    assert not await _opens(_signed(claims | {"iat": int(time.time()) + 120}))


async def test_a_token_from_the_future_is_refused(person: Person) -> None:
    _, claims = _parts(person.browser.access_token)
    assert not await _opens(_signed(claims | {"iat": int(time.time()) + 3600}))
    assert not await _opens(_signed(claims | {"nbf": int(time.time()) + 3600}))


@pytest.mark.parametrize("token", ["", ".", "..", "a.b.c", "a" * 30_000, "dvt_", "dvt_" + "x" * 49, "\u00e9.a.b", "a.b.c.d.e"])
async def test_rubbish_is_refused(db: Database, token: str) -> None:
    answer = await Browser().get("/api/account", headers=[(b"authorization", b"Bearer " + token.encode())])
    assert answer.status_code == 401


async def test_a_rotated_key_still_verifies_and_no_longer_signs(person: Person, with_secret_key: Callable[[str], None]) -> None:
    import os

    old = os.environ["SECRET_KEY"]
    new = base64.b64encode(os.urandom(32)).decode()
    token, cookie = person.browser.access_token, person.browser.cookie
    with_secret_key(f"{new},{old}")
    assert await _opens(token)
    assert len((await Browser().get("/.well-known/jwks.json")).json()["keys"]) == 2
    refreshed = await Browser().post("/api/auth/refresh", headers={"cookie": f"docuvault_refresh={cookie}"})
    assert refreshed.status_code == 200
    assert _parts(refreshed.json()["access_token"])[0]["kid"] != _parts(token)[0]["kid"]
    with_secret_key(new)
    fresh = Client("192.0.2.1", "Browser/1.0", "en")
    assert not await _opens(_reissued(token, old, fresh))
    assert await _opens(refreshed.json()["access_token"])


def _reissued(token: str, secret: str, client: Client) -> str:
    """The claims of a token, signed anew with a key that was retired (one that no cache has seen)."""
    key = keys.signing_keys((base64.b64decode(secret + "=="),) if not _is_hex(secret) else (bytes.fromhex(secret),))[0]
    return jwt.encode(_parts(token)[1], key.private, algorithm="ES256", headers={"kid": key.kid, "typ": "at+jwt"})


def _is_hex(text: str) -> bool:
    try:
        bytes.fromhex(text)
    except ValueError:
        return False
    return True


async def test_a_session_cannot_be_fixed_beforehand(person: Person) -> None:
    attacker = await new_person()
    victim = Browser()
    victim.cookies.set("docuvault_refresh", attacker.browser.cookie or "", domain="vault.test", path="/api/auth")
    signed_in = await victim.post("/api/auth/login", json={"email": person.email, "password": person.password})
    assert signed_in.json()["user"]["id"] == person.id
    planted = signed_in.headers["set-cookie"].partition("=")[2].partition(";")[0]
    assert planted != attacker.browser.cookie
    assert (await attacker.browser.get("/api/account")).json()["id"] == attacker.id


async def test_every_sign_in_is_a_session_of_its_own(person: Person) -> None:
    first = _parts(person.browser.access_token)[1]["sid"]
    await person.browser.login(person.email, person.password)
    assert _parts(person.browser.access_token)[1]["sid"] != first


async def test_a_device_cookie_of_anothers_account_is_worth_nothing(person: Person, db: Database) -> None:
    other = await new_person()
    attacker = Browser()
    attacker.cookies.set("docuvault_device", other.browser.cookies["docuvault_device"], domain="vault.test", path="/api/auth")
    assert await guess(db, attacker, person.email) == HELD_UP


async def test_links_in_mails_do_not_follow_the_host_header(person: Person, db: Database) -> None:
    answer = await Browser().post("/api/auth/password/forgot", json={"email": person.email}, headers={"host": "evil.example"})
    assert answer.status_code == 202
    mail = next(mail for mail in await mails_to(db, person.email) if mail.template == "password_reset")
    async with db.system() as tx:
        values = await resets.prepare(tx, new_id(), mail.template, person.email, mail.values)
    assert values is not None
    assert values["url"].startswith(settings().frontend_url)


async def test_a_flood_of_sign_ins_leaves_room_for_others(person: Person) -> None:
    flood = [
        asyncio.create_task(Browser().post("/api/auth/login", json={"email": f"{n}@example.org", "password": PASSWORD})) for n in range(120)
    ]

    def ended() -> int:
        return sum(task.done() for task in flood)

    # How much of the flood went by while one waited; a machine that stands still holds up both.
    waits = []
    while (before := ended()) < len(flood):
        assert (await person.browser.get("/api/account")).status_code == 200
        waits.append(ended() - before)
        await asyncio.sleep(0.02)
    assert {task.result().status_code for task in flood} <= {401, 503}
    # Nobody stood in line behind the flood: that would have been one long wait, or a few.
    assert sorted(waits)[len(waits) // 2] < len(flood) / 10


async def test_nothing_secret_is_logged_or_audited(db: Database, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("DEBUG"):
        person = await new_person()
        secrets_seen = [person.password, person.browser.access_token, person.browser.cookie or ""]
        await person.browser.refresh()
        secrets_seen += [person.browser.access_token, person.browser.cookie or ""]
        begun = (await person.browser.post("/api/auth/totp/begin", json={"password": person.password})).json()
        api_token = (await person.browser.post("/api/auth/tokens", json={"name": "x", "scopes": ["account:read"]})).json()["token"]
        await Browser().login(person.email, "a wrong password of mine")
        secrets_seen += [begun["secret"], api_token, "a wrong password of mine"]
        await person.browser.post("/api/auth/logout")
    async with db.system() as tx:
        lines = await tx.fetch_value("SELECT string_agg(l::text, ' ') FROM audit_lines AS l WHERE owner_id = %s", (person.id,))
        personal = await tx.fetch_value("SELECT string_agg(p::text, ' ') FROM audit_personal AS p WHERE owner_id = %s", (person.id,))
        stored = [
            await tx.fetch_value(f"SELECT string_agg(t::text, ' ') FROM {table} AS t WHERE user_id = %s", (person.id,))
            for table in ("sessions", "api_tokens", "totp_secrets")
        ]
    for secret in secrets_seen:
        assert secret
        assert secret not in caplog.text
        assert secret not in f"{lines} {personal} {stored}"
