"""The embedded PostgreSQL: its settings, its data folder, and how one is ended that an earlier run left."""

import asyncio
import contextlib
import hashlib
import os
import shutil
import signal
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from infra import processes
from infra.local.private_files import own_folder
from infra.local.probes import POLL_SECONDS, until_ready
from infra.postgres.migrate import migrate
from infra.processes import StartError, bare_environment
from infra.programs import PLAIN_PATH, postgres_programs
from shared import temporary

ROLES = Path(__file__).resolve().parents[1] / "postgres" / "roles.sql"
_SOCKET_PATH_LIMIT = 107
"""sun_path holds 108 bytes on Linux, the last one NUL."""


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
            own_folder(folder, user)
        own_folder(self.sockets, user)
        while self.sockets.parent != self.folder and not temporary.hold(self.sockets):
            own_folder(self.sockets, user)
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
            environ=bare_environment(),
            directory=self.folder,
            user=user,
            end_signal=signal.SIGINT,
        )
        await until_ready(self.name, self.process, self.logs / "postgresql.log", self._is_ready)

    async def prepare(self) -> None:
        """Roles and migrations; changes nothing the second time."""
        code, output = await processes.run(
            [postgres_programs() / "psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", ROLES, self.url("postgres", "postgres")],
            environ=bare_environment(),
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

    async def _initialise(self, programs: Path, user: processes.ProcessUser | None) -> None:
        if (self.folder / "data" / "PG_VERSION").exists():
            return
        # Into a folder beside it, then renamed: an initdb that was interrupted leaves nothing that looks complete.
        fresh = self.folder / "data.new"
        await asyncio.to_thread(shutil.rmtree, fresh, ignore_errors=True)
        options = ["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        options += ["--locale=C", "--no-instructions", *([] if self.durable else ["--no-sync"])]
        code, output = await processes.run(
            [programs / "initdb", "-D", fresh, *options], environ=bare_environment(), directory=self.folder, user=user
        )
        if code != 0:
            raise StartError(f"PostgreSQL's data folder could not be made: {processes.first_error(output)}")
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
                    await asyncio.sleep(POLL_SECONDS)
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
            await asyncio.sleep(POLL_SECONDS)

    async def _is_ready(self) -> bool:
        if not (self.sockets / ".s.PGSQL.5432").exists():
            return False
        code, _ = await processes.run(
            [postgres_programs() / "pg_isready", "-q", "-t", "1", "-d", self.url("postgres", "postgres")],
            environ=bare_environment(),
        )
        return code == 0


def _short_folder(wanted: Path, extra: int) -> Path:
    """`wanted`, or, if sockets in it would have too long a path, or one that needs quoting, a folder in the temporary one named after it.

    PostgreSQL takes a list of folders and its clients a URL, each with quotes of its own.
    """
    if len(os.fsencode(wanted)) + extra <= _SOCKET_PATH_LIMIT and PLAIN_PATH.fullmatch(str(wanted)):
        return wanted
    parent = tempfile.gettempdir()
    name = hashlib.sha256(os.fsencode(wanted)).hexdigest()[:16]
    return temporary.path_of("sockets", name, parent if PLAIN_PATH.fullmatch(parent) and len(parent) < 40 else "/tmp")  # noqa: S108
