"""The object store passes the contract of all backends, and takes from clients exactly what was signed for."""

import asyncio
import base64
import gzip
import hashlib
import secrets
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import ClassVar
from urllib.parse import parse_qs, urlsplit

import boto3
import httpx
import pytest
from aiohttp import web

from shared.storage import ObjectMissing, ObjectStore, PartsRefused, StorageUnavailable, StoredObject
from shared.storage.object_store import STREAM_PART_SIZE, UNACKNOWLEDGED_SECONDS, _held_session
from tests.storage.contract import ODD_NAMES, StorageContract

PDF = "application/pdf"


class TestObjectStore(StorageContract):
    # SeaweedFS takes a backslash for the end of a folder's name; keys of the bucket are ours, and have none.
    odd_names: ClassVar[list[str]] = [name for name in ODD_NAMES if "\\" not in name]

    @pytest.fixture
    def backend(self, store: ObjectStore) -> ObjectStore:
        return store


@pytest.fixture
def key() -> str:
    return f"signed/{secrets.token_hex(8)}/file.pdf"


async def _put(url: str, content: bytes, headers: Mapping[str, str]) -> int:
    async with httpx.AsyncClient(timeout=60) as client:
        return (await client.put(url, content=content, headers=dict(headers))).status_code


async def test_a_store_whose_machine_is_gone_is_not_waited_for_as_for_a_slow_one() -> None:
    """Only the kernel can tell, by what is never acknowledged: the compose tests kill a store together with its network."""

    async def hesitate(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n")
        await reader.read()
        writer.close()

    async with await asyncio.start_server(hesitate, "127.0.0.1", 0) as server, aclosing(_held_session()) as held:
        address = server.sockets[0].getsockname()
        async with (await anext(held)).get(f"http://127.0.0.1:{address[1]}") as response:
            connection = response.connection
            assert connection is not None
            assert connection.transport is not None
            opened = connection.transport.get_extra_info("socket")
            assert opened.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == UNACKNOWLEDGED_SECONDS * 1000
            response.close()


async def test_a_signed_put_takes_what_it_was_signed_for(store: ObjectStore, key: str) -> None:
    content = b"%PDF-1.4 hello"
    digest = hashlib.sha256(content).hexdigest()
    upload = await store.presign_put(key, size=len(content), content_type=PDF, sha256=digest, seconds=60)
    assert upload.headers == {
        "Content-Type": PDF,
        "If-None-Match": "*",
        "x-amz-checksum-sha256": base64.b64encode(bytes.fromhex(digest)).decode(),
    }
    assert await _put(upload.url, content, upload.headers) == 200
    stored = await store.stat(key)
    assert stored is not None
    assert (stored.size, stored.content_type) == (len(content), PDF)


async def test_a_signed_put_refuses_another_size_type_or_hash(store: ObjectStore, key: str) -> None:
    content = b"%PDF-1.4 hello"
    digest = hashlib.sha256(content).hexdigest()
    upload = await store.presign_put(key, size=len(content), content_type=PDF, sha256=digest, seconds=60)
    assert await _put(upload.url, content + b"!", upload.headers) in (400, 403)
    assert await _put(upload.url, content, {**upload.headers, "Content-Type": "text/html"}) in (400, 403)
    assert await _put(upload.url, b"%PDF-1.4 HELLO", upload.headers) == 400
    without_hash = {name: value for name, value in upload.headers.items() if name != "x-amz-checksum-sha256"}
    assert await _put(upload.url, content, without_hash) in (400, 403)
    assert await store.stat(key) is None


async def test_a_signed_put_never_replaces_an_object(store: ObjectStore, key: str) -> None:
    upload = await store.presign_put(key, size=5, content_type=PDF, sha256=None, seconds=60)
    assert await _put(upload.url, b"first", upload.headers) == 200
    assert await _put(upload.url, b"other", upload.headers) == 412
    without_condition = {name: value for name, value in upload.headers.items() if name != "If-None-Match"}
    assert await _put(upload.url, b"other", without_condition) in (400, 403)
    assert await store.read(key, limit=5) == b"first"


async def test_an_expired_signature_is_refused(store: ObjectStore, key: str) -> None:
    upload = await store.presign_put(key, size=5, content_type=PDF, sha256=None, seconds=1)
    deadline = time.monotonic() + 60
    while (status := await _put(upload.url, b"first", upload.headers)) in (200, 412):
        assert time.monotonic() < deadline
    assert status in (400, 403)


async def test_a_signed_get_names_the_file_and_answers_ranges(store: ObjectStore, key: str) -> None:
    await store.put(key, b"0123456789", content_type=PDF)
    disposition = "attachment; filename=\"?.pdf\"; filename*=UTF-8''%C3%BC.pdf"
    url = await store.presign_get(key, content_type="application/octet-stream", content_disposition=disposition, seconds=60)
    async with httpx.AsyncClient(timeout=60) as client:
        answer = await client.get(url, headers={"Range": "bytes=2-4"})
    assert (answer.status_code, answer.content) == (206, b"234")
    assert answer.headers["content-disposition"] == disposition
    assert answer.headers["content-type"] == "application/octet-stream"


async def test_what_an_upload_says_of_itself_unsigned_is_not_said_by_its_download(store: ObjectStore, key: str) -> None:
    upload = await store.presign_put(key, size=5, content_type=PDF, sha256=None, seconds=60)
    unsigned = {
        "Cache-Control": "public, max-age=31536000, immutable",
        "Content-Disposition": 'inline; filename="login.html"',
        "Content-Encoding": "br",
        "Content-Language": "tlh",
        "Expires": "Fri, 31 Dec 2100 23:59:59 GMT",
    }
    assert await _put(upload.url, b"12345", {**upload.headers, **unsigned}) == 200
    url = await store.presign_get(key, content_type=PDF, content_disposition="attachment", seconds=60)
    async with httpx.AsyncClient(timeout=60) as client:
        answer = await client.get(url)
    assert answer.content == b"12345"
    said = {name: answer.headers.get(name) for name in unsigned}
    assert said == {
        "Cache-Control": "private, no-store",
        "Content-Disposition": "attachment",
        "Content-Encoding": "identity",
        "Content-Language": "und",
        "Expires": "Thu, 01 Jan 1970 00:00:00 GMT",
    }
    assert answer.headers["content-type"] == PDF


async def test_bytes_sent_as_compressed_are_kept_and_read_as_they_are(store: ObjectStore, key: str, tmp_path: Path) -> None:
    bomb = gzip.compress(bytes(20 * 2**20))
    upload = await store.presign_put(key, size=len(bomb), content_type=PDF, sha256=hashlib.sha256(bomb).hexdigest(), seconds=60)
    assert await _put(upload.url, bomb, {**upload.headers, "Content-Encoding": "gzip"}) == 200
    stored = await store.stat(key)
    assert stored is not None
    assert stored.size == len(bomb)
    download = await store.download(key, tmp_path / "file", limit=len(bomb))
    assert (download.size, download.sha256) == (len(bomb), hashlib.sha256(bomb).hexdigest())
    assert await store.read(key, limit=len(bomb)) == bomb
    assert b"".join([chunk async for chunk in store.stream(key, start=7)]) == bomb[7:]
    url = await store.presign_get(key, content_type=PDF, content_disposition="attachment", seconds=60)
    async with httpx.AsyncClient(timeout=60) as client:
        assert (await client.get(url)).content == bomb


async def test_an_upload_in_parts_becomes_one_object(store: ObjectStore, key: str) -> None:
    first, last = secrets.token_bytes(5 * 2**20), b"the end"
    upload_id = await store.begin_parts(key, content_type=PDF)
    urls = await store.presign_parts(key, upload_id, {1: len(first), 2: len(last)}, seconds=60)
    for url, content in zip(urls, (first, last), strict=True):
        assert await _put(url.url, content, url.headers) == 200
    parts = await store.list_parts(key, upload_id)
    assert [(part.number, part.size) for part in parts] == [(1, len(first)), (2, len(last))]
    await store.complete_parts(key, upload_id, [(part.number, part.etag) for part in parts])
    stored = await store.stat(key)
    assert stored is not None
    assert (stored.size, stored.content_type) == (len(first) + len(last), PDF)
    with pytest.raises(ObjectMissing):
        await store.list_parts(key, upload_id)


async def test_a_part_of_another_size_is_refused(store: ObjectStore, key: str) -> None:
    upload_id = await store.begin_parts(key, content_type=PDF)
    (part,) = await store.presign_parts(key, upload_id, {1: 10}, seconds=60)
    assert await _put(part.url, bytes(11), part.headers) in (400, 403)
    await store.abort_parts(key, upload_id)


async def test_wrong_parts_make_no_object(store: ObjectStore, key: str) -> None:
    upload_id = await store.begin_parts(key, content_type=PDF)
    with pytest.raises((PartsRefused, ObjectMissing)):
        await store.complete_parts(key, upload_id, [(1, "d41d8cd98f00b204e9800998ecf8427e")])
    assert await store.stat(key) is None


async def test_an_aborted_upload_in_parts_is_gone(store: ObjectStore, key: str) -> None:
    upload_id = await store.begin_parts(key, content_type=PDF)
    await store.abort_parts(key)
    with pytest.raises(ObjectMissing):
        await store.list_parts(key, upload_id)
    await store.abort_parts(key, upload_id)
    await store.abort_parts(key)


async def test_a_store_that_is_not_there_is_unavailable_not_an_error() -> None:
    store = ObjectStore(
        endpoint="http://127.0.0.1:9", public_endpoint="http://127.0.0.1:9", region="x", access_key="a", secret_key="b", bucket="c"
    )
    with pytest.raises(StorageUnavailable):
        await store.stat("key")
    with pytest.raises(StorageUnavailable):
        await store.ping()


async def test_urls_carry_the_public_endpoint_and_signing_is_quick() -> None:
    async def knows_our_keys(_: web.Request) -> web.StreamResponse:
        return web.Response(status=403, text="<Error><Code>AccessDenied</Code></Error>")

    async with _store_that_answers(knows_our_keys, public_endpoint="https://objects.example.org", region="eu-central-1") as store:
        await _check_urls(store)


async def _check_urls(store: ObjectStore) -> None:
    upload = await store.presign_put("a/b.pdf", size=3, content_type=PDF, sha256=None, seconds=60)
    parts = urlsplit(upload.url)
    assert (parts.scheme, parts.netloc, parts.path) == ("https", "objects.example.org", "/c/a/b.pdf")
    query = parse_qs(parts.query)
    assert query["X-Amz-SignedHeaders"] == ["content-length;content-type;host;if-none-match"]
    assert "/eu-central-1/s3/" in query["X-Amz-Credential"][0]

    # Measured against the library's own client, whose URLs are made without a connection, too.
    library = boto3.client("s3", region_name="eu-central-1", aws_access_key_id="a", aws_secret_access_key="b")
    ours, theirs = [], []
    for _ in range(5):
        started = time.process_time()
        for _ in range(20):
            await store.presign_put("a/b.pdf", size=3, content_type=PDF, sha256=None, seconds=60)
        between = time.process_time()
        for _ in range(20):
            library.generate_presigned_url("put_object", Params={"Bucket": "vault", "Key": "a/b.pdf"}, ExpiresIn=60)
        ours.append(between - started)
        theirs.append(time.process_time() - between)
    assert min(ours) < 2 * min(theirs)


@asynccontextmanager
async def _store_that_answers(
    handler: Callable[[web.Request], Awaitable[web.StreamResponse]], *, public_endpoint: str = "", region: str = "x"
) -> AsyncIterator[ObjectStore]:
    """A store whose every answer is `handler`'s."""
    application = web.Application(client_max_size=2 * STREAM_PART_SIZE)
    application.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    endpoint = f"http://127.0.0.1:{runner.addresses[0][1]}"
    store = ObjectStore(
        endpoint=endpoint, public_endpoint=public_endpoint or endpoint, region=region, access_key="a", secret_key="b", bucket="c"
    )
    yield store
    await store.close()
    await runner.cleanup()


async def test_what_fails_for_a_moment_is_tried_again() -> None:
    answers = iter([web.Response(status=503), None, web.Response(body=b"hello")])

    async def handler(request: web.Request) -> web.StreamResponse:
        answer = next(answers)
        if answer is None:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        return answer

    async with _store_that_answers(handler) as store:
        assert await store.read("key", limit=10) == b"hello"


@pytest.mark.parametrize("refusal", ["503 at once", "503 in the middle", "the connection breaks"])
async def test_a_part_that_was_not_taken_is_sent_again_whole(refusal: str) -> None:
    content = b"".join(number.to_bytes(4, "big") for number in range(STREAM_PART_SIZE // 4 + 1000))
    parts: dict[str, bytes] = {}
    refused: list[str] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        if request.method == "HEAD":
            return web.Response(headers={"content-length": str(len(content)), "etag": '"whole"'})
        if request.method == "POST":
            return web.Response(text="<r><UploadId>upload</UploadId></r>")
        number = request.query["partNumber"]
        if number not in refused:
            refused.append(number)
            if refusal != "503 at once":
                await request.content.readexactly(1000)
            if refusal == "the connection breaks":
                assert request.transport is not None
                request.transport.abort()
            return web.Response(status=503)
        parts[number] = await request.read()
        assert request.content_length == len(parts[number])
        return web.Response(headers={"etag": f'"{number}"'})

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(content), 100_000):
            yield content[start : start + 100_000]

    async with _store_that_answers(handler) as store:
        stored = await store.put_stream("key", chunks(), content_type="text/plain")
    assert stored.size == len(content)
    assert refused == ["1", "2"]
    assert parts["1"] + parts["2"] == content


async def test_what_goes_on_failing_is_unavailable() -> None:
    asked = 0

    async def handler(request: web.Request) -> web.StreamResponse:
        nonlocal asked
        asked += 1
        return web.Response(status=500, text="<Error><Code>InternalError</Code></Error>")

    async with _store_that_answers(handler) as store:
        with pytest.raises(StorageUnavailable):
            await store.stat("key")
    assert asked == 3


async def test_wrong_keys_are_unavailable_and_not_tried_again() -> None:
    asked = 0

    async def handler(request: web.Request) -> web.StreamResponse:
        nonlocal asked
        asked += 1
        return web.Response(status=403, text="<Error><Code>SignatureDoesNotMatch</Code></Error>")

    async with _store_that_answers(handler) as store:
        with pytest.raises(StorageUnavailable, match="SignatureDoesNotMatch"):
            await store.put("key", b"x", content_type="text/plain")
    assert asked == 1


async def test_an_object_that_breaks_off_is_no_object(tmp_path: Path) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"content-length": "1000"})
        await answer.prepare(request)
        await answer.write(b"x" * 10)
        assert request.transport is not None
        request.transport.abort()
        return answer

    async with _store_that_answers(handler) as store:
        with pytest.raises(StorageUnavailable):
            await store.download("key", tmp_path / "file", limit=1000)


async def test_parts_that_fail_after_all_are_refused() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        return web.Response(text="<Error><Code>InvalidPart</Code></Error>")

    async with _store_that_answers(handler) as store:
        with pytest.raises(PartsRefused):
            await store.complete_parts("key", "upload", [(1, "etag")])


async def test_long_lists_of_parts_are_read_to_the_end() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        first = int(request.query["part-number-marker"]) + 1
        part = "<Part><PartNumber>{0}</PartNumber><ETag>&quot;e{0}&quot;</ETag><Size>5</Size></Part>"
        listed = "".join(part.format(number) for number in range(first, first + 2))
        return web.Response(text=f"<R><IsTruncated>{'true' if first < 5 else 'false'}</IsTruncated>{listed}</R>")

    async with _store_that_answers(handler) as store:
        assert [(part.number, part.etag) for part in await store.list_parts("key", "upload")] == [(n, f"e{n}") for n in range(1, 7)]


async def test_a_stream_whose_last_answer_was_lost_is_stored_all_the_same() -> None:
    size = STREAM_PART_SIZE + 1
    completed = False

    async def handler(request: web.Request) -> web.StreamResponse:
        nonlocal completed
        if request.method == "POST" and "uploads" in request.query:
            return web.Response(text="<R><UploadId>upload</UploadId></R>")
        if request.method == "PUT":
            while await request.content.readany():
                pass
            return web.Response(headers={"etag": '"part"'})
        if request.method == "POST" and not completed:
            completed = True
            assert request.transport is not None
            request.transport.abort()
        if request.method == "HEAD" and completed:
            return web.Response(headers={"content-length": str(size), "etag": '"whole"'})
        return web.Response(status=404, text="<Error><Code>NoSuchUpload</Code></Error>")

    async def chunks() -> AsyncIterator[bytes]:
        yield bytes(size)

    async with _store_that_answers(handler) as store:
        assert await store.put_stream("key", chunks(), content_type=PDF) == StoredObject("key", size, "", "whole")
