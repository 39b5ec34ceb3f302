"""Every event of identity is written, success and failure, with the actor, the address and the user agent."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import pytest

from shared.audit import AuditAction, AuditOutcome
from shared.config import read_settings, settings
from shared.db import Database
from shared.identity import bootstrap, resets
from shared.ids import new_id
from tests import accounts
from tests.identity.authenticator import challenge, enrol, forget_steps
from tests.identity.browser import PASSWORD, Browser, Person, new_address, new_person

NEW = "a wholly different secret"
ADDRESS, AGENT = "203.0.113.200", "Auditor/1.0"


@pytest.fixture
def with_argon2(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], None]]:
    """Hashes cost another number of KiB from now on."""

    def change(kib: int) -> None:
        monkeypatch.setenv("ARGON2_MEMORY_KIB", str(kib))
        settings.cache_clear()

    yield change
    monkeypatch.undo()
    settings.cache_clear()


@dataclass(frozen=True)
class Line:
    action: str
    outcome: str
    actor: UUID | None
    ip: str | None
    user_agent: str | None
    detail: dict[str, object]


async def _lines(db: Database, person: Person) -> list[Line]:
    async with db.system() as tx:
        return await tx.fetch_all(
            """
            SELECT action, outcome, actor_id AS actor, ip, user_agent, detail
            FROM audit_lines LEFT JOIN audit_personal ON line_id = id
            WHERE audit_lines.owner_id = %(owner)s OR (audit_lines.owner_id IS NULL AND user_agent = %(agent)s)
            ORDER BY id
            """,
            {"owner": person.id, "agent": AGENT},
            row=Line,
        )


async def _reset_token(db: Database, person: Person) -> str:
    async with db.system() as tx:
        values = await resets.prepare(tx, new_id(), "password_reset", person.email, {})
    assert values is not None
    return values["url"].partition("token=")[2]


async def _person() -> Person:
    """Registered and signed in at ADDRESS, with AGENT."""
    person = Person(new_address(), PASSWORD, Browser(ADDRESS, user_agent=AGENT), "")
    await person.browser.post("/api/auth/register", json={"email": person.email, "password": PASSWORD})
    person.id = (await person.browser.login(person.email, PASSWORD)).json()["user"]["id"]
    return person


async def test_everything_that_can_happen_to_an_account_is_written(db: Database, with_argon2: Callable[[int], None]) -> None:
    person = await _person()
    own = person.browser

    async def post(path: str, **body: object) -> int:
        return (await own.post(path, json=body)).status_code

    assert await post("/api/auth/register", email=person.email, password=PASSWORD) == 202
    assert (await Browser(ADDRESS, user_agent=AGENT).login(person.email, "wrong password!")).status_code == 401
    assert (await own.patch("/api/account", json={"display_name": "Ada"})).status_code == 200
    assert (await own.put("/api/account/storage", json={"connection_id": None})).status_code == 200
    spent = own.cookie
    assert (await own.refresh()).status_code == 200
    token = (await own.post("/api/auth/tokens", json={"name": "x", "scopes": ["account:read"]})).json()
    assert (await own.delete(f"/api/auth/tokens/{token['id']}")).status_code == 204

    # The second factor: begun, refused, confirmed, asked for, answered wrongly and rightly, new codes, switched off.
    assert await post("/api/auth/totp/begin", password="wrong password!") == 401
    assert await post("/api/auth/totp/begin", password=PASSWORD) == 200
    assert await post("/api/auth/totp/confirm", code="no code") == 401
    app, _ = await enrol(db, person)
    answering = Browser(ADDRESS, user_agent=AGENT)
    token = await challenge(person, answering)
    assert (await answering.second_factor(token, code="no code")).status_code == 401
    assert (await answering.second_factor(token, code=app.code())).status_code == 200
    assert (await answering.second_factor(token, code=app.code())).status_code == 401
    for path, status in (("/api/auth/backup-codes", 200), ("/api/auth/totp/disable", 204)):
        assert await post(path, password=PASSWORD, code="no code") == 401
        await forget_steps(db, person)
        assert await post(path, password=PASSWORD, code=app.code()) == status

    # Sessions: one revoked, all others revoked, one signed out, one stolen, one that is over.
    other = Browser(ADDRESS, user_agent=AGENT)
    await other.login(person.email, PASSWORD)
    newest = (await own.get("/api/auth/sessions")).json()["items"][0]["id"]
    assert (await own.delete(f"/api/auth/sessions/{newest}")).status_code == 204
    assert (await other.refresh()).status_code == 401
    assert (await own.delete("/api/auth/sessions")).status_code == 204
    await other.login(person.email, PASSWORD)
    assert (await other.post("/api/auth/logout")).status_code == 204
    assert (await own.refresh()).status_code == 200
    thief = await Browser(ADDRESS, user_agent=AGENT).post("/api/auth/refresh", headers={"cookie": f"docuvault_refresh={spent}"})
    assert thief.json()["code"] == "session_revoked"

    # The password: hashed anew, changed, forgotten, reset, the link used again.
    with_argon2(9216)
    await own.login(person.email, PASSWORD)
    assert await post("/api/auth/password/change", current_password="wrong password!", new_password=NEW) == 401
    assert await post("/api/auth/password/change", current_password=PASSWORD, new_password=NEW) == 204
    assert await post("/api/auth/password/forgot", email=person.email) == 202
    token = await _reset_token(db, person)
    assert await post("/api/auth/password/reset", token=token, new_password=PASSWORD) == 204
    assert await post("/api/auth/password/reset", token=token, new_password=PASSWORD) == 401

    # Too many failures.
    guessing = Browser(ADDRESS, user_agent=AGENT)
    while (await guessing.login(person.email, "wrong password!")).status_code != 429:
        pass

    lines = await _lines(db, person)
    success, failure = AuditOutcome.SUCCESS, AuditOutcome.FAILURE
    assert {(line.action, line.outcome) for line in lines} == {
        (AuditAction.ACCOUNT_REGISTERED, success),
        (AuditAction.ACCOUNT_REGISTERED, failure),
        (AuditAction.ACCOUNT_UPDATED, success),
        (AuditAction.STORAGE_CHOSEN, success),
        (AuditAction.LOGIN, success),
        (AuditAction.LOGIN, failure),
        (AuditAction.LOGIN_DELAYED, failure),
        (AuditAction.SECOND_FACTOR_REQUIRED, success),
        (AuditAction.REFRESH, success),
        (AuditAction.REFRESH, failure),
        (AuditAction.REFRESH_REUSED, failure),
        (AuditAction.REAUTHENTICATION, success),
        (AuditAction.REAUTHENTICATION, failure),
        (AuditAction.LOGOUT, success),
        (AuditAction.SESSION_REVOKED, success),
        (AuditAction.PASSWORD_RESET_REQUESTED, success),
        (AuditAction.PASSWORD_RESET, success),
        (AuditAction.PASSWORD_RESET, failure),
        (AuditAction.PASSWORD_CHANGED, success),
        (AuditAction.PASSWORD_UPGRADED, success),
        (AuditAction.TOTP_BEGUN, success),
        (AuditAction.TOTP_CONFIRMED, success),
        (AuditAction.TOTP_CONFIRMED, failure),
        (AuditAction.TOTP_DISABLED, success),
        (AuditAction.TOTP_DISABLED, failure),
        (AuditAction.BACKUP_CODES_REGENERATED, success),
        (AuditAction.BACKUP_CODES_REGENERATED, failure),
        (AuditAction.API_TOKEN_CREATED, success),
        (AuditAction.API_TOKEN_REVOKED, success),
    }
    assert {(line.ip, line.user_agent) for line in lines} == {(ADDRESS, AGENT)}
    for line in lines:
        # Who succeeded is known to be the owner; asking for a reset, or trying to get in, shows nothing.
        unknown = line.action == AuditAction.PASSWORD_RESET_REQUESTED or (
            line.outcome == failure
            and line.action
            in (
                AuditAction.ACCOUNT_REGISTERED,
                AuditAction.LOGIN,
                AuditAction.LOGIN_DELAYED,
                AuditAction.REFRESH,
                AuditAction.REFRESH_REUSED,
                AuditAction.PASSWORD_RESET,
            )
        )
        assert line.actor == (None if unknown else UUID(person.id)), line
    reasons = {line.detail.get("reason") for line in lines if line.outcome == failure}
    assert {"address_taken", "wrong_password", "wrong_code", "challenge_void", "invalid_token", "ended"} <= reasons


async def test_codes_refused_for_too_many_failures_are_written_too(db: Database) -> None:
    person = await new_person()
    await enrol(db, person)
    body = {"password": PASSWORD, "code": "no code"}
    for path in ("/api/auth/totp/disable", "/api/auth/backup-codes"):
        while (await person.browser.post(path, json=body)).status_code != 429:
            pass
    answering = Browser()
    token = await challenge(person, answering)
    while (await answering.second_factor(token, code="no code")).status_code != 429:
        token = await challenge(person, answering)
    refused = {(line.action, line.detail.get("reason")) for line in await _lines(db, person) if line.outcome == AuditOutcome.FAILURE}
    assert {
        (AuditAction.TOTP_DISABLED, "too_many_failures"),
        (AuditAction.BACKUP_CODES_REGENERATED, "too_many_failures"),
        (AuditAction.LOGIN_DELAYED, None),
    } <= refused


async def test_what_the_system_does_is_written_without_a_person(db: Database) -> None:
    person = await new_person()
    await person.browser.post("/api/account/delete", json={"password": person.password})
    await accounts.erase(UUID(person.id))
    assert {(line.action, line.actor, line.ip) for line in await _lines(db, person)} >= {
        (AuditAction.ACCOUNT_DELETED, UUID(person.id), None),
        (AuditAction.ACCOUNT_DATA_ERASED, None, None),
    }


async def test_the_first_admin_is_written(own_instance: Database) -> None:
    email = new_address()
    config = read_settings(os.environ | {"ADMIN_EMAIL": email, "ADMIN_PASSWORD": "the very first admin"})
    assert await bootstrap.ensure_admin(own_instance, config)
    async with own_instance.system() as tx:
        written = await tx.fetch_value(
            "SELECT count(*) FROM audit_lines WHERE action = %s AND owner_id = (SELECT id FROM users WHERE email = %s)",
            (AuditAction.ADMIN_BOOTSTRAPPED.value, email),
        )
    assert written == 1


def test_every_event_of_identity_is_driven_here() -> None:
    source = Path(__file__).read_text()
    areas = ("account:", "session:", "password:", "second_factor:", "api_token:")
    missing = [event.name for event in AuditAction if event.value.startswith(areas) and f"AuditAction.{event.name}" not in source]
    assert missing == []
