"""Certificates that sign themselves, as a TLS client takes them."""

import ssl
from pathlib import Path

import pytest

from infra.images import mail_certificate
from infra.local.certificates import ensure_certificate


def _is_taken(certificate: Path, key: Path, host: str) -> bool:
    """Whether a client that trusts the certificate alone completes a handshake with a server that has it."""
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_side.load_cert_chain(certificate, key)
    client_side = ssl.create_default_context(cafile=certificate)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_side.wrap_bio(to_client, to_server, server_hostname=host)
    server = server_side.wrap_bio(to_server, to_client, server_side=True)
    done = set()
    for _ in range(10):
        for side in (client, server):
            try:
                side.do_handshake()
                done.add(side)
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLCertVerificationError:
                return False
    return done == {client, server}


def test_the_mail_catcher_is_who_it_says_and_its_certificate_is_made_once(tmp_path: Path) -> None:
    mail_certificate.make(tmp_path)
    certificate, key = tmp_path / "mail.pem", tmp_path / "mail.key"
    assert _is_taken(certificate, key, "mail")
    assert not _is_taken(certificate, key, "smtp.example.org")
    before = certificate.read_bytes()
    mail_certificate.make(tmp_path)
    assert certificate.read_bytes() == before


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_a_part_of_the_store_is_known_on_this_machine_and_its_key_is_its_owners(tmp_path: Path, host: str) -> None:
    certificate, key = tmp_path / "store.pem", tmp_path / "store.key"
    ensure_certificate(certificate, key)
    assert _is_taken(certificate, key, host)
    assert not _is_taken(certificate, key, "mail")
    assert key.stat().st_mode & 0o077 == 0
