"""`python -m infra.minio.bucket`: what it cannot do is one sentence."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer

from infra.functions import ROOT
from infra.minio import bucket
from infra.minio.bucket import ARN, ID
from shared.storage import url_keys
from shared.storage.presigning import KeyPair, Signer
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


@dataclass
class RefusingStore:
    """An S3 store that refuses the key of ours with these codes in turn and then lets it in, and counts who is made and removed."""

    codes: list[str]
    administered: list[str] = field(default_factory=list)

    async def respond(self, request: web.Request) -> web.Response:
        if request.path.startswith("/minio/admin/"):
            self.administered.append(request.method)
            return web.Response()
        if "list-type" in request.query and self.codes:
            code = self.codes.pop(0) if len(self.codes) > 1 or self.codes[0] != "AccessDenied" else self.codes[0]
            return web.Response(status=403, text=f"<Error><Code>{code}</Code></Error>", content_type="application/xml")
        return web.Response(text="<NotificationConfiguration/>", content_type="application/xml")


@pytest.mark.parametrize(
    ("codes", "administered", "ends_well"),
    [
        (["XMinioServerNotInitialized", "InternalError"], [], True),
        (["XMinioServerNotInitialized", "AccessDenied"], [], False),
        (["InvalidAccessKeyId"], ["PUT"], True),
        (["InternalError", "SignatureDoesNotMatch"], ["DELETE", "PUT"], True),
    ],
)
async def test_a_key_is_removed_only_if_it_has_another_secret(
    codes: list[str], administered: list[str], ends_well: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINIO_UPLOAD_ACCESS_KEY", "made by somebody")
    store = RefusingStore(codes)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", store.respond)
    async with TestServer(app) as server:
        made = asyncio.to_thread(
            bucket.prepare, str(server.make_url("")), "ours", "s" * 30, "papers", root=KeyPair("root", "r" * 30), wait_seconds=2
        )
        if ends_well:
            await made
        else:
            with pytest.raises(bucket.BucketError, match=r"MINIO_ACCESS_KEY could not be made at .*: AccessDenied\."):
                await made
    assert store.administered == administered


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
