"""The whole system on one machine: embedded services, gateway, worker and broker, as children of this process.

A child that ends by itself is started again, soon at first and then more slowly. All of them end with this process, also when that is
killed; the next start finds its way from whatever was left. What the environment names (DATABASE_URL, REDIS_URL, MINIO_ENDPOINT) is used
instead of the embedded service.
"""

import asyncio
import contextlib
import ctypes
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from infra import processes
from infra.local.child_logs import Warnings, keep_small
from infra.local.data_folder import DataFolder, fresh_keys
from infra.local.ports import free_port_block, port_is_free, same_port_block
from infra.local.postgres import Postgres
from infra.local.probes import get
from infra.local.seaweedfs import SeaweedFS
from infra.local.valkey import Valkey
from infra.postgres.migrate import MigrationError, migrate
from infra.processes import StartError
from shared.config import SettingsError, without_files
from shared.web_origin import origin_of

ROOT = Path(__file__).resolve().parents[2]
READY_SECONDS = 60.0
WORTH_SAYING_SECONDS = 10.0
"""So long after the start, what is waited for is said."""
STOP_SECONDS = 25.0
"""A little more than the gateway, the worker and the broker give what is under way."""
_PR_SET_CHILD_SUBREAPER = 36
_OURS_ALONE = {"DATABASE_MIGRATE_URL", "MINIO_ROOT_USER", "MINIO_ROOT_PASSWORD", "REDIS_PASSWORD", "STORE_PORT", "VALKEY_PORT"}
"""What the programs have no use for, they do not get."""
_SETTINGS_OF = {
    "database": "DATABASE_URL",
    "object_store": "MINIO_ENDPOINT, MINIO_BUCKET, MINIO_ACCESS_KEY and MINIO_SECRET_KEY",
    "redis": "REDIS_URL",
}
"""By what each check of GET /health is set."""
_NEEDED_BY_ALL = {"DATABASE_URL", "REDIS_URL", "MINIO_ENDPOINT", "MINIO_ACCESS_KEY", "MINIO_SECRET_KEY", "MINIO_BUCKET"}
"""What a function needs besides the keys of the data folder, whoever named it."""
_HEALTHY_SECONDS = 30.0
"""A child that has run this long is taken to be well: its next crash counts as the first."""
_LONGEST_PAUSE_SECONDS = 30.0

Say = Callable[[str], None]


class Service(Protocol):
    """A server process."""

    name: str

    async def start(self) -> None:
        """Returns once the server responds. Raises StartError."""

    async def stop(self) -> None:
        """Ends it the way its makers mean it to be ended."""

    async def kill(self) -> None:
        """Ends it as `kill -9` does."""

    @property
    def process(self) -> asyncio.subprocess.Process | None: ...


@dataclass
class Program:
    """One of our own processes: `python -m infra.<name>`."""

    name: str
    folder: Path
    logs: Path
    environ: Mapping[str, str]
    process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        self.process = await processes.start(
            # -P: the data folder is where it works, not where it looks for modules.
            [sys.executable, "-P", "-m", f"infra.{self.name}"],
            log=self.logs / f"{self.name}.log",
            environ=self.environ,
            directory=self.folder,
        )

    async def stop(self) -> None:
        if self.process is not None:
            await processes.stop(self.process, seconds=STOP_SECONDS)

    async def kill(self) -> None:
        if self.process is not None:
            await processes.stop(self.process, with_signal=signal.SIGKILL)


@dataclass
class Stack:
    """Everything `scripts/serve` runs, in one data folder."""

    folder: DataFolder
    port: int
    given: Mapping[str, str]
    """The environment: it wins over what is chosen here."""
    say: Say
    environ: dict[str, str] = field(default_factory=dict)
    _services: list[Service] = field(default_factory=list)
    _programs: list[Program] = field(default_factory=list)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)
    _postgres: Postgres | None = None

    @property
    def url(self) -> str:
        """Where a browser on this machine finds it."""
        host = self.environ.get("HOST", "127.0.0.1")
        return f"http://{'127.0.0.1' if host in ('0.0.0.0', '::', '') else f'[{host}]' if ':' in host else host}:{self.port}"  # noqa: S104

    async def start(self) -> None:
        """Returns once GET /health responds that all is well. Raises StartError, with nothing left running."""
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        try:
            self._plan()
            async with asyncio.TaskGroup() as group:
                group.create_task(self._prepare_database())
                for service in self._services:
                    if service is not self._postgres:
                        group.create_task(service.start())
                for program in self._programs:
                    group.create_task(program.start())
            await self._until_ready()
        except BaseExceptionGroup as failed:
            await self.kill()
            raise _first(failed) from None
        except BaseException:
            await self.kill()
            raise
        self._tasks += [asyncio.create_task(self._supervise(child)) for child in self._children()]
        self._tasks.append(asyncio.create_task(self._watch_logs()))
        for service in self._services:
            if isinstance(service, SeaweedFS):
                self._tasks.append(asyncio.create_task(self._announce(service)))

    async def stop(self) -> None:
        """Our own programs first, so that what is under way finds its services; then those."""
        await self._end_tasks()
        await asyncio.gather(*(program.stop() for program in self._programs))
        await asyncio.gather(*(service.stop() for service in self._services))
        end_strays(all_of_them=True)

    async def kill(self) -> None:
        """At once; PostgreSQL is still given the moment it needs to leave its data clean."""
        await self._end_tasks()
        await asyncio.gather(*(program.kill() for program in self._programs))
        await asyncio.gather(*(service.stop() if service is self._postgres else service.kill() for service in self._services))
        end_strays(all_of_them=True)

    def _children(self) -> list[Service | Program]:
        return [*self._services, *self._programs]

    def _plan(self) -> None:
        """Which services run here, and the settings of everything: what the environment says, then settings.env, then what is usual."""
        try:
            environment = without_files({name: value for name, value in self.given.items() if value.strip() or name == "HIBP_URL"})
            stored = without_files(self.folder.settings(fresh_keys() | _ports()))
        except SettingsError as wrong:
            raise StartError(str(wrong)) from None
        settings = stored | environment
        logs, path = self.folder.logs, self.folder.path
        worker_port = settings.get("WORKER_PORT") or str(free_port_block(1))
        chosen = {
            "HOST": "127.0.0.1",
            "BACKEND_URL": f"http://127.0.0.1:{self.port}",
            "WORKER_HOST": "127.0.0.1",
            "WORKER_PORT": worker_port,
            "WORKER_URL": f"http://127.0.0.1:{worker_port}",
            "DEFAULT_AI_PROVIDER": "local",
        }
        if "DATABASE_URL" not in settings:
            self._postgres = Postgres(path / "postgresql", logs)
            self._services.append(self._postgres)
            chosen["DATABASE_URL"] = self._postgres.url("docuvault_app")
        elif "DATABASE_MIGRATE_URL" not in settings:
            raise StartError(
                "DATABASE_URL is set, so DATABASE_MIGRATE_URL must be too: the migrations run as the role that owns the schema."
            )
        if "REDIS_URL" not in settings:
            valkey = Valkey(path / "valkey", logs, same_port_block(int(settings["VALKEY_PORT"]), 1), settings["REDIS_PASSWORD"])
            self._services.append(valkey)
            chosen["REDIS_URL"] = valkey.url
        if "MINIO_ENDPOINT" not in settings:
            store = SeaweedFS(
                path / "seaweedfs",
                logs,
                same_port_block(int(settings["STORE_PORT"]), 5),
                settings.get("MINIO_ACCESS_KEY") or settings["MINIO_ROOT_USER"],
                settings.get("MINIO_SECRET_KEY") or settings["MINIO_ROOT_PASSWORD"],
                settings.get("MINIO_BUCKET") or "docuvault",
                _origins(chosen | settings, self.port),
            )
            self._services.append(store)
            chosen |= {
                "MINIO_ENDPOINT": store.endpoint,
                "MINIO_ACCESS_KEY": store.access_key,
                "MINIO_SECRET_KEY": store.secret_key,
                "MINIO_BUCKET": store.bucket,
            }
        self.environ = chosen | settings | {"PORT": str(self.port), "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
        needed = {name: value for name, value in self.environ.items() if name not in _OURS_ALONE}
        self._programs = [Program(name, path, logs, needed) for name in ("gateway", "worker", "broker")]
        self.folder.offer({name: value for name, value in needed.items() if name in chosen or name in stored or name in _NEEDED_BY_ALL})
        for child in self._children():
            keep_small(logs / f"{child.name}.log")

    async def _prepare_database(self) -> None:
        try:
            if self._postgres is not None:
                await self._postgres.start()
                await self._postgres.prepare()
            else:
                await migrate(self.environ["DATABASE_MIGRATE_URL"])
        except MigrationError as failed:
            raise StartError(f"The database could not be brought up to date: {failed}") from None

    async def _until_ready(self) -> None:
        started, told = time.monotonic(), set[str]()
        while missing := await self._missing():
            for program in self._programs:
                if program.process is not None and program.process.returncode is not None:
                    raise StartError(f"The {program.name} did not start: {_said(self.folder.logs / f'{program.name}.log')}")
            waited = time.monotonic() - started
            if waited > READY_SECONDS:
                raise StartError(f"DocuVault did not become ready within {READY_SECONDS:.0f} s: {missing} (logs: {self.folder.logs}).")
            if waited > WORTH_SAYING_SECONDS and missing not in told:
                self.say(f"Waiting: {missing}.")
                told.add(missing)
            await asyncio.sleep(0.02)

    async def _missing(self) -> str:
        """What it still takes to be ready; empty if nothing is missing."""
        host = self.environ["HOST"]
        status, body = await get(self.port, "/health", host="127.0.0.1" if host in ("0.0.0.0", "") else host)  # noqa: S104
        if status != 200:
            return "the gateway does not answer yet"
        health = json.loads(body)
        wrong = [f"{name} {check['detail']}, see {_SETTINGS_OF[name]}" for name, check in health["checks"].items() if not check["ok"]]
        if wrong:
            return "; ".join(wrong)
        return "the worker does not answer yet" if port_is_free(int(self.environ["WORKER_PORT"])) else ""

    async def _supervise(self, child: Service | Program) -> None:
        pause, log = 0.1, self.folder.logs / f"{child.name}.log"
        while True:
            assert child.process is not None
            started = time.monotonic()
            code = await child.process.wait()
            if time.monotonic() - started > _HEALTHY_SECONDS:
                pause = 0.1
            # Who was killed had no time for last words.
            said = f"Its last words: {_said(log)}" if code > 0 else f"Its log: {log}"
            self.say(f"{child.name} ended unexpectedly ({_ending(code)}); starting it again. {said}")
            end_strays()
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
            try:
                await child.start()
            except (StartError, OSError) as failed:
                self.say(f"{child.name} could not be started again: {failed}")

    async def _announce(self, store: SeaweedFS) -> None:
        while True:
            try:
                await store.forward_notifications(self.environ["REDIS_URL"])
            except Exception as broken:  # whatever it is, what was put is still announced, if later
                self.say(f"bucket notifications were interrupted ({type(broken).__name__}: {broken}); going on")
                await asyncio.sleep(1)

    async def _watch_logs(self) -> None:
        logs = {child.name: self.folder.logs / f"{child.name}.log" for child in self._children()}
        warnings = [Warnings(program.name, logs[program.name]) for program in self._programs]
        while True:
            await asyncio.sleep(1)
            for warning in warnings:
                for line in warning.new():
                    self.say(line)
            for log in logs.values():
                with contextlib.suppress(OSError):  # a full disk takes no copy; it may have room again
                    keep_small(log)

    async def _end_tasks(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()


def end_strays(*, all_of_them: bool = False) -> None:
    """Ends grandchildren whose parent has died: they became ours (we are their subreaper), and nobody needs them any more.

    Each child that we start leads a session of its own, or is about to; who belongs to another session was left to us by somebody.
    Looked for until there are none: whose parent is ended here is left to us in turn.
    """
    while strays := [pid for pid in _children_of(os.getpid()) if all_of_them or _is_stray(pid)]:
        for pid in strays:
            with contextlib.suppress(ProcessLookupError, ChildProcessError):
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)


def _is_stray(child: int) -> bool:
    try:
        return os.getsid(child) not in (child, os.getsid(0))
    except ProcessLookupError:
        return False


def _children_of(parent: int) -> set[int]:
    children = set()
    for task in Path(f"/proc/{parent}/task").iterdir():
        with contextlib.suppress(OSError):
            children |= {int(pid) for pid in (task / "children").read_text().split()}
    return children


def _ports() -> dict[str, str]:
    first = free_port_block(6)
    return {"STORE_PORT": str(first), "VALKEY_PORT": str(first + 5)}


def _origins(environ: Mapping[str, str], port: int) -> tuple[str, ...]:
    """Whose pages may use the store: the frontend's, the backend's, and the same by the machine's own names."""
    listed = [*environ.get("CORS_ORIGINS", "").split(","), environ.get("FRONTEND_URL", ""), environ.get("BACKEND_URL", "")]
    listed += [f"http://127.0.0.1:{port}", f"http://localhost:{port}"]
    urls = [url.strip() for url in listed if url.strip()]
    return tuple(dict.fromkeys(origin_of(url if "://" in url else f"http://{url}") for url in urls))


def _said(log: Path) -> str:
    """What a program that ended at once said last, on one line if it is one."""
    try:
        lines = [line.strip() for line in log.read_text(errors="replace").splitlines()[-6:] if line.strip()]
    except OSError:
        lines = []
    for line in reversed(lines):
        with contextlib.suppress(ValueError, KeyError, TypeError):
            return str(json.loads(line)["message"])
    if any(line.startswith("File ") for line in lines):
        return f"{lines[-1]} (see {log})"
    return " ".join(lines) or f"it said nothing (see {log})"


def _ending(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    first = group.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first
