"""One self-signed certificate by which parts of a store on this machine know one another: server, client and authority in one."""

import ipaddress
import os
from pathlib import Path

from infra.self_signed import self_signed_pair

VALID_DAYS = 365 * 20


def ensure_certificate(certificate: Path, key: Path) -> None:
    """Makes the pair (P-256, PEM; the key readable by its owner alone) if it is not there yet."""
    if certificate.exists() and key.exists():
        return
    from cryptography import x509

    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    made, secret = self_signed_pair("docuvault-store", names, VALID_DAYS)
    key.unlink(missing_ok=True)
    with os.fdopen(os.open(key, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(secret)
    certificate.write_bytes(made)
