"""The embedded Valkey: its settings."""

import asyncio
import signal
from dataclasses import dataclass, field
from pathlib import Path

from infra import processes
from infra.local.private_files import own_folder, write_private
from infra.local.probes import exchange, until_ready
from infra.programs import valkey_program


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
        own_folder(self.folder, None)
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
        write_private(self.folder / "valkey.conf", "".join(f"{name} {value}\n" for name, value in lines.items()))
        self.process = await processes.start(
            [valkey_program(), "valkey.conf"], log=self.logs / "valkey.log", environ=processes.bare_environment(), directory=self.folder
        )
        await until_ready(self.name, self.process, self.logs / "valkey.log", self._is_ready)

    async def stop(self) -> None:
        if self.process is not None:
            await processes.stop(self.process)

    async def kill(self) -> None:
        if self.process is not None:
            await processes.stop(self.process, with_signal=signal.SIGKILL)

    async def _is_ready(self) -> bool:
        command = f"*2\r\n$4\r\nAUTH\r\n${len(self.password)}\r\n{self.password}\r\n*1\r\n$4\r\nPING\r\n"
        return b"+PONG" in await exchange(self.port, command.encode(), b"+PONG")
