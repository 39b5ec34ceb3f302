"""register, login, refresh_session, logout and get_account, over HTTP with a cookie jar."""

import asyncio
from http.cookies import SimpleCookie

import pytest

from shared.db import Database
from shared.identity import throttle
from shared.identity.client import Client
from tests.identity.browser import PASSWORD, Browser, Person, mails_to, new_address, new_person
from tests.identity.guessing import HELD_UP, guess


@pytest.fixture
async def person(db: Database) -> Person:
    return await new_person()


async def test_one_registers_signs_in_and_sees_the_account(db: Database) -> None:
    browser, email = Browser(), new_address()
    registered = await browser.post("/api/auth/register", json={"email": email, "password": PASSWORD, "display_name": "Ada"})
    assert (registered.status_code, registered.json()) == (202, {"status": "accepted"})
    signed_in = await browser.login(email, PASSWORD)
    assert signed_in.status_code == 200
    body = signed_in.json()
    assert body["status"] == "signed_in"
    assert body["token_type"] == "Bearer"
    assert body["expires_in"] == 900
    assert set(body["user"]) == {"id", "email", "display_name", "role", "second_factor", "storage_connection_id", "created_at"}
    assert body["user"]["email"] == email
    assert body["user"]["display_name"] == "Ada"
    account = await browser.get("/api/account")
    assert account.json() == body["user"]
    usage = await browser.get("/api/account/usage")
    assert usage.json() == {"bytes_used": 0, "bytes_reserved": 0, "bytes_quota": 20 * 2**30, "documents": 0}


async def test_registering_a_taken_address_answers_the_same_and_tells_its_owner(db: Database, person: Person) -> None:
    other = Browser("192.0.2.99")
    again = await other.post("/api/auth/register", json={"email": person.email.upper(), "password": "another long password"})
    fresh = await other.post("/api/auth/register", json={"email": new_address(), "password": "another long password"})
    assert (again.status_code, again.json()) == (fresh.status_code, fresh.json()) == (202, {"status": "accepted"})
    assert {name for name in again.headers} == {name for name in fresh.headers}
    assert (await other.login(person.email, "another long password")).status_code == 401
    assert [mail.template for mail in await mails_to(db, person.email)] == ["welcome", "already_registered"]


@pytest.mark.parametrize(
    ("password", "code"),
    [("short", "password_too_weak"), ("a" * 129, "password_too_weak"), ("aaaaaaaaaaaaaaaa", "password_too_weak")],
)
async def test_weak_passwords_are_refused(db: Database, password: str, code: str) -> None:
    answer = await Browser().post("/api/auth/register", json={"email": new_address(), "password": password})
    assert (answer.status_code, answer.json()["code"]) == (422, code)


async def test_unknown_address_and_wrong_password_answer_the_same(person: Person) -> None:
    wrong = await Browser().login(person.email, "wrong password!")
    unknown = await Browser().login(new_address(), "wrong password!")
    for answer in (wrong, unknown):
        assert answer.status_code == 401
        assert answer.json()["code"] == "invalid_credentials"
    same = ("type", "title", "status", "detail", "code")
    assert [wrong.json()[name] for name in same] == [unknown.json()[name] for name in same]
    assert set(wrong.headers) == set(unknown.headers)


async def test_an_address_that_nobody_can_have_is_refused_as_such(db: Database) -> None:
    answer = await Browser().login("a\0b@example.org", PASSWORD)
    assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed")


async def test_the_refresh_cookie_has_its_flags(person: Person) -> None:
    answer = await person.browser.refresh()
    cookie = SimpleCookie(answer.headers["set-cookie"])["docuvault_refresh"]
    assert cookie["httponly"]
    assert cookie["samesite"] == "Strict"
    assert cookie["path"] == "/api/auth"
    assert cookie["max-age"] == str(30 * 24 * 3600)
    assert not cookie["secure"]  # BACKEND_URL is http here


async def test_refreshing_gives_a_new_cookie_and_token(person: Person) -> None:
    cookie, token = person.browser.cookie, person.browser.access_token
    answer = await person.browser.refresh()
    assert answer.status_code == 200
    assert set(answer.json()) == {"access_token", "token_type", "expires_in", "user"}
    assert person.browser.cookie != cookie
    assert person.browser.access_token != token
    assert (await person.browser.get("/api/account")).status_code == 200


async def test_without_or_with_a_made_up_cookie_one_is_not_refreshed(db: Database) -> None:
    for cookie in ("", "nonsense", "A" * 90):
        answer = await Browser().post("/api/auth/refresh", headers={"cookie": f"docuvault_refresh={cookie}"})
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")


async def test_two_tabs_refreshing_at_once_both_stay_signed_in(db: Database, person: Person) -> None:
    cookie = person.browser.cookie
    answers = await asyncio.gather(
        *(Browser().post("/api/auth/refresh", headers={"cookie": f"docuvault_refresh={cookie}"}) for _ in range(8))
    )
    assert [answer.status_code for answer in answers] == [200] * 8
    successors = {answer.cookies["docuvault_refresh"] for answer in answers}
    assert len(successors) == 1
    after = await Browser().post("/api/auth/refresh", headers={"cookie": f"docuvault_refresh={successors.pop()}"})
    assert after.status_code == 200
    assert await mails_to(db, person.email) != []


async def test_a_used_refresh_token_ends_the_whole_family(db: Database, person: Person) -> None:
    stolen = person.browser.cookie
    await person.browser.refresh()
    await person.browser.refresh()
    token = person.browser.access_token
    thief = await Browser("198.51.100.9", user_agent="Thief").post("/api/auth/refresh", headers={"cookie": f"docuvault_refresh={stolen}"})
    assert (thief.status_code, thief.json()["code"]) == (401, "session_revoked")
    assert (await person.browser.refresh()).json()["code"] == "session_revoked"
    assert (await person.browser.get("/api/account", headers={"authorization": f"Bearer {token}"})).status_code == 401
    alerts = [mail for mail in await mails_to(db, person.email) if mail.template == "security_alert"]
    assert len(alerts) == 1
    assert alerts[0].values["what"] == "refresh_token_reused"
    assert alerts[0].values["address"] == "198.51.100.9"


async def test_a_spent_token_is_not_good_again_after_ten_seconds(db: Database, person: Person) -> None:
    spent = person.browser.cookie
    await person.browser.refresh()
    async with db.system() as tx:
        await tx.execute("UPDATE sessions SET rotated_at = rotated_at - interval '11 seconds' WHERE user_id = %s", (person.id,))
    late = await Browser().post("/api/auth/refresh", headers={"cookie": f"docuvault_refresh={spent}"})
    assert (late.status_code, late.json()["code"]) == (401, "session_revoked")
    assert (await person.browser.refresh()).status_code == 401


@pytest.mark.parametrize("by", ["bearer", "cookie", "both"])
async def test_signing_out_ends_session_and_token_at_once(person: Person, by: str) -> None:
    browser, token, cookie = Browser(), person.browser.access_token, person.browser.cookie
    headers = {}
    if by != "cookie":
        headers["authorization"] = f"Bearer {token}"
    if by != "bearer":
        headers["cookie"] = f"docuvault_refresh={cookie}"
    answer = await browser.post("/api/auth/logout", headers=headers)
    assert answer.status_code == 204
    assert "docuvault_refresh=;" in answer.headers["set-cookie"]
    assert "Max-Age=0" in answer.headers["set-cookie"]
    assert (await browser.get("/api/account", headers={"authorization": f"Bearer {token}"})).status_code == 401
    assert (await browser.post("/api/auth/refresh", headers={"cookie": f"docuvault_refresh={cookie}"})).status_code == 401


async def test_signing_out_without_anything_is_fine_too(db: Database) -> None:
    assert (await Browser().post("/api/auth/logout")).status_code == 204
    assert (await Browser().post("/api/auth/logout", headers={"authorization": "Bearer x.y.z"})).status_code == 204


@pytest.mark.parametrize("path", ["/api/auth/refresh", "/api/auth/logout"])
async def test_a_foreign_page_cannot_use_the_cookie(person: Person, path: str) -> None:
    foreign = await person.browser.post(path, headers={"origin": "https://evil.example"})
    assert (foreign.status_code, foreign.json()["code"]) == (403, "origin_not_allowed")
    hidden = await person.browser.post(path, headers={"sec-fetch-site": "cross-site"})
    assert hidden.status_code == 403
    own = await person.browser.post(path, headers={"origin": "http://vault.test", "sec-fetch-site": "same-origin"})
    assert own.status_code in (200, 204)


async def test_the_origin_rule_is_about_the_cookie_alone(person: Person) -> None:
    foreign = {"origin": "https://evil.example", "sec-fetch-site": "cross-site"}
    without = Browser(person.browser.address)
    refreshed = await without.post("/api/auth/refresh", headers=foreign)
    assert (refreshed.status_code, refreshed.json()["code"]) == (401, "unauthenticated")
    signed_out = await without.post("/api/auth/logout", headers={**foreign, "authorization": f"Bearer {person.browser.access_token}"})
    assert signed_out.status_code == 204
    assert (await person.browser.get("/api/account")).status_code == 401


async def test_a_token_taken_to_another_browser_is_refused(person: Person) -> None:
    headers = {"authorization": f"Bearer {person.browser.access_token}"}
    assert (await Browser(user_agent="Other").get("/api/account", headers=headers)).status_code == 401
    assert (await Browser(language="fr").get("/api/account", headers=headers)).status_code == 401
    assert (await Browser().get("/api/account", headers=headers)).status_code == 200


async def test_sign_ins_with_one_password_at_once_all_succeed(person: Person) -> None:
    answers = await asyncio.gather(*(Browser().login(person.email, person.password) for _ in range(20)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["access_token"] for answer in answers}) == 20


async def test_guessing_is_slowed_down_and_a_known_device_is_not(db: Database, person: Person) -> None:
    attacker = Browser("198.51.100.20")
    assert await guess(db, attacker, person.email) == HELD_UP
    blocked = await attacker.login(person.email, person.password)
    assert blocked.status_code == 429
    assert int(blocked.headers["retry-after"]) >= 1
    # The owner is not locked out: neither from another network, nor with the device that is known, nor (it has one) with both.
    assert (await Browser("203.0.113.5").login(person.email, person.password)).status_code == 200
    assert (await person.browser.login(person.email, person.password)).status_code == 200


async def test_a_known_device_in_the_attackers_network_gets_in(db: Database, person: Person) -> None:
    attacker = Browser(person.browser.address, user_agent="Attacker")
    await guess(db, attacker, person.email)
    assert (await attacker.login(person.email, person.password)).status_code == 429
    assert (await person.browser.login(person.email, person.password)).status_code == 200


async def test_guessing_many_times_at_once_learns_no_more(person: Person) -> None:
    guesses = [f"wrong password {n}" for n in range(40)]
    guesses[-1] = person.password
    attackers = [Browser("198.51.100.30") for _ in guesses]
    answers = await asyncio.gather(*(browser.login(person.email, guess) for browser, guess in zip(attackers, guesses, strict=True)))
    told = [answer.status_code for answer in answers if answer.status_code != 429]
    assert len(told) <= 10


async def test_the_account_as_a_whole_waits_thirty_seconds_at_most(db: Database, person: Person) -> None:
    retry_after = 0
    account = throttle.buckets("password", person.email, Client("", "", ""), owner=None).account
    for n in range(60):
        # Each from a network of its own; what is counted ages in place so that the test need not wait.
        answer = await Browser(f"198.18.0.{n}").login(person.email, "wrong password!")
        if answer.status_code == 429:
            retry_after = max(retry_after, int(answer.headers["retry-after"]))
            async with db.system() as tx:
                await tx.execute("UPDATE attempts SET blocked_until = now() - interval '1 second' WHERE bucket = %s", (account,))
    assert 1 < retry_after <= 30
    known = await person.browser.login(person.email, person.password)
    assert known.status_code == 200


async def test_disabled_people_cannot_sign_in_and_are_told_nothing(db: Database, person: Person) -> None:
    async with db.system() as tx:
        await tx.execute("UPDATE users SET disabled = true WHERE id = %s", (person.id,))
    answer = await Browser().login(person.email, person.password)
    assert (answer.status_code, answer.json()["code"]) == (401, "invalid_credentials")
    assert (await person.browser.refresh()).status_code == 401


async def test_unknown_members_are_refused(db: Database) -> None:
    for extra in ({"role": "admin"}, {"id": "x"}, {"quota": 1}, {"bytes_quota": 1}):
        answer = await Browser().post("/api/auth/register", json={"email": new_address(), "password": PASSWORD, **extra})
        assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed")


async def test_registration_can_be_closed(own_instance: Database) -> None:
    async with own_instance.system() as tx:
        await tx.execute("INSERT INTO system_settings (name, value) VALUES ('registration', '\"closed\"')")
    answer = await Browser().post("/api/auth/register", json={"email": new_address(), "password": PASSWORD})
    assert (answer.status_code, answer.json()["code"]) == (403, "registration_closed")
