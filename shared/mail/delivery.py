"""Delivering a mail: over SMTP with STARTTLS and a certificate check, or to the log if no SMTP_HOST is set.

Once: the mail's row is locked while it is sent and marked in the same transaction, so a function that runs twice, even at once, sends it
once. (A crash between the server's "accepted" and our commit sends a copy with the same Message-ID and the same link.) Nothing else is
locked meanwhile: a slow mail server holds up nobody but the mail.
"""

import asyncio
import json
import logging
import re
import smtplib
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from email.message import EmailMessage
from ipaddress import ip_address
from urllib.parse import urlsplit
from uuid import UUID
from weakref import WeakKeyDictionary

from shared.config import Settings, settings
from shared.db import Database, Transaction
from shared.mail.message import BadAddress, build
from shared.mail.outbox import PURPOSE
from shared.mail.templates import MailContent, UnknownTemplate, render
from shared.sealing import SealBroken, unseal

log = logging.getLogger("docuvault.mail")

TIMEOUT_SECONDS = 20
"""For each response of the mail server."""
SENDING_AT_ONCE = 3
"""In one process: each holds a database connection, and a mail server that is silent must not hold them all."""
SENDING_MINUTES = 5
"""How long sending may take in all before PostgreSQL gives the mail up to somebody else."""
IMPLICIT_TLS_PORT = 465


class NeverDeliverable(Exception):
    """This mail will never be accepted, however often it is tried."""


@dataclass(frozen=True)
class _SealedMail:
    template: str
    sealed: bytes


Prepare = Callable[[Transaction, UUID, str, str, dict[str, str]], Awaitable[dict[str, str] | None]]
"""Completes a mail's values before it is sent, from (transaction, mail's id, template, address, values); None: there is nothing to send.

It may be asked several times for one mail, and must return the same."""


async def _as_requested(tx: Transaction, mail_id: UUID, template: str, to: str, values: dict[str, str]) -> dict[str, str] | None:
    return values


async def deliver(db: Database, mail_id: UUID, *, prepare: Prepare = _as_requested) -> bool:
    """Sends a mail that is not sent yet; whether this call did. Raises NeverDeliverable; anything else may be tried again."""
    async with db.system() as tx:
        mail = await _unsent(tx, mail_id)
        if mail is None:
            return False
        try:
            content = json.loads(unseal(mail.sealed, user=mail_id, purpose=PURPOSE, row=mail_id))
            values = await prepare(tx, mail_id, mail.template, content["to"], content["values"])
            if values is None:
                await _mark_sent(tx, mail_id)
                return False
            rendered = render(mail.template, values)
            message = build(rendered, to=content["to"], sender=sender(settings()), mail_id=mail_id)
        except (SealBroken, UnknownTemplate, BadAddress, KeyError, ValueError) as bad:
            raise NeverDeliverable(f"the mail cannot be made: {type(bad).__name__}") from bad
    async with _turn(), db.system() as tx:
        await tx.execute(f"SET LOCAL idle_in_transaction_session_timeout = '{SENDING_MINUTES}min'")
        if await _unsent(tx, mail_id, lock=True) is None:
            return False
        if settings().smtp_host:
            await asyncio.to_thread(_send, message, settings())
        else:
            _log(rendered, settings())
        await _mark_sent(tx, mail_id)
    return True


_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()


def _turn() -> asyncio.Semaphore:
    """The running event loop's turns at sending."""
    return _turns.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(SENDING_AT_ONCE))


async def _unsent(tx: Transaction, mail_id: UUID, *, lock: bool = False) -> _SealedMail | None:
    return await tx.fetch_one(
        f"""
        SELECT template, sealed FROM mails
        WHERE id = %(id)s AND sent_at IS NULL AND sealed IS NOT NULL {"FOR UPDATE" if lock else ""}
        """,
        {"id": mail_id},
        row=_SealedMail,
    )


async def _mark_sent(tx: Transaction, mail_id: UUID) -> None:
    """Sent, or not to be sent: its content is erased either way."""
    await tx.execute("UPDATE mails SET sent_at = now(), sealed = NULL WHERE id = %(id)s", {"id": mail_id})


def warning_at_start(config: Settings) -> str | None:
    """What to say at start if mails are logged with their links blotted out."""
    if not config.has("mail") or config.smtp_host or is_loopback(config.backend_url):
        return None  # without them, mails are another process's work
    return "SMTP_HOST is not set: mails are logged instead of sent, without their links, so nobody can reset a password."


def sender(config: Settings) -> str:
    """SMTP_FROM, or an address made of what is set."""
    if config.smtp_from:
        return config.smtp_from
    if "@" in config.smtp_user:
        return config.smtp_user
    host = urlsplit(config.backend_url).hostname or "localhost"
    return f"DocuVault <docuvault@{host}>" if not _is_ip(host) else "DocuVault <docuvault@localhost.localdomain>"


def is_loopback(url: str) -> bool:
    """Whether a URL's host is this machine."""
    host = urlsplit(url).hostname or ""
    return host == "localhost" or (_is_ip(host) and ip_address(host).is_loopback)


def _send(message: EmailMessage, config: Settings) -> None:
    trust = ssl.create_default_context(cafile=config.smtp_ca_file or None)
    try:
        if config.smtp_port == IMPLICIT_TLS_PORT:
            server: smtplib.SMTP = smtplib.SMTP_SSL(config.smtp_host, config.smtp_port, timeout=TIMEOUT_SECONDS, context=trust)
        else:
            server = smtplib.SMTP(config.smtp_host, config.smtp_port, timeout=TIMEOUT_SECONDS)
        with server:
            if config.smtp_port != IMPLICIT_TLS_PORT:
                # Raises where the server does not offer it: never in the clear.
                server.starttls(context=trust)
            if config.smtp_user:
                server.login(config.smtp_user, config.smtp_password)
            server.send_message(message)
            # Whatever is said on parting, the mail was taken: to fail here would be to send it again.
            with suppress(smtplib.SMTPException):
                server.quit()
    except smtplib.SMTPRecipientsRefused as refused:
        if all(code >= 500 for code, _ in refused.recipients.values()):
            raise NeverDeliverable("the mail server refuses the recipient") from None
        raise
    except smtplib.SMTPNotSupportedError as failed:
        raise smtplib.SMTPException(f"{config.smtp_host}:{config.smtp_port}: {failed}") from None


def _log(content: MailContent, config: Settings) -> None:
    """Instead of sending: in full for the person at this machine, elsewhere without links."""
    text = content.text
    if not is_loopback(config.backend_url):
        text = re.sub(r"https?://\S+", "[link blotted out: set SMTP_HOST]", text)
    log.warning("mail not sent, SMTP_HOST is not set: %s\n%s", content.subject, text)


def _is_ip(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
