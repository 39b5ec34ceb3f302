"""The second factor: a TOTP secret, sealed, and ten backup codes.

A code is accepted once: its time step is a conditional update of `last_step` in PostgreSQL, so of fifty requests with one code one passes,
also after Redis was flushed. A challenge stands five attempts; wrong codes delay the next ones as wrong passwords do, counted per account
and client network.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from uuid import UUID

from shared import audit, clock
from shared.audit import AuditAction, AuditOutcome
from shared.db import Database, Transaction
from shared.identity import accounts, backup_codes, one_time, reauthentication, throttle, totp
from shared.identity.client import Client
from shared.identity.errors import InvalidCode, TotpEnabled, TotpNotEnabled
from shared.identity.sign_in import SignedIn, open_session, send_alert
from shared.sealing import is_stale, seal, unseal

PURPOSE = "totp secret"
WRONG_CODE, DELAYED = "wrong_code", "too_many_failures"
"""Why a code was refused, as the audit log has it."""

_Act = Callable[[Transaction], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Begun:
    """What the authenticator needs."""

    secret: str
    otpauth_uri: str


@dataclass(frozen=True)
class _SecretRow:
    sealed: bytes
    confirmed: bool


@dataclass(frozen=True, slots=True)
class _Proof:
    """A code that looks right; it is used up in the transaction that acts on it."""

    method: str
    totp_code: str | None = None
    backup_code_id: UUID | None = None


async def begin(db: Database, client: Client, user_id: UUID, password: str) -> Begun:
    """A new secret, not in force before `confirm`. Raises TotpEnabled, InvalidCredentials, RateLimited."""
    account = await reauthentication.check_password(db, client, user_id, password)
    secret = totp.new_secret()
    async with db.system() as tx:
        stored = await tx.execute(
            """
            INSERT INTO totp_secrets AS known (user_id, sealed) VALUES (%(user)s, %(sealed)s)
            ON CONFLICT (user_id) DO UPDATE SET sealed = excluded.sealed, last_step = 0, created_at = now()
            WHERE known.confirmed_at IS NULL
            """,
            {"user": user_id, "sealed": seal(secret, user=user_id, purpose=PURPOSE, row=user_id)},
        )
        if stored:
            await _note(tx, client, user_id, AuditAction.TOTP_BEGUN)
    if not stored:
        raise TotpEnabled
    return Begun(totp.encoded(secret), totp.otpauth_uri(secret, account.email))


async def confirm(db: Database, client: Client, user_id: UUID, code: str) -> list[str]:
    """Puts the secret in force once a code of it was typed; the ten backup codes, shown this once.

    Raises TotpEnabled, TotpNotEnabled (not begun), InvalidCode, RateLimited.
    """
    async with db.system() as tx:
        counted = await _counted(tx, client, user_id)
        await _state(tx, user_id, confirmed=False)
        before = await throttle.standing(tx, counted)
        if before.wait_seconds:
            await _note(tx, client, user_id, AuditAction.TOTP_CONFIRMED, failed=DELAYED)
        plausible = await _matching(tx, user_id, code, confirmed=False) is not None
    throttle.refuse_if_waiting(before)
    shown, hashed = await backup_codes.make() if plausible else ([], [])
    async with db.system() as tx:
        standing = await throttle.standing(tx, counted, lock=True)
        await accounts.lock(tx, user_id)
        await _state(tx, user_id, confirmed=False)
        accepted = plausible and not standing.wait_seconds and await _use_totp(tx, user_id, code, confirmed=False)
        if accepted:
            await tx.execute("UPDATE totp_secrets SET confirmed_at = now() WHERE user_id = %(user)s", {"user": user_id})
            await tx.execute("UPDATE users SET second_factor = true, updated_at = now() WHERE id = %(user)s", {"user": user_id})
            await backup_codes.replace(tx, user_id, hashed)
            await _note(tx, client, user_id, AuditAction.TOTP_CONFIRMED)
            await _alert(tx, client, user_id, "second_factor_enabled")
        elif standing.wait_seconds:
            await _note(tx, client, user_id, AuditAction.TOTP_CONFIRMED, failed=DELAYED)
        else:
            await throttle.count_failure(tx, counted, standing)
            await _note(tx, client, user_id, AuditAction.TOTP_CONFIRMED, failed=WRONG_CODE)
    throttle.refuse_if_waiting(standing)
    if not accepted:
        raise InvalidCode
    return shown


async def disable(db: Database, client: Client, user_id: UUID, password: str, code: str) -> None:
    """Switches the second factor off, with password and code (of the authenticator, or a backup code).

    Raises TotpNotEnabled, InvalidCredentials, InvalidCode, RateLimited.
    """
    await reauthentication.check_password(db, client, user_id, password)
    proof = await _proof(db, user_id, code)

    async def act(tx: Transaction) -> None:
        await tx.execute("DELETE FROM totp_secrets WHERE user_id = %(user)s", {"user": user_id})
        await tx.execute("UPDATE users SET second_factor = false, updated_at = now() WHERE id = %(user)s", {"user": user_id})
        await backup_codes.remove(tx, user_id)
        await _alert(tx, client, user_id, "second_factor_disabled")

    await _with_code(db, client, user_id, proof, AuditAction.TOTP_DISABLED, act)


async def regenerate_backup_codes(db: Database, client: Client, user_id: UUID, password: str, code: str) -> list[str]:
    """Ten new backup codes in place of the old ones. Raises as `disable` does."""
    await reauthentication.check_password(db, client, user_id, password)
    proof = await _proof(db, user_id, code)
    shown, hashed = await backup_codes.make()

    async def act(tx: Transaction) -> None:
        await backup_codes.replace(tx, user_id, hashed)
        await _alert(tx, client, user_id, "backup_codes_regenerated")

    await _with_code(db, client, user_id, proof, AuditAction.BACKUP_CODES_REGENERATED, act)
    return shown


async def verify(db: Database, client: Client, challenge: str, *, code: str | None, backup_code: str | None) -> SignedIn:
    """Opens the session that a challenge stands for. Raises InvalidCode (also for a challenge that is not good any more), RateLimited.

    Wrong codes count against the challenge and its account. Without a challenge there is nothing to guess: such requests are counted for
    their sender's network, by which only further ones of their kind are refused.
    """
    async with db.system() as tx:
        user_id = await one_time.whose(tx, challenge, "second_factor")
        if user_id is not None:
            counted = await _counted(tx, client, user_id)
            before = await throttle.standing(tx, counted)
            if before.wait_seconds:
                await _note(tx, client, user_id, AuditAction.LOGIN_DELAYED)
            elif await one_time.attempt(tx, challenge, "second_factor") is None:
                user_id = None
    if user_id is None:
        await one_time.count_void(client)
        async with db.system() as tx:
            await _note(tx, client, None, AuditAction.LOGIN, failed="challenge_void")
        raise InvalidCode("This sign-in has expired or was used; begin again with the password.")
    throttle.refuse_if_waiting(before)
    if backup_code is not None:
        code_row = await backup_codes.find(db, user_id, backup_code)
        proof = _Proof("backup_code", backup_code_id=code_row)
    else:
        proof = _Proof("totp", totp_code=code)

    signed_in: SignedIn | None = None
    async with db.system() as tx:
        standing = await throttle.standing(tx, counted, lock=True)
        await accounts.lock(tx, user_id)
        found_user = await accounts.credentials(tx, user_id)
        # The challenge goes first: it serialises those who answer it, and a code is not used up by a challenge that is gone.
        usable = (
            not standing.wait_seconds
            and found_user is not None
            and found_user.second_factor
            and await one_time.lock(tx, challenge, "second_factor")
        )
        if usable and await _use(tx, user_id, proof):
            assert found_user is not None
            await one_time.use(tx, challenge, "second_factor")
            user = await accounts.enter(tx, user_id, found_user.password_hash)
            if user is not None:
                await throttle.count_success(tx, counted, standing)
                signed_in = await open_session(tx, client, user, found_user.password_generation, method=proof.method)
                if proof.method == "backup_code":
                    await send_alert(tx, client, user, "backup_code_used")
        if standing.wait_seconds:
            await _note(tx, client, user_id, AuditAction.LOGIN_DELAYED)
        elif signed_in is None:
            await throttle.count_failure(tx, counted, standing)
            await _note(tx, client, user_id, AuditAction.LOGIN, failed=WRONG_CODE, method=proof.method)
    throttle.refuse_if_waiting(standing)
    if signed_in is None:
        raise InvalidCode
    return signed_in


async def check(db: Database, client: Client, user_id: UUID, code: str) -> None:
    """Takes a code (of the authenticator, or a backup code) as a proof. Raises TotpNotEnabled, InvalidCode, RateLimited."""

    async def act(tx: Transaction) -> None:
        """The code is used up, that is all."""

    await _with_code(db, client, user_id, await _proof(db, user_id, code), AuditAction.REAUTHENTICATION, act)


async def _with_code(db: Database, client: Client, user_id: UUID, proof: _Proof, event: AuditAction, act: _Act) -> None:
    """Does `act` in the transaction that uses the code up; a wrong code counts."""
    async with db.system() as tx:
        counted = await _counted(tx, client, user_id)
        standing = await throttle.standing(tx, counted, lock=True)
        await accounts.lock(tx, user_id)
        await _state(tx, user_id, confirmed=True)
        accepted = not standing.wait_seconds and await _use(tx, user_id, proof)
        if accepted:
            await act(tx)
            await throttle.count_success(tx, counted, standing)
            await _note(tx, client, user_id, event)
        elif standing.wait_seconds:
            await _note(tx, client, user_id, event, failed=DELAYED)
        else:
            await throttle.count_failure(tx, counted, standing)
            await _note(tx, client, user_id, event, failed=WRONG_CODE, method=proof.method)
    throttle.refuse_if_waiting(standing)
    if not accepted:
        raise InvalidCode


async def _counted(tx: Transaction, client: Client, user_id: UUID) -> throttle.Buckets:
    return throttle.buckets("second factor", str(user_id), client, owner=await accounts.credentials(tx, user_id))


async def _proof(db: Database, user_id: UUID, code: str) -> _Proof:
    if backup_codes.looks_like_one(code):
        return _Proof("backup_code", backup_code_id=await backup_codes.find(db, user_id, code))
    return _Proof("totp", totp_code=code)


async def _use(tx: Transaction, user_id: UUID, proof: _Proof) -> bool:
    if proof.totp_code is not None:
        return await _use_totp(tx, user_id, proof.totp_code, confirmed=True)
    return proof.backup_code_id is not None and await backup_codes.use(tx, proof.backup_code_id)


async def _use_totp(tx: Transaction, user_id: UUID, code: str, *, confirmed: bool) -> bool:
    """Whether the code is right and newer than any that was accepted; from now on it is not."""
    matching = await _matching(tx, user_id, code, confirmed=confirmed)
    if matching is None:
        return False
    step, sealed = matching
    return bool(
        await tx.execute(
            "UPDATE totp_secrets SET last_step = %(step)s, sealed = %(sealed)s WHERE user_id = %(user)s AND last_step < %(step)s",
            {"user": user_id, "step": step, "sealed": sealed},
        )
    )


async def _matching(tx: Transaction, user_id: UUID, code: str, *, confirmed: bool) -> tuple[int, bytes] | None:
    """The time step whose code this is, and the secret sealed with today's key."""
    row = await tx.fetch_one(
        "SELECT sealed, confirmed_at IS NOT NULL AS confirmed FROM totp_secrets WHERE user_id = %(user)s", {"user": user_id}, row=_SecretRow
    )
    if row is None or row.confirmed is not confirmed:
        return None
    secret = unseal(row.sealed, user=user_id, purpose=PURPOSE, row=user_id)
    step = totp.matching_step(secret, code.strip().replace(" ", ""), clock.now())
    if step is None:
        return None
    return step, seal(secret, user=user_id, purpose=PURPOSE, row=user_id) if is_stale(row.sealed) else row.sealed


async def _state(tx: Transaction, user_id: UUID, *, confirmed: bool) -> None:
    """Raises TotpEnabled or TotpNotEnabled if the state is another one."""
    row = await tx.fetch_one(
        "SELECT sealed, confirmed_at IS NOT NULL AS confirmed FROM totp_secrets WHERE user_id = %(user)s", {"user": user_id}, row=_SecretRow
    )
    if row is None or (confirmed and not row.confirmed):
        raise TotpNotEnabled
    if row.confirmed and not confirmed:
        raise TotpEnabled


async def _alert(tx: Transaction, client: Client, user_id: UUID, what: str) -> None:
    user = await accounts.get(tx, user_id)
    if user is not None:
        await send_alert(tx, client, user, what)


async def _note(
    tx: Transaction, client: Client, user_id: UUID | None, event: AuditAction, *, failed: str | None = None, method: str | None = None
) -> None:
    refused = failed is not None or event is AuditAction.LOGIN_DELAYED
    detail = {name: value for name, value in (("method", method), ("reason", failed)) if value}
    await audit.record(
        tx,
        event,
        outcome=AuditOutcome.FAILURE if refused else AuditOutcome.SUCCESS,
        # Whoever answers a challenge wrongly is not known to be the account's owner.
        actor=None if event in (AuditAction.LOGIN, AuditAction.LOGIN_DELAYED) else user_id,
        owner=user_id,
        origin=client,
        detail=detail,
    )
