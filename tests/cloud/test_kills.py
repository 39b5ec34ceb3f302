"""Moves, imports and exports whose process is killed at any request to any cloud: nothing is lost, and nothing is there twice."""

from uuid import UUID

import pytest

from shared.cloud import exports, imports, leftovers
from shared.db import Database, TenantDatabase
from shared.documents import jobs, library
from tests.cloud.clouds import Cloud
from tests.cloud.conftest import make_due, ready, waiting_move
from tests.cloud.killing import killed_at_each_request
from tests.cloud.test_imports import documents, run_all
from tests.cloud.test_moves import move, original_of
from tests.cloud.test_watching import job_list
from tests.documents.conftest import usage

TEXT = b"Dear heron,\nthe waterworks send their invoice.\n"

others = pytest.mark.parametrize("cloud", ["nextcloud", "google_drive", "onedrive"], indirect=True)


@others
@pytest.mark.parametrize("back", [False, True])
async def test_a_move_killed_at_any_request_loses_and_doubles_nothing(
    db: Database, vault: TenantDatabase, cloud: Cloud, back: bool
) -> None:
    from shared.cloud import moves

    document = await ready(vault, TEXT)
    if back:
        await move(vault, document, cloud.connection.id)
    await moves.request(vault, document.id, None if back else cloud.connection.id)
    move_id = await waiting_move(vault, document.id)
    killed = 0
    async for _ in killed_at_each_request(cloud, vault.owner_id, f"moves.carry_out(db, UUID('{document.id}'), UUID('{move_id}'))"):
        killed += 1
        assert await original_of(document, vault) == TEXT
    assert killed >= (2 if back else 5)
    await make_due(db, vault.owner_id)
    await leftovers.remove_due(vault)
    moved = await library.get(vault, document.id)
    assert moved.storage.connection_id == (None if back else cloud.connection.id)
    assert await original_of(document, vault) == TEXT
    assert list(cloud.files().values()) == ([] if back else [TEXT])


async def test_an_import_killed_at_any_request_makes_one_document(vault: TenantDatabase, cloud: Cloud) -> None:
    cloud.put("box/letter.txt", TEXT)
    [document] = await imports.begin(vault, cloud.connection.id, ["box/letter.txt"])
    killed = 0
    async for _ in killed_at_each_request(cloud, vault.owner_id, f"imports.fetch(db, UUID('{document.id}'))"):
        killed += 1
        assert list(cloud.files().values()) == [TEXT]
    assert killed >= 1
    [found] = (await documents(vault)).values()
    assert (found.id, found.size) == (document.id, len(TEXT))
    assert ((await usage(vault)).documents, (await usage(vault)).bytes_reserved) == (1, 0)
    [job] = await job_list(vault)
    assert (job.state, job.total, job.done, job.failed) == ("done", 1, 1, [])


async def test_an_import_of_folders_killed_at_any_request_makes_each_document_once(vault: TenantDatabase, cloud: Cloud) -> None:
    for number in range(3):
        cloud.put(f"box/{number}/letter.txt", TEXT + str(number).encode())
    assert await imports.begin(vault, cloud.connection.id, ["box"]) == []
    [job] = await job_list(vault)
    killed = 0
    async for _ in killed_at_each_request(cloud, vault.owner_id, f"imports.run_slice(db, UUID('{job.id}'), 0)"):
        killed += 1
    assert killed >= 3
    await run_all(vault)
    assert (await usage(vault)).documents == 3
    job = await jobs.get(vault, job.id)
    assert (job.state, job.total, job.done, job.failed) == ("done", 3, 3, [])


async def test_an_export_killed_at_any_request_leaves_one_copy(vault: TenantDatabase, cloud: Cloud) -> None:
    document = await ready(vault, TEXT)
    await exports.begin(vault, cloud.connection.id, [document.id], "out")
    async with vault.transaction() as tx:
        export_id: UUID = await tx.fetch_value("SELECT id FROM cloud_exports")
    killed = 0
    async for _ in killed_at_each_request(cloud, vault.owner_id, f"exports.carry_out(db, UUID('{export_id}'))"):
        killed += 1
        assert await original_of(document, vault) == TEXT
    assert killed >= 5
    assert cloud.files() == {"out/letter.txt": TEXT}
    [job] = await job_list(vault)
    assert (job.state, job.total, job.done, job.failed) == ("done", 1, 1, [])
