"""Connections over HTTP: connected once the server lets us in, never shown with their secrets, deleted only when nothing lives there."""

import importlib
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from shared.cloud import moves
from shared.db import Database, TenantDatabase
from shared.faas.declarations import ENDPOINTS
from shared.identity import sessions, tokens
from shared.identity.client import Client
from tests.cloud.conftest import ready, waiting_move
from tests.faas.asgi import Heard, ask, serving
from tests.storage.servers.dav_server import PASSWORD, USER, DavServer, status
from tests.storage.servers.nextcloud_server import NextcloudServer

BROWSER = Client("192.0.2.1", "tests", "en")
FUNCTIONS = {
    "cloud": [
        "list_connections",
        "connect_webdav",
        "check_connection",
        "rename_connection",
        "delete_connection",
        "browse_connection",
        "watch_folder",
        "list_watched_folders",
        "unwatch_folder",
    ],
    "account": ["choose_storage"],
    "documents": ["move_document", "stream_content", "download_document", "get_document"],
}


class Person:
    """Sends requests with an access token of a session that has just begun."""

    def __init__(self, owner: UUID, session_id: UUID) -> None:
        for area, names in FUNCTIONS.items():
            for name in names:
                importlib.import_module(f"functions.{area}.{name}")
        self.app = serving(*(ENDPOINTS[name] for names in FUNCTIONS.values() for name in names))
        token, _ = tokens.issue(owner, "user", session_id, BROWSER)
        self.headers = {"authorization": f"Bearer {token}", "user-agent": BROWSER.user_agent, "accept-language": BROWSER.accept_language}

    async def ask(self, method: str, path: str, *, headers: dict[str, str] | None = None, **more: Any) -> Heard:
        body = {"content-type": "application/json"} if "json" in more else {}
        return await ask(self.app, method, path, headers=self.headers | body | (headers or {}), **more)

    async def connect(self, server: DavServer, **more: Any) -> Heard:
        new = {"provider": "webdav", "server_url": server.url, "username": USER, "password": PASSWORD} | more
        return await self.ask("POST", "/api/cloud/connections", json=new)


async def _signed_in(db: Database, owner: UUID) -> Person:
    async with db.system() as tx:
        session_id, _ = await sessions.create(tx, owner, BROWSER)
    return Person(owner, session_id)


@pytest.fixture
async def person(db: Database, owner: UUID) -> Person:
    return await _signed_in(db, owner)


@pytest.fixture
async def another(db: Database, new_owner: Callable[[], Awaitable[UUID]]) -> Person:
    return await _signed_in(db, await new_owner())


async def test_a_connection_is_made_and_listed_without_its_secrets(
    db: Database, person: Person, another: Person, server: DavServer
) -> None:
    made = await person.connect(server, name="My NAS")
    assert made.status == 201, made.body
    connection = made.json()
    assert set(connection) == {"id", "provider", "name", "server_url", "account", "state", "error", "created_at"}
    assert (connection["provider"], connection["name"], connection["state"]) == ("webdav", "My NAS", "ok")
    assert (connection["server_url"], connection["account"], connection["error"]) == (server.url, USER, None)
    listed = await person.ask("GET", "/api/cloud/connections")
    assert listed.json() == {"items": [connection], "next_cursor": None}
    assert PASSWORD.encode() not in listed.body + made.body
    assert (await another.ask("GET", "/api/cloud/connections")).json()["items"] == []
    async with db.system() as tx:
        sealed = await tx.fetch_value("SELECT sealed FROM cloud_connections WHERE id = %(id)s", {"id": connection["id"]})
    assert PASSWORD.encode() not in bytes(sealed)


async def test_a_connection_keeps_its_name_until_it_gets_another(person: Person, another: Person, server: DavServer) -> None:
    made = (await person.connect(server)).json()
    assert made["name"] == f"{USER} at 127.0.0.1"
    path = f"/api/cloud/connections/{made['id']}"
    renamed = await person.ask("PATCH", path, json={"name": "  My NAS "})
    assert (renamed.status, renamed.json()) == (200, made | {"name": "My NAS"})
    assert (await person.connect(server)).json() == renamed.json(), "connecting again repairs, and names nothing"
    assert (await person.connect(server, name="Cellar")).json() == made | {"name": "Cellar"}
    for refused in ("", " ", "x" * 101, "a\nb", None):
        assert (await person.ask("PATCH", path, json={"name": refused})).status == 422
    assert (await another.ask("PATCH", path, json={"name": "Mine"})).code == "not_found"
    [listed] = (await person.ask("GET", "/api/cloud/connections")).json()["items"]
    assert listed["name"] == "Cellar"


async def test_a_nextcloud_is_connected_by_the_address_of_its_pages(person: Person, tmp_path: Path) -> None:
    async with NextcloudServer(tmp_path).running() as server:
        made = await person.connect(server, provider="nextcloud", server_url=f"{server.url}/index.php/")
        assert made.status == 201, made.body
        assert made.json()["server_url"] == server.url
        files = await person.ask("GET", f"/api/cloud/connections/{made.json()['id']}/files")
        assert files.json() == {"items": [], "next_cursor": None}


@pytest.mark.parametrize(
    "url",
    [
        "http://10.0.0.1/",
        "http://169.254.169.254/latest/meta-data",
        "http://[::1]/",
        "http://0x0a000001:8080/",
        "file:///etc/passwd",
        "http://127.0.0.2:5432/",
        "http://user:secret@cloud.example/",
        "ftp://cloud.example/",
        "nonsense",
    ],
)
async def test_an_address_that_leads_inside_is_refused(person: Person, server: DavServer, url: str) -> None:
    refused = await person.connect(server, server_url=url)
    assert (refused.status, refused.code) == (422, "url_not_allowed")
    assert b"secret" not in refused.body


async def test_what_does_not_let_us_in_is_not_connected(person: Person, server: DavServer) -> None:
    wrong = await person.connect(server, password="wrong")
    assert (wrong.status, wrong.code) == (422, "connection_failed")
    nowhere = await person.connect(server, server_url=f"{server.url}/nowhere")
    assert (nowhere.status, nowhere.code) == (422, "connection_failed")
    no_nextcloud = await person.connect(server, provider="nextcloud")
    assert (no_nextcloud.status, no_nextcloud.code) == (422, "connection_failed")
    dead = await person.connect(server, server_url="http://127.0.0.1:9/")
    assert (dead.status, dead.code) == (422, "connection_failed")
    assert (await person.ask("GET", "/api/cloud/connections")).json()["items"] == []


async def test_a_check_tells_a_broken_connection_and_a_mended_one(person: Person, another: Person, server: DavServer) -> None:
    connection_id = (await person.connect(server)).json()["id"]
    server.fail("PROPFIND", status(401))
    broken = (await person.ask("POST", f"/api/cloud/connections/{connection_id}/check")).json()
    assert broken["state"] == "broken"
    assert broken["error"]
    mended = (await person.ask("POST", f"/api/cloud/connections/{connection_id}/check")).json()
    assert (mended["state"], mended["error"]) == ("ok", None)
    assert (await another.ask("POST", f"/api/cloud/connections/{connection_id}/check")).status == 404


async def test_a_connection_where_documents_live_is_not_deleted(
    person: Person, another: Person, vault: TenantDatabase, server: DavServer
) -> None:
    connection_id = (await person.connect(server)).json()["id"]
    document = await ready(vault)
    asked = await person.ask("POST", f"/api/documents/{document.id}/move", json={"connection_id": connection_id})
    assert asked.status == 202
    for _ in range(2):
        refused = await person.ask("DELETE", f"/api/cloud/connections/{connection_id}")
        assert (refused.status, refused.code, refused.json()["documents"]) == (409, "connection_in_use", 1)
        move_id = await waiting_move(vault, document.id)
        if move_id is not None:
            await moves.carry_out(vault, document.id, move_id)
    assert (await another.ask("DELETE", f"/api/cloud/connections/{connection_id}")).status == 404
    await person.ask("POST", f"/api/documents/{document.id}/move", json={"connection_id": None})
    move_id = await waiting_move(vault, document.id)
    assert move_id is not None
    await moves.carry_out(vault, document.id, move_id)
    chosen = await person.ask("PUT", "/api/account/storage", json={"connection_id": connection_id})
    assert chosen.json()["storage_connection_id"] == connection_id
    assert (await person.ask("DELETE", f"/api/cloud/connections/{connection_id}")).status == 204
    assert (await person.ask("DELETE", f"/api/cloud/connections/{connection_id}")).status == 404
    here = await person.ask("PUT", "/api/account/storage", json={"connection_id": None, "folders": "year_and_topic"})
    assert (here.json()["storage_connection_id"], here.json()["storage_folders"]) == (None, "year_and_topic")


async def test_nobody_chooses_anothers_cloud(person: Person, another: Person, server: DavServer) -> None:
    connection_id = (await person.connect(server)).json()["id"]
    refused = await another.ask("PUT", "/api/account/storage", json={"connection_id": connection_id})
    assert (refused.status, refused.code) == (404, "not_found")


async def test_a_folder_is_shown_in_pages_folders_first(person: Person, another: Person, server: DavServer) -> None:
    (server.folder / "box").mkdir()
    for name in ("b.txt", "Ä.txt", "a.txt", ".docuvault-1.part"):
        (server.folder / "box" / name).write_bytes(b"12345")
    (server.folder / "box" / "zoo").mkdir()
    connection_id = (await person.connect(server)).json()["id"]
    path, found, cursor = f"/api/cloud/connections/{connection_id}/files?path=box&limit=2", [], ""
    while True:
        page = (await person.ask("GET", path + cursor)).json()
        found += page["items"]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert [(item["name"], item["is_folder"], item["size"]) for item in found] == [
        ("zoo", True, None), ("a.txt", False, 5), ("b.txt", False, 5), ("Ä.txt", False, 5),
    ]  # fmt: skip
    assert found[1]["path"] == "box/a.txt"
    assert (await another.ask("GET", path)).status == 404
    other_folder = await person.ask("GET", f"/api/cloud/connections/{connection_id}/files?limit=2{cursor}")
    assert (other_folder.status, other_folder.code) == (422, "invalid_cursor")


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("nowhere", "not_found"),
        ("..", "name_refused"),
        ("a/../..", "name_refused"),
        ("%00", "validation_failed"),
        ("x%0Ay", "name_refused"),
    ],
)
async def test_a_path_that_leads_nowhere_is_told(person: Person, server: DavServer, path: str, code: str) -> None:
    connection_id = (await person.connect(server)).json()["id"]
    refused = await person.ask("GET", f"/api/cloud/connections/{connection_id}/files?path={path}")
    assert refused.code == code, refused.body


async def test_a_cloud_that_is_down_is_503(person: Person, server: DavServer) -> None:
    connection_id = (await person.connect(server)).json()["id"]
    server.fail("PROPFIND", *[status(503)] * 3)
    down = await person.ask("GET", f"/api/cloud/connections/{connection_id}/files")
    assert (down.status, down.code) == (503, "unavailable")
    assert down.header("retry-after")
    assert json.loads(down.body)["detail"]


async def test_an_idempotency_key_connects_once_and_keeps_to_its_request(person: Person, server: DavServer) -> None:
    new = {"provider": "webdav", "server_url": server.url, "username": USER, "password": PASSWORD, "name": "My NAS"}
    key = {"idempotency-key": "one key"}
    made = await person.ask("POST", "/api/cloud/connections", json=new, headers=key)
    again = await person.ask("POST", "/api/cloud/connections", json=new, headers=key)
    assert (again.status, again.json()["id"]) == (201, made.json()["id"])
    other = await person.ask("POST", "/api/cloud/connections", json=new | {"name": "My nas"}, headers=key)
    assert (other.status, other.json()["code"]) == (422, "idempotency_key_reused")
    listed = (await person.ask("GET", "/api/cloud/connections")).json()["items"]
    assert [item["name"] for item in listed] == ["My NAS"]


async def test_a_folder_is_watched_listed_and_let_go(person: Person, another: Person, server: DavServer) -> None:
    (server.folder / "box").mkdir()
    connection_id = (await person.connect(server)).json()["id"]
    path = f"/api/cloud/connections/{connection_id}/watched-folders"
    key = {"idempotency-key": "one key"}
    made = await person.ask("POST", path, json={"path": "box"}, headers=key)
    assert made.status == 201, made.body
    folder = made.json()
    assert set(folder) == {"id", "path", "waiting", "refused", "error", "looked_at", "next_look_at", "created_at"}
    assert (await person.ask("POST", path, json={"path": "box"}, headers=key)).json() == folder
    reused = await person.ask("POST", path, json={"path": ""}, headers=key)
    assert (reused.status, reused.code) == (422, "idempotency_key_reused")
    listed = (await person.ask("GET", path)).json()
    assert [item["id"] for item in listed["items"]] == [folder["id"]]
    assert listed["next_cursor"] is None
    for method, at, more in (("GET", path, {}), ("POST", path, {"json": {"path": "box"}}), ("DELETE", f"{path}/{folder['id']}", {})):
        assert (await another.ask(method, at, **more)).status == 404
    nowhere = await person.ask("POST", path, json={"path": "nowhere"})
    assert (nowhere.status, nowhere.code) == (404, "not_found")
    assert (await person.ask("DELETE", f"{path}/{folder['id']}")).status == 204
    assert (await person.ask("DELETE", f"{path}/{folder['id']}")).status == 404
    assert (await person.ask("GET", path)).json()["items"] == []
