"""What an access token that somebody else got hold of is good for: a quarter of an hour, and nothing that lasts longer.

Each operation that gives lasting access, or changes how one signs in, is on LASTING: none of them does anything for a bare access token of
a session that is not fresh. Those on REDIRECTING decide where documents go: such a token changes anything else about them. All others of
identity and AI are on HARMLESS, with the reason. A new one must be put on one of the lists.
"""

from typing import Any

import httpx
import pytest

from infra import functions
from shared.assistant import choices
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
REDIRECTING = {"update_ai_settings", "update_settings", "choose_storage"}
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
    "check_ai_health": "asks the provider that was chosen",
    "classify_now": "asks the provider that was chosen",
    "decide_suggestion": "files a document under a topic, which can be undone",
    "estimate_classification": "counts",
    "suggest_topics": "asks the provider that was chosen",
    "undo_classification": "takes a document out of topics",
    "verify_audit_log": "reads the audit log and says whether it is whole",
    "decide_suggestions": "files documents under topics, which can be undone",
    "decide_proposal": "names a document, which can be undone",
    "watch_folder": "brings documents in, from a place that was connected",
    "unwatch_folder": "brings nothing more in",
    "check_connection": "asks storage that was connected",
    "rename_connection": "a name alone",
    "connect_webdav": "a place alone: no document goes there before somebody sends it, or it is chosen",
    "delete_connection": "takes access away",
    "import_files": "brings documents in",
    "share_document": "a link to a document that the token can read anyway, which its owner sees in a list and can revoke",
    "open_share": "needs the link",
    "export_documents": "copies what the token can read anyway, once",
}
ADMINS = {"create_user", "update_user", "delete_user"}
"""Of an admin's stolen token: tests/functions/admin/test_users.py."""
HARMLESS |= {
    "revoke_user_sessions": "takes access away; whoever is signed out can sign in",
    "retry_delivery": "has an event delivered that was to be delivered",
    "run_schedule": "does earlier what is done by the clock anyway",
}
AREAS = {"auth", "account", "ai", "cloud", "admin"}
REFUSED = {"reauthentication_required", "invalid_credentials", "invalid_code"}

BY_NAME = {operation.name: operation for operation in operations()}


def _areas() -> dict[str, str]:
    return {functions.load(path): path.parent.name for path in functions.files()}


def test_every_operation_of_identity_is_known_as_lasting_or_harmless() -> None:
    areas = _areas()
    concerned = {
        name for name, operation in BY_NAME.items() if (areas[name] in AREAS and operation.method != "GET") or ENDPOINTS[name].secret_answer
    }
    every = LASTING | REDIRECTING | ADMINS | set(HARMLESS)
    assert concerned == every, "say in LASTING, REDIRECTING, ADMINS or HARMLESS what a stolen token can do with it"
    assert not (LASTING | ADMINS) & set(HARMLESS)
    assert not REDIRECTING & (LASTING | set(HARMLESS))


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


ELSEWHERE: list[dict[str, Any]] = [
    {"provider": "openai", "api_key": "sk-of-the-thief-1234"},
    {"provider": "openai", "base_url": "https://8.8.8.8/v1"},
    {"provider": "anthropic"},
    {"provider": "ollama", "base_url": "https://8.8.8.8/v1"},
]


async def _choose(browser: Browser, wanted: dict[str, Any], **proof: str) -> httpx.Response:
    return await browser.put("/api/ai/settings", json={**wanted, **proof})


async def _alerts(db: Database, person: Person) -> list[str]:
    return [mail.values["what"] for mail in await mails_to(db, person.email) if mail.template == "security_alert"]


@pytest.mark.parametrize("wanted", ELSEWHERE, ids=lambda wanted: "-".join(wanted))
async def test_a_bare_access_token_of_an_old_session_sends_no_document_elsewhere(db: Database, wanted: dict[str, Any]) -> None:
    person = await new_person()
    await _make_old(db, person)
    await person.browser.refresh()
    thief = _thief(person)
    before = (await thief.get("/api/ai/settings")).json()
    refused = await _choose(thief, wanted)
    assert (refused.status_code, refused.json()["code"]) == (403, "reauthentication_required")
    wrong = await _choose(thief, wanted, password="wrong password!")
    assert (wrong.status_code, wrong.json()["code"]) == (401, "invalid_credentials")
    assert (await thief.get("/api/ai/settings")).json() == before
    assert await _alerts(db, person) == []
    assert (await _choose(thief, wanted, password=person.password)).status_code == 200
    assert await _alerts(db, person) == ["ai_provider_changed"]


async def test_another_key_sends_documents_to_another_account(db: Database) -> None:
    person = await new_person()
    browser = _thief(person)
    mine = {"provider": "openai", "api_key": "sk-of-my-own-1234"}
    assert (await _choose(browser, mine)).status_code == 200
    await _make_old(db, person)
    for key in ("sk-of-the-thief-1234", ""):
        assert (await _choose(browser, {"provider": "openai", "api_key": key})).status_code == 403
    assert (await browser.get("/api/ai/settings")).json()["key_hint"] == "…1234"


async def test_what_sends_nothing_elsewhere_takes_no_password(db: Database) -> None:
    person = await new_person()
    browser = _thief(person)
    assert (await _choose(browser, {"provider": "openai", "api_key": "sk-of-my-own-1234"})).status_code == 200
    await _make_old(db, person)
    for change in ({"mode": "suggest"}, {"monthly_budget_usd": 3}, {"model": "gpt-4o-mini"}):
        assert (await _choose(browser, {"provider": "openai", **change})).status_code == 200
    assert (await _choose(browser, {"provider": "local"})).status_code == 200
    assert await _alerts(db, person) == ["ai_provider_changed"]
    assert (await _choose(browser, {"provider": "openai"})).status_code == 403


async def test_with_a_second_factor_another_provider_takes_its_code_too(db: Database) -> None:
    person = await new_person()
    app, _ = await enrol(db, person)
    await _make_old(db, person)
    browser = _thief(person)
    assert (await _choose(browser, ELSEWHERE[0], password=person.password)).json()["code"] == "reauthentication_required"
    assert (await _choose(browser, ELSEWHERE[0], password=person.password, code=app.wrong_code())).json()["code"] == "invalid_code"
    assert (await _choose(browser, ELSEWHERE[0], password=person.password, code=app.code())).status_code == 200


async def test_an_api_token_that_may_write_ai_settings_changes_them_and_its_owner_is_told(db: Database) -> None:
    person = await new_person()
    made = await person.browser.post("/api/auth/tokens", json={"name": "x", "scopes": ["ai:read", "ai:write"]})
    await _make_old(db, person)
    program = Browser(app=gateway())
    program.headers["authorization"] = f"Bearer {made.json()['token']}"
    assert (await _choose(program, ELSEWHERE[0])).status_code == 200
    assert await _alerts(db, person) == ["api_token_created", "ai_provider_changed"]


async def test_an_admins_stolen_token_sends_nobodys_documents_elsewhere(db: Database) -> None:
    person = await new_person()
    async with db.system() as tx:
        await tx.execute("UPDATE users SET role = 'admin' WHERE id = %s", (person.id,))
    await _make_old(db, person)
    await person.browser.refresh()
    thief = _thief(person)

    async def choose(wanted: dict[str, Any], **proof: str) -> httpx.Response:
        return await thief.put("/api/admin/settings", json={"ai": wanted, **proof})

    try:
        assert (await choose({"provider": "local", "monthly_budget_usd": 7})).status_code == 200
        refused = await choose(ELSEWHERE[0])
        assert (refused.status_code, refused.json()["code"]) == (403, "reauthentication_required")
        assert (await thief.get("/api/admin/settings")).json()["ai"]["provider"] == "local"
        assert await _alerts(db, person) == []
        assert (await choose(ELSEWHERE[0], password=person.password)).status_code == 200
        assert await _alerts(db, person) == ["system_ai_provider_changed"]
    finally:
        async with db.system() as tx:
            await tx.execute("DELETE FROM ai_system_settings")
        choices.forget_system_choice()


async def test_a_bare_access_token_of_an_old_session_stores_no_later_document_elsewhere(db: Database) -> None:
    person = await new_person()
    await _make_old(db, person)
    thief = _thief(person)

    async def choose(connection: str | None, **proof: str) -> tuple[int, str]:
        answer = await thief.put("/api/account/storage", json={"connection_id": connection, **proof})
        return answer.status_code, answer.json().get("code", "")

    nothing = "01890000-0000-7000-8000-000000000000"
    assert await choose(nothing) == (403, "reauthentication_required")
    assert await choose(nothing, password="wrong password!") == (401, "invalid_credentials")
    assert await choose(nothing, password=person.password) == (404, "not_found")
    assert await choose(None) == (200, "")
