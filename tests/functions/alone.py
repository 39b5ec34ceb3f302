"""A function in a process of its own, with the environment that it needs and nothing else."""

import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from infra import processes
from infra.functions import ROOT, load
from infra.knative.needs import groups
from infra.local.ports import free_port_block
from shared.config import GROUP_OF, Settings
from shared.faas.declarations import ENDPOINTS, EVENT_FUNCTIONS
from tests.taking_connections import until_open


def environment_of(path: Path) -> dict[str, str]:
    """What the function's manifest gives it: the settings of its groups, and those that are no secret."""
    name = load(path)
    return environment_with(groups(ENDPOINTS.get(name) or EVENT_FUNCTIONS[name]))


def environment_with(given: frozenset[str]) -> dict[str, str]:
    """Settings of these groups, and those of none, as this process has them."""
    variables = {name.upper() for name in Settings.model_fields if GROUP_OF.get(name) in {None, *given}}
    return {name: value for name, value in os.environ.items() if name in variables} | {
        "SETTINGS_GROUPS": ",".join(sorted(given)),
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
    }


@asynccontextmanager
async def alone(path: Path, folder: Path, **variables: str) -> AsyncIterator[httpx.AsyncClient]:
    """The function served by `functions-framework --asgi`, as any platform that knows the framework would."""
    program = Path(sys.executable).with_name("functions-framework")
    port = free_port_block(1)
    command: list[str | Path] = [program, "--asgi", "--source", path, "--target", path.stem, "--host", "127.0.0.1", "--port", str(port)]
    async with serving(command, port, folder, environment_of(path) | variables) as client:
        yield client


@asynccontextmanager
async def serving(command: list[str | Path], port: int, folder: Path, environ: Mapping[str, str]) -> AsyncIterator[httpx.AsyncClient]:
    """A server of ours, once it takes connections at `port`."""
    log = folder / f"{port}.log"
    process = await processes.start(command, log=log, environ=dict(environ), directory=folder)

    def runs() -> None:
        assert process.returncode is None, log.read_text()[-3000:]

    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            await until_open(port, runs)
            yield client
    finally:
        await processes.stop(process)
