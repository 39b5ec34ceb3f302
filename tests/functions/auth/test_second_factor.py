"""begin_totp, confirm_totp, disable_totp, regenerate_backup_codes, verify_second_factor."""

import asyncio
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from shared import clock
from shared.db import Database
from shared.identity import totp
from tests.identity.authenticator import Authenticator, challenge, enrol, forget_steps
from tests.identity.browser import Browser, Person, mails_to, new_person
from tests.identity.guessing import HELD_UP, wait_longer


@pytest.fixture
async def enrolled(db: Database) -> tuple[Person, Authenticator, list[str]]:
    """Somebody with a second factor, the authenticator, and the backup codes."""
    person = await new_person()
    return person, *await enrol(db, person)


async def test_one_enrols_and_signs_in_with_a_code(enrolled: tuple[Person, Authenticator, list[str]], db: Database) -> None:
    person, app, codes = enrolled
    assert len(set(codes)) == 10
    assert (await person.browser.get("/api/account")).json()["second_factor"] is True
    browser = Browser()
    token = await challenge(person, browser)
    answer = await browser.second_factor(token, code=app.code())
    assert answer.status_code == 200
    assert answer.json()["status"] == "signed_in"
    assert (await browser.get("/api/account")).status_code == 200
    assert (await browser.refresh()).status_code == 200


async def test_the_uri_is_what_authenticators_read(db: Database) -> None:
    person = await new_person()
    begun = (await person.browser.post("/api/auth/totp/begin", json={"password": person.password})).json()
    uri = urlsplit(begun["otpauth_uri"])
    assert (uri.scheme, uri.netloc, uri.path) == ("otpauth", "totp", f"/DocuVault:{person.email}")
    assert parse_qs(uri.query) == {
        "secret": [begun["secret"]],
        "issuer": ["DocuVault"],
        "algorithm": ["SHA1"],
        "digits": ["6"],
        "period": ["30"],
    }


async def test_until_it_is_confirmed_nothing_is_asked_for(db: Database) -> None:
    person = await new_person()
    await person.browser.post("/api/auth/totp/begin", json={"password": person.password})
    assert (await Browser().login(person.email, person.password)).json()["status"] == "signed_in"
    wrong = await person.browser.post("/api/auth/totp/confirm", json={"code": "000000"})
    assert (wrong.status_code, wrong.json()["code"]) == (401, "invalid_code")
    assert (await person.browser.get("/api/account")).json()["second_factor"] is False


async def test_beginning_needs_the_password_and_no_factor_yet(enrolled: tuple[Person, Authenticator, list[str]]) -> None:
    person, _, _ = enrolled
    again = await person.browser.post("/api/auth/totp/begin", json={"password": person.password})
    assert (again.status_code, again.json()["code"]) == (409, "totp_enabled")
    other = await new_person()
    wrong = await other.browser.post("/api/auth/totp/begin", json={"password": "wrong password!"})
    assert (wrong.status_code, wrong.json()["code"]) == (401, "invalid_credentials")
    none = await other.browser.post("/api/auth/totp/confirm", json={"code": "123456"})
    assert none.status_code == 409


@pytest.mark.parametrize("offset", [-1, 0, 1])
async def test_one_step_of_drift_is_allowed(enrolled: tuple[Person, Authenticator, list[str]], db: Database, offset: int) -> None:
    person, app, _ = enrolled
    browser = Browser()
    begun = None
    while begun != (step := totp.step_at(clock.now())):  # where a half minute ended on the way, the code was of another drift
        begun = step
        await forget_steps(db, person)
        answer = await browser.second_factor(await challenge(person, browser), code=app.code(offset))
    assert answer.status_code == 200


async def test_more_drift_is_not(enrolled: tuple[Person, Authenticator, list[str]]) -> None:
    person, app, _ = enrolled
    browser = Browser()
    near = {app.code(offset) for offset in (-1, 0, 1)}
    for offset in (-4, 4):
        code = app.code(offset)
        if code in near:
            continue
        answer = await browser.second_factor(await challenge(person, browser), code=code)
        assert (answer.status_code, answer.json()["code"]) == (401, "invalid_code")


async def test_a_code_is_accepted_once_of_fifty_at_once(enrolled: tuple[Person, Authenticator, list[str]], db: Database) -> None:
    person, app, _ = enrolled
    browsers = [Browser(f"198.18.1.{n}") for n in range(50)]
    challenges = [await challenge(person, browser) for browser in browsers]
    code = app.code()
    answers = await asyncio.gather(*(browser.second_factor(token, code=code) for browser, token in zip(browsers, challenges, strict=True)))
    assert [answer.status_code for answer in answers].count(200) == 1
    assert {answer.status_code for answer in answers} <= {200, 401, 429}


async def test_an_older_code_is_not_good_after_a_newer_one(enrolled: tuple[Person, Authenticator, list[str]]) -> None:
    person, app, _ = enrolled
    older, newer = app.code(-1), app.code(0)
    browser = Browser()
    assert (await browser.second_factor(await challenge(person, browser), code=newer)).status_code == 200
    other = Browser()
    assert (await other.second_factor(await challenge(person, other), code=older)).status_code == 401


async def test_a_challenge_is_good_once_and_not_for_ever(enrolled: tuple[Person, Authenticator, list[str]], db: Database) -> None:
    person, app, _ = enrolled
    browser = Browser()
    token = await challenge(person, browser)
    assert (await browser.second_factor(token, code=app.code())).status_code == 200
    await forget_steps(db, person)
    assert (await Browser().second_factor(token, code=app.code())).status_code == 401
    late = await challenge(person, browser)
    async with db.system() as tx:
        await tx.execute("UPDATE one_time_tokens SET expires_at = now() WHERE user_id = %s AND used_at IS NULL", (person.id,))
    assert (await Browser().second_factor(late, code=app.code())).status_code == 401


async def test_a_challenge_answered_twice_at_once_opens_one_session(enrolled: tuple[Person, Authenticator, list[str]]) -> None:
    person, app, codes = enrolled
    token = await challenge(person, Browser())
    answers = await asyncio.gather(
        Browser().second_factor(token, code=app.code()),
        *(Browser().second_factor(token, backup_code=code) for code in codes[:3]),
    )
    assert sorted(answer.status_code for answer in answers) == [200, 401, 401, 401]
    # What came too late was not used up.
    again = [await Browser().second_factor(await challenge(person, Browser()), backup_code=code) for code in codes[:3]]
    assert [answer.status_code for answer in again].count(200) >= 2


async def test_a_challenge_is_no_access_token_and_no_reset_token(enrolled: tuple[Person, Authenticator, list[str]]) -> None:
    person, _, _ = enrolled
    browser = Browser()
    token = await challenge(person, browser)
    assert (await browser.get("/api/account", headers={"authorization": f"Bearer {token}"})).status_code == 401
    reset = await browser.post("/api/auth/password/reset", json={"token": token, "new_password": "quite another password"})
    assert (reset.status_code, reset.json()["code"]) == (401, "invalid_token")


async def test_a_challenge_stands_five_attempts(enrolled: tuple[Person, Authenticator, list[str]], db: Database) -> None:
    person, app, _ = enrolled
    token = await challenge(person, Browser())
    wrong = app.wrong_code()
    answers = await asyncio.gather(*(Browser(f"198.18.2.{n}").second_factor(token, code=wrong) for n in range(12)))
    assert {answer.status_code for answer in answers} == {401}
    assert (await Browser("198.18.3.1").second_factor(token, code=app.code())).status_code == 401


async def test_guessing_codes_is_slowed_down(enrolled: tuple[Person, Authenticator, list[str]], db: Database) -> None:
    person, app, _ = enrolled
    attacker = Browser("198.51.100.44")
    statuses = []
    for _ in HELD_UP:
        answer = await attacker.second_factor(await challenge(person, attacker), code=app.wrong_code())
        statuses.append(answer.status_code)
        await wait_longer(db, attacker, "second factor", person.id)
    assert statuses == HELD_UP


async def test_each_backup_code_is_good_once(enrolled: tuple[Person, Authenticator, list[str]], db: Database) -> None:
    person, _, codes = enrolled
    browser = Browser()
    typed = codes[0].upper().replace("-", " ")
    assert (await browser.second_factor(await challenge(person, browser), backup_code=typed)).status_code == 200
    again = Browser()
    assert (await again.second_factor(await challenge(person, again), backup_code=codes[0])).status_code == 401
    assert (await again.second_factor(await challenge(person, again), backup_code=codes[1])).status_code == 200
    alerts = [mail.values["what"] for mail in await mails_to(db, person.email) if mail.template == "security_alert"]
    assert alerts.count("backup_code_used") == 2


async def test_a_backup_code_used_many_times_at_once_is_good_once(enrolled: tuple[Person, Authenticator, list[str]]) -> None:
    person, _, codes = enrolled
    browsers = [Browser(f"198.18.4.{n}") for n in range(10)]
    challenges = [await challenge(person, browser) for browser in browsers]
    answers = await asyncio.gather(
        *(browser.second_factor(token, backup_code=codes[3]) for browser, token in zip(browsers, challenges, strict=True))
    )
    assert [answer.status_code for answer in answers].count(200) == 1


async def test_new_backup_codes_replace_the_old_ones(enrolled: tuple[Person, Authenticator, list[str]], db: Database) -> None:
    person, app, old = enrolled
    refused = await person.browser.post("/api/auth/backup-codes", json={"password": person.password, "code": "000000"})
    assert refused.status_code == 401
    answer = await person.browser.post("/api/auth/backup-codes", json={"password": person.password, "code": app.code()})
    new = answer.json()["backup_codes"]
    assert len(new) == 10
    assert not set(new) & set(old)
    browser = Browser()
    assert (await browser.second_factor(await challenge(person, browser), backup_code=old[5])).status_code == 401
    assert (await browser.second_factor(await challenge(person, browser), backup_code=new[5])).status_code == 200


async def test_disabling_needs_password_and_code(enrolled: tuple[Person, Authenticator, list[str]], db: Database) -> None:
    person, app, codes = enrolled
    for body, code in (
        ({"password": "wrong password!", "code": app.code()}, "invalid_credentials"),
        ({"password": person.password, "code": "000000"}, "invalid_code"),
    ):
        answer = await person.browser.post("/api/auth/totp/disable", json=body)
        assert (answer.status_code, answer.json()["code"]) == (401, code)
    done = await person.browser.post("/api/auth/totp/disable", json={"password": person.password, "code": app.code()})
    assert done.status_code == 204
    assert (await Browser().login(person.email, person.password)).json()["status"] == "signed_in"
    async with db.system() as tx:
        assert await tx.fetch_value("SELECT count(*) FROM backup_codes WHERE user_id = %s", (person.id,)) == 0
    again = await person.browser.post("/api/auth/totp/disable", json={"password": person.password, "code": app.code()})
    assert again.status_code == 409
    assert codes


async def test_secrets_and_codes_are_not_stored_in_the_clear(enrolled: tuple[Person, Authenticator, list[str]], db: Database) -> None:
    person, app, codes = enrolled
    async with db.system() as tx:
        sealed = await tx.fetch_value("SELECT sealed FROM totp_secrets WHERE user_id = %s", (person.id,))
        hashes = await tx.fetch_value("SELECT array_agg(code_hash) FROM backup_codes WHERE user_id = %s", (person.id,))
    assert app.secret not in bytes(sealed)
    assert all(stored.startswith("$argon2id$") for stored in hashes)
    assert codes[0].replace("-", "")[4:] not in " ".join(hashes)


async def test_one_gives_a_code_or_a_backup_code(enrolled: tuple[Person, Authenticator, list[str]]) -> None:
    person, app, codes = enrolled
    token = await challenge(person, Browser())
    for body in ({}, {"code": app.code(), "backup_code": codes[0]}):
        answer = await Browser().post("/api/auth/second-factor", json={"challenge_token": token, **body})
        assert answer.status_code == 422


def test_the_codes_are_those_of_rfc_6238() -> None:
    # Appendix B, SHA-1, truncated to six digits.
    secret = b"12345678901234567890"
    for seconds, code in ((59, "287082"), (1111111109, "081804"), (1234567890, "005924"), (2000000000, "279037")):
        assert totp.code_at(secret, seconds // 30) == code


def test_the_newest_matching_step_counts() -> None:
    now = clock.now()
    secret = totp.new_secret()
    assert totp.matching_step(secret, totp.code_at(secret, totp.step_at(now) - 1), now) == totp.step_at(now) - 1
    assert totp.matching_step(secret, totp.code_at(secret, totp.step_at(now)), now + timedelta(minutes=5)) is None
