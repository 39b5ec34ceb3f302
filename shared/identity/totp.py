"""Time-based one-time passwords (RFC 6238): SHA-1, six digits, 30 s, the values every authenticator app understands."""

import base64
import hmac
import secrets
from datetime import datetime
from urllib.parse import quote, urlencode

SECRET_BYTES = 20
"""160 bits, as RFC 4226, section 4, recommends."""
PERIOD_SECONDS = 30
DIGITS = 6
DRIFT_STEPS = 1
"""Steps that a clock may be off to either side (RFC 6238, section 5.2)."""
ISSUER = "DocuVault"


def new_secret() -> bytes:
    """A random secret."""
    return secrets.token_bytes(SECRET_BYTES)


def encoded(secret: bytes) -> str:
    """The secret as people type it (base32)."""
    return base64.b32encode(secret).decode("ascii")


def otpauth_uri(secret: bytes, email: str) -> str:
    """What the QR code holds (the Key Uri Format of Google Authenticator)."""
    parameters = {"secret": encoded(secret), "issuer": ISSUER, "algorithm": "SHA1", "digits": DIGITS, "period": PERIOD_SECONDS}
    return f"otpauth://totp/{quote(ISSUER)}:{quote(email, safe='@')}?{urlencode(parameters)}"


def code_at(secret: bytes, step: int) -> str:
    """The code of a time step (RFC 4226, section 5.3)."""
    import pyotp

    return pyotp.HOTP(encoded(secret), digits=DIGITS).at(step)


def step_at(moment: datetime) -> int:
    """The time step of a moment."""
    return int(moment.timestamp()) // PERIOD_SECONDS


def matching_step(secret: bytes, code: str, now: datetime) -> int | None:
    """The step whose code this is, one step off to either side at most; None if it is none."""
    present = step_at(now)
    matching = None
    for step in range(present - DRIFT_STEPS, present + DRIFT_STEPS + 1):
        if hmac.compare_digest(code_at(secret, step).encode(), code.encode("utf-8", "surrogatepass")):
            matching = step
    return matching
