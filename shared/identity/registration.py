"""Making accounts. The response is the same, and so is the work, whether or not the address is taken: its owner learns it by mail."""

import asyncio

from shared import audit
from shared.audit import AuditAction, AuditOutcome
from shared.config import settings
from shared.db import Database, Transaction
from shared.identity import accounts, breach, passwords
from shared.identity.client import Client
from shared.identity.errors import RegistrationClosed
from shared.mail import outbox

NOTICES_AN_HOUR = 3
"""Mails that one address gets about registrations, however often somebody tries."""


async def is_open(tx: Transaction) -> bool:
    """Whether anyone may register (system transaction); an admin decides."""
    value = await tx.fetch_value("SELECT value FROM system_settings WHERE name = 'registration'")
    return bool(value != "closed")


async def register(db: Database, client: Client, *, email: str, password: str, display_name: str | None) -> None:
    """Makes an account, or tells the owner of the one there is.

    Raises RegistrationClosed, PasswordTooWeak, PasswordBreached.
    """
    async with db.system() as tx:
        if not await is_open(tx):
            await audit.record(
                tx,
                AuditAction.ACCOUNT_REGISTERED,
                outcome=AuditOutcome.FAILURE,
                origin=client,
                email=email,
                detail={"reason": "closed"},
            )
            closed = True
        else:
            closed = False
    if closed:
        raise RegistrationClosed
    passwords.check_rules(password, email=email)
    password_hash, _ = await asyncio.gather(passwords.hash_password(password), breach.refuse_breached(password))
    async with db.system() as tx:
        made = await accounts.insert(tx, email=email, password_hash=password_hash, display_name=display_name)
        # Asked either way: what is free and what is taken cost the same.
        account = await accounts.credentials_by_address(tx, email)
        taken = None if made else account
        await audit.record(
            tx,
            AuditAction.ACCOUNT_REGISTERED,
            outcome=AuditOutcome.SUCCESS if made else AuditOutcome.FAILURE,
            actor=made,
            owner=made or (taken.id if taken else None),
            origin=client,
            email=email,
            detail={} if made else {"reason": "address_taken"},
        )
        if await outbox.may_send(tx, "registration", email, most=NOTICES_AN_HOUR):
            # To the address as its owner wrote it, not as somebody else typed it.
            to = taken.email if taken else email
            await outbox.request(tx, "already_registered" if taken else "welcome", to, {"url": settings().frontend_url})
