"""Mail: built safely, sent once, over STARTTLS with a certificate check, against a real SMTP server."""

import asyncio
import logging
import os
import smtplib
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

from infra.local.ports import free_port_block
from shared import clock
from shared.config import settings
from shared.db import Database
from shared.identity import one_time, resets
from shared.ids import new_id
from shared.mail import delivery, outbox
from shared.mail.message import BadAddress, build
from shared.mail.templates import render
from tests.identity.browser import new_person

VALUES = {"url": "https://vault.example.org/reset-password?token=SECRET-TOKEN"}


@dataclass
class Post:
    """A mail server with STARTTLS and accounts, and what it got."""

    port: int = 0
    received: list[EmailMessage] = field(default_factory=list)
    users: list[str] = field(default_factory=list)
    refuse: str = ""
    forget: bool = False
    """Takes mails and does not say so."""
    farewell: str = "221 bye"

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        if self.refuse:
            return self.refuse
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        assert session.ssl is not None, "a mail came in the clear"
        message = message_from_bytes(envelope.content, policy=default)
        assert isinstance(message, EmailMessage)
        self.received.append(message)
        return "451 something broke" if self.forget else "250 taken"

    async def handle_QUIT(self, server: Any, session: Any, envelope: Any) -> str:
        return self.farewell

    def authenticate(self, server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        good = isinstance(data, LoginPassword) and (data.login, data.password) == (b"vault", b"post-secret")
        if good:
            self.users.append(data.login.decode())
        return AuthResult(success=good)


def _certificate(folder: Path, host: str) -> tuple[Path, Path]:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, host)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(clock.now() - timedelta(days=1))
        .not_valid_after(clock.now() + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    certificate_file, key_file = folder / f"{host}.pem", folder / f"{host}.key"
    certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    return certificate_file, key_file


@pytest.fixture
def with_mail_settings() -> Iterator[Callable[..., None]]:
    before = dict(os.environ)

    def change(**variables: str) -> None:
        os.environ.update(variables)
        settings.cache_clear()

    yield change
    os.environ.clear()
    os.environ.update(before)
    settings.cache_clear()


@pytest.fixture
def post(tmp_path: Path, with_mail_settings: Callable[..., None]) -> Iterator[Post]:
    """A mail server that DocuVault is set up to use and whose certificate it trusts."""
    certificate, key = _certificate(tmp_path, "localhost")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    office = Post()
    controller = Controller(
        office,
        hostname="127.0.0.1",
        port=free_port_block(1),  # aiosmtpd wants to know it beforehand
        ready_timeout=60,
        tls_context=context,
        require_starttls=True,
        auth_required=True,
        authenticator=office.authenticate,
        auth_require_tls=True,
        enable_SMTPUTF8=True,
    )
    controller.start()
    office.port = controller.port
    with_mail_settings(
        SMTP_HOST="localhost",
        SMTP_PORT=str(office.port),
        SMTP_USER="vault",
        SMTP_PASSWORD="post-secret",
        SMTP_FROM="DocuVault <vault@example.org>",
        SSL_CERT_FILE=str(certificate),
    )
    yield office
    controller.stop()


async def _requested(db: Database, to: str = "ada@example.org", template: str = "password_reset") -> Any:
    async with db.system() as tx:
        return await outbox.request(tx, template, to, VALUES)


async def test_a_mail_arrives_with_text_and_html(db: Database, post: Post) -> None:
    mail_id = await _requested(db)
    assert await delivery.deliver(db, mail_id)
    message = post.received[0]
    assert message["To"] == "ada@example.org"
    assert message["From"] == "DocuVault <vault@example.org>"
    assert message["Message-ID"] == f"<{mail_id}@example.org>"
    assert post.users == ["vault"]
    plain, html = message.get_body(("plain",)), message.get_body(("html",))
    assert plain is not None
    assert html is not None
    assert VALUES["url"] in plain.get_content()
    assert f'href="{VALUES["url"]}"' in html.get_content()


async def test_the_certificates_to_trust_can_be_named(
    db: Database, post: Post, with_mail_settings: Callable[..., None], tmp_path: Path
) -> None:
    with_mail_settings(SSL_CERT_FILE="", SMTP_CA_FILE="")
    mail_id = await _requested(db)
    with pytest.raises(ssl.SSLCertVerificationError):
        await delivery.deliver(db, mail_id)
    with_mail_settings(SMTP_CA_FILE=str(tmp_path / "localhost.pem"))
    assert await delivery.deliver(db, mail_id)
    assert len(post.received) == 1


async def test_a_mail_is_sent_once_even_when_the_function_runs_twice_at_once(db: Database, post: Post) -> None:
    mail_id = await _requested(db)
    sent = await asyncio.gather(*(delivery.deliver(db, mail_id) for _ in range(4)))
    assert sorted(sent) == [False, False, False, True]
    assert not await delivery.deliver(db, mail_id)
    assert len(post.received) == 1


async def test_the_content_is_sealed_and_gone_once_sent(db: Database, post: Post) -> None:
    mail_id = await _requested(db)

    async def stored() -> str:
        async with db.system() as tx:
            row = await tx.fetch_value("SELECT mails::text FROM mails WHERE id = %(id)s", {"id": mail_id})
            event = await tx.fetch_value("SELECT data::text FROM events WHERE subject = %(id)s", {"id": str(mail_id)})
        return f"{row} {event}"

    before = await stored()
    assert "SECRET-TOKEN" not in before
    assert "ada@" not in before
    await delivery.deliver(db, mail_id)
    async with db.system() as tx:
        assert await tx.fetch_value("SELECT sealed IS NULL AND sent_at IS NOT NULL FROM mails WHERE id = %(id)s", {"id": mail_id})


async def test_a_failed_delivery_is_tried_again(db: Database, post: Post) -> None:
    mail_id = await _requested(db)
    post.refuse = "451 come back later"
    with pytest.raises(Exception, match="451"):
        await delivery.deliver(db, mail_id)
    post.refuse = ""
    assert await delivery.deliver(db, mail_id)


async def test_a_mail_that_was_taken_is_not_sent_again_whatever_the_server_says_on_parting(db: Database, post: Post) -> None:
    post.farewell = "421 too busy for farewells"
    mail_id = await _requested(db)
    assert await delivery.deliver(db, mail_id)
    assert not await delivery.deliver(db, mail_id)
    assert len(post.received) == 1


async def test_a_recipient_that_does_not_exist_is_given_up(db: Database, post: Post) -> None:
    mail_id = await _requested(db)
    post.refuse = "550 no such mailbox"
    with pytest.raises(delivery.NeverDeliverable):
        await delivery.deliver(db, mail_id)


async def test_a_second_copy_of_a_reset_mail_carries_the_same_link_and_it_is_good(db: Database, post: Post) -> None:
    person = await new_person(signed_in=False)
    mail_id = await _requested(db, person.email)
    post.forget = True
    with pytest.raises(smtplib.SMTPDataError):
        await delivery.deliver(db, mail_id, prepare=resets.prepare)
    post.forget = False
    assert await delivery.deliver(db, mail_id, prepare=resets.prepare)
    first, second = (_link(message) for message in post.received)
    assert first == second
    async with db.system() as tx:
        assert await one_time.whose(tx, first.partition("token=")[2], "password_reset") is not None


async def test_a_reset_mail_that_a_newer_one_has_overtaken_is_not_sent(db: Database, post: Post) -> None:
    person = await new_person(signed_in=False)
    older, newer = await _requested(db, person.email), await _requested(db, person.email)
    post.refuse = "451 come back later"
    with pytest.raises(smtplib.SMTPRecipientsRefused):
        await delivery.deliver(db, older, prepare=resets.prepare)
    post.refuse = ""
    assert await delivery.deliver(db, newer, prepare=resets.prepare)
    assert not await delivery.deliver(db, older, prepare=resets.prepare)
    assert len(post.received) == 1


def _link(message: EmailMessage) -> str:
    plain = message.get_body(("plain",))
    assert plain is not None
    return next(str(line) for line in plain.get_content().splitlines() if "/reset-password?token=" in line)


async def test_a_silent_mail_server_holds_up_nobody(db: Database, with_mail_settings: Callable[..., None]) -> None:
    person = await new_person()
    called = asyncio.Semaphore(0)
    hung_up = asyncio.Event()

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        called.release()
        await hung_up.wait()
        writer.close()

    server = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    with_mail_settings(SMTP_HOST="127.0.0.1", SMTP_PORT=str(server.sockets[0].getsockname()[1]))
    # As many as a process has database connections, all to one person.
    mails = [await _requested(db, person.email) for _ in range(settings().database_pool_size)]
    sending = [asyncio.create_task(delivery.deliver(db, mail_id, prepare=resets.prepare)) for mail_id in mails]
    for _ in range(delivery.SENDING_AT_ONCE):
        await called.acquire()
    changed = await person.browser.post(
        "/api/auth/password/change", json={"current_password": person.password, "new_password": "a wholly different secret"}
    )
    assert changed.status_code == 204
    assert not any(task.done() for task in sending)
    hung_up.set()
    outcomes = await asyncio.gather(*sending, return_exceptions=True)
    # Whoever had its turn is to try again; the rest had a link that the change made void.
    assert [type(outcome).__name__ for outcome in outcomes].count("SMTPServerDisconnected") >= delivery.SENDING_AT_ONCE
    server.close()


@pytest.mark.parametrize("address", ["ada@exämple.org", "ädä@example.org", "ädä@exämple.org", "阿达@例え.jp"])
async def test_addresses_in_any_script_get_their_mail(db: Database, post: Post, address: str) -> None:
    assert await delivery.deliver(db, await _requested(db, address))
    local, _, domain = address.rpartition("@")
    assert post.received[0]["To"] == f"{local}@{domain.encode('idna').decode()}"


async def test_an_untrusted_certificate_is_refused(
    db: Database, post: Post, tmp_path: Path, with_mail_settings: Callable[..., None]
) -> None:
    other, _ = _certificate(tmp_path, "elsewhere.example")
    with_mail_settings(SSL_CERT_FILE=str(other))
    with pytest.raises(ssl.SSLCertVerificationError):
        await delivery.deliver(db, await _requested(db))
    assert post.received == []


async def test_a_certificate_of_another_host_is_refused(db: Database, post: Post, with_mail_settings: Callable[..., None]) -> None:
    with_mail_settings(SMTP_HOST="127.0.0.1")
    with pytest.raises(ssl.SSLCertVerificationError):
        await delivery.deliver(db, await _requested(db))


async def test_a_server_without_starttls_gets_nothing(db: Database, with_mail_settings: Callable[..., None]) -> None:
    office = Post()
    controller = Controller(office, hostname="127.0.0.1", port=free_port_block(1), ready_timeout=60)
    controller.start()
    try:
        with_mail_settings(SMTP_HOST="127.0.0.1", SMTP_PORT=str(controller.port))
        with pytest.raises(Exception, match="STARTTLS"):
            await delivery.deliver(db, await _requested(db))
        assert office.received == []
    finally:
        controller.stop()


async def test_without_a_server_mails_are_logged_in_full_on_this_machine(
    db: Database, with_mail_settings: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    with_mail_settings(BACKEND_URL="http://127.0.0.1:8080")
    with caplog.at_level(logging.WARNING, "docuvault.mail"):
        assert await delivery.deliver(db, await _requested(db))
    assert VALUES["url"] in caplog.text


async def test_without_a_server_links_are_blotted_out_elsewhere(
    db: Database, with_mail_settings: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    with_mail_settings(BACKEND_URL="https://vault.example.org")
    with caplog.at_level(logging.WARNING, "docuvault.mail"):
        assert await delivery.deliver(db, await _requested(db))
    assert "SECRET-TOKEN" not in caplog.text
    assert "blotted out" in caplog.text


@pytest.mark.parametrize(
    "address",
    [
        "ada@example.org\r\nBcc: all@example.org",
        "ada@example.org\nSubject: x",
        "ada@example.org, eve@example.org",
        "Ada <ada@example.org>",
        "ada@example.org\0",
        "ada@example.org\u2028Bcc: x",
        "nobody",
        "",
    ],
)
def test_headers_cannot_be_injected(address: str) -> None:
    with pytest.raises(BadAddress):
        build(render("welcome", VALUES), to=address, sender="vault@example.org", mail_id=new_id())


def test_a_sender_cannot_inject_either() -> None:
    with pytest.raises(BadAddress):
        build(render("welcome", VALUES), to="ada@example.org", sender="x@y.org\r\nBcc: z@y.org", mail_id=new_id())


def test_what_people_chose_is_escaped_in_html() -> None:
    values = {"what": "password_changed", "at": "now", "address": "192.0.2.1", "user_agent": "<script>alert(1)</script>"}
    content = render("security_alert", values)
    assert "<script>" not in content.html
    assert "&lt;script&gt;" in content.html


def test_every_alert_reads_well() -> None:
    from shared.mail.templates import _ALERTS

    for what in _ALERTS:
        assert render("security_alert", {"what": what, "at": "now", "address": "192.0.2.1", "user_agent": "x"}).text
