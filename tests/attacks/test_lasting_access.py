"""What an access token that somebody else got hold of is good for: a quarter of an hour, and nothing that lasts longer.

Each operation that gives lasting access, or changes how one signs in, is on LASTING: none of them does anything for a bare access token of
a session that is not fresh. All others of identity are on HARMLESS, with the reason. A new one must be put on one of the two lists.
"""

from typing import Any

import httpx
import pytest

from infra import functions
from shared.db import Database
from shared.faas.declarations import ENDPOINTS
from shared.identity import confirmation
from tests.attacks.operations import call, gateway, operations
from tests.identity.authenticator import enrol, forget_steps
from tests.identity.browser import Browser, Person, mails_to, new_person
from tests.identity.guessing import HELD_UP, guess

LASTING = {
    "begin_totp",
    "change_password",
    "confirm_totp",
    "create_api_token",
    "delete_account",
    "disable_totp",
    "regenerate_backup_codes",
}
HARMLESS = {
    "login": "needs the password",
    "register": "makes an account of its own",
    "verify_second_factor": "needs the password's challenge and a code",
    "refresh_session": "needs the refresh cookie, which pages and logs never see",
    "request_password_reset": "whoever reads the account's mail gets the link",
    "reset_password": "needs the link that was mailed",
    "logout": "takes access away",
    "revoke_session": "takes access away",
    "revoke_other_sessions": "takes access away; whoever is signed out can sign in",
    "revoke_api_token": "takes access away",
    "update_account": "changes the display name alone",
    "update_settings": "chooses the AI provider of those who chose none; opens no account, and keys are never given back",
    "choose_storage": "chooses among storage that the owner has connected",
}
AREAS = {"auth", "account", "cloud", "admin"}
REFUSED = {"reauthentication_required", "invalid_credentials", "invalid_code"}

BY_NAME = {operation.name: operation for operation in operations()}


def _areas() -> dict[str, str]:
    return {functions.load(path): path.parent.name for path in functions.files()}


def test_every_operation_of_identity_is_known_as_lasting_or_harmless() -> None:
    areas = _areas()
    concerned = {
        name for name, operation in BY_NAME.items() if (areas[name] in AREAS and operation.method != "GET") or ENDPOINTS[name].secret_answer
    }
    assert concerned == LASTING | set(HARMLESS), "say in LASTING or HARMLESS what a stolen access token can do with it"
    assert not LASTING & set(HARMLESS)


async def _make_old(db: Database, person: Person) -> None:
    """As if everybody had signed in longer ago than counts as recent."""
    async with db.system() as tx:
        await tx.execute("UPDATE sessions SET created_at = created_at - %s WHERE user_id = %s", (confirmation.RECENT, person.id))


def _thief(person: Person) -> Browser:
    """Has the access token, in the same browser, and nothing else."""
    browser = Browser(app=gateway())
    browser.headers["authorization"] = f"Bearer {person.browser.access_token}"
    return browser


async def _means(db: Database, person: Person) -> dict[str, Any]:
    """All that somebody can get in with."""
    async with db.system() as tx:
        return {
            table: await tx.fetch_value(f"SELECT jsonb_agg(t ORDER BY t::text) FROM {table} AS t WHERE {column} = %s", (person.id,))
            for table, column in (("users", "id"), ("api_tokens", "user_id"), ("totp_secrets", "user_id"), ("backup_codes", "user_id"))
        }


@pytest.mark.parametrize("name", sorted(LASTING))
async def test_a_bare_access_token_of_an_old_session_gives_nothing_that_lasts(db: Database, name: str) -> None:
    operation = BY_NAME[name]
    plain, enrolled = await new_person(), await new_person()
    await plain.browser.post("/api/auth/totp/begin", json={"password": plain.password})
    await enrol(db, enrolled)
    codes = set()
    for person in (plain, enrolled):
        await _make_old(db, person)
        await person.browser.refresh()  # makes nothing recent
        before = await _means(db, person)
        answer = await call(operation, _thief(person), {})  # all that must be there, and every proof a wrong one
        assert answer.status_code in (401, 403, 409), answer.text
        codes.add(answer.json()["code"])
        assert await _means(db, person) == before
    assert codes & REFUSED


async def _make_token(browser: Browser, **proof: str) -> httpx.Response:
    return await browser.post("/api/auth/tokens", json={"name": "x", "scopes": ["account:read"], **proof})


async def test_an_api_token_takes_a_recent_sign_in_or_the_password(db: Database) -> None:
    person = await new_person()
    assert (await _make_token(person.browser)).status_code == 201
    await _make_old(db, person)
    await person.browser.refresh()
    refused = await _make_token(person.browser)
    assert (refused.status_code, refused.json()["code"]) == (403, "reauthentication_required")
    wrong = await _make_token(person.browser, password="wrong password!")
    assert (wrong.status_code, wrong.json()["code"]) == (401, "invalid_credentials")
    assert (await _make_token(person.browser, password=person.password)).status_code == 201
    await person.browser.login(person.email, person.password)
    assert (await _make_token(person.browser)).status_code == 201


async def test_with_a_second_factor_an_api_token_takes_its_code_too(db: Database) -> None:
    person = await new_person()
    app, backup = await enrol(db, person)
    await _make_old(db, person)
    refused = await _make_token(person.browser, password=person.password)
    assert (refused.status_code, refused.json()["code"]) == (403, "reauthentication_required")
    wrong = await _make_token(person.browser, password=person.password, code=app.wrong_code())
    assert (wrong.status_code, wrong.json()["code"]) == (401, "invalid_code")
    assert (await _make_token(person.browser, password=person.password, code=app.code())).status_code == 201
    spent = await _make_token(person.browser, password=person.password, code=app.code())
    assert (spent.status_code, spent.json()["code"]) == (401, "invalid_code")
    await forget_steps(db, person)
    assert (await _make_token(person.browser, password=person.password, code=backup[0])).status_code == 201


async def test_each_api_token_that_is_made_is_told_by_mail(db: Database) -> None:
    person = await new_person()
    await _make_token(person.browser)
    assert [mail.values["what"] for mail in await mails_to(db, person.email) if mail.template == "security_alert"] == ["api_token_created"]


async def test_guessing_the_password_for_an_api_token_is_slowed_down(db: Database) -> None:
    person = await new_person()
    await _make_old(db, person)

    async def ask(password: str) -> httpx.Response:
        return await _make_token(person.browser, password=password)

    assert await guess(db, person.browser, person.email, ask) == HELD_UP
