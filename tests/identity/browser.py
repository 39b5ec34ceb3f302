"""A browser with a cookie jar, in front of the gateway in this process."""

import json
import secrets
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Any
from uuid import uuid4

import httpx

from infra import functions
from infra.gateway.app import Gateway
from shared.db import Database
from shared.faas.declarations import ENDPOINTS
from shared.faas.routing import Router
from shared.mail.outbox import PURPOSE
from shared.sealing import unseal

_gateway: Gateway | None = None


def gateway() -> Gateway:
    """The functions of `auth` and `account`, in this process."""
    global _gateway
    if _gateway is None:
        files = (path for path in functions.files() if path.parent.name in ("auth", "account"))
        _gateway = Gateway(Router([ENDPOINTS[functions.load(path)] for path in files]))
    return _gateway


class Browser(httpx.AsyncClient):
    """Keeps cookies, comes from an address of its own, sends its access token once it has one."""

    def __init__(self, address: str = "", *, user_agent: str = "Browser/1.0", language: str = "en", app: Gateway | None = None) -> None:
        self.address = address or str(IPv4Address(0x0A000000 + secrets.randbelow(1 << 24)))
        super().__init__(
            transport=httpx.ASGITransport(app=app or gateway(), client=(self.address, 50000)),
            base_url="http://vault.test",
            headers={"user-agent": user_agent, "accept-language": language},
        )
        self.access_token = ""

    async def login(self, email: str, password: str) -> httpx.Response:
        """Signs in; the access token is sent from now on."""
        return self._noted(await self.post("/api/auth/login", json={"email": email, "password": password}))

    async def refresh(self) -> httpx.Response:
        """Spends the refresh cookie."""
        return self._noted(await self.post("/api/auth/refresh"))

    async def second_factor(self, challenge: str, **code: str) -> httpx.Response:
        """Answers a challenge."""
        return self._noted(await self.post("/api/auth/second-factor", json={"challenge_token": challenge, **code}))

    @property
    def cookie(self) -> str | None:
        """The refresh cookie."""
        return self.cookies.get("docuvault_refresh")

    def _noted(self, answer: httpx.Response) -> httpx.Response:
        token = answer.json().get("access_token") if answer.status_code == 200 else None
        if token:
            self.access_token = token
            self.headers["authorization"] = f"Bearer {token}"
        return answer


@dataclass
class Person:
    """Somebody with an account, signed in with `browser`."""

    email: str
    password: str
    browser: Browser
    id: str


def new_address() -> str:
    """A mail address nobody has."""
    return f"{uuid4().hex}@example.org"


PASSWORD = "correct horse battery staple"


async def new_person(*, signed_in: bool = True, address: str = "") -> Person:
    """Registers somebody."""
    email, browser = new_address(), Browser(address)
    answer = await browser.post("/api/auth/register", json={"email": email, "password": PASSWORD})
    assert answer.status_code == 202, answer.text
    person = Person(email, PASSWORD, browser, "")
    if signed_in:
        signed = await browser.login(email, PASSWORD)
        assert signed.status_code == 200, signed.text
        person.id = signed.json()["user"]["id"]
    return person


@dataclass
class Mail:
    template: str
    values: dict[str, str]


async def mails_to(db: Database, email: str) -> list[Mail]:
    """What waits to be sent to an address, oldest first."""
    async with db.system() as tx:
        rows = await (
            await tx.connection.execute("SELECT id, template, sealed FROM mails WHERE sealed IS NOT NULL ORDER BY created_at, id")
        ).fetchall()
    found = []
    for mail_id, template, sealed in rows:
        content: dict[str, Any] = json.loads(unseal(sealed, user=mail_id, purpose=PURPOSE, row=mail_id))
        if content["to"] == email:
            found.append(Mail(template, content["values"]))
    return found
