"""Attacks with signed URLs: whatever is added to a request that was signed, nothing of another tenant comes out, nothing of theirs changes,
and what goes in is the declared object or is removed.

On the embedded store and on the real MinIO, whose holes these URLs have to hold against (shared/storage/url_keys.py).
"""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

import httpx
import pytest

from shared.storage import ObjectStore
from tests import services as run_services
from tests.attacks.signed_requests import (
    ADDED_QUERIES,
    SECRET,
    UNSIGNED_CHUNKS,
    VICTIM,
    VICTIMS,
    additions,
    archive,
    copies,
    in_chunks,
)
from tests.services import Services, Store
from tests.system.stack import Stack

StartServices = Callable[..., Awaitable[Services]]

PDF = "application/pdf"
CONTENT = b"12345"
AT_ONCE = 8
OURS = "attacker/"


@dataclass
class Ground:
    """A store with what other tenants have in it, and an attacker who is handed signed URLs."""

    service: Store
    store: ObjectStore
    browser: httpx.AsyncClient
    numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    def new_key(self) -> str:
        return f"{OURS}{next(self.numbers)}.pdf"

    def _listed(self) -> list[str]:
        """All keys of the bucket, as an operator sees them."""
        import boto3
        from botocore.config import Config

        operator = boto3.client(
            "s3",
            endpoint_url=self.service.endpoint,
            aws_access_key_id=self.service.access_key,
            aws_secret_access_key=self.service.secret_key,
            region_name="us-east-1",
            config=Config(s3={"addressing_style": "path"}),
        )
        pages = operator.get_paginator("list_objects_v2").paginate(Bucket=self.service.bucket)
        return [each["Key"] for page in pages for each in page.get("Contents", [])]

    async def assert_others_have_what_they_had(self) -> None:
        listed = [key for key in await asyncio.to_thread(self._listed) if not key.startswith(OURS)]
        assert sorted(listed) == sorted(VICTIMS), "objects were planted or removed"
        for key, content in VICTIMS.items():
            assert await self.store.read(key, limit=1000) == content, key

    async def each(self, work: Callable[[dict[str, str]], Awaitable[None]]) -> None:
        """`work` for each addition, a few at a time."""
        gate = asyncio.Semaphore(AT_ONCE)

        async def one(added: dict[str, str]) -> None:
            async with gate:
                try:
                    await work(added)
                except AssertionError as failed:
                    raise AssertionError(f"with {added}: {failed}") from failed

        async with asyncio.TaskGroup() as group:
            for added in additions():
                group.create_task(one(added))

    async def sent(self, method: str, url: str, headers: dict[str, str], content: bytes | None = None) -> httpx.Response | None:
        """The response, or None if the server hung up."""
        with suppress(httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError):
            return await self.browser.request(method, url, headers=headers, content=content)
        return None


@pytest.fixture(scope="module", params=["seaweedfs", "minio"])
async def ground(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Ground]:
    own = run_services.services_in(tmp_path_factory.mktemp("ground"), run_services.own_plan(), store=request.param)
    await own.valkey.start()
    await own.store.start()
    store = ObjectStore(
        endpoint=own.store.endpoint,
        public_endpoint=own.store.endpoint,
        region="us-east-1",
        access_key=own.store.access_key,
        secret_key=own.store.secret_key,
        bucket=own.store.bucket,
    )
    for key, content in VICTIMS.items():
        await store.put(key, content, content_type="text/plain")
    async with httpx.AsyncClient(timeout=60, limits=httpx.Limits(max_connections=AT_ONCE)) as browser:
        yield Ground(own.store, store, browser)
    await store.close()
    await own.store.kill()
    await own.valkey.kill()


def _with(signed: dict[str, str], added: dict[str, str]) -> dict[str, str]:
    """The signed headers, those that are added in their place."""
    names = {name.lower() for name in added}
    return {name: value for name, value in signed.items() if name.lower() not in names} | added


async def test_no_header_makes_a_signed_put_anything_but_the_declared_object(ground: Ground) -> None:
    async def put(added: dict[str, str]) -> None:
        key = ground.new_key()
        upload = await ground.store.presign_put(key, size=len(CONTENT), content_type=PDF, sha256=None, seconds=600)
        response = await ground.sent("PUT", upload.url, _with(dict(upload.headers), added), CONTENT)
        stored = await ground.store.stat(key)
        if response is not None and response.is_success:
            assert stored is not None, "it was taken, and is not there"
        if stored is not None and stored.readable:  # otherwise its document fails: the last test here
            assert (stored.size, stored.content_type) == (len(CONTENT), PDF)
            assert await ground.store.read(key, limit=1000) == CONTENT
        if stored is not None:
            anonymous = await ground.browser.get(f"{ground.service.endpoint}/{ground.service.bucket}/{key}")
            assert not anonymous.is_success or CONTENT not in anonymous.content, "anybody may read it"
            await ground.store.delete(key)
            assert await ground.store.stat(key) is None, "it cannot be removed"

    await ground.each(put)
    await ground.assert_others_have_what_they_had()


async def test_no_header_makes_a_signed_part_anything_but_the_bytes_sent(ground: Ground) -> None:
    async def put(added: dict[str, str]) -> None:
        key = ground.new_key()
        upload_id = await ground.store.begin_parts(key, content_type=PDF)
        (part,) = await ground.store.presign_parts(key, upload_id, {1: len(CONTENT)}, seconds=600)
        await ground.sent("PUT", part.url, _with(dict(part.headers), added), CONTENT)
        assert await ground.store.stat(key) is None, "a part is no object"
        parts = await ground.store.list_parts(key, upload_id)
        assert [each.size for each in parts] in ([], [len(CONTENT)])
        if parts:
            await ground.store.complete_parts(key, upload_id, [(each.number, each.etag) for each in parts])
            assert await ground.store.read(key, limit=1000) == CONTENT
        else:
            await ground.store.abort_parts(key, upload_id)

    await ground.each(put)
    await ground.assert_others_have_what_they_had()


async def test_no_header_makes_a_signed_get_give_anything_but_its_object(ground: Ground) -> None:
    key = ground.new_key()
    await ground.store.put(key, CONTENT, content_type=PDF)
    url = await ground.store.presign_get(key, content_type=PDF, content_disposition="attachment", seconds=600)

    async def get(added: dict[str, str]) -> None:
        response = await ground.sent("GET", url, added)
        if response is not None and response.is_success:
            assert response.content in (CONTENT, CONTENT[:2])
            assert response.headers["content-disposition"] == "attachment"
        if response is not None:
            assert SECRET not in response.content

    await ground.each(get)
    assert await ground.store.read(key, limit=1000) == CONTENT
    await ground.assert_others_have_what_they_had()


async def test_archives_are_not_unpacked(ground: Ground) -> None:
    tar = archive()
    for prefix in ("", "/", "attacker", VICTIM.rpartition("/")[0]):
        for more in ({}, {"x-amz-content-sha256": UNSIGNED_CHUNKS}, {"Authorization": "x"}):
            key = ground.new_key()
            upload = await ground.store.presign_put(key, size=len(tar), content_type=PDF, sha256=None, seconds=600)
            added = {"x-amz-meta-snowball-auto-extract": "true", "x-amz-meta-minio-snowball-prefix": prefix} | more
            await ground.sent("PUT", upload.url, _with(dict(upload.headers), added), tar)
            stored = await ground.store.stat(key)
            assert stored is None or await ground.store.read(key, limit=len(tar)) == tar
    await ground.assert_others_have_what_they_had()


async def test_a_signed_url_is_good_for_its_method_and_its_query_alone(ground: Ground) -> None:
    key = ground.new_key()
    await ground.store.put(key, CONTENT, content_type=PDF)
    get = await ground.store.presign_get(key, content_type=PDF, content_disposition="attachment", seconds=600)
    free = ground.new_key()
    put = await ground.store.presign_put(free, size=len(CONTENT), content_type=PDF, sha256=None, seconds=600)
    upload_id = await ground.store.begin_parts(free, content_type=PDF)
    (part,) = await ground.store.presign_parts(free, upload_id, {1: len(CONTENT)}, seconds=600)
    for url, its_method in ((get, "GET"), (put.url, "PUT"), (part.url, "PUT")):
        for method in {"GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS", "PATCH", "COPY"} - {its_method}:
            response = await ground.sent(method, url, dict(put.headers), CONTENT)
            assert response is None or SECRET not in response.content
            assert response is None or method in ("HEAD", "OPTIONS") or not response.is_success, method
        for query in ADDED_QUERIES:
            for added in (f"{url}&{query}", url.replace("?", f"?{query}&", 1)):
                for method in {its_method, "GET", "PUT", "POST", "DELETE"}:
                    response = await ground.sent(method, added, dict(put.headers), CONTENT)
                    assert response is None or not response.is_success, (method, query, response.text)
                    assert response is None or SECRET not in response.content
    assert await ground.store.read(key, limit=1000) == CONTENT
    assert await ground.store.stat(free) is None
    assert await ground.store.list_parts(free, upload_id) == []
    await ground.assert_others_have_what_they_had()


async def test_the_names_of_keys_that_urls_show_open_nothing(ground: Ground) -> None:
    key = ground.new_key()
    upload = await ground.store.presign_put(key, size=len(CONTENT), content_type=PDF, sha256=None, seconds=600)
    download = await ground.store.presign_get(VICTIM, content_type=PDF, content_disposition="attachment", seconds=600)
    parts_of_theirs = await ground.store.begin_parts(f"{VICTIM}.new", content_type=PDF)
    bucket = f"{ground.service.endpoint}/{ground.service.bucket}"
    spoofs = ("", "&authType=REST-QUERY-STRING&X-Amz-Content-Sha256=UNSIGNED-PAYLOAD&x-amz-content-sha256=UNSIGNED-PAYLOAD")
    for url, spoof in itertools.product((upload.url, download), spoofs):
        shown = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items() if name.lower().startswith("x-amz-")}
        assert ground.service.access_key not in shown["X-Amz-Credential"], "a URL shows the name of our own key"
        forged = "&".join(f"{name}={quote(value, safe='')}" for name, value in (shown | {"X-Amz-Signature": "0" * 64}).items()) + spoof
        for sha256 in (
            UNSIGNED_CHUNKS,
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
            "UNSIGNED-PAYLOAD",
            "",
        ):
            chunked = {
                "x-amz-content-sha256": sha256,
                "x-amz-decoded-content-length": str(len(CONTENT)),
                "x-amz-trailer": "x-amz-checksum-crc32",
                "Content-Encoding": "aws-chunked",
            }
            unpacked = {"x-amz-content-sha256": sha256, "x-amz-meta-snowball-auto-extract": "true"}
            attempts = [(VICTIM, "", chunked, in_chunks(CONTENT)), (f"{OURS}x", "", chunked, in_chunks(CONTENT))]
            attempts += [(f"{OURS}x.tar", "", unpacked | {"x-amz-meta-minio-snowball-prefix": prefix}, archive()) for prefix in ("", OURS)]
            attempts += [(f"{VICTIM}.new", f"&partNumber=1&uploadId={parts_of_theirs}", chunked, in_chunks(CONTENT))]
            attempts += [(f"{OURS}copy", "", copied | {"x-amz-content-sha256": sha256}, b"") for copied in copies()]
            for name, more, headers, content in attempts:
                response = await ground.sent("PUT", f"{bucket}/{name}?{forged}{more}", headers, content)
                assert response is None or not response.is_success, (name, headers, response.text)
            for method, name in (("GET", VICTIM), ("GET", ""), ("DELETE", VICTIM), ("POST", f"{VICTIM}?uploads=")):
                response = await ground.sent(
                    method, f"{bucket}/{name}{'&' if '?' in name else '?'}{forged}", {"x-amz-content-sha256": sha256}
                )
                assert response is None or not response.is_success, (method, name, response.text)
    assert await ground.store.list_parts(f"{VICTIM}.new", parts_of_theirs) == []
    await ground.store.abort_parts(f"{VICTIM}.new")
    await ground.assert_others_have_what_they_had()


@pytest.fixture(params=["seaweedfs", "minio"])
async def stack(request: pytest.FixtureRequest, start_services: StartServices, tmp_path: Path) -> AsyncIterator[Stack]:
    started = Stack(await start_services(store=request.param), tmp_path)
    await started.start()
    yield started
    await started.stop()


async def test_an_upload_that_copies_anothers_document_gives_nothing_of_it(stack: Stack) -> None:
    ada, eve = await stack.person(), await stack.person()
    secret = b"the combination is heron heron stork"
    theirs = await ada.upload("secret.txt", secret, "text/plain")
    await ada.settled(theirs)
    for size in (len(secret), 5):
        reserved = await eve.reserve("mine.txt", bytes(size), "text/plain")
        upload, document_id = reserved["upload"], reserved["document"]["id"]
        headers = upload["headers"] | {"x-amz-copy-source": f"/{stack.services.store.bucket}/{await _object_key(stack, theirs)}"}
        response = await eve.store.put(upload["url"], content=bytes(size), headers=headers)
        assert response.status_code in (400, 403), response.text
        completed = await eve.http.post(f"/api/documents/{document_id}/complete", json={})
        assert (completed.status_code, completed.json()["code"]) == (409, "upload_incomplete")
        download = await eve.http.get(f"/api/documents/{document_id}/download")
        assert (download.status_code, download.json()["code"]) == (409, "upload_incomplete")
    assert await eve.search("heron") == []
    await ada.close()
    await eve.close()


async def test_an_object_that_the_store_does_not_give_out_is_removed_and_its_document_says_so(stack: Stack) -> None:
    person = await stack.person()
    content = b"a letter about herons"
    for name in ("sealed-key", "seal-algorithm", "iv"):
        reserved = await person.reserve("letter.txt", content, "text/plain")
        upload, document_id = reserved["upload"], reserved["document"]["id"]
        headers = upload["headers"] | {f"x-minio-replication-server-side-encryption-{name}": "x"}
        response = await person.store.put(upload["url"], content=content, headers=headers)
        assert response.status_code == 200, response.text
        document = await person.settled(document_id)
        if document["status"] == "ready":
            assert stack.services.store.name == "seaweedfs", "it heeds no such header"
            assert (await person.download(document_id)).content == content
            continue
        assert (document["error"]["code"], document["size"]) == ("object_mismatch", 0)
        download = await person.http.get(f"/api/documents/{document_id}/download")
        assert (download.status_code, download.json()["code"]) == (409, "object_mismatch")
        assert (await person.http.get(f"/api/documents/{document_id}/thumbnail")).status_code == 404
        key = await _object_key(stack, document_id)
        listed = await asyncio.to_thread(stack.bucket().list_objects_v2, Bucket=stack.services.store.bucket, Prefix=key)
        assert listed["KeyCount"] == 0
    assert (await person.usage())["bytes_reserved"] == 0
    await person.close()


async def _object_key(stack: Stack, document_id: str) -> str:
    async with stack.database() as database, database.system() as tx:
        key: str = await tx.fetch_value("SELECT object_key FROM documents WHERE id = %(id)s", {"id": document_id})
    return key
