"""Secrets at rest: sealed with AES-256-GCM under a key of their own.

The key is HKDF-SHA256 of CLOUD_CREDS_KEY over user and purpose; the row's identity is associated data, so a sealed value copied to
another row, user or purpose does not open. The master key's id stands in front, so that it can rotate: the first seals, all open.
"""

import hashlib
import secrets
from functools import lru_cache
from uuid import UUID

from shared.config import settings
from shared.keys import hkdf

_VERSION = b"\x01"
_KEY_ID_BYTES = 8
_NONCE_BYTES = 12


class SealBroken(Exception):
    """The sealed value is not ours, was changed, belongs elsewhere, or its master key is gone."""


def seal(plain: bytes, *, user: UUID | str, purpose: str, row: UUID | str) -> bytes:
    """The sealed form of `plain`, good only for this user, purpose and row."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    master = settings().cloud_creds_key[0]
    nonce = secrets.token_bytes(_NONCE_BYTES)
    head = _VERSION + _key_id(master)
    return head + nonce + AESGCM(_key(master, user, purpose)).encrypt(nonce, plain, head + _row(purpose, row))


def unseal(sealed: bytes, *, user: UUID | str, purpose: str, row: UUID | str) -> bytes:
    """What was sealed. Raises SealBroken."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    head = bytes(sealed[: 1 + _KEY_ID_BYTES])
    body = bytes(sealed[1 + _KEY_ID_BYTES :])
    master = next((key for key in settings().cloud_creds_key if _VERSION + _key_id(key) == head), None)
    if master is None or len(body) < _NONCE_BYTES + 16:
        raise SealBroken("the master key of this secret is not among CLOUD_CREDS_KEY")
    try:
        cipher = AESGCM(_key(master, user, purpose))
        return cipher.decrypt(body[:_NONCE_BYTES], body[_NONCE_BYTES:], head + _row(purpose, row))
    except InvalidTag:
        raise SealBroken("this secret was changed or belongs elsewhere") from None


def is_stale(sealed: bytes) -> bool:
    """Whether it was sealed with a master key that is no longer the first: seal it again."""
    return bytes(sealed[: 1 + _KEY_ID_BYTES]) != _VERSION + _key_id(settings().cloud_creds_key[0])


@lru_cache(maxsize=16)
def _key_id(master: bytes) -> bytes:
    return hashlib.sha256(hkdf(master, b"docuvault key id")).digest()[:_KEY_ID_BYTES]


def _key(master: bytes, user: UUID | str, purpose: str) -> bytes:
    return hkdf(master, f"docuvault seal\0{purpose}\0{user}".encode())


def _row(purpose: str, row: UUID | str) -> bytes:
    return f"{purpose}\0{row}".encode()
