"""Behind one address live many: what one of them sends in vain costs nobody else anything.

For every operation of identity: a neighbour's malformed requests, more than any limit allows, and his well-formed ones that can lead to
nothing; then the legitimate request from the same address, which must be carried out.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from ipaddress import IPv4Address
from uuid import UUID

import httpx
import pytest

from infra import functions
from shared.db import Database
from shared.identity import resets
from shared.ids import new_id
from tests.attacks.operations import Operation, call, gateway, operations
from tests.identity.authenticator import Authenticator, challenge, enrol, forget_steps
from tests.identity.browser import PASSWORD, Browser, Person, new_address, new_person

MALFORMED = 320
"""More than any limit of an operation's own allows in its window."""
WELL_FORMED = 40
"""Of each of two browsers; in all fewer than RATE_LIMIT_REGISTER and RATE_LIMIT_LOGIN allow, which count every attempt that fits."""
NEW = "a wholly different secret"


@dataclass
class Household:
    """Somebody with a second factor, signed in, at the address that the neighbour shares; another one without."""

    address: str
    enrolled: Person
    app: Authenticator
    challenge: str
    plain: Person
    begun: Authenticator
    reset_token: str
    session_id: str
    token_id: str


async def _household(db: Database) -> Household:
    address = str(IPv4Address(0x0B000000 + secrets.randbelow(1 << 24)))
    enrolled, plain = await new_person(address=address), await new_person(address=address)
    app, _ = await enrol(db, enrolled)
    answering = await challenge(enrolled, Browser(address))
    begun = await plain.browser.post("/api/auth/totp/begin", json={"password": PASSWORD})
    async with db.system() as tx:
        values = await resets.prepare(tx, new_id(), "password_reset", plain.email, {})
    assert values is not None
    await Browser(address).login(plain.email, PASSWORD)
    sessions = (await plain.browser.get("/api/auth/sessions")).json()["items"]
    made = await plain.browser.post("/api/auth/tokens", json={"name": "x", "scopes": ["account:read"]})
    return Household(
        address,
        enrolled,
        app,
        answering,
        plain,
        Authenticator(begun.json()["secret"]),
        values["url"].partition("token=")[2],
        next(session["id"] for session in sessions if not session["current"]),
        made.json()["id"],
    )


Legitimate = Callable[[Household], Awaitable[httpx.Response]]
LEGITIMATE: dict[str, tuple[int, Legitimate]] = {
    "login": (200, lambda home: Browser(home.address).login(home.plain.email, PASSWORD)),
    "register": (202, lambda home: Browser(home.address).post("/api/auth/register", json={"email": new_address(), "password": PASSWORD})),
    "verify_second_factor": (200, lambda home: Browser(home.address).second_factor(home.challenge, code=home.app.code())),
    "refresh_session": (200, lambda home: home.plain.browser.refresh()),
    "logout": (204, lambda home: home.plain.browser.post("/api/auth/logout")),
    "request_password_reset": (
        202,
        lambda home: Browser(home.address).post("/api/auth/password/forgot", json={"email": home.plain.email}),
    ),
    "reset_password": (
        204,
        lambda home: Browser(home.address).post("/api/auth/password/reset", json={"token": home.reset_token, "new_password": NEW}),
    ),
    "change_password": (
        204,
        lambda home: home.plain.browser.post("/api/auth/password/change", json={"current_password": PASSWORD, "new_password": NEW}),
    ),
    "begin_totp": (200, lambda home: home.plain.browser.post("/api/auth/totp/begin", json={"password": PASSWORD})),
    "confirm_totp": (200, lambda home: home.plain.browser.post("/api/auth/totp/confirm", json={"code": home.begun.code()})),
    "disable_totp": (
        204,
        lambda home: home.enrolled.browser.post("/api/auth/totp/disable", json={"password": PASSWORD, "code": home.app.code()}),
    ),
    "regenerate_backup_codes": (
        200,
        lambda home: home.enrolled.browser.post("/api/auth/backup-codes", json={"password": PASSWORD, "code": home.app.code()}),
    ),
    "create_api_token": (
        201,
        lambda home: home.plain.browser.post("/api/auth/tokens", json={"name": "y", "scopes": ["account:read"]}),
    ),
    "revoke_api_token": (204, lambda home: home.plain.browser.delete(f"/api/auth/tokens/{home.token_id}")),
    "revoke_session": (204, lambda home: home.plain.browser.delete(f"/api/auth/sessions/{home.session_id}")),
    "revoke_other_sessions": (204, lambda home: home.plain.browser.delete("/api/auth/sessions")),
    "update_account": (200, lambda home: home.plain.browser.patch("/api/account", json={"display_name": "Ada"})),
    "choose_storage": (200, lambda home: home.plain.browser.put("/api/account/storage", json={"connection_id": None})),
    "delete_account": (202, lambda home: home.plain.browser.post("/api/account/delete", json={"password": PASSWORD})),
}

_AREAS = {functions.load(path): path.parent.name for path in functions.files()}
OPERATIONS = [operation for operation in operations() if _AREAS[operation.name] in ("auth", "account") and operation.method != "GET"]


def test_of_every_operation_of_identity_it_is_said_what_is_legitimate() -> None:
    assert {operation.name for operation in OPERATIONS} == set(LEGITIMATE)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
async def test_a_neighbour_shuts_nobody_out(db: Database, operation: Operation) -> None:
    home = await _household(db)
    await forget_steps(db, home.enrolled)

    neighbour = Browser(home.address, user_agent="Neighbour", app=gateway())
    stranger = await new_person(address=home.address)
    signed_in = Browser(home.address, user_agent=stranger.browser.headers["user-agent"], app=gateway())
    signed_in.headers["authorization"] = f"Bearer {stranger.browser.access_token}"

    async def junk(number: int) -> None:
        if number < MALFORMED:
            await neighbour.request(operation.method, operation.at({}), json={"nonsense": number})
        else:
            for browser in (neighbour, signed_in):
                await call(operation, browser, {"id": str(UUID(int=number))})

    # What a signed-in stranger does to an account of his own may end it; none of it is checked, only that it costs the others nothing.
    waiting = iter(range(MALFORMED + WELL_FORMED))

    async def sender() -> None:
        for number in waiting:
            await junk(number)

    await asyncio.gather(*(sender() for _ in range(8)))
    status, ask = LEGITIMATE[operation.name]
    answer = await ask(home)
    assert answer.status_code == status, answer.text


async def test_more_junk_than_one_network_may_send_is_refused_before_anything_is_written(db: Database) -> None:
    for path, body in (
        ("/api/auth/second-factor", {"challenge_token": "x", "code": "000000"}),
        ("/api/auth/password/reset", {"token": "x", "new_password": NEW}),
    ):
        sender = Browser()
        answers = [await sender.post(path, json=body) for _ in range(70)]  # more than a window's, also if a new one begins meanwhile
        refused = [answer for answer in answers if answer.status_code == 429]
        assert {answer.status_code for answer in answers} == {401, 429}
        assert all(int(answer.headers["retry-after"]) >= 1 for answer in refused)
