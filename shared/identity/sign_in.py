"""Signing in and out, and staying signed in."""

from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

from shared import audit, clock
from shared.audit import AuditAction, AuditOutcome
from shared.db import Database, Transaction
from shared.errors import Unauthenticated
from shared.identity import accounts, one_time, passwords, revocation, sessions, throttle, tokens
from shared.identity.client import Client
from shared.identity.errors import InvalidCredentials, SessionRevoked
from shared.identity.models import User
from shared.mail import outbox

CHALLENGE_LIFETIME = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A session that was opened or refreshed, with its tokens."""

    user: User
    access_token: str = field(repr=False)
    expires_in: int
    refresh_token: str = field(repr=False)
    device: str | None = field(default=None, repr=False)
    """The cookie that makes this device known, if it was not."""


@dataclass(frozen=True, slots=True)
class SecondFactorRequired:
    """The password was right; the challenge leads on to the second factor."""

    challenge: str = field(repr=False)


async def with_password(db: Database, client: Client, email: str, password: str) -> SignedIn | SecondFactorRequired:
    """Signs in by address and password.

    An unknown address, a wrong password and a disabled account take the same time and give the same response: InvalidCredentials.
    Raises RateLimited after failures (see `throttle`), Unavailable if too many are signing in at once.
    """
    async with db.system() as tx:
        async with tx.pipeline():
            asked = await accounts.ask_by_address(tx, email)
            counts = await throttle.ask(tx, throttle.candidates("password", email, client))
            found, rows = accounts.of_address(await asked.fetchone(), email), await counts.fetchall()
        counted = throttle.buckets("password", email, client, owner=found)
        before = throttle.judge(rows, counted)
        if before.wait_seconds:
            await _record_delay(tx, client, email, found.id if found else None)
    throttle.refuse_if_waiting(before)

    usable = found is not None and found.usable
    verdict = await passwords.verify_password(password, found.password_hash if found and usable else None)
    while found is not None and verdict.right:
        try:
            return await _enter(db, client, found, verdict, counted)
        except _NotEntered:
            # Another sign-in may just have replaced the hash by one with today's parameters: then the password is as right as before.
            changed = await _changed_hash(db, found)
            if changed is None:
                break
            found, verdict = changed, await passwords.verify_password(password, changed.password_hash)

    async with db.system() as tx:
        standing = await throttle.standing(tx, counted, lock=True)
        if standing.wait_seconds:
            # Others failed meanwhile: whoever guesses many times at once learns nothing from the rest.
            await _record_delay(tx, client, email, found.id if found else None)
        else:
            await throttle.count_failure(tx, counted, standing)
            await audit.record(
                tx,
                AuditAction.LOGIN,
                outcome=AuditOutcome.FAILURE,
                owner=found.id if found else None,
                origin=client,
                email=email,
                detail={"method": "password", "reason": "wrong_password" if usable else "unknown_or_disabled"},
            )
    throttle.refuse_if_waiting(standing)
    raise InvalidCredentials


class _NotEntered(Exception):
    """The password was right, but the door is closed: too many failures meanwhile, or the account changed."""


async def _changed_hash(db: Database, found: accounts.StoredCredentials) -> accounts.StoredCredentials | None:
    """What the account is entered with now, if that is another hash than the one that was found."""
    async with db.system() as tx:
        present = await accounts.credentials(tx, found.id)
    return present if present is not None and present.usable and present.password_hash != found.password_hash else None


async def _enter(
    db: Database, client: Client, found: accounts.StoredCredentials, verdict: passwords.Verdict, counted: throttle.Buckets
) -> SignedIn | SecondFactorRequired:
    """Opens a session, or a challenge if there is a second factor. What has to be written travels together. Raises _NotEntered."""
    async with db.system() as tx:
        async with tx.pipeline():
            counts = await throttle.ask(tx, [counted.own, counted.account], lock=True)
            entered = await accounts.ask_to_enter(tx, found.id, found.password_hash)
            if not found.second_factor:
                session_id, refresh_token = await _write_session(tx, client, found.id, "password")
            rows, user = await counts.fetchall(), await entered.fetchone()
        standing = throttle.judge(rows, counted)
        if standing.wait_seconds or user is None or user.second_factor is not found.second_factor:
            raise _NotEntered  # nothing of this transaction stays
        if verdict.upgraded is not None:
            await accounts.store_rehashed(tx, user.id, verdict.upgraded)
            await audit.record(tx, AuditAction.PASSWORD_UPGRADED, actor=user.id, owner=user.id, origin=client)
        await throttle.count_success(tx, counted, standing)
        if user.second_factor:
            challenge = await one_time.create(tx, user.id, "second_factor", CHALLENGE_LIFETIME)
            await audit.record(tx, AuditAction.SECOND_FACTOR_REQUIRED, actor=user.id, owner=user.id, origin=client)
    if user.second_factor:
        return SecondFactorRequired(challenge)
    return _signed_in(client, user, found.password_generation, session_id, refresh_token)


async def open_session(tx: Transaction, client: Client, user: User, password_generation: int, *, method: str) -> SignedIn:
    """A new session, always with new ids (system transaction, the user's row locked by `accounts.enter`)."""
    return _signed_in(client, user, password_generation, *await _write_session(tx, client, user.id, method))


async def _write_session(tx: Transaction, client: Client, user_id: UUID, method: str) -> tuple[UUID, str]:
    session_id, refresh_token = await sessions.create(tx, user_id, client)
    await audit.record(
        tx,
        AuditAction.LOGIN,
        actor=user_id,
        owner=user_id,
        target=str(session_id),
        origin=client,
        detail={"method": method},
    )
    return session_id, refresh_token


def _signed_in(client: Client, user: User, password_generation: int, session_id: UUID, refresh_token: str) -> SignedIn:
    access_token, expires_in = tokens.issue(user.id, user.role, session_id, client)
    known = throttle.known_device(client.device, user.id, password_generation)
    device = None if known else throttle.device_cookie(client, user.id, password_generation)
    return SignedIn(user, access_token, expires_in, refresh_token, device)


async def refresh(db: Database, client: Client, refresh_token: str | None) -> SignedIn:
    """Spends a refresh token for the next one.

    Raises Unauthenticated for none or an unknown one, SessionRevoked for a spent one (its session ends and its owner gets a mail) and
    for one of a session that has ended.
    """
    if not refresh_token:
        raise Unauthenticated("There is no refresh cookie.")
    user: User | None = None
    async with db.system() as tx:
        rotation = await sessions.rotate(tx, refresh_token, client)
        if rotation.outcome is sessions.RotationOutcome.ROTATED:
            assert rotation.user_id is not None
            user = await accounts.get(tx, rotation.user_id)
            await audit.record(
                tx,
                AuditAction.REFRESH,
                actor=rotation.user_id,
                owner=rotation.user_id,
                target=str(rotation.session_id),
                origin=client,
            )
        elif rotation.outcome is sessions.RotationOutcome.REUSED:
            assert rotation.user_id is not None
            await _alarm(tx, client, rotation.user_id, rotation.session_id)
        elif rotation.user_id is not None:
            await audit.record(
                tx,
                AuditAction.REFRESH,
                outcome=AuditOutcome.FAILURE,
                owner=rotation.user_id,
                target=str(rotation.session_id),
                origin=client,
                detail={"reason": rotation.outcome.value},
            )
    if rotation.outcome is sessions.RotationOutcome.REUSED:
        await revocation.propagated()
    if rotation.outcome in (sessions.RotationOutcome.REUSED, sessions.RotationOutcome.ENDED):
        raise SessionRevoked
    if user is None or rotation.session_id is None or rotation.token is None:
        raise Unauthenticated("The refresh cookie is unknown or has expired.")
    access_token, expires_in = tokens.issue(user.id, user.role, rotation.session_id, client)
    return SignedIn(user, access_token, expires_in, rotation.token)


async def sign_out(db: Database, client: Client, bearer: str | None, refresh_token: str | None) -> None:
    """Ends the sessions that the access token and the refresh token belong to, at once; never fails for want of one."""
    ending: list[tuple[UUID, UUID]] = []
    refused: list[str] = []
    if bearer:
        try:
            token = tokens.verify(bearer)
        except Unauthenticated:
            pass
        else:
            if token.fingerprint == client.fingerprint:
                ending.append((token.user_id, token.session_id))
                refused.append(revocation.access_token_key(token.token_id))
    presented = sessions.parse(refresh_token) if refresh_token else None
    if not ending and presented is None:
        return
    async with db.system() as tx:
        if presented is not None:
            owner = await sessions.owner_of_current(tx, presented)
            if owner is not None:
                ending.append((owner, presented.session_id))
        for user_id, session_id in ending:
            if await sessions.end(tx, user_id, [session_id], sessions.EndReason.SIGNED_OUT):
                await audit.record(
                    tx,
                    AuditAction.LOGOUT,
                    actor=user_id,
                    owner=user_id,
                    target=str(session_id),
                    origin=client,
                )
        await revocation.record(tx, refused)
    await revocation.propagated()


async def _alarm(tx: Transaction, client: Client, user_id: UUID, session_id: UUID | None) -> None:
    await audit.record(
        tx,
        AuditAction.REFRESH_REUSED,
        outcome=AuditOutcome.FAILURE,
        owner=user_id,
        target=str(session_id),
        origin=client,
    )
    user = await accounts.get(tx, user_id)
    if user is not None:
        await send_alert(tx, client, user, "refresh_token_reused")


async def send_alert(tx: Transaction, client: Client, user: User, what: str) -> None:
    """Tells an account's owner by mail what happened (system transaction)."""
    values = {
        "what": what,
        "at": clock.now().strftime("%Y-%m-%d %H:%M"),
        "address": client.address,
        "user_agent": client.shown_user_agent or "an unnamed program",
    }
    await outbox.request(tx, "security_alert", user.email, values, owner=user.id)


async def _record_delay(tx: Transaction, client: Client, email: str, owner: UUID | None) -> None:
    await audit.record(
        tx,
        AuditAction.LOGIN_DELAYED,
        outcome=AuditOutcome.FAILURE,
        owner=owner,
        origin=client,
        email=email,
    )
