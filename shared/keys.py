"""Keys derived from SECRET_KEY: the ES256 signing keys, and keys for internal signatures.

The first SECRET_KEY signs, all verify. The P-256 scalar is `1 + int(HKDF-SHA256(secret, 48 bytes)) mod (n - 1)`: 48 bytes keep the bias of
the modulo negligible (FIPS 186-5, appendix A.2.1). `kid` is the RFC 7638 thumbprint.
"""

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from shared.config import settings

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey

P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""Order of the base point of P-256 (SP 800-186, section 3.2.1.3)."""

Secrets = tuple[bytes, ...]


@dataclass(frozen=True)
class SigningKey:
    """One ES256 key."""

    kid: str
    private: "EllipticCurvePrivateKey"
    public: "EllipticCurvePublicKey"
    jwk: dict[str, str]


def hkdf(secret: bytes, info: bytes, length: int = 32) -> bytes:
    """HKDF-SHA256 (RFC 5869) without salt."""
    pseudorandom = hmac.digest(bytes(32), secret, hashlib.sha256)
    block, output = b"", b""
    for counter in range(1, -(-length // 32) + 1):
        block = hmac.digest(pseudorandom, block + info + bytes([counter]), hashlib.sha256)
        output += block
    return output[:length]


@lru_cache(maxsize=8)
def signing_keys(secrets: Secrets | None = None) -> tuple[SigningKey, ...]:
    """All keys, in the order of SECRET_KEY: the first signs."""
    return tuple(_signing_key(secret) for secret in secrets or settings().secret_key)


@lru_cache(maxsize=64)
def internal_keys(purpose: str, secrets: Secrets | None = None) -> tuple[bytes, ...]:
    """32-byte HMAC keys for one purpose, one for each SECRET_KEY: the first signs, all verify."""
    return tuple(hkdf(secret, b"docuvault " + purpose.encode()) for secret in secrets or settings().secret_key)


def sign(purpose: str, message: bytes, secrets: Secrets | None = None) -> bytes:
    """HMAC-SHA256 of `message` by the first key for `purpose`."""
    return hmac.digest(internal_keys(purpose, secrets)[0], message, hashlib.sha256)


def is_signed(purpose: str, message: bytes, signature: bytes, secrets: Secrets | None = None) -> bool:
    """Whether `signature` is what `sign` gives by any of the keys; it may be cut to 16 bytes or more (RFC 2104, section 5)."""
    return len(signature) >= 16 and any(
        hmac.compare_digest(signature, hmac.digest(key, message, hashlib.sha256)[: len(signature)])
        for key in internal_keys(purpose, secrets)
    )


def jwks(secrets: Secrets | None = None) -> list[dict[str, str]]:
    """The public keys (RFC 7517)."""
    return [key.jwk for key in signing_keys(secrets)]


def base64url(data: bytes) -> str:
    """Base64url without padding (RFC 7515, section 2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def from_base64url(text: str) -> bytes | None:
    """The bytes of canonical, unpadded base64url; None for anything else."""
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except ValueError:
        return None
    return data if base64url(data) == text else None


def _signing_key(secret: bytes) -> SigningKey:
    from cryptography.hazmat.primitives.asymmetric import ec

    scalar = 1 + int.from_bytes(hkdf(secret, b"docuvault es256", 48), "big") % (P256_ORDER - 1)
    private = ec.derive_private_key(scalar, ec.SECP256R1())
    public = private.public_key()
    numbers = public.public_numbers()
    point = {"crv": "P-256", "kty": "EC", "x": base64url(numbers.x.to_bytes(32, "big")), "y": base64url(numbers.y.to_bytes(32, "big"))}
    # RFC 7638, section 3: the required members, in lexicographic order, without white space.
    thumbprint = hashlib.sha256(json.dumps(point, separators=(",", ":"), sort_keys=True).encode()).digest()
    kid = base64url(thumbprint)
    return SigningKey(kid, private, public, {**point, "kid": kid, "alg": "ES256", "use": "sig"})
