"""Keys derived from SECRET_KEY."""

import hashlib
import json
import os

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given
from hypothesis import strategies as st

from shared import keys


@given(st.binary(min_size=32, max_size=64), st.binary(max_size=40), st.integers(1, 100))
def test_hkdf_is_that_of_rfc_5869(secret: bytes, info: bytes, length: int) -> None:
    assert keys.hkdf(secret, info, length) == HKDF(hashes.SHA256(), length, None, info).derive(secret)


def test_the_same_secret_gives_the_same_key() -> None:
    secret = os.urandom(32)
    first, second = keys.signing_keys((secret,))[0], keys._signing_key(secret)
    assert first.jwk == second.jwk
    assert first.kid == second.kid


def test_the_kid_is_the_thumbprint_of_rfc_7638() -> None:
    jwk = keys.jwks((os.urandom(32),))[0]
    required = {name: jwk[name] for name in ("crv", "kty", "x", "y")}
    digest = hashlib.sha256(json.dumps(required, sort_keys=True, separators=(",", ":")).encode()).digest()
    assert jwk["kid"] == keys.base64url(digest)


def test_the_scalar_is_in_the_group() -> None:
    for _ in range(20):
        private = keys.signing_keys((os.urandom(32),))[0].private
        assert 1 <= private.private_numbers().private_value < keys.P256_ORDER


def test_purposes_do_not_share_keys() -> None:
    secret = (os.urandom(32),)
    derived = {keys.internal_keys(purpose, secret)[0] for purpose in ("refresh token", "known device", "attempts", "mails", "cursor")}
    assert len(derived) == 5


@given(st.binary(max_size=60))
def test_base64url_goes_there_and_back(data: bytes) -> None:
    assert keys.from_base64url(keys.base64url(data)) == data


@given(st.text(max_size=20))
def test_only_canonical_base64url_is_read(text: str) -> None:
    data = keys.from_base64url(text)
    assert data is None or keys.base64url(data) == text
