"""OneDrive: the contract of all backends, and what Graph does besides."""

import secrets
import time
from collections.abc import AsyncIterator
from typing import ClassVar

import pytest

from shared.outbound import UrlGuard
from shared.storage import CredentialsRejected, NameRefused, NameTaken, QuotaFull, StorageRateLimited, StorageUnavailable
from shared.storage.onedrive import FRAGMENT_SIZE, OneDriveBackend, Tokens
from tests.storage.contract import ODD_NAMES, CloudContract, chunks
from tests.storage.servers.dav_server import cut_after, status
from tests.storage.servers.graph_server import GraphServer

GUARD = UrlGuard(["127.0.0.1"])


@pytest.fixture
async def server() -> AsyncIterator[GraphServer]:
    async with GraphServer().running() as server:
        yield server


@pytest.fixture
async def backend(server: GraphServer) -> AsyncIterator[OneDriveBackend]:
    async def refresh() -> Tokens:
        return Tokens(server.token, time.time() + 3600, refresh)

    backend = OneDriveBackend(Tokens("good", time.time() + 3600, refresh), GUARD, graph_url=server.url)
    yield backend
    await backend.close()


class TestOneDrive(CloudContract):
    keeps_content_type = False
    chunk_size = FRAGMENT_SIZE
    odd_names: ClassVar[list[str]] = [
        name for name in ODD_NAMES if not set('"*:<>?/\\|') & set(name) and name == name.strip(" ").rstrip(".")
    ]

    @pytest.mark.parametrize(
        "name", ["a?.txt", "a:b", "CON", "con.txt", "lpt1", "x.", "x ", " x", "~$a.docx", "a_vti_b", "desktop.ini", 'a"b']
    )
    async def test_a_name_that_windows_knows_not_is_refused(self, backend: OneDriveBackend, name: str) -> None:
        with pytest.raises(NameRefused):
            await backend.put(f"f/{name}", b"x", content_type="text/plain")

    async def test_names_are_told_apart_regardless_of_case(self, backend: OneDriveBackend, folder: str) -> None:
        await backend.put(f"{folder}/Letter.txt", b"x", content_type="text/plain")
        with pytest.raises(NameTaken):
            await backend.put_stream(f"{folder}/letter.TXT", chunks(b"y"), content_type="text/plain", size=1, replace=False)


async def test_an_expired_token_is_renewed_once(server: GraphServer, backend: OneDriveBackend) -> None:
    server.token = "newer"
    assert (await backend.put("a", b"x", content_type="text/plain")).size == 1
    backend._tokens.expires_at = 0
    server.token = "newest"
    assert await backend.read("a", limit=1) == b"x"


async def test_a_sign_in_that_is_refused_is_told(server: GraphServer, backend: OneDriveBackend) -> None:
    server.fail("GET item", status(401), status(401))
    with pytest.raises(CredentialsRejected):
        await backend.stat("a")


async def test_fragments_carry_no_token_and_are_units_of_320_kib(server: GraphServer, backend: OneDriveBackend) -> None:
    content = secrets.token_bytes(2 * FRAGMENT_SIZE + 7)
    assert (await backend.put("a", content, content_type="text/plain")).size == len(content)
    sent = [headers for method, action, headers in server.asked if (method, action) == ("PUT", "fragment")]
    assert [headers["Content-Range"].partition("/")[0] for headers in sent] == [
        f"bytes 0-{FRAGMENT_SIZE - 1}", f"bytes {FRAGMENT_SIZE}-{2 * FRAGMENT_SIZE - 1}", f"bytes {2 * FRAGMENT_SIZE}-{len(content) - 1}",
    ]  # fmt: skip
    assert all("Authorization" not in headers for headers in sent)
    assert server.items["a"].content == content


async def test_a_fragment_that_was_lost_or_only_half_there_is_gone_on_with(server: GraphServer, backend: OneDriveBackend) -> None:
    content = secrets.token_bytes(FRAGMENT_SIZE + 1000)

    async def half(request: object) -> None:
        session = server.sessions["s0"]
        session.content += content[: FRAGMENT_SIZE // 2]
        server.fail("PUT fragment", cut_after())

    server.fail("PUT fragment", half, status(503), cut_after())
    assert (await backend.put("a", content, content_type="text/plain")).size == len(content)
    assert server.items["a"].content == content


async def test_a_session_that_fails_is_cancelled(server: GraphServer, backend: OneDriveBackend) -> None:
    server.fail("PUT fragment", status(507))
    with pytest.raises(QuotaFull):
        await backend.put("a", b"x", content_type="text/plain")
    assert server.sessions["s0"].cancelled
    assert server.items == {}


async def test_too_many_requests_are_waited_for_or_told(server: GraphServer, backend: OneDriveBackend) -> None:
    server.fail("GET item", status(429, Retry_After="1"), status(503))
    assert await backend.stat("a") is None
    server.fail("GET item", status(429, Retry_After="600"))
    with pytest.raises(StorageRateLimited) as raised:
        await backend.stat("a")
    assert raised.value.retry_after == 600


async def test_a_listing_that_goes_on_elsewhere_gets_no_token(server: GraphServer, backend: OneDriveBackend) -> None:
    await backend.put("f/a", b"x", content_type="text/plain")

    async def elsewhere(request: object) -> object:
        from aiohttp import web

        return web.json_response({"value": [], "@odata.nextLink": "http://127.0.0.2/v1.0/me/drive"})

    server.fail("GET children", elsewhere)  # type: ignore[arg-type]
    with pytest.raises(StorageUnavailable):
        [entry async for entry in backend.entries("f")]


async def test_an_office_file_that_onedrive_changes_has_another_hash(server: GraphServer, backend: OneDriveBackend) -> None:
    import hashlib

    server.rewrites_office = True
    await backend.put("a.docx", b"PK", content_type="text/plain")
    assert await backend.sha256("a.docx") == hashlib.sha256(b"PK<properties/>").hexdigest()
