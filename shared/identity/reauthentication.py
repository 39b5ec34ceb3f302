"""Asking for the password again before something that matters, with the same limits on guessing as at sign-in."""

from uuid import UUID

from shared import audit
from shared.audit import AuditAction, AuditOutcome
from shared.db import Database, Transaction
from shared.errors import Unauthenticated
from shared.identity import accounts, passwords, throttle
from shared.identity.client import Client
from shared.identity.errors import InvalidCredentials


async def check_password(db: Database, client: Client, user_id: UUID, password: str) -> accounts.StoredCredentials:
    """The account, if the password is right. Raises InvalidCredentials, RateLimited."""
    async with db.system() as tx:
        account = await accounts.credentials(tx, user_id)
        if account is None or not account.usable:
            raise Unauthenticated
        counted = throttle.buckets("password", account.email, client, owner=account)
        before = await throttle.standing(tx, counted)
        if before.wait_seconds:
            await _note(tx, client, user_id, "too_many_failures")
    throttle.refuse_if_waiting(before)
    verdict = await passwords.verify_password(password, account.password_hash)
    async with db.system() as tx:
        standing = await throttle.standing(tx, counted, lock=True)
        if standing.wait_seconds:
            await _note(tx, client, user_id, "too_many_failures")
        elif verdict.right:
            await throttle.count_success(tx, counted, standing)
            await _note(tx, client, user_id)
        else:
            await throttle.count_failure(tx, counted, standing)
            await _note(tx, client, user_id, "wrong_password")
    throttle.refuse_if_waiting(standing)
    if not verdict.right:
        raise InvalidCredentials("The password is wrong.")
    return account


async def _note(tx: Transaction, client: Client, user_id: UUID, failed: str | None = None) -> None:
    await audit.record(
        tx,
        AuditAction.REAUTHENTICATION,
        outcome=AuditOutcome.FAILURE if failed else AuditOutcome.SUCCESS,
        actor=user_id,
        owner=user_id,
        origin=client,
        detail={"reason": failed} if failed else {},
    )
