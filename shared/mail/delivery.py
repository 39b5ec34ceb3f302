"""Delivering a mail: over SMTP with STARTTLS and a certificate check, or to the log where no SMTP_HOST is set.

Once: the mail's row is locked while it is sent and marked in the same transaction, so a function that runs twice, even at once, sends it
once. (A crash between the server's "accepted" and our commit sends a copy with the same Message-ID.)
"""

import asyncio
import json
import logging
import re
import smtplib
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from email.message import EmailMessage
from ipaddress import ip_address
from urllib.parse import urlsplit
from uuid import UUID

from shared.config import Settings, settings
from shared.db import Database, Transaction
from shared.mail.message import BadAddress, build
from shared.mail.outbox import PURPOSE
from shared.mail.templates import Content, UnknownTemplate, render
from shared.sealing import SealBroken, unseal

log = logging.getLogger("docuvault.mail")

TIMEOUT_SECONDS = 20
IMPLICIT_TLS_PORT = 465


class NeverDeliverable(Exception):
    """This mail will never be accepted, however often it is tried."""


@dataclass(frozen=True)
class _Mail:
    template: str
    sealed: bytes | None
    sent: bool


Prepare = Callable[[Transaction, str, str, dict[str, str]], Awaitable[dict[str, str] | None]]
"""Completes a mail's values when it is sent, from (transaction, template, address, values); None: there is nothing to send."""


async def _as_requested(tx: Transaction, template: str, to: str, values: dict[str, str]) -> dict[str, str] | None:
    return values


async def deliver(db: Database, mail_id: UUID, *, prepare: Prepare = _as_requested) -> bool:
    """Sends a mail that is not sent yet; whether this call did. Raises NeverDeliverable; anything else may be tried again."""
    async with db.system() as tx:
        mail = await tx.fetch_one(
            "SELECT template, sealed, sent_at IS NOT NULL AS sent FROM mails WHERE id = %(id)s FOR UPDATE", {"id": mail_id}, row=_Mail
        )
        if mail is None or mail.sent or mail.sealed is None:
            return False
        try:
            content = json.loads(unseal(mail.sealed, user=mail_id, purpose=PURPOSE, row=mail_id))
            values = await prepare(tx, mail.template, content["to"], content["values"])
            if values is not None:
                rendered = render(mail.template, values)
                message = build(rendered, to=content["to"], sender=sender(settings()), mail_id=mail_id)
        except (SealBroken, UnknownTemplate, BadAddress, KeyError, ValueError) as bad:
            raise NeverDeliverable(f"the mail cannot be made: {type(bad).__name__}") from bad
        if values is not None and settings().smtp_host:
            await asyncio.to_thread(_send, message, settings())
        elif values is not None:
            _log(rendered, settings())
        await tx.execute("UPDATE mails SET sent_at = now(), sealed = NULL WHERE id = %(id)s", {"id": mail_id})
    return values is not None


def warning_at_start(config: Settings) -> str | None:
    """What to say at start where mails are logged with their links blotted out."""
    if config.smtp_host or is_loopback(config.backend_url):
        return None
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
    trust = ssl.create_default_context()
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
    except smtplib.SMTPRecipientsRefused as refused:
        if all(code >= 500 for code, _ in refused.recipients.values()):
            raise NeverDeliverable("the mail server refuses the recipient") from None
        raise
    except smtplib.SMTPNotSupportedError as failed:
        raise smtplib.SMTPException(f"{config.smtp_host}:{config.smtp_port}: {failed}") from None


def _log(content: Content, config: Settings) -> None:
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
