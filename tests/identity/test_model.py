"""A model of identity beside the real thing: whatever people and thieves do, in whatever order, both agree on who is signed in."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, precondition, rule

from shared.db import database
from shared.identity import resets, sessions
from shared.ids import new_id
from tests.identity.browser import Browser, mails_to, new_address

WRONG = "certainly the wrong one"


@dataclass
class ModelSession:
    """What should be true of a session: its cookies in order, the last one current; its access tokens."""

    person: "ModelPerson"
    cookies: list[str]
    access_tokens: list[str]
    alive: bool = True
    in_grace: bool = False
    """Whether the last but one cookie may still be exchanged for the last."""


@dataclass
class ModelPerson:
    email: str
    password: str
    sessions: list[ModelSession] = field(default_factory=list)
    api_tokens: list[str] = field(default_factory=list)
    ended_tokens: list[str] = field(default_factory=list)
    alerts: int = 0
    failures: int = 0
    reset_token: str | None = None

    def end_tokens(self) -> None:
        self.ended_tokens += self.api_tokens
        self.api_tokens = []


class Identity(RuleBasedStateMachine):
    """Rules are what somebody can do; `asyncio` runs on a loop of the machine's own."""

    people = Bundle("people")
    sessions = Bundle("sessions")

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.known: list[ModelPerson] = []
        self.count = 0

    def teardown(self) -> None:
        self.loop.run_until_complete(_close())
        self.loop.close()

    def _do(self, work: Any) -> Any:
        return self.loop.run_until_complete(work)

    def _post(self, path: str, **arguments: Any) -> Any:
        return self._do(Browser().post(path, **arguments))

    # Rules

    @initialize(target=people)
    def somebody(self) -> ModelPerson:
        return self._register()

    @precondition(lambda self: len(self.known) < 3)
    @rule(target=people)
    def register(self) -> ModelPerson:
        return self._register()

    def _register(self) -> ModelPerson:
        person = ModelPerson(new_address(), f"the password number {self.count}")
        self.count += 1
        assert self._post("/api/auth/register", json={"email": person.email, "password": person.password}).status_code == 202
        self.known.append(person)
        return person

    @rule(person=people)
    def register_again(self, person: ModelPerson) -> None:
        answer = self._post("/api/auth/register", json={"email": person.email, "password": "somebody else's password"})
        assert answer.status_code == 202

    @rule(target=sessions, person=people)
    def sign_in(self, person: ModelPerson) -> ModelSession:
        answer = self._post("/api/auth/login", json={"email": person.email, "password": person.password})
        assert answer.status_code == 200, answer.text
        session = ModelSession(person, [answer.cookies["docuvault_refresh"]], [answer.json()["access_token"]])
        person.sessions.append(session)
        return session

    @rule(person=people)
    def sign_in_wrongly(self, person: ModelPerson) -> None:
        # Of the twenty failures that an account has free; from then on strangers wait, which is tested elsewhere.
        if person.failures >= 15:
            return
        person.failures += 1
        answer = self._post("/api/auth/login", json={"email": person.email, "password": WRONG})
        assert answer.status_code == 401

    @rule(session=sessions)
    def refresh(self, session: ModelSession) -> None:
        answer = self._refresh(session.cookies[-1])
        if session.alive:
            assert answer.status_code == 200, answer.text
            session.cookies.append(answer.cookies["docuvault_refresh"])
            session.access_tokens.append(answer.json()["access_token"])
            session.in_grace = True
        else:
            assert answer.json()["code"] == "session_revoked"

    @precondition(lambda self: any(len(s.cookies) > 1 for p in self.known for s in p.sessions))
    @rule(session=sessions)
    def refresh_in_a_second_tab(self, session: ModelSession) -> None:
        if len(session.cookies) < 2 or not session.in_grace:
            return
        self._do(_rotated_just_now(session))
        answer = self._refresh(session.cookies[-2])
        if session.alive:
            assert answer.cookies["docuvault_refresh"] == session.cookies[-1]
            session.access_tokens.append(answer.json()["access_token"])
        else:
            assert answer.json()["code"] == "session_revoked"

    @rule(session=sessions)
    def ten_seconds_pass(self, session: ModelSession) -> None:
        self._do(_ten_seconds_pass(session.person))
        for each in session.person.sessions:
            each.in_grace = False

    @rule(session=sessions, which=st.integers(0, 5))
    def replay_a_spent_cookie(self, session: ModelSession, which: int) -> None:
        spent = session.cookies[:-2] if session.in_grace else session.cookies[:-1]
        if not spent:
            return
        answer = self._refresh(spent[which % len(spent)])
        assert (answer.status_code, answer.json()["code"]) == (401, "session_revoked")
        if session.alive:
            session.alive = False
            session.person.alerts += 1

    @rule(session=sessions, by=st.sampled_from(["bearer", "cookie"]))
    def sign_out(self, session: ModelSession, by: str) -> None:
        headers = (
            {"authorization": f"Bearer {session.access_tokens[-1]}"}
            if by == "bearer"
            else {"cookie": f"docuvault_refresh={session.cookies[-1]}"}
        )
        assert self._post("/api/auth/logout", headers=headers).status_code == 204
        session.alive = False

    @rule(session=sessions)
    def revoke_the_others(self, session: ModelSession) -> None:
        answer = self._do(Browser().delete("/api/auth/sessions", headers={"authorization": f"Bearer {session.access_tokens[-1]}"}))
        assert answer.status_code == (204 if session.alive else 401)
        if session.alive:
            for other in session.person.sessions:
                other.alive = other.alive and other is session

    @rule(session=sessions, recent=st.booleans(), knows=st.sampled_from(["nothing", "the password", "a wrong one"]))
    def make_an_api_token(self, session: ModelSession, recent: bool, knows: str) -> None:
        self._do(_signed_in_ago(session, "1 minute" if recent else "11 minutes"))
        password = {"nothing": {}, "the password": {"password": session.person.password}, "a wrong one": {"password": WRONG}}[knows]
        if session.alive and not recent and knows == "a wrong one":
            if session.person.failures >= 15:
                return
            session.person.failures += 1
        answer = self._post(
            "/api/auth/tokens",
            json={"name": "x", "scopes": ["account:read"], **password},
            headers={"authorization": f"Bearer {session.access_tokens[-1]}"},
        )
        if not session.alive:
            assert answer.status_code == 401
        elif recent or knows == "the password":
            assert answer.status_code == 201, answer.text
            session.person.api_tokens.append(answer.json()["token"])
        else:
            assert answer.status_code == (403 if knows == "nothing" else 401), answer.text

    @rule(session=sessions, keep_tokens=st.booleans())
    def change_the_password(self, session: ModelSession, keep_tokens: bool) -> None:
        person = session.person
        self.count += 1
        new = f"the password number {self.count}"
        answer = self._post(
            "/api/auth/password/change",
            json={"current_password": person.password, "new_password": new, "keep_tokens": keep_tokens},
            headers={"authorization": f"Bearer {session.access_tokens[-1]}"},
        )
        assert answer.status_code == (204 if session.alive else 401)
        if session.alive:
            person.password, person.reset_token = new, None
            if not keep_tokens:
                person.end_tokens()
            for other in person.sessions:
                other.alive = other.alive and other is session

    @rule(person=people)
    def forget_the_password(self, person: ModelPerson) -> None:
        # What the mail would carry; asking over HTTP is tested elsewhere and limited to a few mails an hour.
        person.reset_token = self._do(_reset_token(person.email))

    @rule(person=people)
    def reset_the_password(self, person: ModelPerson) -> None:
        if person.reset_token is None:
            return
        self.count += 1
        new = f"the password number {self.count}"
        body = {"token": person.reset_token, "new_password": new}
        assert self._post("/api/auth/password/reset", json=body).status_code == 204
        assert self._post("/api/auth/password/reset", json=body).status_code == 401
        person.password, person.reset_token = new, None
        person.end_tokens()
        for session in person.sessions:
            session.alive = False

    @rule(person=consumes(people))
    def delete_the_account(self, person: ModelPerson) -> None:
        answer = self._post("/api/auth/login", json={"email": person.email, "password": person.password})
        token = answer.json()["access_token"]
        gone = self._post("/api/account/delete", json={"password": person.password}, headers={"authorization": f"Bearer {token}"})
        assert gone.status_code == 202
        for session in person.sessions:
            session.alive = False
        assert self._post("/api/auth/login", json={"email": person.email, "password": person.password}).status_code == 401
        self.known.remove(person)

    # What always holds

    @invariant()
    def every_access_token_opens_exactly_while_its_session_lives(self) -> None:
        for person in self.known:
            for session in person.sessions:
                token = session.access_tokens[-1]
                answer = self._do(Browser().get("/api/account", headers={"authorization": f"Bearer {token}"}))
                assert answer.status_code == (200 if session.alive else 401)

    @invariant()
    def every_api_token_opens_until_it_is_ended(self) -> None:
        for person in self.known:
            for tokens, status in ((person.api_tokens[-2:], 200), (person.ended_tokens[-2:], 401)):
                for token in tokens:
                    answer = self._do(Browser().get("/api/account", headers={"authorization": f"Bearer {token}"}))
                    assert answer.status_code == status

    @invariant()
    def a_mail_was_queued_for_every_reuse_and_for_no_other_reason(self) -> None:
        for person in self.known:
            mails = self._do(_mails(person.email))
            told = [mail.values.get("what") for mail in mails]
            assert told.count("refresh_token_reused") == person.alerts
            assert told.count("api_token_created") == len(person.api_tokens) + len(person.ended_tokens)

    def _refresh(self, cookie: str) -> Any:
        return self._post("/api/auth/refresh", headers={"cookie": f"docuvault_refresh={cookie}"})


async def _close() -> None:
    await database().close()


async def _rotated_just_now(session: ModelSession) -> None:
    """Of this session alone: the others' ten seconds may be over."""
    token = sessions.parse(session.cookies[-1])
    assert token is not None
    async with database().system() as tx:
        await tx.execute("UPDATE sessions SET rotated_at = now() WHERE id = %s", (token.session_id,))


async def _signed_in_ago(session: ModelSession, ago: str) -> None:
    token = sessions.parse(session.cookies[-1])
    assert token is not None
    async with database().system() as tx:
        await tx.execute("UPDATE sessions SET created_at = now() - %s::interval WHERE id = %s", (ago, token.session_id))


async def _ten_seconds_pass(person: ModelPerson) -> None:
    async with database().system() as tx:
        await tx.execute(
            "UPDATE sessions SET rotated_at = rotated_at - interval '11 s' WHERE user_id = (SELECT id FROM users WHERE email = %s)",
            (person.email,),
        )


async def _mails(email: str) -> Any:
    return await mails_to(database(), email)


async def _reset_token(email: str) -> str:
    async with database().system() as tx:
        values = await resets.prepare(tx, new_id(), "password_reset", email, {})
    assert values is not None
    return values["url"].partition("token=")[2]


@pytest.mark.usefixtures("services")
def test_the_model_and_identity_agree() -> None:
    from hypothesis.stateful import run_state_machine_as_test

    run_state_machine_as_test(
        Identity,
        settings=settings(
            max_examples=8,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=(Phase.explicit, Phase.reuse, Phase.generate),  # shrinking takes minutes here, and the rules read well as they are
        ),
    )
