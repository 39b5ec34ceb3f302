"""`python -m infra.minio.bucket`: makes the bucket of MINIO_BUCKET on a MinIO server and has it announce what is put there.

It also makes the two keys that sign URLs for browsers (shared/storage/url_keys.py), unless the settings name some. Changes nothing the
second time, and leaves what else the bucket announces as it is. The server must know Redis as its target DOCUVAULT
(MINIO_NOTIFY_REDIS_…_DOCUVAULT), and the keys must be those of somebody who may configure buckets and make access keys of their own.
"""

import asyncio
import os
import sys
import time

from shared.storage import StorageUnavailable, url_keys
from shared.storage.signing import Signer

ARN = "arn:minio:sqs::DOCUVAULT:redis"
ID = "docuvault"
"""Ours among the bucket's notifications."""
TARGET_SECONDS = 60.0
"""MinIO answers before it has looked for its targets."""


class BucketError(Exception):
    """The bucket could not be made ready; the message is one sentence."""


def prepare(endpoint: str, access_key: str, secret_key: str, bucket: str, *, wait_seconds: float = TARGET_SECONDS) -> None:
    """Raises BucketError."""
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    url = endpoint.rstrip("/") if "://" in endpoint else f"http://{endpoint}"
    region = os.environ.get("MINIO_REGION") or "us-east-1"
    store = boto3.client(
        "s3",
        endpoint_url=url,
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        region_name=region,
        config=Config(s3={"addressing_style": "path"}),
    )
    ours = {"Id": ID, "QueueArn": ARN, "Events": ["s3:ObjectCreated:*"]}
    deadline = time.monotonic() + wait_seconds
    try:
        try:
            store.create_bucket(Bucket=bucket)
        except ClientError as exists:
            if exists.response["Error"]["Code"] != "BucketAlreadyOwnedByYou":
                raise
        if not os.environ.get("MINIO_UPLOAD_ACCESS_KEY"):
            asyncio.run(_make_url_keys(Signer(url, region, access_key, secret_key), bucket))
        known = store.get_bucket_notification_configuration(Bucket=bucket).get("QueueConfigurations", [])
        wanted = {"QueueConfigurations": [*(other for other in known if other.get("Id") != ID), ours]}
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


async def _make_url_keys(account: Signer, bucket: str) -> None:
    from aiohttp import ClientError, ClientSession

    try:
        async with ClientSession() as session:
            await url_keys.make(session, account, bucket)
    except (ClientError, TimeoutError, StorageUnavailable) as failed:
        raise BucketError(f"The keys for URLs could not be made at {account.endpoint}: {failed}") from None


def main() -> int:
    names = ("MINIO_ENDPOINT", "MINIO_ACCESS_KEY", "MINIO_SECRET_KEY", "MINIO_BUCKET")
    missing = [name for name in names if not os.environ.get(name, "").strip()]
    if missing:
        sys.stderr.write(f"Missing in the environment: {', '.join(missing)}.\n")
        return 2
    try:
        prepare(*(os.environ[name].strip() for name in names), wait_seconds=10)
    except BucketError as failed:
        sys.stderr.write(f"{failed}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
