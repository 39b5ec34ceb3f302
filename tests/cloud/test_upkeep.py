"""What is due in clouds is found and done; what somebody did there past us is said."""

from shared.cloud import connections, leftovers, moves, upkeep
from shared.cloud.models import Connection
from shared.db import Database, TenantDatabase
from shared.documents import library
from tests.cloud.conftest import files, make_due, ready, waiting_move
from tests.cloud.test_moves import in_bucket, move
from tests.storage.servers.dav_server import DavServer, status


async def test_what_was_changed_or_removed_in_the_cloud_is_said_until_it_is_back(
    vault: TenantDatabase, server: DavServer, connection: Connection
) -> None:
    changed, missing, untouched = [await ready(vault, filename=f"{name}.txt") for name in ("changed", "missing", "untouched")]
    for document in (changed, missing, untouched):
        await move(vault, document, connection.id)
    places = {path.stem: path for path in server.folder.rglob("*.txt")}
    kept = places["missing"].rename(server.folder / "elsewhere.txt")
    places["changed"].write_bytes(b"something else")
    for _ in range(2):
        await connections.check(vault, connection.id)
        codes = [[warning.code for warning in (await library.get(vault, each.id)).warnings] for each in (changed, missing, untouched)]
        assert codes == [["original_changed"], ["original_missing"], []]
    kept.rename(places["missing"])
    await connections.check(vault, connection.id)
    assert (await library.get(vault, missing.id)).warnings == []


async def test_a_folder_that_is_gone_is_said(vault: TenantDatabase, server: DavServer, connection: Connection) -> None:
    document = await ready(vault)
    await move(vault, document, connection.id)
    (server.folder / "DocuVault").rename(server.folder / "Mine")
    await connections.check(vault, connection.id)
    assert [warning.code for warning in (await library.get(vault, document.id)).warnings] == ["original_missing"]


async def test_a_cloud_that_cannot_be_looked_at_says_nothing_of_documents(
    vault: TenantDatabase, server: DavServer, connection: Connection
) -> None:
    document = await ready(vault)
    await move(vault, document, connection.id)

    async def then_down(request: object) -> None:
        server.fail("PROPFIND", *[status(503)] * 3)

    server.fail("PROPFIND", then_down)
    assert (await connections.check(vault, connection.id)).state == "ok"
    assert (await library.get(vault, document.id)).warnings == []


async def test_leftovers_are_removed_when_they_are_due(
    db: Database, vault: TenantDatabase, server: DavServer, connection: Connection
) -> None:
    document = await ready(vault)
    await move(vault, document, connection.id)
    await upkeep.run()
    assert await in_bucket(vault, document)
    await make_due(db, vault.owner_id)
    await upkeep.run()
    assert not await in_bucket(vault, document)


async def test_a_leftover_that_cannot_be_removed_is_tried_again(
    db: Database, vault: TenantDatabase, server: DavServer, connection: Connection
) -> None:
    document = await ready(vault)
    await move(vault, document, connection.id)
    await move(vault, document, None)
    await make_due(db, vault.owner_id)
    server.fail("DELETE", *[status(503)] * 3)
    assert await leftovers.remove_due(vault) == 1  # the bucket's first copy
    assert len(files(server)) == 1
    assert await leftovers.remove_due(vault) == 0
    await make_due(db, vault.owner_id)
    assert await leftovers.remove_due(vault) == 1
    assert files(server) == {}


async def test_a_move_that_stands_still_is_announced_again(db: Database, vault: TenantDatabase, connection: Connection) -> None:
    document = await ready(vault)
    await moves.request(vault, document.id, connection.id)
    before = await waiting_move(vault, document.id)
    await upkeep.run()
    assert await waiting_move(vault, document.id) == before
    async with db.system() as tx:
        await tx.execute("UPDATE document_moves SET created_at = now() - interval '2 hours' WHERE id = %(id)s", {"id": before})
    await upkeep.run()
    assert await waiting_move(vault, document.id) == before, "its delivery is still waiting"
    async with db.system() as tx:
        await tx.execute(
            "UPDATE deliveries SET state = 'dead' WHERE owner_id = %(owner)s AND function = 'move_stored_document'",
            {"owner": vault.owner_id},
        )
    await upkeep.run()
    after = await waiting_move(vault, document.id)
    assert after is not None
    assert after != before
    assert await moves.carry_out(vault, document.id, after) == "moved"


async def test_a_connection_is_checked_once_a_day(db: Database, vault: TenantDatabase, server: DavServer, connection: Connection) -> None:
    server.asked.clear()
    await upkeep.run()
    assert server.asked == []
    async with db.system() as tx:
        await tx.execute("UPDATE cloud_connections SET checked_at = now() - interval '25 hours' WHERE id = %(id)s", {"id": connection.id})
    server.fail("PROPFIND", status(401))
    await upkeep.run()
    assert (await connections.list_all(vault))[0].state == "broken"
