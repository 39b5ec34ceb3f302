"""One owner's clouds of every kind, each a server of a test's own, with what tests do to them behind our back."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from shared.cloud import connections
from shared.cloud.models import CloudProvider, Connection, NewConnection
from shared.config import settings
from shared.db import TenantDatabase
from tests.storage.servers.dav_server import PASSWORD, USER, DavServer
from tests.storage.servers.drive_server import DriveServer
from tests.storage.servers.graph_server import GraphServer
from tests.storage.servers.nextcloud_server import NextcloudServer

PROVIDERS: tuple[CloudProvider, ...] = ("webdav", "nextcloud", "google_drive", "onedrive")

METHODS: dict[CloudProvider, tuple[str, ...]] = {
    "webdav": ("PROPFIND", "MKCOL", "PUT", "MOVE", "GET", "DELETE"),
    "nextcloud": ("PROPFIND", "MKCOL", "PUT", "MOVE", "GET", "DELETE"),
    "google_drive": ("GET list", "GET file", "GET media", "POST file", "POST upload", "PUT upload", "PATCH upload", "DELETE file"),
    "onedrive": (
        "GET item", "GET children", "GET content", "PUT content", "POST createUploadSession", "PUT fragment", "GET fragment", "DELETE item",
        "DELETE fragment",
    ),
}  # fmt: skip
"""What each server calls the requests that it can fail at."""


@dataclass
class Cloud:
    """A connection and its server; paths have no slash in front."""

    provider: CloudProvider
    connection: Connection
    server: Any
    put: Callable[[str, bytes], None]
    """Writes a file as somebody else would, over what is there."""
    files: Callable[[], dict[str, bytes]]


@asynccontextmanager
async def cloud_of(provider: CloudProvider, vault: TenantDatabase, folder: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Cloud]:
    """A cloud of that kind, connected."""
    if provider in ("webdav", "nextcloud"):
        dav = (DavServer if provider == "webdav" else NextcloudServer)(folder / provider)
        async with dav.running():
            new = {"provider": provider, "server_url": dav.url, "username": USER, "password": PASSWORD}
            connection = await connections.connect(vault, NewConnection.model_validate(new))
            yield Cloud(provider, connection, dav, _put_dav(dav), lambda: _dav_files(dav))
    elif provider == "google_drive":
        drive = DriveServer()
        async with drive.running():
            _configure(monkeypatch, GOOGLE_CLIENT_ID="client", GOOGLE_CLIENT_SECRET="secret", GOOGLE_API_URL=drive.url)
            google = {"token_uri": "https://127.0.0.1:9/token", "client_id": "client", "client_secret": "secret"}
            credentials = google | {"access_token": drive.token, "refresh_token": "refresh"}
            connection = await connections.store(
                vault, "google_drive", "Drive", server_url=None, account="ada@example.org", credentials=credentials
            )
            yield Cloud(provider, connection, drive, _put_drive(drive), lambda: _drive_files(drive))
    else:
        graph = GraphServer()
        async with graph.running():
            _configure(monkeypatch, ONEDRIVE_CLIENT_ID="client", ONEDRIVE_CLIENT_SECRET="secret", ONEDRIVE_GRAPH_URL=graph.url)
            microsoft = {"access_token": graph.token, "refresh_token": "refresh", "expires_at": time.time() + 3600}
            connection = await connections.store(
                vault, "onedrive", "OneDrive", server_url=None, account="ada@example.org", credentials=microsoft
            )
            yield Cloud(provider, connection, graph, graph.put, lambda: {key: item.content or b"" for key, item in graph.items.items()})


def _configure(monkeypatch: pytest.MonkeyPatch, **values: str) -> None:
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    settings.cache_clear()


def _put_dav(server: DavServer) -> Callable[[str, bytes], None]:
    def put(path: str, content: bytes) -> None:
        (server.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (server.folder / path).write_bytes(content)

    return put


def _dav_files(server: DavServer) -> dict[str, bytes]:
    return {str(path.relative_to(server.folder)): path.read_bytes() for path in sorted(server.folder.rglob("*")) if path.is_file()}


def _put_drive(server: DriveServer) -> Callable[[str, bytes], None]:
    def put(path: str, content: bytes) -> None:
        *folders, name = path.split("/")
        parent = "root"
        for folder in folders:
            parent = _child(server, parent, folder) or server.add(folder, parent, content=None)
        there = _child(server, parent, name)
        if there is None:
            server.add(name, parent, content=content)
        else:
            server.change(there, content)

    return put


def _child(server: DriveServer, parent: str, name: str) -> str | None:
    return next((file["id"] for file in server.files.values() if parent in file["parents"] and file["name"] == name), None)


def _drive_files(server: DriveServer) -> dict[str, bytes]:
    def path(file: dict[str, Any]) -> str:
        parent = server.files.get(file["parents"][0])
        return file["name"] if parent is None else f"{path(parent)}/{file['name']}"

    found: dict[str, bytes] = {}
    for file_id, file in server.files.items():
        if file_id in server.contents:
            name = path(file)
            while name in found:  # names repeat: each shows
                name += "*"
            found[name] = server.contents[file_id]
    return found
