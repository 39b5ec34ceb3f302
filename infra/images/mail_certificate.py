"""`python -m infra.images.mail_certificate FOLDER`: a certificate of its own for the mail catcher of compose.yaml, once.

Mails are sent over TLS with a checked certificate or not at all (`shared/mail/delivery.py`), so a catcher needs one, too. Its key can be
read by every user of that volume; it is good for nothing but the name `mail`.
"""

import datetime
import sys
from pathlib import Path

NAME = "mail"
VALID_DAYS = 3650


def make(folder: Path) -> None:
    """Writes mail.pem and mail.key into the folder, unless they are there."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    if (folder / "mail.pem").exists():
        return
    secret = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    since = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(secret.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(since)
        .not_valid_after(since + datetime.timedelta(days=VALID_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .sign(secret, hashes.SHA256())
    )
    key = secret.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "mail.key").write_bytes(key)
    (folder / "mail.key").chmod(0o644)
    (folder / "mail.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))


if __name__ == "__main__":
    make(Path(sys.argv[1]))
