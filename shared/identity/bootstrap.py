"""The first admin, from ADMIN_EMAIL and ADMIN_PASSWORD: once. Changing the variables later changes nothing, and says so."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress

import psycopg
from psycopg.types.json import Jsonb

from shared import audit
from shared.audit import AuditAction
from shared.config import Settings
from shared.db import Database
from shared.errors import Unavailable
from shared.identity import passwords
from shared.identity.email_addresses import check_address
from shared.identity.errors import PasswordTooWeak

log = logging.getLogger("docuvault.identity")

_DONE = "bootstrap_admin"

RETRY_SECONDS = 1.0

Ensure = Callable[[Database, Settings], Awaitable[bool]]


async def ensure_admin(db: Database, config: Settings) -> bool:
    """Makes the admin if that was never done; whether it did. Safe to call at every start, in every process.

    Wrong settings are logged, with what to do, and stop nothing.
    """
    if not config.admin_email or not config.admin_password:
        return False
    async with db.system() as tx:
        # Without an address where that admin's account was deleted since.
        done = await tx.fetch_value("SELECT coalesce(value ->> 'email', '') FROM system_settings WHERE name = %(name)s", {"name": _DONE})
    if done is not None:
        if done != config.admin_email:
            log.warning(
                "ADMIN_EMAIL is ignored: the first admin was made already%s; other admins are made by an admin.", done and f", as {done}"
            )
        else:
            log.info("The first admin was made already: ADMIN_PASSWORD is not looked at any more, passwords are changed by signing in.")
        return False
    try:
        email = check_address(config.admin_email)
        passwords.check_rules(config.admin_password, email=email)
    except ValueError:
        log.error("ADMIN_EMAIL: is not a mail address. Example: ADMIN_EMAIL=admin@example.org")
        return False
    except PasswordTooWeak as weak:
        log.error("ADMIN_PASSWORD: %s Example: the output of `openssl rand -base64 18`", weak.detail)
        return False
    # Here, because it brings the framework with it: processes that have nothing to do here do without.
    from shared.identity import accounts

    password_hash = await passwords.hash_password(config.admin_password)
    async with db.system() as tx:
        first = await tx.execute(
            "INSERT INTO system_settings (name, value) VALUES (%(name)s, %(value)s) ON CONFLICT DO NOTHING",
            {"name": _DONE, "value": Jsonb({"email": config.admin_email})},
        )
        if not first:
            return False  # another process was quicker
        admin = await accounts.insert(tx, email=email, password_hash=password_hash, role="admin")
        if admin is not None:
            await audit.record(tx, AuditAction.ADMIN_BOOTSTRAPPED, owner=admin, email=email)
        else:
            # Whoever registered that address first must not become admin by it.
            await tx.execute("DELETE FROM system_settings WHERE name = %(name)s", {"name": _DONE})
    if admin is None:
        log.error("ADMIN_EMAIL: %s has an account already, which is left as it is; choose another address.", email)
        return False
    log.info("the first admin was made")
    return True


async def see_to_admin(
    db: Database, config: Settings, stop: asyncio.Event, *, ensure: Ensure = ensure_admin, retry_seconds: float = RETRY_SECONDS
) -> None:
    """`ensure_admin`, once PostgreSQL responds; then waits for `stop`. For the broker's process."""
    while not stop.is_set():
        try:
            await ensure(db, config)
            break
        except (Unavailable, psycopg.Error):
            with suppress(TimeoutError):
                async with asyncio.timeout(retry_seconds):
                    await stop.wait()
    await stop.wait()
