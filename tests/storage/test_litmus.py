"""The WebDAV servers that tests run against, our own among them, held against litmus, the protocol's own test suite (Debian has it)."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.storage.servers.dav_server import PASSWORD, USER, DavServer
from tests.storage.test_webdav import rclone as rclone
from tests.storage.test_webdav import sabredav as sabredav
from tests.storage.test_webdav import wsgidav as wsgidav


@pytest.fixture
async def ours(tmp_path: Path) -> AsyncIterator[str]:
    async with DavServer(tmp_path / "dav").running() as server:
        yield server.url


@pytest.fixture(params=["ours", "wsgidav", "rclone", "sabredav"])
def url(request: pytest.FixtureRequest) -> str:
    address: str = request.getfixturevalue(request.param)
    return address


async def test_a_server_of_the_tests_speaks_webdav(url: str, tmp_path: Path) -> None:
    litmus = shutil.which("litmus")
    if litmus is None:
        pytest.skip("there is no litmus: apt-get install litmus")
    process = await asyncio.create_subprocess_exec(
        litmus, "-k", f"{url}/", USER, PASSWORD,
        env={"PATH": "/usr/bin:/bin", "TESTS": "basic"}, cwd=tmp_path, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    said, _ = await asyncio.wait_for(process.communicate(), 120)
    assert process.returncode == 0, said.decode()
