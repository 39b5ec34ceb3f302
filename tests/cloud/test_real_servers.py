"""What holds of connections, moves, imports and watched folders, on WebDAV servers that others have written."""

import secrets
from collections.abc import AsyncIterator

import pytest

from shared.cloud import backends, connections, watching
from shared.cloud.models import Connection, NewConnection
from shared.db import Database, TenantDatabase
from shared.documents import library
from shared.storage import StorageBackend
from tests.cloud.conftest import ready
from tests.cloud.test_imports import documents
from tests.cloud.test_moves import move, original_of
from tests.cloud.test_watching import look
from tests.identity.browser import mails_to
from tests.storage.servers.dav_server import PASSWORD, USER
from tests.storage.test_webdav import rclone as rclone
from tests.storage.test_webdav import sabredav as sabredav
from tests.storage.test_webdav import wsgidav as wsgidav


@pytest.fixture(params=["wsgidav", "rclone", "sabredav"])
def url(request: pytest.FixtureRequest) -> str:
    address: str = request.getfixturevalue(request.param)
    return address


async def connected(vault: TenantDatabase, url: str, **changed: str) -> Connection:
    new = {"provider": "webdav", "server_url": url, "username": USER, "password": PASSWORD} | changed
    return await connections.connect(vault, NewConnection.model_validate(new))


@pytest.fixture
async def real(vault: TenantDatabase, url: str) -> Connection:
    return await connected(vault, url)


@pytest.fixture
async def somebody(vault: TenantDatabase, real: Connection) -> AsyncIterator[StorageBackend]:
    """Somebody else with the same account."""
    async with backends.opened(vault, real.id) as backend:
        yield backend


async def test_what_somebody_changes_or_removes_there_is_said(vault: TenantDatabase, real: Connection, somebody: StorageBackend) -> None:
    chosen = [await ready(vault, filename=f"{secrets.token_hex(4)}.txt") for _ in range(3)]
    keys = []
    for document in chosen:
        assert await move(vault, document, real.id) == "moved"
        async with vault.transaction() as tx:
            keys.append(await tx.fetch_value("SELECT cloud_key FROM documents WHERE id = %(id)s", {"id": document.id}))
    await somebody.put(keys[0], b"something else", content_type="text/plain")
    await somebody.delete(keys[1])
    await connections.check(vault, real.id)
    codes = [[warning.code for warning in (await library.get(vault, document.id)).warnings] for document in chosen]
    assert codes == [["original_changed"], ["original_missing"], []]
    assert await original_of(chosen[2], vault)


async def test_a_password_that_is_changed_breaks_the_connection_and_mails_once(
    db: Database, vault: TenantDatabase, url: str, real: Connection
) -> None:
    async with vault.transaction() as tx:
        connection = await connections.get(tx, vault.owner_id, real.id)
    await connections.replace_credentials(vault, connection.id, {"username": USER, "password": "another"})
    for _ in range(2):
        broken = await connections.check(vault, real.id)
        assert (broken.state, bool(broken.error)) == ("broken", True)
    await connections.mark_broken(vault, connection.id, "The server was away.")
    said = (await connections.check(vault, real.id)).error
    assert said == "The server does not accept the user name and password.", "what holds now, not what was wrong first"
    mails = await mails_to(db, f"{vault.owner_id.hex}@example.org")
    assert [mail.template for mail in mails] == ["cloud_connection_broken"]
    again = await connected(vault, url)
    assert (again.id, again.state, again.error) == (real.id, "ok", None)


async def test_new_files_of_a_watched_folder_come_in(vault: TenantDatabase, real: Connection, somebody: StorageBackend) -> None:
    box = f"box-{secrets.token_hex(4)}"
    await somebody.put(f"{box}/deep/Rechnung März.txt", b"Dear heron.\n", content_type="text/plain")
    folder = await watching.begin(vault, real.id, box)
    await look(vault, folder.id)
    assert await documents(vault) == {}
    await somebody.put(f"{box}/deep/Rechnung März.txt", b"Dear heron, it goes on.\n", content_type="text/plain")
    await look(vault, folder.id)
    assert await documents(vault) == {}, "it grew"
    for _ in range(2):
        await look(vault, folder.id)
    [document] = (await documents(vault)).values()
    assert (document.filename, document.size) == ("Rechnung März.txt", 24)
