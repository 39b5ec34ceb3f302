"""The keys that sign URLs for browsers: one that may only write, one that may only read.

A URL binds what was signed, and no more: a store may heed headers that were not. MinIO (February 2026) copies any object that the key in
the URL may read into the place of the upload (`x-amz-copy-source`). From whoever shows the name of a key that may write, which every URL
does, it takes objects without any signature (`STREAMING-UNSIGNED-PAYLOAD-TRAILER`), many at once (`x-amz-meta-snowball-auto-extract`). What
these keys may do is all that such a hole gives: the one for uploads reads nothing and writes only what was signed, the one for downloads
writes nothing.

They are derived from MINIO_SECRET_KEY, so nothing has to be handed over. On MinIO they are service accounts, made by
`python -m infra.minio.bucket` or by the first process that needs them; the embedded store is started with them. Elsewhere the settings may
name some (MINIO_UPLOAD_ACCESS_KEY and the three like it); without, our own key signs if the store is seen to refuse what was not signed.
"""

import asyncio
import hashlib
import hmac
import logging
import re
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from shared.storage import minio_accounts
from shared.storage.backend import StorageUnavailable
from shared.storage.object_keys import INTERNAL_PREFIX
from shared.storage.presigning import KeyPair, Signer

if TYPE_CHECKING:
    from aiohttp import ClientSession

log = logging.getLogger("docuvault.storage")

Purpose = Literal["upload", "download"]

_VERSION = 1
"""Rises with the policies: keys of another version have other names."""
_NAMES: dict[Purpose, str] = {"upload": "dvput", "download": "dvget"}
_PROBES = ".docuvault-probes"
"""Where the store is tried out: keys that begin with a dot are nobody's documents."""
_PROBE_SECONDS = 300
_PAUSES_SECONDS = (0.05, 0.2, 0.8)
"""After each attempt at making a key: several processes may make the same one at once, and get in one another's way."""


class NoSafeKeys(StorageUnavailable):
    """There is no key to sign URLs with that may do nothing else. Waiting does not help; the message says what does."""


@dataclass(frozen=True)
class UrlKeys:
    upload: KeyPair
    download: KeyPair


def derived(account: KeyPair, bucket: str) -> UrlKeys:
    """The keys that belong to an account and a bucket: names of 20 characters (MinIO's limit), secrets of 160 bits."""

    def pair(purpose: Purpose) -> KeyPair:
        meaning = f"docuvault url key {_VERSION}\n{purpose}\n{account.access_key}\n{bucket}".encode()
        name = f"{_NAMES[purpose]}-{hashlib.sha256(meaning).hexdigest()[:14]}"
        return KeyPair(name, hmac.new(account.secret_key.encode(), meaning, "sha256").hexdigest()[:40])

    return UrlKeys(pair("upload"), pair("download"))


def policy(purpose: Purpose, bucket: str) -> dict[str, Any]:
    """What a key may do, as a policy of MinIO's: nothing but its one action, and of that nothing that a URL need not do."""

    def statement(effect: str, *keys: str, condition: dict[str, Any] | None = None) -> dict[str, Any]:
        action = "s3:PutObject" if purpose == "upload" else "s3:GetObject"
        made = {"Effect": effect, "Action": [action], "Resource": [f"arn:aws:s3:::{bucket}/{key}" for key in keys]}
        return made | ({"Condition": condition} if condition else {})

    statements = [statement("Allow", "*")]
    if purpose == "upload":
        statements += [
            # No document's key ends with a slash; what unpacks archives asks for its prefix, which is empty or does.
            statement("Deny", "", "*/", f"{INTERNAL_PREFIX}*"),
            # Bodies in signed or unsigned chunks: of the latter MinIO checks no signature that stands in the URL.
            statement("Deny", "*", condition={"StringLike": {"s3:x-amz-content-sha256": ["STREAMING-*"]}}),
            statement("Deny", "*", condition={"Null": {"s3:x-amz-copy-source": ["false"]}}),
            # We could not read what is encrypted with a key of the client's.
            statement("Deny", "*", condition={"Null": {"s3:x-amz-server-side-encryption-customer-algorithm": ["false"]}}),
        ]
    return {"Version": "2012-10-17", "Statement": statements}


async def find(session: "ClientSession", account: Signer, bucket: str, named: UrlKeys | None) -> UrlKeys:
    """The keys to sign URLs with; `account` signs for ourselves, `named` are those of the settings.

    Asks the store each time, so remember them. Raises NoSafeKeys, StorageUnavailable.
    """
    if named is not None:
        await _check_named(session, account, bucket, named)
        return named
    keys = derived(KeyPair(account.access_key, account.secret_key), bucket)
    if await _both_work(session, account, bucket, keys):
        return keys
    if await minio_accounts.is_minio(session, account.address):
        await _make_on_minio(session, account, bucket, keys)
        return keys
    if await _copies_what_was_not_signed(session, account, bucket):
        raise _unsafe(
            "The object store heeds headers that nobody signed, so URLs need keys that may only write and only read: "
            "name some in MINIO_UPLOAD_ACCESS_KEY, MINIO_UPLOAD_SECRET_KEY, MINIO_DOWNLOAD_ACCESS_KEY and MINIO_DOWNLOAD_SECRET_KEY."
        )
    log.warning("URLs are signed with MINIO_ACCESS_KEY itself: this store has no other keys of ours, and refuses what was not signed")
    own = KeyPair(account.access_key, account.secret_key)
    return UrlKeys(own, own)


async def make(session: "ClientSession", account: Signer, bucket: str, *, of: KeyPair | None = None) -> None:
    """Makes the keys derived from `of` (or from the account) on MinIO, unless they are there. Raises NoSafeKeys, StorageUnavailable."""
    keys = derived(of or KeyPair(account.access_key, account.secret_key), bucket)
    if not await _both_work(session, account, bucket, keys):
        await _make_on_minio(session, account, bucket, keys)


async def _make_on_minio(session: "ClientSession", account: Signer, bucket: str, keys: UrlKeys) -> None:
    pairs: tuple[tuple[Purpose, KeyPair], ...] = (("upload", keys.upload), ("download", keys.download))
    for purpose, pair in pairs:
        refused = "the key does not do what it is for"
        pauses = iter(_PAUSES_SECONDS)
        while not _is_right(purpose, code := await _probe(session, account, bucket, pair)):
            pause = next(pauses, None)
            if pause is None:
                raise _unsafe(
                    f"MinIO gives MINIO_ACCESS_KEY no key for {purpose}s ({refused}). URLs are not signed with a key that may do more: "
                    "allow it admin:CreateServiceAccount and run `python -m infra.minio.bucket`, or name keys in MINIO_UPLOAD_ACCESS_KEY, "
                    "MINIO_UPLOAD_SECRET_KEY, MINIO_DOWNLOAD_ACCESS_KEY and MINIO_DOWNLOAD_SECRET_KEY."
                )
            try:
                if code != "InvalidAccessKeyId":
                    # One with another secret is left from before MINIO_SECRET_KEY changed.
                    await minio_accounts.remove(session, account, pair.access_key)
                await minio_accounts.add(session, account, pair, policy(purpose, bucket), description=f"DocuVault: URLs for {purpose}s")
            except minio_accounts.AccountRefused as reason:
                refused = str(reason)
            # If it was refused, another process may be making it just now.
            await asyncio.sleep(pause)


async def _both_work(session: "ClientSession", account: Signer, bucket: str, keys: UrlKeys) -> bool:
    uploads = await _works(session, account, bucket, "upload", keys.upload)
    return uploads and await _works(session, account, bucket, "download", keys.download)


async def _works(session: "ClientSession", account: Signer, bucket: str, purpose: Purpose, pair: KeyPair) -> bool:
    """Whether the store knows the key, and the one for uploads may not read."""
    return _is_right(purpose, await _probe(session, account, bucket, pair))


async def _probe(session: "ClientSession", account: Signer, bucket: str, pair: KeyPair) -> str:
    """What the store says to who reads with this key."""
    return await _refusal(session, account.with_keys(pair), "GET", bucket, f"{_PROBES}/none")


def _is_right(purpose: Purpose, code: str) -> bool:
    return code == "AccessDenied" or (purpose == "download" and code in ("", "NoSuchKey"))


async def _check_named(session: "ClientSession", account: Signer, bucket: str, named: UrlKeys) -> None:
    """Raises NoSafeKeys if a key is unknown to the store, or may do what it is not for."""
    if not await _works(session, account, bucket, "upload", named.upload):
        raise _unsafe("The object store does not know MINIO_UPLOAD_ACCESS_KEY, or lets it read, which it must not.")
    if not await _works(session, account, bucket, "download", named.download):
        raise _unsafe("The object store does not know MINIO_DOWNLOAD_ACCESS_KEY, or does not let it read.")
    key = f"{_PROBES}/{secrets.token_hex(8)}"
    if not await _refusal(session, account.with_keys(named.download), "PUT", bucket, key):
        await _refusal(session, account, "DELETE", bucket, key)
        raise _unsafe("The object store lets MINIO_DOWNLOAD_ACCESS_KEY write, which it must not.")


async def _copies_what_was_not_signed(session: "ClientSession", account: Signer, bucket: str) -> bool:
    """Tries it out, on objects of its own."""
    folder = f"{_PROBES}/{secrets.token_hex(8)}"
    source, target = f"{folder}/source", f"{folder}/target"
    try:
        refused = await _refusal(session, account, "PUT", bucket, source, body=b"source")
        if refused:
            raise _unsafe(f"The object store takes nothing from MINIO_ACCESS_KEY ({refused}).")
        headers = {"x-amz-copy-source": f"/{bucket}/{source}"}
        if await _refusal(session, account, "PUT", bucket, target, headers=headers):
            return False
        async with session.get(_url(account, "GET", bucket, target), allow_redirects=False) as response:
            return response.status != 200 or await response.read() == b"source"
    finally:
        for key in (source, target):
            await _refusal(session, account, "DELETE", bucket, key)


async def _refusal(
    session: "ClientSession",
    signer: Signer,
    method: str,
    bucket: str,
    key: str,
    *,
    headers: dict[str, str] | None = None,
    body: bytes = b"",
) -> str:
    """The code with which the store refuses this, or nothing if it does not. Raises StorageUnavailable if it is not up to an opinion."""
    async with session.request(
        method, _url(signer, method, bucket, key), headers=headers, data=body if method == "PUT" else None, allow_redirects=False
    ) as response:
        text = await response.text(errors="replace")
        if response.status < 300:
            return ""
        found = re.search(r"<Code>(\w+)</Code>", text)
        code = found[1] if found else str(response.status)
        if response.status >= 500 or code == "NoSuchBucket":
            raise StorageUnavailable(f"The object store is not ready ({code}).")
        return code


def _url(signer: Signer, method: str, bucket: str, key: str) -> Any:
    from yarl import URL

    return URL(signer.url(method, bucket, key, seconds=_PROBE_SECONDS), encoded=True)


def _unsafe(sentence: str) -> NoSafeKeys:
    log.error(sentence)
    return NoSafeKeys(sentence)
