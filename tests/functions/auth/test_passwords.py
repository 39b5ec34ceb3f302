"""request_password_reset, reset_password, change_password; the breach check."""

import asyncio
import hashlib
import json
import os
from collections.abc import AsyncIterator, Callable, Iterator
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import httpx
import pytest

from shared.config import settings
from shared.db import Database
from shared.identity import passwords, resets, throttle
from shared.mail import delivery
from shared.mail.outbox import PURPOSE
from shared.sealing import unseal
from tests.identity.browser import Browser, Person, mails_to, new_address, new_person
from tests.identity.guessing import HELD_UP, guess
from tests.loop_time import loop_seconds

NEW = "a wholly different secret"


@pytest.fixture
async def person(db: Database) -> Person:
    return await new_person()


@pytest.fixture
def with_settings() -> Iterator[Callable[..., None]]:
    before = dict(os.environ)

    def change(**variables: str) -> None:
        os.environ.update(variables)
        settings.cache_clear()

    yield change
    os.environ.clear()
    os.environ.update(before)
    settings.cache_clear()


async def _reset_links(db: Database, email: str) -> list[str]:
    """What the mails that wait for an address would carry, as `send_email` makes them."""
    links = []
    async with db.system() as tx:
        rows = await (
            await tx.connection.execute(
                "SELECT id, template, sealed FROM mails WHERE template = 'password_reset' AND sealed IS NOT NULL ORDER BY created_at"
            )
        ).fetchall()
        for mail_id, template, sealed in rows:
            content = json.loads(unseal(sealed, user=mail_id, purpose=PURPOSE, row=mail_id))
            if content["to"] == email:
                values = await resets.prepare(tx, mail_id, template, content["to"], content["values"])
                if values is not None:
                    links.append(values["url"])
    return links


async def _token(db: Database, person: Person) -> str:
    answer = await Browser().post("/api/auth/password/forgot", json={"email": person.email})
    assert answer.status_code == 202
    link = (await _reset_links(db, person.email))[-1]
    assert link.startswith(f"{settings().frontend_url}/reset-password?token=")
    return parse_qs(urlsplit(link).query)["token"][0]


async def _reset(token: str, password: str = NEW) -> tuple[int, str | None]:
    answer = await Browser().post("/api/auth/password/reset", json={"token": token, "new_password": password})
    return answer.status_code, answer.json()["code"] if answer.content else None


async def test_a_forgotten_password_is_reset_and_all_sessions_end(person: Person, db: Database) -> None:
    assert await _reset(await _token(db, person)) == (204, None)
    assert (await person.browser.get("/api/account")).status_code == 401
    assert (await person.browser.refresh()).status_code == 401
    assert (await Browser().login(person.email, person.password)).status_code == 401
    assert (await Browser().login(person.email, NEW)).status_code == 200


async def test_asking_answers_the_same_for_every_address(person: Person, db: Database) -> None:
    known = await Browser().post("/api/auth/password/forgot", json={"email": person.email})
    nobody = new_address()
    unknown = await Browser().post("/api/auth/password/forgot", json={"email": nobody})
    assert (known.status_code, known.content, set(known.headers)) == (unknown.status_code, unknown.content, set(unknown.headers))
    # Both queue a mail: the work is the same. Only when it is sent is it seen that nobody is there.
    assert [mail.template for mail in await mails_to(db, nobody)] == ["password_reset"]
    assert await _reset_links(db, nobody) == []


async def test_a_reset_token_is_good_once_also_at_once(person: Person, db: Database) -> None:
    token = await _token(db, person)
    outcomes = await asyncio.gather(*(_reset(token, f"{NEW} {number}") for number in range(8)))
    assert sorted(outcomes, key=str).count((204, None)) == 1
    assert outcomes.count((401, "invalid_token")) == 7
    assert await _reset(token) == (401, "invalid_token")


async def test_a_reset_token_is_good_for_an_hour(person: Person, db: Database) -> None:
    token = await _token(db, person)
    async with db.system() as tx:
        left = await tx.fetch_value(
            "SELECT expires_at - now() <= interval '1 hour' FROM one_time_tokens WHERE user_id = %s AND used_at IS NULL", (person.id,)
        )
        await tx.execute("UPDATE one_time_tokens SET expires_at = now() WHERE user_id = %s", (person.id,))
    assert left
    assert await _reset(token) == (401, "invalid_token")


async def test_a_newer_link_makes_the_older_one_void(person: Person, db: Database) -> None:
    first = await _token(db, person)
    second = await _token(db, person)
    assert await _reset(first) == (401, "invalid_token")
    assert await _reset(second) == (204, None)


async def test_a_weak_password_leaves_the_link_good(person: Person, db: Database) -> None:
    token = await _token(db, person)
    assert await _reset(token, "short") == (422, "password_too_weak")
    assert await _reset(token) == (204, None)


async def test_a_made_up_token_is_refused(db: Database) -> None:
    assert await _reset("nonsense") == (401, "invalid_token")
    assert await _reset("") == (401, "invalid_token")


async def test_nobodys_mailbox_is_filled(person: Person, db: Database) -> None:
    for _ in range(8):
        answer = await Browser().post("/api/auth/password/forgot", json={"email": person.email})
        assert answer.status_code == 202
    templates = [mail.template for mail in await mails_to(db, person.email)]
    assert templates.count("password_reset") == resets.MAILS_AN_HOUR


async def test_the_mail_that_is_sent_carries_the_only_copy_of_the_token(
    person: Person, db: Database, caplog: pytest.LogCaptureFixture, with_settings: Callable[..., None]
) -> None:
    with_settings(BACKEND_URL="http://127.0.0.1:8080")
    await Browser().post("/api/auth/password/forgot", json={"email": person.email})
    mail_id = await _mail_id(db, person)
    with caplog.at_level("WARNING", "docuvault.mail"):
        assert await delivery.deliver(db, mail_id, prepare=resets.prepare)
        assert not await delivery.deliver(db, mail_id, prepare=resets.prepare)
    links = [word for word in caplog.text.split() if "/reset-password?token=" in word]
    assert len(links) == 1
    assert await _reset(parse_qs(urlsplit(links[0]).query)["token"][0]) == (204, None)


async def _mail_id(db: Database, person: Person) -> UUID:
    async with db.system() as tx:
        rows = await (
            await tx.connection.execute("SELECT id, sealed FROM mails WHERE template = 'password_reset' AND sealed IS NOT NULL")
        ).fetchall()
    for mail_id, sealed in rows:
        if json.loads(unseal(sealed, user=mail_id, purpose=PURPOSE, row=mail_id))["to"] == person.email:
            return UUID(str(mail_id))
    raise AssertionError("no mail")


async def test_changing_the_password_ends_the_other_sessions(person: Person) -> None:
    other = Browser("203.0.113.77")
    await other.login(person.email, person.password)
    wrong = await person.browser.post("/api/auth/password/change", json={"current_password": "wrong!", "new_password": NEW})
    assert (wrong.status_code, wrong.json()["code"]) == (401, "invalid_credentials")
    done = await person.browser.post("/api/auth/password/change", json={"current_password": person.password, "new_password": NEW})
    assert done.status_code == 204
    assert (await person.browser.get("/api/account")).status_code == 200
    assert (await other.get("/api/account")).status_code == 401
    assert (await Browser().login(person.email, person.password)).status_code == 401
    assert (await Browser().login(person.email, NEW)).status_code == 200


async def _program(person: Person) -> Browser:
    made = await person.browser.post("/api/auth/tokens", json={"name": "x", "scopes": ["account:read"]})
    program = Browser()
    program.headers["authorization"] = f"Bearer {made.json()['token']}"
    assert (await program.get("/api/account")).status_code == 200
    return program


async def test_a_reset_ends_all_api_tokens(person: Person, db: Database) -> None:
    program = await _program(person)
    assert await _reset(await _token(db, person)) == (204, None)
    assert (await program.get("/api/account")).status_code == 401
    await person.browser.login(person.email, NEW)
    assert (await person.browser.get("/api/auth/tokens")).json()["items"] == []


@pytest.mark.parametrize(("wish", "status"), [({}, 401), ({"keep_tokens": False}, 401), ({"keep_tokens": True}, 200)])
async def test_a_change_ends_all_api_tokens_unless_they_are_kept(person: Person, wish: dict[str, bool], status: int) -> None:
    program = await _program(person)
    body = {"current_password": person.password, "new_password": NEW, **wish}
    assert (await person.browser.post("/api/auth/password/change", json=body)).status_code == 204
    assert (await program.get("/api/account")).status_code == status


def _is_known(browser: Browser, person: Person, generation: int) -> bool:
    return throttle.known_device(browser.cookies["docuvault_device"], UUID(person.id), generation) is not None


async def test_a_device_is_known_under_the_password_it_signed_in_with(person: Person, db: Database) -> None:
    other = Browser("203.0.113.78")
    await other.login(person.email, person.password)
    assert _is_known(other, person, 1)
    body = {"current_password": person.password, "new_password": NEW}
    assert (await person.browser.post("/api/auth/password/change", json=body)).status_code == 204
    assert not _is_known(other, person, 2)
    assert _is_known(person.browser, person, 2)  # it has shown that it knows the new one
    assert await _reset(await _token(db, person), f"{NEW} again") == (204, None)
    assert not _is_known(person.browser, person, 3)


async def test_hashing_the_same_password_anew_leaves_devices_known(person: Person, with_settings: Callable[..., None]) -> None:
    with_settings(ARGON2_MEMORY_KIB="9216", ARGON2_TIME="3")
    assert (await Browser().login(person.email, person.password)).status_code == 200
    assert _is_known(person.browser, person, 1)


async def test_a_browser_that_signs_in_again_is_the_same_device(person: Person) -> None:
    cookies = set()
    for _ in range(3):
        again = Browser(person.browser.address)  # without its cookies
        await again.login(person.email, person.password)
        cookies.add(again.cookies["docuvault_device"])
    assert cookies == {person.browser.cookies["docuvault_device"]}


async def test_of_two_changes_at_once_one_wins(person: Person) -> None:
    answers = await asyncio.gather(
        *(
            person.browser.post("/api/auth/password/change", json={"current_password": person.password, "new_password": f"{NEW} {n}"})
            for n in range(4)
        )
    )
    assert [answer.status_code for answer in answers].count(204) == 1


async def test_guessing_the_password_with_a_stolen_token_is_slowed_down(person: Person, db: Database) -> None:
    async def ask(password: str) -> httpx.Response:
        return await person.browser.post("/api/auth/password/change", json={"current_password": password, "new_password": NEW})

    assert await guess(db, person.browser, person.email, ask) == HELD_UP


class BreachService:
    """Have I Been Pwned's range interface, as it speaks."""

    def __init__(self) -> None:
        self.breached: set[str] = set()
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.silent = False
        self.url = ""

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lines = (await reader.readuntil(b"\r\n\r\n")).decode().splitlines()
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:] if line)}
        self.asked.append((lines[0].split()[1], headers))
        if self.silent:
            await reader.read()
            writer.close()
            return
        prefix = lines[0].split()[1].removeprefix("/range/")
        digests = [hashlib.sha1(password.encode()).hexdigest().upper() for password in self.breached]
        body = "\r\n".join([f"{d[5:]}:3" for d in digests if d.startswith(prefix)] + [f"{'0' * 34}{n}:0" for n in range(9)])
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode())
        await writer.drain()
        writer.close()


@pytest.fixture
async def hibp(with_settings: Callable[..., None]) -> AsyncIterator[BreachService]:
    service = BreachService()
    server = await asyncio.start_server(service, "127.0.0.1", 0)
    service.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    with_settings(HIBP_URL=service.url)
    yield service
    server.close()


async def test_breached_passwords_are_refused_everywhere(person: Person, db: Database, hibp: BreachService) -> None:
    hibp.breached.add(NEW)
    token = await _token(db, person)
    answers = [
        await Browser().post("/api/auth/register", json={"email": new_address(), "password": NEW}),
        await person.browser.post("/api/auth/password/change", json={"current_password": person.password, "new_password": NEW}),
        await Browser().post("/api/auth/password/reset", json={"token": token, "new_password": NEW}),
    ]
    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(422, "password_breached")] * 3
    fine = await Browser().post("/api/auth/register", json={"email": new_address(), "password": "nobody ever used this one"})
    assert fine.status_code == 202


async def test_only_five_digits_leave_the_machine_and_padding_is_asked_for(hibp: BreachService, db: Database) -> None:
    await Browser().post("/api/auth/register", json={"email": new_address(), "password": NEW})
    path, headers = hibp.asked[0]
    digest = hashlib.sha1(NEW.encode()).hexdigest().upper()
    assert path == f"/range/{digest[:5]}"
    assert headers["add-padding"] == "true"
    assert digest[5:] not in str(headers)


async def test_a_silent_service_lets_the_password_through_within_two_seconds(
    hibp: BreachService, db: Database, caplog: pytest.LogCaptureFixture
) -> None:
    hibp.silent = True
    async with loop_seconds() as spent:
        answer = await Browser().post("/api/auth/register", json={"email": new_address(), "password": NEW})
        assert spent() < 4
    assert answer.status_code == 202
    assert "breach check" in caplog.text
    assert NEW not in caplog.text


async def test_a_hash_with_other_parameters_is_replaced_at_the_next_sign_in(
    person: Person, db: Database, with_settings: Callable[..., None]
) -> None:
    with_settings(ARGON2_MEMORY_KIB="9216", ARGON2_TIME="3")
    assert (await Browser().login(person.email, person.password)).status_code == 200
    async with db.system() as tx:
        stored = await tx.fetch_value("SELECT password_hash FROM users WHERE id = %s", (person.id,))
    assert "m=9216,t=3,p=1" in stored
    assert (await Browser().login(person.email, person.password)).status_code == 200


async def test_unicode_passwords_may_be_typed_in_either_form(db: Database) -> None:
    email = new_address()
    composed, decomposed = "zwölf schöne Zeichen", "zwo\u0308lf scho\u0308ne Zeichen"
    await Browser().post("/api/auth/register", json={"email": email, "password": composed})
    assert (await Browser().login(email, decomposed)).status_code == 200


async def test_lengths_are_counted_in_characters(db: Database) -> None:
    passwords.check_rules("пароль-длинный")
    for length, status in ((11, 422), (12, 202), (128, 202), (129, 422)):
        text = ("äbcdefghijkl" * 11)[:length]
        answer = await Browser().post("/api/auth/register", json={"email": new_address(), "password": text})
        assert answer.status_code == status


async def test_an_overlong_password_is_not_cut_to_a_right_one(db: Database) -> None:
    email, password = new_address(), ("abcdefghijkl" * 11)[:128]
    await Browser().post("/api/auth/register", json={"email": email, "password": password})
    assert (await Browser().login(email, password + "x")).status_code == 401
    assert (await Browser().login(email, password)).status_code == 200
