"""An owner with a cloud: a WebDAV server of this test's own, and documents that are ready."""

import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import UUID

import pytest

from shared.cloud import connections
from shared.cloud.models import Connection, NewConnection
from shared.config import settings
from shared.db import Database, TenantDatabase
from shared.documents import classify_step, library
from shared.documents.models import Document
from tests.cloud.clouds import PROVIDERS, Cloud, cloud_of
from tests.documents.conftest import read_through, stored
from tests.documents.conftest import vault as vault
from tests.storage.servers.dav_server import PASSWORD, USER, DavServer


@pytest.fixture(autouse=True)
def servers_on_this_machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """ALLOWED_PRIVATE_HOSTS lets owners use servers on this machine."""
    monkeypatch.setenv("ALLOWED_PRIVATE_HOSTS", "127.0.0.1")
    settings.cache_clear()
    yield
    monkeypatch.undo()
    settings.cache_clear()


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[DavServer]:
    async with DavServer(tmp_path / "dav").running() as server:
        yield server


@pytest.fixture
async def connection(vault: TenantDatabase, server: DavServer) -> Connection:
    """A WebDAV connection of the owner's."""
    return await connect(vault, server)


@pytest.fixture(params=PROVIDERS)
async def cloud(
    request: pytest.FixtureRequest, vault: TenantDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Cloud]:
    """The owner's cloud, of each kind that there is."""
    async with cloud_of(request.param, vault, tmp_path, monkeypatch) as cloud:
        yield cloud
    settings.cache_clear()


async def connect(vault: TenantDatabase, server: DavServer, **more: str) -> Connection:
    new = {"provider": "webdav", "server_url": server.url, "username": USER, "password": PASSWORD} | more
    return await connections.connect(vault, NewConnection.model_validate(new))


async def ready(vault: TenantDatabase, content: bytes = b"", filename: str = "letter.txt") -> Document:
    """A document that has come all the way."""
    document = await stored(vault, content or f"Dear {secrets.token_hex(8)}\n".encode(), filename=filename)
    await read_through(vault, document.id)
    await classify_step.classify(vault, document_id=document.id, revision=1)
    return await library.get(vault, document.id)


async def waiting_move(vault: TenantDatabase, document_id: UUID) -> UUID | None:
    """The id of the move that the document waits for."""
    async with vault.transaction() as tx:
        found: UUID | None = await tx.fetch_value("SELECT id FROM document_moves WHERE document_id = %(id)s", {"id": document_id})
    return found


def files(server: DavServer) -> dict[str, bytes]:
    """What the server has, by path."""
    return {str(path.relative_to(server.folder)): path.read_bytes() for path in sorted(server.folder.rglob("*")) if path.is_file()}


async def make_due(db: Database, owner: UUID) -> None:
    """As if the time had passed for which a move's source stays."""
    async with db.system() as tx:
        await tx.execute("UPDATE storage_leftovers SET due_at = now() WHERE owner_id = %(owner)s", {"owner": owner})
