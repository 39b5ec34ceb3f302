"""The services of one test run: one set, shared by all pytest-xdist workers.

The first test that needs them starts them; they are gone when the run ends, however it ends. `python -m tests.services FOLDER` is the
process that holds them: it listens on `FOLDER/host.sock`, answers each connection once they run (nothing, or what went wrong), and stops
them and removes FOLDER when its standard input ends, which happens even if pytest is killed with -9.
"""

import asyncio
import contextlib
import json
import os
import secrets
import socket
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit, urlunsplit

import psycopg

from infra.local.ports import free_port_block
from infra.local.postgres import Postgres
from infra.local.seaweedfs import SeaweedFS
from infra.local.stack import Service
from infra.local.valkey import Valkey
from shared import temporary

ROOT = Path(__file__).resolve().parents[1]
FOLDER_VARIABLE = "DOCUVAULT_TEST_SERVICES"


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
        """Starts all three at once; ends what was started if one of them fails."""
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


@dataclass(frozen=True)
class Plan:
    """What is decided before anything runs, so that every process of a run can have its settings at once."""

    first_port: int
    """Six in a row: five for the store, one for Valkey."""
    valkey_password: str = field(default_factory=lambda: secrets.token_hex(20))
    store_secret: str = field(default_factory=lambda: secrets.token_hex(20))


def services_in(folder: Path, plan: Plan, *, store: str = "seaweedfs", notify: bool = False) -> Services:
    """Services that sync nothing to disk; `store` is `seaweedfs` or `minio` (skips the test where that cannot be had)."""
    logs = folder / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    postgres = Postgres(folder / "postgresql", logs, durable=False, max_connections=300)
    valkey = Valkey(folder / "valkey", logs, plan.first_port + 5, plan.valkey_password)
    chosen: Store
    if store == "minio":
        chosen = _minio(folder, plan, valkey)
    else:
        chosen = SeaweedFS(folder / "seaweedfs", logs, plan.first_port, "docuvault", plan.store_secret, durable=False)
    return Services(postgres, valkey, chosen, notify=notify)


def random_keys() -> dict[str, str]:
    """SECRET_KEY and CLOUD_CREDS_KEY."""
    return {"SECRET_KEY": secrets.token_hex(32), "CLOUD_CREDS_KEY": secrets.token_hex(32)}


def own_plan() -> Plan:
    """Fresh ports and passwords."""
    return Plan(free_port_block(6))


def prepare() -> subprocess.Popen[bytes]:
    """Called once a run: puts the settings into this process's environment (workers inherit it) and starts the holder.

    No service runs yet.
    """
    temporary.remove_stale()
    folder = temporary.made("tests")
    plan = own_plan()
    (folder / "plan.json").write_text(json.dumps(asdict(plan)))
    os.environ.update(services_in(folder, plan).environ() | random_keys())
    os.environ.update({"HIBP_URL": "", "DEFAULT_AI_PROVIDER": "local", "LOG_LEVEL": "warning", FOLDER_VARIABLE: str(folder)})
    return subprocess.Popen(
        [sys.executable, "-m", "tests.services", str(folder)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        start_new_session=True,  # ctrl-C reaches pytest alone; this one ends when its standard input does
    )


def set_apart(worker: int) -> None:
    """Called in each pytest-xdist worker: its own database of the shared PostgreSQL and of the shared Valkey.

    What looks at everybody's rows (schedules, reconcilers) thus never meets those of a test that runs at the same time.
    """
    for name, value in (
        ("DATABASE_URL", f"docuvault_{worker}"),
        ("DATABASE_MIGRATE_URL", f"docuvault_{worker}"),
        ("REDIS_URL", f"{1 + worker % 15}"),
    ):
        os.environ[name] = urlunsplit(urlsplit(os.environ[name])._replace(path=f"/{value}"))


def wait_until_started() -> None:
    """Returns once the run's services answer, and this process's database is made; the first caller sets them going."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(120)
        _connect(connection, str(Path(os.environ[FOLDER_VARIABLE]) / "host.sock"))
        problem = b"".join(iter(lambda: connection.recv(4096), b""))
    if problem:
        raise RuntimeError(problem.decode())
    _make_own_database(os.environ["DATABASE_URL"])


def finish(holder: subprocess.Popen[bytes]) -> None:
    """Stops the services and waits until they are gone."""
    if holder.stdin is not None:
        holder.stdin.close()
    holder.wait(60)


def _make_own_database(url: str) -> None:
    """A copy of the migrated one, with the rights that roles.sql gives; nothing if it is there."""
    parts = urlsplit(url)
    name, superuser = parts.path.removeprefix("/"), f"postgres@{parts.netloc.rpartition('@')[2]}"
    with psycopg.connect(urlunsplit(parts._replace(netloc=superuser, path="/postgres")), autocommit=True) as connection:
        if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone():
            return
        # Nobody is connected to the template while it is copied: each worker uses its own copy.
        connection.execute(f"CREATE DATABASE {name} TEMPLATE docuvault OWNER docuvault_migrate")
        connection.execute(f"REVOKE ALL ON DATABASE {name} FROM PUBLIC")
        connection.execute(f"GRANT CONNECT ON DATABASE {name} TO docuvault_app, docuvault_system")


def _minio(folder: Path, plan: Plan, valkey: Valkey) -> Store:
    import pytest

    from infra.minio.build import BuildError, build
    from tests.minio import MinIO

    try:
        program = build()
    except BuildError as impossible:
        pytest.skip(f"{impossible}")
    return MinIO(program, folder / "minio", folder / "logs", plan.first_port, valkey.url, "docuvault", plan.store_secret)


def _connect(connection: socket.socket, path: str) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            connection.connect(path)
            return
        except (FileNotFoundError, ConnectionRefusedError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


async def _hold(folder: Path, plan: Plan) -> None:
    temporary.hold(folder)
    services = services_in(folder, plan)
    starting: asyncio.Task[str] | None = None

    async def start() -> str:
        try:
            await services.start()
        except Exception as failed:
            return f"The test services did not start: {failed}"
        return ""

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal starting
        if starting is None:
            starting = asyncio.create_task(start())
        writer.write((await starting).encode())
        with contextlib.suppress(OSError):
            await writer.drain()
        writer.close()

    ended = asyncio.Event()

    def read() -> None:
        if not os.read(sys.stdin.fileno(), 1):
            ended.set()

    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), read)
    await asyncio.start_unix_server(answer, folder / "host.sock")
    await ended.wait()
    if starting is not None:
        await starting
        await services.kill()
    temporary.remove(folder)


if __name__ == "__main__":
    _folder = Path(sys.argv[1])
    asyncio.run(_hold(_folder, Plan(**json.loads((_folder / "plan.json").read_text()))))
