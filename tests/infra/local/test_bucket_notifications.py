"""Bucket notifications: the embedded store's come in the shape of the real MinIO's, and none is lost while Redis is away."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import unquote_plus

import boto3
import pytest
from botocore.config import Config
from redis.asyncio import Redis

from infra.local.bucket_notifications import entry
from infra.local.metadata_log import MetadataEntry, ObjectChange
from infra.local.seaweedfs import SeaweedFS
from infra.notification_list import LIST
from tests.services import Services, Store

StartServices = Callable[..., Awaitable[Services]]
KEY = "0198/überraschung & mehr/scan+1 (2).pdf"


def client(store: Store) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=store.endpoint,
        aws_access_key_id=store.access_key,
        aws_secret_access_key=store.secret_key,
        region_name="us-east-1",
        config=Config(s3={"addressing_style": "path"}),
    )


async def put(store: Store, key: str, body: bytes = b"hello", **options: Any) -> Any:
    return await asyncio.to_thread(client(store).put_object, Bucket=store.bucket, Key=key, Body=body, **options)


async def next_record(services: Services) -> dict[str, Any]:
    async with Redis.from_url(services.valkey.url, socket_timeout=90) as redis:
        popped = await redis.blpop([LIST], timeout=60)
        assert popped is not None, "no notification came within a minute"
        [notification] = json.loads(popped[1])
        [record] = notification["Event"]
        assert notification["EventTime"] == record["eventTime"]
        return dict(record)


def shape(value: Any) -> Any:
    return {name: shape(inner) for name, inner in value.items()} if isinstance(value, dict) else type(value).__name__


@pytest.mark.parametrize("store", ["seaweedfs", "minio"])
async def test_an_object_put_is_announced(start_services: StartServices, store: str) -> None:
    services = await start_services(store=store)
    answer = await put(services.store, KEY, b"%PDF-1.7 hello", ContentType="application/pdf", Metadata={"origin": "scanner"})

    record = await next_record(services)

    assert record["eventName"] == "s3:ObjectCreated:Put"
    assert record["s3"]["bucket"]["name"] == services.store.bucket
    announced = record["s3"]["object"]
    assert "/" not in announced["key"]
    assert unquote_plus(announced["key"]) == KEY
    assert announced["size"] == 14
    assert announced["eTag"] == answer["ETag"].strip('"')
    assert announced["contentType"] == "application/pdf"
    assert int(announced["sequencer"], 16) > 0


@pytest.mark.parametrize("store", ["seaweedfs", "minio"])
async def test_a_multipart_upload_is_announced_once_when_it_is_complete(start_services: StartServices, store: str) -> None:
    services = await start_services(store=store)
    s3, bucket = client(services.store), services.store.bucket

    def upload() -> str:
        upload_id = s3.create_multipart_upload(Bucket=bucket, Key="u/big.bin", ContentType="application/x-big")["UploadId"]
        parts = []
        for number, body in enumerate((b"a" * 5 * 2**20, b"b"), start=1):
            tag = s3.upload_part(Bucket=bucket, Key="u/big.bin", UploadId=upload_id, PartNumber=number, Body=body)["ETag"]
            parts.append({"PartNumber": number, "ETag": tag})
        done = s3.complete_multipart_upload(Bucket=bucket, Key="u/big.bin", UploadId=upload_id, MultipartUpload={"Parts": parts})
        return str(done["ETag"]).strip('"')

    etag = await asyncio.to_thread(upload)
    await put(services.store, "u/last.txt")
    # Two records, in whatever order the store tells them: MinIO sends each on its own.
    announced = {unquote_plus(record["s3"]["object"]["key"]): record for record in [await next_record(services) for _ in range(2)]}
    record = announced.pop("u/big.bin")

    assert record["eventName"] == "s3:ObjectCreated:CompleteMultipartUpload"
    assert (record["s3"]["object"]["size"], record["s3"]["object"]["eTag"]) == (5 * 2**20 + 1, etag)
    assert list(announced) == ["u/last.txt"]


async def test_both_stores_announce_in_the_same_shape(start_services: StartServices) -> None:
    shapes = []
    for name in ("seaweedfs", "minio"):
        services = await start_services(store=name)
        await put(services.store, KEY, ContentType="text/plain")
        record = shape(await next_record(services))
        # What depends on the request and the server alone, and what nobody should rely on.
        for varying in ("requestParameters", "responseElements"):
            assert record.pop(varying) is not None
        shapes.append(record)

    assert shapes[0] == shapes[1]


async def test_an_object_put_again_has_a_later_sequencer(own_services: Services) -> None:
    await put(own_services.store, "u/a.txt", b"one")
    await put(own_services.store, "u/a.txt", b"two")
    first, second = [(await next_record(own_services))["s3"]["object"] for _ in range(2)]

    assert int(first["sequencer"], 16) < int(second["sequencer"], 16)
    assert first["eTag"] != second["eTag"]


async def test_what_is_put_while_redis_is_away_is_announced_when_it_is_back(own_services: Services) -> None:
    await put(own_services.store, "u/before.txt")
    assert unquote_plus((await next_record(own_services))["s3"]["object"]["key"]) == "u/before.txt"

    await own_services.valkey.kill()
    for number in range(3):
        await put(own_services.store, f"u/during{number}.txt")
    await own_services.valkey.start()

    keys: list[str] = []
    while "u/during2.txt" not in keys:
        keys.append(unquote_plus((await next_record(own_services))["s3"]["object"]["key"]))
    # The one that was on its way when Redis went may come twice.
    assert [key for key in keys if key != "u/before.txt"] == ["u/during0.txt", "u/during1.txt", "u/during2.txt"]


async def test_what_is_put_while_nobody_watches_is_announced_later(start_services: StartServices) -> None:
    services = await start_services(notify=False)
    await put(services.store, "u/unwatched.txt")
    assert isinstance(services.store, SeaweedFS)

    watching = asyncio.create_task(services.store.forward_notifications(services.valkey.url))
    assert unquote_plus((await next_record(services))["s3"]["object"]["key"]) == "u/unwatched.txt"
    watching.cancel()


async def test_the_store_restarted_goes_on_announcing(own_services: Services) -> None:
    await put(own_services.store, "u/a.txt")
    await next_record(own_services)

    await own_services.store.stop()
    await own_services.store.start()
    await put(own_services.store, "u/b.txt")

    assert unquote_plus((await next_record(own_services))["s3"]["object"]["key"]) == "u/b.txt"


def change(folder: str, new: MetadataEntry | None, old: MetadataEntry | None = None) -> ObjectChange:
    return ObjectChange(1_795_493_266_182_415_731, folder, old, new)


FILE = MetadataEntry("a.pdf", False, 10, "application/pdf", "abc", 1, {})


@pytest.mark.parametrize(
    "passed_over",
    [
        change("/buckets/docuvault/.derived/u", FILE),
        change("/buckets/docuvault/.uploads/x", FILE),
        change("/buckets/docuvault-other/u", FILE),
        change("/buckets/docuvault/u", MetadataEntry("d", True, 0, "", "", 1, {})),
        change("/buckets/docuvault/u", FILE, FILE),
        change("/buckets/docuvault/u", None, FILE),
        change("", None),
    ],
    ids=["derived", "parts", "another bucket", "folder", "tags only", "removed", "heartbeat"],
)
def test_what_is_no_new_object_is_passed_over(passed_over: ObjectChange) -> None:
    assert entry(passed_over, "docuvault") is None
