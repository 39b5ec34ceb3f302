"""`python -m infra.minio.bucket`: what it cannot do is one sentence."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable

import pytest
from aiohttp import ClientSession

from infra.functions import ROOT
from infra.minio.bucket import ARN, ID
from shared.storage import url_keys
from shared.storage.presigning import Signer
from tests.services import Services


def prepare(**environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "infra.minio.bucket"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)} | environ,
        capture_output=True,
        text=True,
        check=False,
    )


def test_settings_that_are_missing_are_named() -> None:
    answer = prepare(MINIO_ENDPOINT="http://127.0.0.1:1", MINIO_BUCKET="docuvault")
    assert answer.returncode == 2
    assert answer.stderr == "Missing in the environment: MINIO_ACCESS_KEY, MINIO_SECRET_KEY.\n"


def test_a_server_that_does_not_answer_is_named() -> None:
    answer = prepare(MINIO_ENDPOINT="http://127.0.0.1:1", MINIO_BUCKET="docuvault", MINIO_ACCESS_KEY="a", MINIO_SECRET_KEY="b")
    assert answer.returncode == 1
    assert answer.stderr.startswith("The bucket docuvault could not be made ready at http://127.0.0.1:1: ")
    assert answer.stderr.count("\n") == 1


async def test_what_else_a_bucket_announces_stays(start_services: Callable[..., Awaitable[Services]]) -> None:
    import boto3

    store = (await start_services(store="minio", notify=False)).store
    keys = {"aws_access_key_id": store.access_key, "aws_secret_access_key": store.secret_key, "region_name": "us-east-1"}
    client = boto3.client("s3", endpoint_url=store.endpoint, **keys)
    theirs = {"Id": "theirs", "QueueArn": ARN, "Events": ["s3:ObjectRemoved:*"]}
    client.put_bucket_notification_configuration(Bucket=store.bucket, NotificationConfiguration={"QueueConfigurations": [theirs]})
    for _ in range(2):
        answer = await asyncio.to_thread(
            prepare,
            MINIO_ENDPOINT=store.endpoint,
            MINIO_BUCKET=store.bucket,
            MINIO_ACCESS_KEY=store.access_key,
            MINIO_SECRET_KEY=store.secret_key,
        )
        assert answer.returncode == 0, answer.stderr
        # So it is at the pinned version; the names that URLs show may not be used like this (tests/attacks/test_signed_uploads.py).
        assert answer.stderr.startswith("Take care: this MinIO takes objects, without a signature, from whoever knows the name")
        assert client.list_objects_v2(Bucket=store.bucket)["KeyCount"] == 0, "it was tried out, and nothing is left of that"
        announced = client.get_bucket_notification_configuration(Bucket=store.bucket)["QueueConfigurations"]
        assert sorted(one["Id"] for one in announced) == [ID, "theirs"]


async def test_the_root_user_makes_the_key_which_is_for_the_bucket_alone(start_services: Callable[..., Awaitable[Services]]) -> None:
    import boto3
    from botocore.exceptions import ClientError

    store = (await start_services(store="minio", notify=False)).store
    root = boto3.client(
        "s3",
        endpoint_url=store.endpoint,
        aws_access_key_id=store.access_key,
        aws_secret_access_key=store.secret_key,
        region_name="us-east-1",
    )
    root.create_bucket(Bucket="others")
    for secret in ("s" * 30, "s" * 30, "t" * 30):
        answer = await asyncio.to_thread(
            prepare,
            MINIO_ENDPOINT=store.endpoint,
            MINIO_BUCKET="papers",
            MINIO_ROOT_USER=store.access_key,
            MINIO_ROOT_PASSWORD=store.secret_key,
            MINIO_ACCESS_KEY="dv-of-the-papers",
            MINIO_SECRET_KEY=secret,
        )
        assert answer.returncode == 0, answer.stderr
        ours = boto3.client(
            "s3", endpoint_url=store.endpoint, aws_access_key_id="dv-of-the-papers", aws_secret_access_key=secret, region_name="us-east-1"
        )
        ours.put_object(Bucket="papers", Key="a/b.txt", Body=b"heron")
        assert ours.get_object(Bucket="papers", Key="a/b.txt")["Body"].read() == b"heron"
        with pytest.raises(ClientError, match="AccessDenied"):
            ours.put_object(Bucket="others", Key="x", Body=b"x")
        with pytest.raises(ClientError, match="AccessDenied"):
            ours.create_bucket(Bucket="more")
        assert [bucket["Name"] for bucket in ours.list_buckets()["Buckets"]] == ["papers"]
        async with ClientSession() as session:
            account = Signer(store.endpoint, "us-east-1", "dv-of-the-papers", secret)
            keys = await url_keys.find(session, account, "papers", None)
        assert keys.upload.access_key.startswith("dvput-")
