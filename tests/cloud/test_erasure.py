"""A deleted account leaves nothing in the bucket; what lies in its owner's cloud is the owner's."""

from shared.cloud import moves
from shared.cloud.models import Connection
from shared.db import Database, TenantDatabase
from shared.documents import erasure
from shared.storage import object_store
from tests.cloud.conftest import files, ready, waiting_move
from tests.cloud.test_moves import move
from tests.documents.conftest import row
from tests.storage.servers.dav_server import DavServer


async def test_former_copies_go_with_the_account_and_the_owners_files_stay(
    db: Database, vault: TenantDatabase, server: DavServer, connection: Connection
) -> None:
    moved, returned, waiting = [await ready(vault, f"Dear heron {number}\n".encode()) for number in range(3)]
    keys = [await row(vault, document.id, "object_key") for document in (moved, returned, waiting)]
    await move(vault, moved, connection.id)
    await move(vault, returned, connection.id)
    await move(vault, returned, None)
    keys.append(await row(vault, returned.id, "object_key"))
    await moves.request(vault, waiting.id, connection.id)
    assert await waiting_move(vault, waiting.id) is not None
    assert [await object_store().stat(key) is not None for key in keys] == [True] * 4
    async with db.system() as tx:
        await tx.execute("UPDATE users SET deleted_at = now() WHERE id = %(id)s", {"id": vault.owner_id})
    await erasure.erase_all(vault, object_store())
    assert [await object_store().stat(key) for key in keys] == [None] * 4
    assert len(files(server)) == 2, "its own, and the one that was on its way back"
    async with db.system() as tx:
        await tx.execute("DELETE FROM users WHERE id = %(id)s", {"id": vault.owner_id})
        left = await tx.fetch_value("SELECT count(*) FROM cloud_connections WHERE owner_id = %(id)s", {"id": vault.owner_id})
    assert left == 0
