"""Changing the password while signed in."""

import asyncio
from uuid import UUID

from shared import audit
from shared.audit import AuditAction
from shared.db import Database
from shared.identity import accounts, api_tokens, breach, one_time, passwords, reauthentication, revocation, sessions, throttle
from shared.identity.client import Client
from shared.identity.errors import InvalidCredentials
from shared.identity.sign_in import send_alert


async def change(
    db: Database, client: Client, user_id: UUID, session_id: UUID | None, current: str, new: str, *, keep_tokens: bool = False
) -> str:
    """Sets a new password; all other sessions end, and all API tokens unless `keep_tokens`. Returns the cookie of the caller's device.

    Raises InvalidCredentials, RateLimited, PasswordTooWeak, PasswordBreached.
    """
    account = await reauthentication.check_password(db, client, user_id, current)
    passwords.check_rules(new, email=account.email)
    password_hash, _ = await asyncio.gather(passwords.hash_password(new), breach.refuse_breached(new))
    async with db.system() as tx:
        await sessions.end_all(tx, user_id, sessions.EndReason.PASSWORD_CHANGED, but=session_id)
        # Only if it is still the password that was checked: of two changes at once the second finds it changed.
        generation = await accounts.store_password(tx, user_id, password_hash, was=account.password_hash)
        if generation is None:
            raise InvalidCredentials("The password was changed meanwhile.")
        if not keep_tokens:
            await api_tokens.revoke_all(tx, user_id)
        await one_time.void(tx, user_id)
        await audit.record(
            tx,
            AuditAction.PASSWORD_CHANGED,
            actor=user_id,
            owner=user_id,
            origin=client,
            detail={"api_tokens": "kept" if keep_tokens else "ended"},
        )
        user = await accounts.get(tx, user_id)
        if user is not None:
            await send_alert(tx, client, user, "password_changed")
    await revocation.propagated()
    return throttle.device_cookie(client, user_id, generation)
