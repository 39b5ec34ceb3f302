"""Failed attempts are counted under every spelling of an address."""

from shared.db import Database
from tests.identity.browser import Browser, new_person


async def test_another_spelling_of_an_address_is_no_other_account_to_guess_at(db: Database) -> None:
    person = await new_person()
    email = f"iris.{person.email}"
    await Browser().post("/api/auth/register", json={"email": email, "password": person.password})
    attacker = Browser("198.51.100.61")
    while (await attacker.login(email, "wrong password!")).status_code != 429:
        pass
    # To PostgreSQL's lower() some of these are the same address.
    for spelling in (email.upper(), f" {email} ", email.replace("i", "\u0130"), email.replace("i", "\u0131"), email.replace("s", "\u017f")):
        answer = await attacker.login(spelling, person.password)
        assert answer.status_code in (401, 429), spelling


async def test_a_look_alike_gets_nobody_elses_mail(db: Database) -> None:
    for look_alike in ("\u0130ris@example.org", "iris@\u0130example.org"):
        for path, body in (("password/forgot", {}), ("register", {"password": "correct horse battery staple"})):
            answer = await Browser().post(f"/api/auth/{path}", json={"email": look_alike, **body})
            assert answer.status_code == 422
