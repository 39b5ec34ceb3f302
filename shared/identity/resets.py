"""Forgotten passwords: a link by mail, good once.

Asking does the same work for every address: the mail is queued, and only when it is about to be sent is it looked up whether anybody has
that address. The link's token comes into being then: an HMAC over the mail's id, so that it stands nowhere but in the mail, and a second
copy of the mail (a server that took it and did not say so) carries the same link.
"""

import asyncio
import hashlib
import hmac
from urllib.parse import quote
from uuid import UUID

from shared import audit
from shared.audit import AuditAction, AuditOutcome
from shared.config import settings
from shared.db import Database, Transaction
from shared.identity import accounts, api_tokens, breach, one_time, passwords, revocation, sessions
from shared.identity.client import Client
from shared.identity.errors import InvalidToken
from shared.identity.sign_in import send_alert
from shared.keys import base64url, internal_keys
from shared.mail import outbox
from shared.mail.templates import INVITATION_LIFETIME, RESET_LINK_LIFETIME

MAILS_AN_HOUR = 5
"""Mails that one address gets, however often somebody asks."""


async def request(db: Database, client: Client, email: str) -> None:
    """Sends a link to the address, if it has an account. Always succeeds."""
    async with db.system() as tx:
        account = await accounts.credentials_by_address(tx, email)
        await audit.record(
            tx,
            AuditAction.PASSWORD_RESET_REQUESTED,
            outcome=AuditOutcome.SUCCESS if account else AuditOutcome.FAILURE,
            owner=account.id if account else None,
            origin=client,
            email=email,
        )
        if await outbox.may_send(tx, "password reset", email, most=MAILS_AN_HOUR):
            await outbox.request(tx, "password_reset", account.email if account else email, {})


async def invite(tx: Transaction, email: str) -> None:
    """Sends somebody whose account an admin made a link to choose a password (system transaction)."""
    await outbox.request(tx, "invitation", email, {})


async def prepare(tx: Transaction, mail_id: UUID, template: str, to: str, values: dict[str, str]) -> dict[str, str] | None:
    """For `mail.delivery`: gives a reset mail its link, or says that there is none to give.

    That is so if nobody has the address, or if a newer link, or a newer password, has made this one void.
    """
    if template not in ("password_reset", "invitation"):
        return values
    account = await accounts.credentials_by_address(tx, to)
    if account is None or not account.usable:
        return None
    lifetime = INVITATION_LIFETIME if template == "invitation" else RESET_LINK_LIFETIME
    token = base64url(hmac.digest(internal_keys("reset link")[0], mail_id.bytes, hashlib.sha256))
    await accounts.lock(tx, account.id)
    if not await one_time.grant(tx, token, account.id, "password_reset", lifetime):
        return None
    return values | {"url": f"{settings().frontend_url}/reset-password?token={quote(token)}"}


async def reset(db: Database, client: Client, token: str, new_password: str) -> None:
    """Sets a new password and ends all sessions and API tokens. The token is good once, also if many use it at once.

    Raises InvalidToken, RateLimited after many that were none, PasswordTooWeak, PasswordBreached (these two leave the token good).
    """
    async with db.system() as tx:
        owner = await one_time.whose(tx, token, "password_reset")
        account = await accounts.credentials(tx, owner) if owner else None
    if account is None or not account.usable:
        await one_time.count_void(client)
        async with db.system() as tx:
            await _note_refusal(tx, client, owner)
        raise InvalidToken
    passwords.check_rules(new_password, email=account.email)
    password_hash, _ = await asyncio.gather(passwords.hash_password(new_password), breach.refuse_breached(new_password))
    done = False
    async with db.system() as tx:
        await accounts.lock(tx, account.id)
        if await one_time.use(tx, token, "password_reset") == account.id:
            await sessions.end_all(tx, account.id, sessions.EndReason.PASSWORD_RESET)
            await api_tokens.revoke_all(tx, account.id)
            done = await accounts.store_password(tx, account.id, password_hash) is not None
            await one_time.void(tx, account.id)
            await audit.record(tx, AuditAction.PASSWORD_RESET, actor=account.id, owner=account.id, origin=client)
            user = await accounts.get(tx, account.id)
            if user is not None:
                await send_alert(tx, client, user, "password_reset")
        else:
            await _note_refusal(tx, client, account.id)
    await revocation.propagated()
    if not done:
        raise InvalidToken


async def _note_refusal(tx: Transaction, client: Client, owner: UUID | None) -> None:
    await audit.record(
        tx,
        AuditAction.PASSWORD_RESET,
        outcome=AuditOutcome.FAILURE,
        owner=owner,
        origin=client,
        detail={"reason": "invalid_token"},
    )
