"""Google Drive: the contract of all backends, and what names that repeat and Google's own errors bring besides."""

import hashlib
import secrets
from collections.abc import AsyncIterator
from typing import Any

import pytest

from shared.outbound import UrlGuard
from shared.storage import CredentialsRejected, NameTaken, QuotaFull, StorageRateLimited, StorageUnavailable
from shared.storage.google_drive import PIECE_SIZE, GoogleDriveBackend
from tests.storage.contract import CloudContract, chunks
from tests.storage.servers.dav_server import cut_after, status
from tests.storage.servers.drive_server import DriveServer, refusing

GUARD = UrlGuard(["127.0.0.1"])


@pytest.fixture
async def server() -> AsyncIterator[DriveServer]:
    async with DriveServer().running() as server:
        yield server


@pytest.fixture
async def backend(server: DriveServer) -> AsyncIterator[GoogleDriveBackend]:
    async def renew(expired: str) -> str:
        return server.token

    backend = GoogleDriveBackend("good", renew, GUARD, api_url=server.url)
    yield backend
    await backend.close()


class TestGoogleDrive(CloudContract):
    keeps_content_type = False
    chunk_size = PIECE_SIZE


async def test_names_that_repeat_have_keys_of_their_own(server: DriveServer, backend: GoogleDriveBackend) -> None:
    server.add("a", content=b"first")
    server.add("A", content=b"another case")
    second = server.add("a", content=b"second")
    slash = server.add("x/y", content=b"slash")
    keys = {entry.key: await backend.read(entry.key, limit=100) async for entry in backend.entries("")}
    assert keys == {"a": b"first", "A": b"another case", f"=id:{second}": b"second", f"=id:{slash}": b"slash"}
    with pytest.raises(NameTaken):
        await backend.put_stream("a", chunks(b"x"), content_type="text/plain", size=1, replace=False)


async def test_a_shared_drive_is_as_good_as_ones_own(server: DriveServer, backend: GoogleDriveBackend) -> None:
    server.is_shared = True
    await backend.put("box/letter.txt", b"Dear heron", content_type="text/plain")
    await backend.put("box/letter.txt", b"Dear heron,", content_type="text/plain")
    assert [entry.key async for entry in backend.entries("box")] == ["box/letter.txt"]
    assert await backend.read("box/letter.txt", limit=100) == b"Dear heron,"
    _, position = await backend.changes("box", "")
    server.add("another", content=b"x")
    assert (await backend.changes("box", position))[0]
    await backend.delete("box/letter.txt")
    assert await backend.look("box/letter.txt") is None


async def test_who_comes_second_to_a_name_takes_it_back(server: DriveServer, backend: GoogleDriveBackend) -> None:
    async def overtaken(request: Any) -> None:
        server.add("a", content=b"first")

    server.fail("PUT upload", overtaken)
    with pytest.raises(NameTaken):
        await backend.put_stream("a", chunks(b"x"), content_type="text/plain", size=1, replace=False)
    assert list(server.contents[file["id"]] for file in server.files.values()) == [b"first"]


async def test_what_is_in_the_trash_is_not_there(server: DriveServer, backend: GoogleDriveBackend) -> None:
    file_id = server.add("it's \\ here", content=b"x")
    assert await backend.stat("it's \\ here") is not None
    server.files[file_id]["trashed"] = True
    assert await backend.stat("it's \\ here") is None
    assert await backend.stat(f"=id:{file_id}") is None


async def test_a_piece_that_got_lost_is_sent_again(server: DriveServer, backend: GoogleDriveBackend) -> None:
    content = secrets.token_bytes(PIECE_SIZE + 1000)
    server.fail("PUT upload", status(503), cut_after(2**20))
    assert (await backend.put("a", content, content_type="text/plain")).size == len(content)
    assert await backend.sha256("a") == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("reason", ["rateLimitExceeded", "userRateLimitExceeded"])
async def test_rate_limits_are_waited_for_and_quotas_are_not(server: DriveServer, backend: GoogleDriveBackend, reason: str) -> None:
    server.fail("GET list", refusing(403, reason))
    assert await backend.stat("a") is None
    before = len(server.asked)
    server.fail("PUT upload", refusing(403, "storageQuotaExceeded"))
    with pytest.raises(QuotaFull):
        await backend.put("a", b"x", content_type="text/plain")
    assert [kind for _, kind in server.asked[before:]].count("upload") == 2


async def test_a_limit_that_stays_is_told(server: DriveServer, backend: GoogleDriveBackend) -> None:
    server.fail("GET list", *[refusing(403, "userRateLimitExceeded")] * 4)
    with pytest.raises(StorageRateLimited):
        await backend.stat("a")


async def test_a_token_that_ended_is_renewed_once(server: DriveServer, backend: GoogleDriveBackend) -> None:
    server.token = "newer"
    assert (await backend.put("a", b"x", content_type="text/plain")).size == 1
    server.fail("GET list", refusing(401, "authError"), refusing(401, "authError"))
    with pytest.raises(CredentialsRejected):
        await backend.stat("a")


async def test_a_file_that_google_thinks_harmful_is_named(server: DriveServer, backend: GoogleDriveBackend) -> None:
    await backend.put("a", b"x", content_type="text/plain")
    server.fail("GET media", refusing(403, "cannotDownloadAbusiveFile"))
    with pytest.raises(StorageUnavailable, match="malware"):
        await backend.read("a", limit=1)


async def test_a_document_of_googles_own_kind_is_exported(server: DriveServer, backend: GoogleDriveBackend) -> None:
    server.add("Notes", content=b"", mime_type="application/vnd.google-apps.document")
    assert await backend.read("Notes", limit=100) == b"%PDF exported"
    assert await backend.sha256("Notes") == hashlib.sha256(b"%PDF exported").hexdigest()
