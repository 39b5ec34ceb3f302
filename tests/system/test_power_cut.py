"""What is acknowledged is on the disk: by the system calls of the embedded store, and by who commits without waiting for the disk."""

import asyncio
import re
import shutil
import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from infra.local.ports import free_port_block
from infra.local.postgres import Postgres
from infra.local.seaweedfs import SeaweedFS
from tests.infra.local.test_presigned import client
from tests.system.stack import until

ROOT = Path(__file__).resolve().parents[2]

MAY_COMMIT_UNSYNCED = {
    # An attempt's mark in the history: the step itself is delivered again.
    "shared/documents/extract_step.py",
    # Claims and results of deliveries: what is forgotten is delivered again, and every function takes a second delivery for the first.
    "infra/broker/deliveries.py",
    # The end of a call to an AI provider: one that is forgotten counts as lost, and its reserve as spent.
    "shared/assistant/outgoing.py",
    # A document indexed anew: one that is forgotten is stale again.
    "shared/documents/reindexing.py",
    # The claim of a task: nobody acts on it before the record of the call is written, which waits for the disk, and for the claim with it.
    "shared/documents/classify_step.py",
}
"""The modules that set `synchronous_commit = off`, with why what a power cut then takes is done again by itself."""


def test_only_what_is_done_again_by_itself_is_committed_without_waiting_for_the_disk() -> None:
    sources = [path for folder in ("shared", "infra", "functions") for path in (ROOT / folder).rglob("*") if path.suffix in (".py", ".sql")]
    found = {str(path.relative_to(ROOT)) for path in sources if "synchronous_commit" in path.read_text()}
    assert found == MAY_COMMIT_UNSYNCED


async def test_postgresql_waits_for_the_disk(tmp_path: Path) -> None:
    import psycopg

    postgres = Postgres(tmp_path / "postgresql", tmp_path)
    await postgres.start()
    try:
        async with await psycopg.AsyncConnection.connect(postgres.url("postgres", "postgres")) as connection:
            for setting in ("fsync", "synchronous_commit", "full_page_writes"):
                assert await (await connection.execute(f"SHOW {setting}")).fetchone() == ("on",), setting
    finally:
        await postgres.stop()


@asynccontextmanager
async def traced(pid: int, log: Path) -> AsyncIterator[None]:
    """Writes which files the process syncs and what it sends, in order. Skips the test if processes may not be traced here."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed: apt install strace")
    calls = "trace=fsync,fdatasync,write,writev,pwrite64,pwritev,sendto"
    strace = await asyncio.create_subprocess_exec(
        *("strace", "-f", "-yy", "-s", "64", "-e", calls, "-p", str(pid), "-o", str(log)), stderr=asyncio.subprocess.PIPE
    )
    assert strace.stderr is not None
    said = (await strace.stderr.readline()).decode()
    if "attached" not in said:
        await strace.wait()
        pytest.skip(f"processes may not be traced here: {said.strip()}")
    try:
        yield
    finally:
        strace.send_signal(signal.SIGINT)
        await strace.communicate()


@dataclass
class Acknowledged:
    """What a log of system calls says of the S3 port's responses with status 200."""

    responses: int = 0
    synced: Counter[str] = field(default_factory=Counter)
    """How often each kind of file was synced (`.dat` the bytes, `.db-wal` the metadata)."""
    unsynced: set[str] = field(default_factory=set)
    """Files that had been written to and not been synced when a response was sent."""


def acknowledged(log: Path, port: int) -> Acknowledged:
    result, written, waiting = Acknowledged(), set[str](), dict[str, str]()
    for line in log.read_text(errors="replace").splitlines():
        thread, _, call = line.partition(" ")
        if resumed := re.match(r"\s*<\.\.\. (fsync|fdatasync) resumed>", call):
            name, target, rest = resumed[1], waiting.pop(thread, ""), ""
        elif begun := re.match(r"\s*(\w+)\(\d+<(.*?)>(?:, |\)| <)(.*)", call):
            name, target, rest = begun.groups()
            if name in ("fsync", "fdatasync") and "unfinished" in call:
                waiting[thread] = target
                continue
        else:
            continue
        if name in ("fsync", "fdatasync"):
            result.synced[Path(target).suffix] += 1
            written.discard(target)
        elif name.startswith("pwrite") and re.search(r"/docuvault_\d+\.dat$|\.db-wal$", target):
            written.add(target)
        elif f":{port}->" in target and "HTTP/1.1 200 OK" in rest:
            result.responses += 1
            result.unsynced |= written
    return result


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SeaweedFS]:
    store = SeaweedFS(tmp_path / "store", tmp_path, free_port_block(5), "docuvault", "secret")
    await store.start()
    yield store
    await store.kill()


async def test_an_object_is_on_the_disk_before_it_is_acknowledged(store: SeaweedFS, tmp_path: Path) -> None:
    log = tmp_path / "calls"
    assert store.process is not None
    async with traced(store.process.pid, log):
        for number in range(5):
            key = f"owner/document{number}/a.txt"
            await asyncio.to_thread(client(store).put_object, Bucket=store.bucket, Key=key, Body=b"x" * 1000 * (1 + number))
        await until(lambda: acknowledged(log, store.port).responses >= 5, "strace has written what it saw")
    seen = acknowledged(log, store.port)
    assert seen.unsynced == set()
    assert seen.synced[".dat"] >= 5
    assert seen.synced[".db-wal"] >= 5


async def test_an_upload_in_parts_is_on_the_disk_before_it_is_acknowledged(store: SeaweedFS, tmp_path: Path) -> None:
    log, s3, key = tmp_path / "calls", client(store), "owner/document/large.bin"
    assert store.process is not None
    async with traced(store.process.pid, log):
        upload = await asyncio.to_thread(s3.create_multipart_upload, Bucket=store.bucket, Key=key)
        parts = []
        for number, size in ((1, 5 * 2**20), (2, 1000)):
            asked: dict[str, Any] = {"Bucket": store.bucket, "Key": key, "UploadId": upload["UploadId"], "PartNumber": number}
            part = await asyncio.to_thread(s3.upload_part, **asked, Body=b"x" * size)
            parts.append({"PartNumber": number, "ETag": part["ETag"]})
        before = acknowledged(log, store.port).synced[".db-wal"]
        asked = {"Bucket": store.bucket, "Key": key, "UploadId": upload["UploadId"], "MultipartUpload": {"Parts": parts}}
        await asyncio.to_thread(s3.complete_multipart_upload, **asked)
        await until(lambda: acknowledged(log, store.port).responses >= 4, "strace has written what it saw")
    seen = acknowledged(log, store.port)
    assert seen.unsynced == set()
    assert seen.synced[".dat"] >= 2
    assert seen.synced[".db-wal"] > before
