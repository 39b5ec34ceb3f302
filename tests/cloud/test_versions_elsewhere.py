"""Versions of documents that live in a cloud: the new one goes there, earlier ones stay readable, and a purge leaves nothing."""

from uuid import UUID

import pytest

from shared.api.models import PageQuery
from shared.cloud import connections, imports, leftovers, moves
from shared.cloud.connections import ConnectionInUse
from shared.cloud.models import Connection
from shared.db import Database, TenantDatabase
from shared.documents import erasure, library, purging, versions
from shared.ids import new_id
from shared.storage import object_store
from tests.cloud.conftest import files, make_due, ready, waiting_move
from tests.cloud.test_connections import Person
from tests.cloud.test_imports import run_all
from tests.cloud.test_moves import move, original_of
from tests.documents.conftest import stored, usage
from tests.faas.asgi import ask
from tests.storage.servers.dav_server import DavServer

FIRST, SECOND = b"Dear heron\n", b"Dear ibis, at more length\n"


async def version_id(vault: TenantDatabase, document_id: UUID, number: int) -> UUID:
    page = await versions.list_page(vault, document_id, PageQuery())
    return next(version.id for version in page.items if version.number == number)


async def carried_out(vault: TenantDatabase, document_id: UUID) -> str:
    move_id = await waiting_move(vault, document_id)
    assert move_id is not None
    return await moves.carry_out(vault, document_id, move_id)


async def fetched(vault: TenantDatabase, document_id: UUID, version: UUID) -> bytes:
    link = await library.download(vault, document_id, "attachment", version_id=version)
    path = "/api/content/" + link.url.rpartition("/api/content/")[2]
    return (await ask(Person(vault.owner_id, new_id()).app, "GET", path)).body


async def test_a_new_version_goes_where_the_document_lives_and_the_earlier_one_stays_there(
    vault: TenantDatabase, server: DavServer, connection: Connection
) -> None:
    document = await ready(vault, FIRST)
    await move(vault, document, connection.id)
    await stored(vault, SECOND, filename="letter.txt", replaces=document.id)
    assert await carried_out(vault, document.id) == "moved"
    assert (await library.get(vault, document.id)).storage.connection_id == connection.id
    assert sorted(files(server).values()) == sorted([FIRST, SECOND])
    first, second = await version_id(vault, document.id, 1), await version_id(vault, document.id, 2)
    assert (await fetched(vault, document.id, first), await fetched(vault, document.id, second)) == (FIRST, SECOND)
    restored = await versions.restore(vault, document.id, first)
    assert restored.storage.connection_id == connection.id
    assert await original_of(document, vault) == FIRST
    assert await fetched(vault, document.id, second) == SECOND


async def test_a_move_under_way_goes_on_with_the_new_version(
    db: Database, vault: TenantDatabase, server: DavServer, connection: Connection
) -> None:
    document = await ready(vault, FIRST)
    await moves.request(vault, document.id, connection.id)
    outdated = await waiting_move(vault, document.id)
    assert outdated is not None
    await stored(vault, SECOND, replaces=document.id)
    assert await moves.carry_out(vault, document.id, outdated) == "superseded"
    assert await carried_out(vault, document.id) == "moved"
    assert list(files(server).values()) == [SECOND]
    await make_due(db, vault.owner_id)
    await leftovers.remove_due(vault)
    assert await original_of(document, vault) == SECOND
    await versions.restore(vault, document.id, await version_id(vault, document.id, 1))
    assert await original_of(document, vault) == FIRST, "the earlier version is in the bucket still"


async def test_a_purge_takes_the_versions_copies_in_the_cloud(
    db: Database, vault: TenantDatabase, server: DavServer, connection: Connection
) -> None:
    document = await ready(vault, FIRST)
    await move(vault, document, connection.id)
    await stored(vault, SECOND, replaces=document.id)
    await carried_out(vault, document.id)
    await library.trash(vault, document.id)
    await purging.purge(vault, document.id)
    await make_due(db, vault.owner_id)
    while await leftovers.remove_due(vault):
        pass
    assert files(server) == {}


async def test_a_version_that_is_taken_back_is_no_leftover(
    db: Database, vault: TenantDatabase, server: DavServer, connection: Connection
) -> None:
    document = await ready(vault, FIRST)
    await move(vault, document, connection.id)
    await stored(vault, SECOND, replaces=document.id)
    await versions.restore(vault, document.id, await version_id(vault, document.id, 1))
    await make_due(db, vault.owner_id)
    await leftovers.remove_due(vault)
    assert await original_of(document, vault) == FIRST


async def test_an_earlier_versions_file_is_no_new_document_and_its_name_nobody_elses(
    vault: TenantDatabase, server: DavServer, connection: Connection
) -> None:
    document = await ready(vault, FIRST)
    await move(vault, document, connection.id)
    [path] = files(server)
    await stored(vault, SECOND, filename="letter.txt", replaces=document.id)
    await carried_out(vault, document.id)
    await imports.begin(vault, connection.id, [""])
    [known] = await imports.begin(vault, connection.id, [path])
    await run_all(vault)
    assert (known.id, (await usage(vault)).documents) == (document.id, 1)
    first = (server.folder / path).rename(server.folder / "away.txt")
    other = await ready(vault, b"Dear crane\n")
    await move(vault, other, connection.id)
    assert not (server.folder / path).exists(), "the name is the earlier version's"
    first.rename(server.folder / path)
    assert await fetched(vault, document.id, await version_id(vault, document.id, 1)) == FIRST


async def test_a_cloud_that_has_earlier_versions_is_in_use(vault: TenantDatabase, connection: Connection) -> None:
    document = await ready(vault, FIRST)
    await move(vault, document, connection.id)
    await stored(vault, SECOND, replaces=document.id)
    assert await move(vault, document, None) == "already there"
    with pytest.raises(ConnectionInUse):
        await connections.delete(vault, connection.id)


async def test_a_deleted_account_leaves_no_version_in_the_bucket(db: Database, vault: TenantDatabase) -> None:
    document = await ready(vault, FIRST)
    await stored(vault, SECOND, replaces=document.id)
    async with vault.transaction() as tx:
        keys: list[str] = await tx.fetch_value(
            """
            SELECT array_agg(object_key) FROM (
                SELECT object_key FROM documents WHERE id = %(id)s UNION SELECT object_key FROM document_versions WHERE document_id = %(id)s
            ) AS of_document
            """,
            {"id": document.id},
        )
    assert len(keys) == 2
    async with db.system() as tx:
        await tx.execute("UPDATE users SET deleted_at = now() WHERE id = %(id)s", {"id": vault.owner_id})
    await erasure.erase_all(vault, object_store())
    assert [await object_store().stat(key) for key in keys] == [None, None]
