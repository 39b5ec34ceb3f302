"""`python -m infra.images.mail_certificate FOLDER`: a certificate of its own for the mail catcher of compose.yaml, once.

Mails are sent over TLS with a checked certificate or not at all (`shared/mail/delivery.py`), so a catcher needs one, too. Its key can be
read by every user of that volume; it is good for nothing but the name `mail`.
"""

import sys
from pathlib import Path

from infra.self_signed import self_signed_pair

NAME = "mail"
VALID_DAYS = 3650


def make(folder: Path) -> None:
    """Writes mail.pem and mail.key into the folder, unless they are there."""
    if (folder / "mail.pem").exists():
        return
    from cryptography import x509

    certificate, key = self_signed_pair(NAME, [x509.DNSName(NAME)], VALID_DAYS)
    (folder / "mail.key").write_bytes(key)
    (folder / "mail.key").chmod(0o644)
    (folder / "mail.pem").write_bytes(certificate)


if __name__ == "__main__":
    make(Path(sys.argv[1]))
