"""`python -m infra.minio.bucket`: makes the bucket of MINIO_BUCKET on a MinIO server and has it announce what is put there.

It also makes the two keys that sign URLs for browsers (shared/storage/url_keys.py), unless the settings name some. With MINIO_ROOT_USER and
MINIO_ROOT_PASSWORD it makes MINIO_ACCESS_KEY, too, as a key that may do everything in that bucket and nothing else. Changes nothing the
second time, and leaves what else the bucket announces as it is. The server must know Redis as its target DOCUVAULT
(MINIO_NOTIFY_REDIS_…_DOCUVAULT), and the keys must be those of somebody who may configure buckets and make access keys of their own.
"""

import asyncio
import os
import sys
import time
from typing import Any

from shared.config import SettingsError, secret, without_files
from shared.storage import StorageUnavailable, minio_accounts, url_keys
from shared.storage.presigning import KeyPair, Signer

ARN = "arn:minio:sqs::DOCUVAULT:redis"
ID = "docuvault"
"""Ours among the bucket's notifications."""
_UNSIGNED = ".docuvault-probes/unsigned"
_UNKNOWN_KEY, _OTHER_SECRET = "InvalidAccessKeyId", "SignatureDoesNotMatch"
_STARTING = "XMinioServerNotInitialized"
"""What MinIO says while it looks at its disks."""
TARGET_SECONDS = 60.0
"""MinIO responds before it has looked for its targets."""


class BucketError(Exception):
    """The bucket could not be made ready; the message is one sentence."""


def prepare(
    endpoint: str, access_key: str, secret_key: str, bucket: str, *, root: KeyPair | None = None, wait_seconds: float = TARGET_SECONDS
) -> None:
    """`root` makes what there is to make, and the key itself; without it, the key does. Raises BucketError."""
    from botocore.exceptions import BotoCoreError, ClientError

    keys = KeyPair(access_key, secret_key)
    maker = root or keys
    store = _client(endpoint, maker.access_key, maker.secret_key)
    ours = {"Id": ID, "QueueArn": ARN, "Events": ["s3:ObjectCreated:*"]}
    deadline = time.monotonic() + wait_seconds
    try:
        while True:
            try:
                store.create_bucket(Bucket=bucket)
                break
            except ClientError as refused:
                code = refused.response["Error"]["Code"]
                if code == "BucketAlreadyOwnedByYou":
                    break
                if code != _STARTING or time.monotonic() > deadline:
                    raise
            time.sleep(0.05)
        signer = Signer(_url(endpoint), _region(), maker.access_key, maker.secret_key)
        if root is not None:
            asyncio.run(_make_key(signer, keys, bucket, deadline))
        if not secret(os.environ, "MINIO_UPLOAD_ACCESS_KEY"):
            asyncio.run(_make_url_keys(signer, bucket, deadline, of=keys))
        configurations = store.get_bucket_notification_configuration(Bucket=bucket).get("QueueConfigurations", [])
        wanted = {"QueueConfigurations": [*(other for other in configurations if other.get("Id") != ID), ours]}
        while True:
            try:
                store.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration=wanted)
                return
            except ClientError as unknown:
                if unknown.response["Error"]["Code"] != "InvalidArgument":
                    raise
                if time.monotonic() > deadline:
                    raise BucketError(
                        f"{endpoint} knows no target DOCUVAULT: set MINIO_NOTIFY_REDIS_ENABLE_DOCUVAULT=on and its address there, "
                        "and look whether it reaches Redis."
                    ) from None
                time.sleep(0.05)
    except (BotoCoreError, ClientError) as refused:
        raise BucketError(f"The bucket {bucket} could not be made ready at {endpoint}: {refused}") from None


def _url(endpoint: str) -> str:
    return endpoint.rstrip("/") if "://" in endpoint else f"http://{endpoint}"


def _region() -> str:
    return os.environ.get("MINIO_REGION") or "us-east-1"


def _client(endpoint: str, access_key: str, secret_key: str) -> Any:
    import boto3
    from botocore.config import Config

    return boto3.client(
        "s3",
        endpoint_url=_url(endpoint),
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        region_name=_region(),
        config=Config(s3={"addressing_style": "path"}),
    )


async def _make_key(root: Signer, keys: KeyPair, bucket: str, deadline: float) -> None:
    """Makes `keys` a service account of the root user's for the bucket, unless it is one; again, if it has another secret.

    Raises BucketError.
    """
    from aiohttp import ClientError, ClientSession

    places = [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["s3:*"], "Resource": places}]}
    store = _client(root.endpoint, keys.access_key, keys.secret_key)
    async with ClientSession() as session:
        while True:
            try:
                code = await asyncio.to_thread(_refusal, store, bucket)
                if not code:
                    return
                if code == _OTHER_SECRET:
                    await minio_accounts.remove(session, root, keys.access_key)
                if code in (_OTHER_SECRET, _UNKNOWN_KEY):
                    return await minio_accounts.add(session, root, keys, policy, description="DocuVault")
                reason = code
            except (ClientError, minio_accounts.AccountRefused, TimeoutError) as failed:
                reason = str(failed) or type(failed).__name__
            # MinIO answers before it has read who its users are.
            if time.monotonic() > deadline:
                raise BucketError(f"MINIO_ACCESS_KEY could not be made at {root.endpoint}: {reason}.")
            await asyncio.sleep(0.05)


def _refusal(store: Any, bucket: str) -> str:
    """The code with which the client's key is refused the bucket; empty if it is not."""
    from botocore.exceptions import ClientError

    try:
        store.list_objects_v2(Bucket=bucket, MaxKeys=1)
    except ClientError as refused:
        return str(refused.response["Error"]["Code"])
    return ""


async def _make_url_keys(account: Signer, bucket: str, deadline: float, *, of: KeyPair) -> None:
    from aiohttp import ClientError, ClientSession

    async with ClientSession() as session:
        while True:
            try:
                return await url_keys.make(session, account, bucket, of=of)
            except (ClientError, TimeoutError, StorageUnavailable) as failed:
                # MinIO answers before it has read who its users are.
                if isinstance(failed, url_keys.NoSafeKeys) or time.monotonic() > deadline:
                    raise BucketError(f"The keys for URLs could not be made at {account.endpoint}: {failed}") from None
            await asyncio.sleep(0.05)


def takes_unsigned_objects(endpoint: str, access_key: str, secret_key: str, bucket: str) -> bool:
    """Whether the server takes an object from whoever knows the name of a key that may write, without a signature. Tries it out.

    MinIO as published in February 2026 does: it checks no signature in the URL if the body is said to come in unsigned chunks.
    """
    import httpx

    now = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    shown = {
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
        "X-Amz-Credential": f"{access_key}/{now[:8]}/{_region()}/s3/aws4_request",
        "X-Amz-Date": now,
        "X-Amz-Expires": "60",
        "X-Amz-SignedHeaders": "host",
        "X-Amz-Signature": "0" * 64,
    }
    checksum = "x-amz-checksum-crc32"
    headers = {"x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "x-amz-decoded-content-length": "0", "x-amz-trailer": checksum}
    body = f"0\r\n{checksum}:AAAAAA==\r\n\r\n".encode()
    try:
        response = httpx.put(f"{_url(endpoint)}/{bucket}/{_UNSIGNED}", params=shown, headers=headers, content=body, timeout=30)
    except httpx.HTTPError:
        return False
    if response.status_code != 200:
        return False
    _client(endpoint, access_key, secret_key).delete_object(Bucket=bucket, Key=_UNSIGNED)
    return True


def main() -> int:
    names = ("MINIO_ENDPOINT", "MINIO_ACCESS_KEY", "MINIO_SECRET_KEY", "MINIO_BUCKET")
    try:
        environ = without_files(os.environ)
    except SettingsError as wrong:
        sys.stderr.write(f"{wrong}\n")
        return 2
    missing = [name for name in names if not environ.get(name, "").strip()]
    if missing:
        sys.stderr.write(f"Missing in the environment: {', '.join(missing)}.\n")
        return 2
    values = [environ[name].strip() for name in names]
    root = KeyPair(environ.get("MINIO_ROOT_USER", "").strip(), environ.get("MINIO_ROOT_PASSWORD", "").strip())
    try:
        prepare(*values, root=root if root.access_key and root.access_key != values[1] else None, wait_seconds=10)
    except BucketError as failed:
        sys.stderr.write(f"{failed}\n")
        return 1
    if takes_unsigned_objects(*values):
        sys.stderr.write(
            "Take care: this MinIO takes objects, without a signature, from whoever knows the name of a key that may write. Give "
            "MINIO_ACCESS_KEY (and the root user) a name that nobody guesses, and another one if older versions of DocuVault have "
            "shown it in their URLs.\n"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
