"""Real processes: gateways and functions' services."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from infra import processes
from infra.functions import ROOT
from infra.local.ports import free_port_block
from tests.taking_connections import until_open

FUNCTIONS = Path(__file__).with_name("functions.py")


@dataclass
class Running:
    """A server of a test's own."""

    process: asyncio.subprocess.Process
    port: int
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=self.url, timeout=20)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where functions say how far they are (T_FOLDER)."""
    monkeypatch.setenv("T_FOLDER", str(tmp_path))
    return tmp_path


Start = Callable[..., Awaitable[Running]]


@pytest.fixture
async def start(services: None, folder: Path) -> AsyncIterator[Start]:
    """`await start("create")` serves that factory of functions.py by granian; `await start(target="t_slow")` by functions-framework.

    `limits` are the arguments of its ConnectionLimits, `setup` is what its process does first.
    """
    running: list[Running] = []

    async def serve(
        factory: str = "create",
        *,
        target: str = "",
        port: int = 0,
        wait: bool = True,
        setup: str = "pass",
        limits: str = "",
        **variables: str,
    ) -> Running:
        port = port or free_port_block(1)
        log = folder / f"server{len(running)}.log"
        if target:
            program = str(Path(sys.executable).with_name("functions-framework"))
            command = [program, "--asgi", "--source", str(FUNCTIONS), "--target", target, "--host", "127.0.0.1", "--port", str(port)]
        else:
            made_by = factory if ":" in factory else f"tests.infra.gateway.functions:{factory}"
            chosen = f"ConnectionLimits({limits})" if limits else None
            run = f"{setup}; run({made_by!r}, host_variable='HOST', port_variable='PORT', port=0, limits={chosen})"
            imports = "from infra.connection_limits import ConnectionLimits; from infra.serving import run"
            command = [sys.executable, "-c", f"{imports}; {run}"]
        environ = {**os.environ, "PYTHONPATH": str(ROOT), "HOST": "127.0.0.1", "PORT": str(port), **variables}
        server = Running(await processes.start(command, log=log, environ=environ, directory=folder), port, log)
        running.append(server)
        if wait:
            await listening(server)
        return server

    yield serve
    for server in running:
        await processes.stop(server.process, seconds=5)


async def listening(server: Running) -> None:
    """Returns once the server takes connections."""

    def runs() -> None:
        assert server.process.returncode is None, server.log.read_text()[-3000:]

    await until_open(server.port, runs)


async def appears(path: Path) -> None:
    """Returns once there is a file."""
    async with asyncio.timeout(20):
        while not path.exists():
            await asyncio.sleep(0.01)
