"""What a presigned PUT promises holds on the embedded store and on the real MinIO alike: shared/storage relies on it."""

import base64
import hashlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import boto3
import httpx
import pytest
from botocore.config import Config

from tests.services import Store

BODY = b"%PDF-1.7 what was declared"
ORIGIN = "http://127.0.0.1:8080"


def client(store: Store) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=store.endpoint,
        aws_access_key_id=store.access_key,
        aws_secret_access_key=store.secret_key,
        region_name="us-east-1",
        config=Config(signature_version="s3v4", s3={"addressing_style": "path"}, request_checksum_calculation="when_required"),
    )


@pytest.fixture(scope="module", params=["seaweedfs", "minio"])
async def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Store]:
    from tests import services as run_services

    services = run_services.services_in(tmp_path_factory.mktemp("store"), run_services.own_plan(), store=request.param)
    await services.start()
    yield services.store
    await services.kill()


def sha256(body: bytes) -> str:
    return base64.b64encode(hashlib.sha256(body).digest()).decode()


def presigned(store: Store, key: str, **extra: Any) -> str:
    params = {"Bucket": store.bucket, "Key": key, "ContentType": "application/pdf", "ContentLength": len(BODY), "IfNoneMatch": "*", **extra}
    return str(client(store).generate_presigned_url("put_object", Params=params, ExpiresIn=300))


async def put(url: str, body: bytes = BODY, **headers: str) -> httpx.Response:
    sent = {"Content-Type": "application/pdf", "If-None-Match": "*"} | {name.replace("_", "-"): value for name, value in headers.items()}
    async with httpx.AsyncClient() as http:
        return await http.put(url, content=body, headers={name: value for name, value in sent.items() if value})


async def test_what_was_declared_is_taken(store: Store) -> None:
    url = presigned(store, "u/ok.pdf", ChecksumSHA256=sha256(BODY))
    answer = await put(url, x_amz_checksum_sha256=sha256(BODY))
    assert answer.status_code == 200, answer.text
    assert client(store).get_object(Bucket=store.bucket, Key="u/ok.pdf")["Body"].read() == BODY
    assert "content-length" in url
    assert "if-none-match" in url


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (BODY + b"!", {}),
        (BODY[:-1], {}),
        (BODY, {"Content_Type": "text/html"}),
        (BODY, {"If_None_Match": ""}),
    ],
    ids=["longer", "shorter", "another type", "without If-None-Match"],
)
async def test_anything_else_is_refused(store: Store, body: bytes, headers: dict[str, str]) -> None:
    answer = await put(presigned(store, "u/refused.pdf"), body, **headers)
    assert answer.status_code in (400, 403), answer.text
    assert "Contents" not in client(store).list_objects_v2(Bucket=store.bucket, Prefix="u/refused")


async def test_another_content_of_the_same_size_is_refused_by_its_hash(store: Store) -> None:
    answer = await put(presigned(store, "u/hash.pdf", ChecksumSHA256=sha256(BODY)), BODY[::-1], x_amz_checksum_sha256=sha256(BODY))
    assert answer.status_code == 400, answer.text
    forged = await put(presigned(store, "u/hash.pdf", ChecksumSHA256=sha256(BODY)), BODY[::-1], x_amz_checksum_sha256=sha256(BODY[::-1]))
    assert forged.status_code == 403, forged.text
    left_out = await put(presigned(store, "u/hash.pdf", ChecksumSHA256=sha256(BODY)), BODY[::-1])
    assert left_out.status_code in (400, 403), left_out.text
    assert "Contents" not in client(store).list_objects_v2(Bucket=store.bucket, Prefix="u/hash")


async def test_an_object_is_not_put_twice(store: Store) -> None:
    url = presigned(store, "u/once.pdf")
    assert (await put(url)).status_code == 200
    assert (await put(url)).status_code == 412


async def test_a_browser_on_an_allowed_origin_may_put(store: Store) -> None:
    async with httpx.AsyncClient() as http:
        asked = {"Origin": ORIGIN, "Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "content-type,if-none-match"}
        preflight = await http.options(presigned(store, "u/cors.pdf"), headers=asked)
    assert preflight.status_code in (200, 204)
    assert preflight.headers["access-control-allow-origin"] in (ORIGIN, "*")
    assert "PUT" in preflight.headers["access-control-allow-methods"]
    answer = await put(presigned(store, "u/cors.pdf"), Origin=ORIGIN)
    assert answer.headers["access-control-allow-origin"] in (ORIGIN, "*")


async def test_a_page_sees_where_a_piece_lies_in_the_whole(store: Store) -> None:
    """A viewer fetches a PDF piece by piece (issue 16)."""
    client(store).put_object(Bucket=store.bucket, Key="u/range.pdf", Body=BODY)
    url = str(client(store).generate_presigned_url("get_object", Params={"Bucket": store.bucket, "Key": "u/range.pdf"}))
    async with httpx.AsyncClient() as http:
        piece = await http.get(url, headers={"Origin": ORIGIN, "Range": "bytes=0-3"})
    assert (piece.status_code, piece.headers["content-range"]) == (206, f"bytes 0-3/{len(BODY)}")
    shown = {name.strip().lower() for name in piece.headers["access-control-expose-headers"].split(",")}
    assert {"content-range", "accept-ranges", "content-length", "etag"} <= shown


async def test_an_expired_or_tampered_url_is_refused(store: Store) -> None:
    url = presigned(store, "u/tampered.pdf")
    assert (await put(url.replace("tampered", "other"))).status_code == 403
    params = {"Bucket": store.bucket, "Key": "u/late.pdf"}
    old = client(store).generate_presigned_url("get_object", Params=params, ExpiresIn=1)
    past = (datetime.now(UTC) - timedelta(hours=2)).strftime("%Y%m%dT%H%M%SZ")
    async with httpx.AsyncClient() as http:
        assert (await http.get(f"{old.split('?')[0]}?{urlencode({'X-Amz-Date': past})}")).status_code in (400, 403)
