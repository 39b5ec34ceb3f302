"""MinIO's own API for service accounts: keys beside an account's own that may do only what a policy of theirs says.

The root user has them, any user, and a service account whose policy does not forbid it. Bodies are sealed with the secret key of whoever
sends them, in the format of `madmin.EncryptData` (github.com/minio/madmin-go/v3, encrypt.go): Argon2id makes a key, AES-256-GCM seals one
fragment of a stream as sio-go does (github.com/secure-io/sio-go).
"""

import asyncio
import hashlib
import json
import re
import secrets
from typing import TYPE_CHECKING, Any

from shared.storage.presigning import KeyPair, Signer

if TYPE_CHECKING:
    from aiohttp import ClientSession

_API = "/minio/admin/v3"
_NOT_THERE = "XMinioInvalidIAMCredentials", "XMinioAdminServiceAccountNotFound"
_FRAGMENT_SIZE = 16 * 1024
_LAST_FRAGMENT = b"\x80"
_ARGON2ID_AES_GCM = b"\x00"


class AccountRefused(Exception):
    """MinIO does not make or remove the service account; the message is its reason in a few words."""


async def is_minio(session: "ClientSession", endpoint: str) -> bool:
    """Whether MinIO responds there, whatever name it or a proxy in front of it gives itself.

    Elsewhere the path is an object in somebody's bucket, and what is read of an object has an ETag.
    """
    async with session.get(f"{endpoint}/minio/health/live", allow_redirects=False) as response:
        return response.status == 200 and "etag" not in response.headers


async def add(session: "ClientSession", account: Signer, keys: KeyPair, policy: dict[str, Any], *, description: str) -> None:
    """Makes a service account of `account` with these keys and this policy. Raises AccountRefused, also if one of that name is there."""
    body = {"accessKey": keys.access_key, "secretKey": keys.secret_key, "policy": policy, "description": description}
    sealed = await asyncio.to_thread(seal, account.secret_key, json.dumps(body).encode())  # takes a while, on purpose
    code = await _send(session, account, "PUT", "/add-service-account", sealed)
    if code:
        raise AccountRefused(code)


async def remove(session: "ClientSession", account: Signer, access_key: str) -> None:
    """Removes a service account of `account`; one that is not there is fine. Raises AccountRefused."""
    code = await _send(session, account, "DELETE", f"/delete-service-account?accessKey={access_key}", b"")
    if code and code not in _NOT_THERE:
        raise AccountRefused(code)


def seal(secret_key: str, content: bytes) -> bytes:
    """`content` (less than 16 KiB) as MinIO's administration wants it: salt, algorithm, nonce, ciphertext."""
    from argon2.low_level import Type, hash_secret_raw
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    if len(content) >= _FRAGMENT_SIZE:
        raise ValueError("more than one fragment")
    salt, nonce = secrets.token_bytes(32), secrets.token_bytes(8)
    key = hash_secret_raw(secret_key.encode(), salt, time_cost=1, memory_cost=64 * 1024, parallelism=4, hash_len=32, type=Type.ID)
    cipher = AESGCM(key)
    # Fragments are numbered in the nonce; number 0 is the tag of the (empty) associated data, which each of them carries.
    tag = cipher.encrypt(nonce + (0).to_bytes(4, "little"), b"", b"")
    return salt + _ARGON2ID_AES_GCM + nonce + cipher.encrypt(nonce + (1).to_bytes(4, "little"), content, _LAST_FRAGMENT + tag)


async def _send(session: "ClientSession", account: Signer, method: str, path: str, body: bytes) -> str:
    """MinIO's error code, or nothing if it did what it was asked."""
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials
    from yarl import URL

    headers = {"X-Amz-Content-SHA256": hashlib.sha256(body).hexdigest()}
    request = AWSRequest(method, f"{account.address}{_API}{path}", headers=headers, data=body)
    SigV4Auth(Credentials(account.access_key, account.secret_key), "s3", account.region).add_auth(request)
    sent = dict(request.headers.items())
    async with session.request(method, URL(str(request.url), encoded=True), headers=sent, data=body, allow_redirects=False) as response:
        if response.status < 300:
            return ""  # what it says is sealed, and known
        text = await response.text(errors="replace")
        found = re.search(r'"Code":"(\w+)"|<Code>(\w+)</Code>', text)
        return (found[1] or found[2]) if found else str(response.status)
