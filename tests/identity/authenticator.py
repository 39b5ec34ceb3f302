"""A second factor, as people have one."""

import base64

from shared import clock
from shared.db import Database
from shared.identity import totp
from tests.identity.browser import Browser, Person


class Authenticator:
    """An app on a phone."""

    def __init__(self, secret: str) -> None:
        self.secret = base64.b32decode(secret)

    def code(self, offset: int = 0) -> str:
        """The code it shows, so many steps from now."""
        return totp.code_at(self.secret, totp.step_at(clock.now()) + offset)

    def wrong_code(self) -> str:
        """A code of no step near."""
        near = {self.code(offset) for offset in range(-3, 4)}
        return next(code for code in (f"{number:06}" for number in range(10)) if code not in near)


async def forget_steps(db: Database, person: Person) -> None:
    """As if the codes accepted so far were long ago: tests need not wait for the next half minute."""
    async with db.system() as tx:
        await tx.execute("UPDATE totp_secrets SET last_step = 0 WHERE user_id = %s", (person.id,))


async def enrol(db: Database, person: Person) -> tuple[Authenticator, list[str]]:
    """Gives somebody a second factor: the authenticator, and the backup codes."""
    begun = await person.browser.post("/api/auth/totp/begin", json={"password": person.password})
    assert begun.status_code == 200, begun.text
    app = Authenticator(begun.json()["secret"])
    confirmed = await person.browser.post("/api/auth/totp/confirm", json={"code": app.code()})
    assert confirmed.status_code == 200, confirmed.text
    await forget_steps(db, person)
    return app, confirmed.json()["backup_codes"]


async def challenge(person: Person, browser: Browser) -> str:
    """Gives the password; the challenge that comes back."""
    answer = await browser.login(person.email, person.password)
    body = answer.json()
    assert body["status"] == "second_factor_required"
    assert body["methods"] == ["totp", "backup_code"]
    assert set(body) == {"status", "challenge_token", "methods"}
    assert "set-cookie" not in answer.headers
    return str(body["challenge_token"])
