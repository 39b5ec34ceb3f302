"""`python -m infra.worker` and `python -m infra.broker` as processes, to be killed."""

import asyncio
import os
import sys
from pathlib import Path

import httpx

from infra.local.ports import free_port_block

FUNCTIONS = Path(__file__).parent / "functions"


class Started:
    """A process of ours; `env` goes on top of this process's environment."""

    def __init__(self, *arguments: str, env: dict[str, str], setup: str = "") -> None:
        """`setup` is Python that the process runs first."""
        module, *rest = arguments
        run = f"{setup}; import runpy; runpy.run_module({module!r}, run_name='__main__', alter_sys=True)"
        self._arguments = ("-c", run, *rest) if setup else ("-m", *arguments)
        self._env = env
        self.process: asyncio.subprocess.Process

    async def start(self) -> None:
        self.process = await asyncio.create_subprocess_exec(
            sys.executable, *self._arguments, env=os.environ | self._env, stderr=asyncio.subprocess.PIPE
        )

    async def kill(self) -> None:
        """As `kill -9` does."""
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()


class WorkerProcess(Started):
    """A worker with the test functions, on a port of its own."""

    def __init__(self, port: int | None = None, env: dict[str, str] | None = None, setup: str = "") -> None:
        self.port = port or free_port_block(1)
        super().__init__("infra.worker", "--functions", str(FUNCTIONS), env={"WORKER_PORT": str(self.port), **(env or {})}, setup=setup)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def serves(self) -> bool:
        """Whether it takes connections."""
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            return False
        writer.close()
        return True

    async def stops(self) -> bool:
        """Whether it says that it takes no more events."""
        async with httpx.AsyncClient(base_url=self.url, timeout=60) as client:
            return (await client.get("/health")).status_code == 503
