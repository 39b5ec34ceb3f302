"""The services of one test run: one set, shared by all pytest-xdist workers.

The first test that needs them starts them; they are gone when the run ends, however it ends. `python -m tests.services FOLDER PORT PASSWORD SECRET` is
the process that holds them: it listens on `FOLDER/host.sock`, answers each connection once they run (nothing, or what went wrong), and stops
them and removes FOLDER when its standard input ends, which happens even if pytest is killed with -9.
"""

import asyncio
import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from infra.local.services import Postgres, SeaweedFS, Services, Valkey, random_keys, services_for_tests

ROOT = Path(__file__).resolve().parents[1]
FOLDER_VARIABLE = "DOCUVAULT_TEST_SERVICES"


@dataclass(frozen=True)
class _Plan:
    """What is decided before anything runs, so that every process of the run can have its settings at once."""

    valkey_port: int
    valkey_password: str
    store_port: int
    store_secret: str


def prepare() -> subprocess.Popen[bytes]:
    """Called once a run: sets the settings in this process's environment (workers inherit them), starts the holder; starts no service yet."""
    folder = Path(tempfile.mkdtemp(prefix="docuvault-tests-"))
    services = services_for_tests(folder)
    plan = _Plan(services.valkey.port, services.valkey.password, services.store.port, services.store.secret_key)
    (folder / "plan.json").write_text(json.dumps(asdict(plan)))
    os.environ.update(services.environ() | random_keys())
    os.environ.update({"HIBP_URL": "", "DEFAULT_AI_PROVIDER": "local", "LOG_LEVEL": "warning", FOLDER_VARIABLE: str(folder)})
    return subprocess.Popen(
        [sys.executable, "-m", "tests.services", str(folder)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        start_new_session=True,  # ctrl-C reaches pytest alone; this one ends when its standard input does
    )


def wait_until_started() -> None:
    """Returns once the run's services answer; the first caller sets them going."""
    path = str(Path(os.environ[FOLDER_VARIABLE]) / "host.sock")
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(120)
        _connect(connection, path)
        problem = b"".join(iter(lambda: connection.recv(4096), b""))
    if problem:
        raise RuntimeError(problem.decode())


def finish(holder: subprocess.Popen[bytes]) -> None:
    """Stops the services and waits until they are gone."""
    if holder.stdin is not None:
        holder.stdin.close()
    holder.wait(60)


def _connect(connection: socket.socket, path: str) -> None:
    import time

    deadline = time.monotonic() + 20
    while True:
        try:
            connection.connect(path)
            return
        except (FileNotFoundError, ConnectionRefusedError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def _services(folder: Path) -> Services:
    plan = _Plan(**json.loads((folder / "plan.json").read_text()))
    logs = folder / "logs"
    return Services(
        Postgres(folder / "postgresql", logs, durable=False, max_connections=300),
        Valkey(folder / "valkey", logs, plan.valkey_port, plan.valkey_password),
        SeaweedFS(folder / "seaweedfs", logs, plan.store_port, "docuvault", plan.store_secret),
    )


async def _hold(folder: Path) -> None:
    services = _services(folder)
    starting: asyncio.Task[str] | None = None

    async def start() -> str:
        try:
            await services.start()
        except Exception as failed:
            return f"The test services did not start: {failed}"
        return ""

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal starting
        if starting is None:
            starting = asyncio.create_task(start())
        writer.write((await starting).encode())
        with contextlib.suppress(OSError):
            await writer.drain()
        writer.close()

    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(sys.stdin.fileno(), lambda: ended.set() if not os.read(sys.stdin.fileno(), 1) else None)
    await asyncio.start_unix_server(serve, folder / "host.sock")
    await ended.wait()
    if starting is not None:
        await starting
        # PostgreSQL is stopped, not killed: it takes its children and its shared memory with it.
        await asyncio.gather(services.postgres.stop(), services.valkey.kill(), services.store.kill())
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    asyncio.run(_hold(Path(sys.argv[1])))
