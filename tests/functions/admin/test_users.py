"""list_users, create_user, update_user, delete_user, revoke_user_sessions."""

import asyncio
from typing import Any

import httpx
import pytest

from infra.gateway.app import Gateway
from shared.db import Database
from shared.identity import confirmation
from tests.functions.admin.conftest import ADMINS_PASSWORD
from tests.identity.browser import PASSWORD, Browser, Person, mails_to, new_address, new_person

SHOWN = {
    "id", "email", "display_name", "role", "second_factor", "storage_connection_id", "created_at", "bytes_used", "bytes_quota", "disabled",
    "last_seen_at",
}  # fmt: skip


async def _users(admin: Browser, **query: Any) -> list[dict[str, Any]]:
    response = await admin.get("/api/admin/users", params=query)
    assert response.status_code == 200, response.text
    items: list[dict[str, Any]] = response.json()["items"]
    return items


async def _me(browser: Browser) -> str:
    return str((await browser.get("/api/account")).json()["id"])


async def _change(admin: Browser, user_id: str, **change: Any) -> httpx.Response:
    return await admin.patch(f"/api/admin/users/{user_id}", json=change)


async def _person(app: Gateway) -> Person:
    """Somebody who is signed in at this test's own vault."""
    person = await new_person(signed_in=False)
    person.browser = Browser(app=app)
    person.id = (await person.browser.login(person.email, person.password)).json()["user"]["id"]
    return person


async def _log(admin: Browser, action: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = (await admin.get("/api/admin/audit", params={"action": action})).json()["items"]
    return items


async def _make_old(db: Database) -> None:
    async with db.system() as tx:
        await tx.execute("UPDATE sessions SET created_at = created_at - %s", (confirmation.RECENT,))


async def test_every_account_is_listed_newest_first(admin: Browser, app: Gateway) -> None:
    people = [await _person(app) for _ in range(3)]
    items = await _users(admin)
    assert [item["id"] for item in items] == [*(person.id for person in reversed(people)), await _me(admin)]
    assert {frozenset(item) for item in items} == {frozenset(SHOWN)}
    first = (await admin.get("/api/admin/users", params={"limit": 2})).json()
    rest = (await admin.get("/api/admin/users", params={"limit": 2, "cursor": first["next_cursor"]})).json()
    assert first["items"] + rest["items"] == items
    assert rest["next_cursor"] is None


async def test_an_account_made_with_a_password_can_be_used_at_once(admin: Browser, app: Gateway) -> None:
    email = new_address()
    made = await admin.post("/api/admin/users", json={"email": email, "password": PASSWORD, "bytes_quota": 12345})
    assert made.status_code == 201, made.text
    assert (made.json()["role"], made.json()["bytes_quota"], made.json()["disabled"]) == ("user", 12345, False)
    browser = Browser(app=app)
    assert (await browser.login(email, PASSWORD)).status_code == 200
    assert (await browser.get("/api/account/usage")).json()["bytes_quota"] == 12345
    (line,) = await _log(admin, "admin:user_created")
    assert (line["actor"], line["target"], line["detail"]) == (await _me(admin), made.json()["id"], {"role": "user", "invited": False})


async def test_without_a_password_its_owner_is_invited_by_mail(admin: Browser, own_instance: Database, app: Gateway) -> None:
    email = new_address()
    assert (await admin.post("/api/admin/users", json={"email": email})).status_code == 201
    assert [mail.template for mail in await mails_to(own_instance, email)] == ["invitation"]
    assert (await Browser(app=app).login(email, "!")).status_code == 401


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"email": "x"}, 422, "validation_failed"),
        ({"email": "a@example.org", "password": "short"}, 422, "password_too_weak"),
        ({"email": "a@example.org", "role": "owner"}, 422, "validation_failed"),
        ({"email": "a@example.org", "bytes_quota": -1}, 422, "validation_failed"),
        ({"email": "a@example.org", "bytes_quota": 2**63}, 422, "validation_failed"),
        ({"email": "a@example.org", "disabled": True}, 422, "validation_failed"),
    ],
)
async def test_an_account_that_does_not_fit_is_not_made(admin: Browser, body: dict[str, Any], status: int, code: str) -> None:
    refused = await admin.post("/api/admin/users", json=body)
    assert (refused.status_code, refused.json()["code"]) == (status, code)
    assert len(await _users(admin)) == 1


async def test_two_accounts_have_no_address_together(admin: Browser) -> None:
    email = new_address()
    results = await asyncio.gather(*(admin.post("/api/admin/users", json={"email": email.upper()}) for _ in range(2)))
    assert sorted(result.status_code for result in results) == [201, 409]
    again = await admin.post("/api/admin/users", json={"email": email})
    assert (again.status_code, again.json()["code"]) == (409, "user_exists")


async def test_a_disabled_account_is_out_at_once_and_can_be_let_in_again(admin: Browser, app: Gateway) -> None:
    person = await _person(app)
    made = await person.browser.post("/api/auth/tokens", json={"name": "x", "scopes": ["account:read"]})
    program = Browser(app=app)
    program.headers["authorization"] = f"Bearer {made.json()['token']}"
    assert (await program.get("/api/account")).status_code == 200
    changed = await _change(admin, person.id, disabled=True)
    assert (changed.status_code, changed.json()["disabled"]) == (200, True)
    assert (await person.browser.get("/api/account")).status_code == 401
    assert (await person.browser.refresh()).status_code == 401
    assert (await program.get("/api/account")).status_code == 401
    assert (await Browser(app=app).login(person.email, person.password)).status_code == 401
    assert (await _change(admin, person.id, disabled=False)).status_code == 200
    assert (await Browser(app=app).login(person.email, person.password)).status_code == 200
    assert [line["detail"]["changed"] for line in await _log(admin, "admin:user_updated")] == [{"disabled": False}, {"disabled": True}]


async def test_another_role_holds_from_the_next_sign_in(admin: Browser, app: Gateway) -> None:
    person = await _person(app)
    assert (await person.browser.get("/api/admin/users")).status_code == 403
    assert (await _change(admin, person.id, role="admin")).json()["role"] == "admin"
    assert (await person.browser.get("/api/admin/users")).status_code == 401, "the token that says `user` is over"
    await person.browser.login(person.email, person.password)
    assert (await person.browser.get("/api/admin/users")).status_code == 200
    assert (await _change(admin, person.id, role="user")).json()["role"] == "user"
    assert (await person.browser.get("/api/admin/users")).status_code == 401


async def test_a_quota_is_set_and_taken_back(admin: Browser, app: Gateway) -> None:
    person = await _person(app)
    usual = (await person.browser.get("/api/account/usage")).json()["bytes_quota"]
    assert (await _change(admin, person.id, bytes_quota=10)).json()["bytes_quota"] == 10
    upload = {"filename": "a.txt", "size": 11, "content_type": "text/plain"}
    refused = await person.browser.post("/api/documents", json=upload)
    assert (refused.status_code, refused.json()["code"]) == (403, "quota_exceeded")
    assert (await _change(admin, person.id, bytes_quota=None)).json()["bytes_quota"] == usual
    assert (await person.browser.post("/api/documents", json=upload)).status_code == 201


@pytest.mark.parametrize("change", [{"role": None}, {"disabled": None}, {"role": "x"}, {"bytes_quota": "5"}, {"email": "a@example.org"}])
async def test_a_change_that_does_not_fit_changes_nothing(admin: Browser, app: Gateway, change: dict[str, Any]) -> None:
    before = await _users(admin)
    refused = await admin.patch(f"/api/admin/users/{await _me(admin)}", json=change)
    assert (refused.status_code, refused.json()["code"]) == (422, "validation_failed")
    assert await _users(admin) == before


async def test_the_last_admin_stays(admin: Browser, app: Gateway) -> None:
    me = await _me(admin)
    for refused in (
        await _change(admin, me, role="user"),
        await _change(admin, me, disabled=True),
        await admin.delete(f"/api/admin/users/{me}"),
    ):
        assert (refused.status_code, refused.json()["code"]) == (409, "last_admin")
    person = await _person(app)
    await _change(admin, person.id, role="admin")
    await _change(admin, person.id, disabled=True)
    assert (await _change(admin, me, role="user")).json()["code"] == "last_admin", "an admin who cannot sign in is none"


async def test_two_admins_who_demote_one_another_at_once_are_not_both_gone(admin: Browser, app: Gateway) -> None:
    person = await _person(app)
    await _change(admin, person.id, role="admin")
    await person.browser.login(person.email, person.password)
    me = await _me(admin)
    results = await asyncio.gather(_change(admin, person.id, role="user"), _change(person.browser, me, role="user"))
    assert sorted(result.status_code for result in results) in ([200, 401], [200, 409])
    assert "admin" in {item["role"] for item in await _roles(admin, person.browser)}


async def _roles(*browsers: Browser) -> list[dict[str, Any]]:
    for browser in browsers:
        listed = await browser.get("/api/admin/users")
        if listed.status_code == 200:
            items: list[dict[str, Any]] = listed.json()["items"]
            return items
    return []


async def test_a_deleted_account_is_gone_and_its_address_free(admin: Browser, app: Gateway) -> None:
    person = await _person(app)
    assert (await admin.delete(f"/api/admin/users/{person.id}")).status_code == 204
    assert person.id not in {item["id"] for item in await _users(admin)}
    assert (await person.browser.get("/api/account")).status_code == 401
    assert (await Browser(app=app).login(person.email, person.password)).status_code == 401
    again = await admin.delete(f"/api/admin/users/{person.id}")
    assert (again.status_code, again.json()["code"]) == (404, "not_found")
    assert (await admin.post("/api/admin/users", json={"email": person.email})).status_code == 201
    assert [line["target"] for line in await _log(admin, "admin:user_deleted")] == [person.id]


async def test_all_sessions_of_somebody_end_at_once(admin: Browser, app: Gateway) -> None:
    person = await _person(app)
    second = Browser(app=app)
    await second.login(person.email, person.password)
    ended = await admin.post(f"/api/admin/users/{person.id}/revoke-sessions")
    assert (ended.status_code, ended.json()) == (200, {"sessions": 2})
    for browser in (person.browser, second):
        assert (await browser.get("/api/account")).status_code == 401
    assert (await second.login(person.email, person.password)).status_code == 200
    assert (await admin.get("/api/account")).status_code == 200
    assert [line["detail"] for line in await _log(admin, "admin:sessions_revoked")] == [{"sessions": 2}]


@pytest.mark.parametrize("user_id", ["01890000-0000-7000-8000-000000000000", "nobody"])
async def test_nobody_is_not_found(admin: Browser, user_id: str) -> None:
    for response in (
        await _change(admin, user_id, disabled=True),
        await admin.delete(f"/api/admin/users/{user_id}"),
        await admin.post(f"/api/admin/users/{user_id}/revoke-sessions"),
    ):
        assert (response.status_code, response.json()["code"]) == (404, "not_found")


async def test_an_admins_stolen_token_gives_nobody_access_and_destroys_nothing(
    admin: Browser, own_instance: Database, app: Gateway
) -> None:
    person = await _person(app)
    await _make_old(own_instance)
    before = await _users(admin)
    make = {"email": new_address(), "password": PASSWORD, "role": "admin"}
    for refused in (
        await admin.post("/api/admin/users", json=make),
        await _change(admin, person.id, role="admin"),
        await _change(admin, person.id, disabled=False),
        await admin.delete(f"/api/admin/users/{person.id}"),
    ):
        assert (refused.status_code, refused.json()["code"]) == (403, "reauthentication_required")
    wrong = await _change(admin, person.id, role="admin", current_password="not this one")
    assert (wrong.status_code, wrong.json()["code"]) == (401, "invalid_credentials")
    assert await _users(admin) == before
    # With the admin's password all of it is done; what takes access away needs no proof.
    assert (await admin.post("/api/admin/users", json=make | {"current_password": ADMINS_PASSWORD})).status_code == 201
    assert (await _change(admin, person.id, role="admin", current_password=ADMINS_PASSWORD)).status_code == 200
    assert (await _change(admin, person.id, disabled=True)).status_code == 200


async def test_the_log_does_not_show_an_admins_address_to_others(admin: Browser, app: Gateway) -> None:
    person = await _person(app)
    await admin.post(f"/api/admin/users/{person.id}/revoke-sessions")
    await person.browser.login(person.email, person.password)
    events = (await person.browser.get("/api/account/security-events")).json()["items"]
    assert admin.address not in {event["ip"] for event in events}
