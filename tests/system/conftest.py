"""Whole stacks, on SeaweedFS and on the real MinIO; or the one that compose.yaml has brought up (scripts/compose-test)."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from tests.compose.stack import DeployedStack, is_deployed
from tests.services import Services
from tests.system.stack import Stack

StartStack = Callable[..., Awaitable[Stack]]


@pytest.fixture
async def start_stack(start_services: Callable[..., Awaitable[Services]], tmp_path: Path) -> AsyncIterator[StartStack]:
    """`await start_stack(store="minio", settings={...})`: a running stack of this test alone."""
    started: list[Stack] = []

    async def start(*, store: str = "seaweedfs", settings: dict[str, str] | None = None) -> Stack:
        if is_deployed():
            deployed = DeployedStack(tmp_path, settings)
            started.append(deployed)
            await deployed.start()
            return deployed
        folder = tmp_path / f"stack{len(started)}"
        folder.mkdir()
        stack = Stack(await start_services(store=store), folder, settings or {})
        started.append(stack)
        await stack.start()
        return stack

    yield start
    for stack in started:
        await stack.stop()


@pytest.fixture(params=["seaweedfs", "minio"])
def store(request: pytest.FixtureRequest) -> str:
    """The embedded store, and the real MinIO: what holds on one holds on the other."""
    return str(request.param)


@pytest.fixture
async def stack(start_stack: StartStack, store: str) -> Stack:
    """A running stack on services of its own."""
    return await start_stack(store=store)
