"""Large documents and many at once: what the gateway needs of memory meanwhile, and presigned transfer beside the raw store.

    python -m tests.benchmarks transfers

The gateway alone runs, over a durable store of its own, as `scripts/serve` has it; nothing is read. Its memory is the most that the kernel
saw of it (VmHWM), counted anew for each figure. An archive of 5 GiB is written to the disk and unpacked to the last byte: 13 GiB of free
disk are needed. Beside the documents' presigned URLs stand those that boto3 makes for the same store, asked by the same client.
"""

import asyncio
import contextlib
import os
import random
import statistics
import time
import zipfile
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import aiohttp
from yarl import URL

from shared import temporary
from tests.benchmarks.pipeline import services_in
from tests.system.stack import Stack

MIB = 2**20
STREAMED = int(os.environ.get("STREAMED_MIB", "2048")) * MIB
PRESIGNED = int(os.environ.get("PRESIGNED_MIB", "1024")) * MIB
ROUNDS = 3
MANY, SMALL = 200, 100_000
PARTS_AT_ONCE = 3
"""As many as the console sends."""
BLOCK = random.Random(1).randbytes(MIB)
PDF = "application/pdf"
UNLIMITED = aiohttp.ClientTimeout(total=None)


def run() -> None:
    """Measures and prints."""
    asyncio.run(_run())


async def _run() -> None:
    with temporary.folder("benchmark") as folder:
        services = services_in(folder)
        settings = {"LOG_LEVEL": "warning", "DEFAULT_QUOTA": "100 GiB", "MAX_DOCUMENT_SIZE": "10 GiB"}
        stack = Stack(services, folder, settings)
        await services.start()
        try:
            await stack.start("gateway")
            person = await stack.person()
            told = {name: person.http.headers[name] for name in ("authorization", "user-agent", "accept-language")}
            session = aiohttp.ClientSession(stack.url, headers=told, timeout=UNLIMITED, connector=aiohttp.TCPConnector(limit=0))
            async with session as api, aiohttp.ClientSession(timeout=UNLIMITED, connector=aiohttp.TCPConnector(limit=0)) as store:
                await _asked(api, "GET", "/api/documents?q=anything")
                _count_memory_anew(stack)
                print(f"after a sign-in, a list and a search the gateway has {_memory(stack)}", flush=True)
                await _streamed(stack, api)
                await _many(stack, api, store)
                await _beside_raw(stack, api, store)
                await _archive(stack, api, folder)
            await person.close()
        finally:
            await stack.stop()
            await services.kill()


def _count_memory_anew(stack: Stack) -> None:
    Path(f"/proc/{stack.running['gateway'].pid}/clear_refs").write_text("5")


def _memory(stack: Stack) -> str:
    """The most that the gateway has had since it was counted anew."""
    status = Path(f"/proc/{stack.running['gateway'].pid}/status").read_text()
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    return f"{int(fields['VmHWM'].split()[0]) / 1000:.0f} MB of memory at most"


def _blocks(size: int) -> list[memoryview]:
    """So many bytes, one MiB for all."""
    return [memoryview(BLOCK)] * (size // MIB) + [memoryview(BLOCK)[: size % MIB]] * (size % MIB > 0)


async def _sent(size: int) -> AsyncIterator[bytes]:
    for block in _blocks(size):
        yield bytes(block)


async def _many(stack: Stack, api: aiohttp.ClientSession, store: aiohttp.ClientSession) -> None:
    """As browsers do: reserved, put, completed; all of them begun at once."""

    async def one(number: int) -> float:
        content = number.to_bytes(4, "big") + BLOCK[: SMALL - 4]
        began = time.perf_counter()
        declared = {"filename": f"{number}.pdf", "size": len(content), "content_type": PDF}
        created = await _asked(api, "POST", "/api/documents", declared)
        async with store.put(URL(created["upload"]["url"], encoded=True), data=content, headers=created["upload"]["headers"]) as put:
            assert put.status == 200, await put.text()
        await _asked(api, "POST", f"/api/documents/{created['document']['id']}/complete", {})
        return time.perf_counter() - began

    _count_memory_anew(stack)
    began = time.perf_counter()
    seconds = sorted(await asyncio.gather(*(one(number) for number in range(MANY))))
    took = time.perf_counter() - began
    listed = await _asked(api, "GET", f"/api/documents?limit={MANY}&sort=-created_at")
    assert {document["size"] for document in listed["items"]} == {SMALL}
    print(
        f"{MANY} uploads of {SMALL // 1000} kB begun at once: all stored after {took:.1f} s, median {statistics.median(seconds):.1f} s, "
        f"p95 {seconds[int(MANY * 0.95)]:.1f} s; {_memory(stack)}",
        flush=True,
    )


async def _streamed(stack: Stack, api: aiohttp.ClientSession) -> None:
    """`upload_document`: a form without its length told, and with it."""
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="large.pdf"\r\nContent-Type: application/pdf\r\n\r\n'
    for told in (True, False):
        headers = {"content-type": "multipart/form-data; boundary=b"}
        field = b'--b\r\nContent-Disposition: form-data; name="allow_duplicate"\r\n\r\ntrue\r\n'

        async def form(begin: bytes = field + head) -> AsyncIterator[bytes]:
            yield begin
            async for block in _sent(STREAMED):
                yield block
            yield b"\r\n--b--\r\n"

        if told:
            headers["content-length"] = str(len(field + head) + STREAMED + len(b"\r\n--b--\r\n"))
        _count_memory_anew(stack)
        began = time.perf_counter()
        async with api.post("/api/documents/upload", data=form(), headers=headers) as answer:
            assert answer.status == 201, await answer.text()
            document = await answer.json()
        seconds = time.perf_counter() - began
        assert document["size"] == STREAMED
        print(
            f"upload_document, {STREAMED / 2**30:g} GiB, {'its length told' if told else 'in chunks'}: "
            f"{STREAMED / seconds / 1e6:.0f} MB/s; {_memory(stack)}",
            flush=True,
        )


async def _beside_raw(stack: Stack, api: aiohttp.ClientSession, store: aiohttp.ClientSession) -> None:
    """In turn: a document in parts and back by the URLs that the API gives, an object in parts of the same size and back by boto3's."""
    bucket, name = _raw_store(stack), stack.services.store.bucket
    rates: dict[str, list[float]] = {}
    _count_memory_anew(stack)
    for number in range(ROUNDS):
        began = time.perf_counter()
        declared = {"filename": f"presigned {number}.pdf", "size": PRESIGNED, "content_type": PDF}
        created = await _asked(api, "POST", "/api/documents", declared)
        document_id, upload = created["document"]["id"], created["upload"]

        async def ours(part: int, document_id: str = document_id) -> tuple[str, Mapping[str, str]]:
            signed = await _asked(api, "POST", f"/api/documents/{document_id}/upload/parts", {"numbers": [part]})
            return signed["items"][0]["url"], signed["items"][0]["headers"]

        await _put_parts(store, ours, upload["part_count"], upload["part_size"])
        await _asked(api, "POST", f"/api/documents/{document_id}/complete", {})
        rates.setdefault("up, presigned", []).append(PRESIGNED / (time.perf_counter() - began))

        began = time.perf_counter()
        key = f"raw-{number}"
        upload_id = bucket.create_multipart_upload(Bucket=name, Key=key)["UploadId"]

        async def raw(part: int, key: str = key, upload_id: str = upload_id) -> tuple[str, Mapping[str, str]]:
            parameters = {"Bucket": name, "Key": key, "UploadId": upload_id, "PartNumber": part}
            return bucket.generate_presigned_url("upload_part", Params=parameters), {}

        etags = await _put_parts(store, raw, upload["part_count"], upload["part_size"])
        parts = [{"PartNumber": part, "ETag": etag} for part, etag in sorted(etags.items())]
        await asyncio.to_thread(
            bucket.complete_multipart_upload, Bucket=name, Key=key, UploadId=upload_id, MultipartUpload={"Parts": parts}
        )
        rates.setdefault("up, raw", []).append(PRESIGNED / (time.perf_counter() - began))

        began = time.perf_counter()
        link = await _asked(api, "GET", f"/api/documents/{document_id}/download")
        assert await _read(store, link["url"]) == PRESIGNED
        rates.setdefault("down, presigned", []).append(PRESIGNED / (time.perf_counter() - began))
        began = time.perf_counter()
        assert await _read(store, bucket.generate_presigned_url("get_object", Params={"Bucket": name, "Key": key})) == PRESIGNED
        rates.setdefault("down, raw", []).append(PRESIGNED / (time.perf_counter() - began))
        bucket.delete_object(Bucket=name, Key=key)
        if number:  # the archive takes one of them
            await _asked(api, "DELETE", f"/api/documents/{document_id}", None)
            await _asked(api, "DELETE", f"/api/documents/{document_id}/permanent", None)
    for way in ("up", "down"):
        presigned, beside = (statistics.median(rates[f"{way}, {what}"]) / 1e6 for what in ("presigned", "raw"))
        print(
            f"{way}, {PRESIGNED / 2**30:g} GiB, median of {ROUNDS}: presigned {presigned:.0f} MB/s, raw store {beside:.0f} MB/s, "
            f"ratio {presigned / beside:.2f}"
        )
    print(f"meanwhile the gateway had {_memory(stack)}", flush=True)


def _raw_store(stack: Stack) -> Any:
    """A boto3 client that signs as presigned URLs of ours are signed."""
    import boto3
    from botocore.config import Config

    return boto3.client(
        "s3",
        endpoint_url=stack.services.store.endpoint,
        aws_access_key_id=stack.services.store.access_key,
        aws_secret_access_key=stack.services.store.secret_key,
        region_name="us-east-1",
        config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
    )


async def _put_parts(store: aiohttp.ClientSession, signed: Any, count: int, size: int) -> dict[int, str]:
    """The entity tags of the parts, PARTS_AT_ONCE sent at a time."""
    slots, etags = asyncio.Semaphore(PARTS_AT_ONCE), {}

    async def part(number: int) -> None:
        async with slots:
            url, headers = await signed(number)
            length = min(size, PRESIGNED - (number - 1) * size)
            sent = {**headers, "content-length": str(length)}
            async with store.put(URL(url, encoded=True), data=_sent(length), headers=sent) as put:
                assert put.status == 200, await put.text()
                etags[number] = put.headers["etag"]

    await asyncio.gather(*(part(number) for number in range(1, count + 1)))
    return etags


async def _read(session: aiohttp.ClientSession, url: str) -> int:
    read = 0
    async with session.get(URL(url, encoded=True)) as answer:
        assert answer.status == 200
        async for chunk in answer.content.iter_any():
            read += len(chunk)
    return read


async def _archive(stack: Stack, api: aiohttp.ClientSession, folder: Path) -> None:
    """Everything that the other measures have left: two documents of STREAMED, one of PRESIGNED, and the small ones."""
    link = await _asked(api, "POST", "/api/documents/archive", {})
    path, size = folder / "archive.zip", 0
    _count_memory_anew(stack)
    began = time.perf_counter()
    async with api.get(URL(link["url"], encoded=True).relative()) as answer:
        assert answer.status == 200, await answer.text()
        with path.open("wb") as file:
            async for chunk in answer.content.iter_any():
                size += len(chunk)
                file.write(chunk)
    seconds = time.perf_counter() - began
    memory = _memory(stack)
    with contextlib.closing(zipfile.ZipFile(path)) as archive:
        assert await asyncio.to_thread(archive.testzip) is None
        originals = [entry for entry in archive.infolist() if entry.filename.endswith(".pdf")]
        assert "errors.txt" not in archive.namelist()
    assert len(originals) == MANY + 3
    assert sum(entry.file_size for entry in originals) == 2 * STREAMED + PRESIGNED + MANY * SMALL
    print(f"a ZIP of {size / 2**30:.2f} GiB, {len(originals)} originals, whole: {size / seconds / 1e6:.0f} MB/s; {memory}")
    path.unlink()


async def _asked(api: aiohttp.ClientSession, method: str, path: str, body: Any = None) -> Any:
    """The response's JSON; waits as it is told to."""
    while True:
        async with api.request(method, path, json=body) as answer:
            if answer.status in (429, 503):
                await asyncio.sleep(float(answer.headers.get("retry-after", "1")))
                continue
            assert answer.status < 300, await answer.text()
            return await answer.json() if answer.content_type == "application/json" else None


if __name__ == "__main__":
    run()
