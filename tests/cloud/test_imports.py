"""Files of a cloud become documents, once each, whole or not at all; copies of documents go there."""

import asyncio
import hashlib
import secrets
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from aiohttp import web

from shared.api.models import PageQuery
from shared.cloud import connections, exports, imports
from shared.cloud.models import Connection
from shared.db import Database, TenantDatabase, database
from shared.documents import jobs, library, purging, upload_step
from shared.documents.models import Document
from shared.documents.uploads import EmptyDocument, UnsupportedType
from shared.errors import NotFound
from shared.events.catalogue import CloudFileChosen, JobDue
from shared.storage import NameRefused, QuotaFull, StorageUnavailable, object_store
from tests.cloud.clouds import Cloud
from tests.cloud.conftest import files, ready
from tests.documents.conftest import create, row, usage
from tests.storage.servers.dav_server import DavServer, cut_after, status

TEXT = b"Dear heron,\nthe waterworks send their quarterly invoice.\n"


def put(server: DavServer, path: str, content: bytes) -> None:
    (server.folder / path).parent.mkdir(parents=True, exist_ok=True)
    (server.folder / path).write_bytes(content)


async def events(vault: TenantDatabase, type: str) -> list[dict[str, Any]]:
    async with vault.transaction() as tx:
        found: list[dict[str, Any]] = await tx.fetch_value(
            "SELECT coalesce(jsonb_agg(data ORDER BY id), '[]') FROM events WHERE type = %(type)s", {"type": type}
        )
    return found


async def run_all(vault: TenantDatabase) -> None:
    """All that brokers would do."""
    done: list[dict[str, Any]] = []
    while waiting := [event for event in await events(vault, JobDue.TYPE) if event not in done]:
        for event in waiting:
            await imports.run_slice(vault, UUID(event["job_id"]), event["slices"])
            done.append(event)
    for event in await events(vault, CloudFileChosen.TYPE):
        await imports.fetch(vault, UUID(event["document_id"]))


async def documents(vault: TenantDatabase) -> dict[str, Document]:
    async with vault.transaction() as tx:
        ids = await tx.fetch_value("SELECT coalesce(array_agg(id), '{}') FROM documents WHERE status <> 'uploading'")
    return {document.filename: document for document in [await library.get(vault, each) for each in ids]}


async def test_a_file_becomes_a_document(vault: TenantDatabase, server: DavServer, connection: Connection) -> None:
    put(server, "box/Rechnung März.txt", TEXT)
    [document] = await imports.begin(vault, connection.id, ["/box/Rechnung März.txt"])
    assert (document.filename, document.size, document.status) == ("Rechnung März.txt", len(TEXT), "uploading")
    assert await imports.fetch(vault, document.id)
    stored = await library.get(vault, document.id)
    assert (stored.status, stored.content_type, stored.storage.provider) == ("stored", "text/plain", "minio")
    assert await object_store().read(await row(vault, document.id, "object_key"), limit=1000) == TEXT
    assert (await usage(vault)).bytes_used == len(TEXT)
    assert (await usage(vault)).bytes_reserved == 0
    assert await imports.fetch(vault, document.id) is False


async def test_a_folder_grows_into_documents(vault: TenantDatabase, server: DavServer, connection: Connection) -> None:
    for path in ("box/a.txt", "box/deep/er/b.txt", "box/deep/c.txt", "elsewhere.txt"):
        put(server, path, TEXT + path.encode())
    put(server, "box/program.exe", b"MZ")
    put(server, "box/empty.txt", b"")
    put(server, "box/.hidden.txt", TEXT)
    assert await imports.begin(vault, connection.id, ["box"]) == []
    await run_all(vault)
    assert sorted(await documents(vault)) == ["a.txt", "b.txt", "c.txt"]


async def test_what_is_here_already_is_not_imported_again(vault: TenantDatabase, server: DavServer, connection: Connection) -> None:
    put(server, "box/a.txt", TEXT)
    put(server, "box/same.txt", TEXT)
    await imports.begin(vault, connection.id, ["box"])
    await run_all(vault)
    [document] = (await documents(vault)).values()
    assert (await usage(vault)).documents == 1
    server.asked.clear()
    assert [known.id for known in await imports.begin(vault, connection.id, ["box/a.txt", "box/same.txt"])] == [document.id] * 2
    await imports.begin(vault, connection.id, ["box"])
    await run_all(vault)
    assert "GET" not in {asked.method for asked in server.asked}
    put(server, "box/a.txt", TEXT + b"changed")
    await imports.begin(vault, connection.id, ["box"])
    await imports.begin(vault, connection.id, ["box"])
    await run_all(vault)
    assert (await usage(vault)).documents == 2


async def test_a_folder_that_there_is_no_room_for_is_imported_as_far_as_it_goes(
    vault: TenantDatabase, server: DavServer, connection: Connection
) -> None:
    async with database().system() as tx:
        await tx.execute("UPDATE account_usage SET bytes_quota = 100 WHERE owner_id = %(owner)s", {"owner": vault.owner_id})
    for number in range(4):
        put(server, f"box/{number}.txt", f"Dear heron {number}".ljust(40).encode())
    await imports.begin(vault, connection.id, ["box"])
    await run_all(vault)
    assert (await usage(vault)).documents == 2
    [job] = (await jobs.list_page(vault, PageQuery())).items
    assert (job.state, job.total, job.done) == ("done", 4, 2)
    assert [(item.code, item.path) for item in job.failed] == [("quota_exceeded", "box/2.txt"), ("quota_exceeded", "box/3.txt")]


async def test_an_import_that_fails_is_taken_up_again(vault: TenantDatabase, server: DavServer, connection: Connection) -> None:
    put(server, "a.txt", TEXT)
    [document] = await imports.begin(vault, connection.id, ["a.txt"])
    for fault in (status(503), cut_after(), status(429)):
        server.fail("GET", fault)
        with pytest.raises(StorageUnavailable):
            await imports.fetch(vault, document.id)
        assert (await library.get(vault, document.id)).status == "uploading"
    assert await imports.fetch(vault, document.id)
    assert (await usage(vault)).documents == 1


@pytest.mark.parametrize("change", ["gone", "longer", "shorter"])
async def test_a_file_that_is_another_by_then_becomes_no_document(
    vault: TenantDatabase, server: DavServer, connection: Connection, change: str
) -> None:
    put(server, "a.txt", TEXT)
    [document] = await imports.begin(vault, connection.id, ["a.txt"])
    if change == "gone":
        (server.folder / "a.txt").unlink()
    else:
        put(server, "a.txt", TEXT + b"more" if change == "longer" else TEXT[:-1])
    assert await imports.fetch(vault, document.id) is False
    with pytest.raises(NotFound):
        await library.get(vault, document.id)
    assert (await usage(vault)).bytes_reserved == 0


async def test_a_sign_in_page_is_not_taken_for_the_file(vault: TenantDatabase, server: DavServer, connection: Connection) -> None:
    put(server, "a.txt", TEXT)
    [document] = await imports.begin(vault, connection.id, ["a.txt"])

    async def page(request: web.Request) -> web.StreamResponse:
        return web.Response(text="<html>Sign in</html>", content_type="text/html")

    server.fail("GET", page)
    assert await imports.fetch(vault, document.id) is False
    assert await documents(vault) == {}


async def test_two_deliveries_at_once_make_one_document(vault: TenantDatabase, server: DavServer, connection: Connection) -> None:
    put(server, "a.txt", TEXT)
    [document] = await imports.begin(vault, connection.id, ["a.txt"])
    results = await asyncio.gather(*(imports.fetch(vault, document.id) for _ in range(4)))
    assert results.count(True) == 1
    assert (await usage(vault)).documents == 1


async def test_what_cannot_be_imported_is_told(vault: TenantDatabase, server: DavServer, connection: Connection) -> None:
    put(server, "program.exe", b"MZ")
    put(server, "empty.txt", b"")
    for path, error in (("nowhere", NotFound), ("../x", NameRefused), ("program.exe", UnsupportedType), ("empty.txt", EmptyDocument)):
        with pytest.raises(error):
            await imports.begin(vault, connection.id, [path])
    assert (await usage(vault)).bytes_reserved == 0


async def test_a_document_that_lives_there_is_not_imported_again(vault: TenantDatabase, server: DavServer, connection: Connection) -> None:
    from tests.cloud.test_moves import move

    document = await ready(vault, TEXT)
    await move(vault, document, connection.id)
    await imports.begin(vault, connection.id, [""])
    await run_all(vault)
    assert (await usage(vault)).documents == 1


async def test_an_import_that_nobody_finishes_is_given_up(vault: TenantDatabase, server: DavServer, connection: Connection) -> None:
    put(server, "a.txt", TEXT)
    [document] = await imports.begin(vault, connection.id, ["a.txt"])
    async with vault.transaction() as tx:
        upload = await upload_step.find(tx, vault.owner_id, document.id)
        await tx.execute("UPDATE documents SET upload_expires_at = now() - interval '1 second' WHERE id = %(id)s", {"id": document.id})
    assert upload is not None
    assert await upload_step.discard(vault, upload, only_expired=True)
    [again] = await imports.begin(vault, connection.id, ["a.txt"])
    assert await imports.fetch(vault, again.id)


async def export(vault: TenantDatabase, connection: Connection, ids: list[UUID], folder: str) -> list[UUID]:
    """The exports of these documents, in their order: ids of one millisecond have none."""
    await exports.begin(vault, connection.id, ids, folder)
    async with vault.transaction() as tx:
        found: list[UUID] = await tx.fetch_value(
            "SELECT coalesce(array_agg(id ORDER BY created_at, array_position(%(ids)s::uuid[], document_id)), '{}') FROM cloud_exports",
            {"ids": ids},
        )
    return found


async def test_copies_go_to_the_folder_under_their_names(vault: TenantDatabase, server: DavServer, connection: Connection) -> None:
    chosen = [await ready(vault, TEXT + str(number).encode(), "Brief: 1.txt") for number in range(2)]
    waiting = await export(vault, connection, [document.id for document in chosen], "/out/für dich/")
    for export_id in waiting:
        assert await exports.carry_out(vault, export_id)
        assert await exports.carry_out(vault, export_id) is False
    assert files(server) == {"out/für dich/Brief_ 1.txt": TEXT + b"0", "out/für dich/Brief_ 1 (2).txt": TEXT + b"1"}
    assert (await library.get(vault, chosen[0].id)).storage.provider == "minio"


async def test_an_export_that_was_interrupted_leaves_one_copy(vault: TenantDatabase, server: DavServer, connection: Connection) -> None:
    document = await ready(vault, TEXT)
    [export_id] = await export(vault, connection, [document.id], "out")

    async def moved_and_cut(request: web.Request) -> web.StreamResponse:
        await server.respond(request)
        for method in ("PROPFIND", "MOVE", "GET"):
            server.fail(method, *[cut_after()] * 3)
        return await cut_after()(request) or web.Response()

    server.fail("MOVE", moved_and_cut)
    with pytest.raises(StorageUnavailable):
        await exports.carry_out(vault, export_id)
    server.faults.clear()
    assert await exports.carry_out(vault, export_id)
    assert list(files(server).values()) == [TEXT]


async def test_only_what_is_ones_own_is_exported(vault: TenantDatabase, connection: Connection, other_owner: UUID) -> None:
    document = await ready(vault, TEXT)
    with pytest.raises(NotFound):
        await exports.begin(vault, other_owner, [document.id], "out")
    with pytest.raises(NotFound):
        await exports.begin(vault, connection.id, [document.id, other_owner], "out")
    with pytest.raises(NameRefused):
        await exports.begin(vault, connection.id, [document.id], "../out")


async def test_a_full_cloud_is_told(vault: TenantDatabase, server: DavServer, connection: Connection) -> None:
    document = await ready(vault, secrets.token_hex(100).encode())
    [export_id] = await export(vault, connection, [document.id], "")
    server.fail("PUT", status(507))
    with pytest.raises(QuotaFull):
        await exports.carry_out(vault, export_id)
    assert files(server) == {}
    assert await exports.carry_out(vault, export_id)
    assert Path(next(iter(files(server)))).name == "letter.txt"


async def test_an_export_of_an_original_that_was_changed_in_its_cloud_has_failed(
    vault: TenantDatabase, server: DavServer, connection: Connection
) -> None:
    from tests.cloud.test_moves import move

    for changed in (TEXT[:-1] + b"?", TEXT + b"more", TEXT[:-5]):
        document = await ready(vault, TEXT)
        await move(vault, document, connection.id)
        [path] = files(server)
        put(server, path, changed)
        [export_id] = await export(vault, connection, [document.id], "out")
        assert await exports.carry_out(vault, export_id) is False
        [job] = (await jobs.list_page(vault, PageQuery(limit=1))).items
        assert (job.state, [(item.id, item.code) for item in job.failed]) == ("done", [(document.id, "changed_meanwhile")])
        assert list(files(server)) == [path]
        await library.trash(vault, document.id)
        await purging.purge(vault, document.id)
        (server.folder / path).unlink()


async def dead(db: Database, vault: TenantDatabase) -> None:
    """As if every file's delivery had been tried as often as it is."""
    async with db.system() as tx:
        await tx.execute(
            """
            UPDATE deliveries SET state = 'dead'
            WHERE owner_id = %(owner)s AND event_id IN (SELECT id FROM events WHERE type = %(type)s)
            """,
            {"owner": vault.owner_id, "type": CloudFileChosen.TYPE},
        )


@pytest.mark.parametrize("chosen", [["a.txt", "b.txt"], [""]])
async def test_an_import_ends_if_its_connection_is_deleted(
    vault: TenantDatabase, server: DavServer, connection: Connection, chosen: list[str]
) -> None:
    put(server, "a.txt", TEXT)
    put(server, "b.txt", TEXT + b"2")
    await imports.begin(vault, connection.id, chosen)
    [job] = (await jobs.list_page(vault, PageQuery())).items
    await imports.run_slice(vault, job.id, 0)
    first, second = [UUID(event["document_id"]) for event in await events(vault, CloudFileChosen.TYPE)]
    assert await imports.fetch(vault, first)
    await connections.delete(vault, connection.id)
    assert await imports.fetch(vault, second) is False
    assert (await jobs.get(vault, job.id)).state == "running"
    await imports.run_slice(vault, job.id, 0)
    job = await jobs.get(vault, job.id)
    assert (job.state, job.total, job.done, job.failed) == ("done", 1, 1, [])
    assert (await usage(vault)).bytes_reserved == 0


@pytest.mark.parametrize("replaced", [False, True])
async def test_a_document_whose_fetch_died_at_the_last_step_is_counted(
    db: Database, vault: TenantDatabase, server: DavServer, connection: Connection, replaced: bool
) -> None:
    put(server, "a.txt", TEXT)
    [document] = await imports.begin(vault, connection.id, ["a.txt"])
    assert await imports.fetch(vault, document.id)
    async with db.system() as tx:
        await tx.execute("UPDATE cloud_imports SET taken_at = NULL WHERE owner_id = %(owner)s", {"owner": vault.owner_id})
        await tx.execute("UPDATE jobs SET state = 'running', done = 0 WHERE owner_id = %(owner)s", {"owner": vault.owner_id})
    await dead(db, vault)
    if replaced:
        await create(vault, replaces=document.id)
    [job] = (await jobs.list_page(vault, PageQuery())).items
    await imports.run_slice(vault, job.id, 0)
    job = await jobs.get(vault, job.id)
    assert (job.state, job.total, job.done, job.failed) == ("done", 1, 1, [])
    async with vault.transaction() as tx:
        uploads = await tx.fetch_value("SELECT count(*) FROM documents WHERE replaces = %(id)s", {"id": document.id})
    assert uploads == int(replaced), "what its client uploads is none of the import's business"


async def test_a_file_that_nobody_fetches_any_more_is_given_up(
    db: Database, vault: TenantDatabase, server: DavServer, connection: Connection
) -> None:
    put(server, "a.txt", TEXT)
    [document] = await imports.begin(vault, connection.id, ["a.txt"])
    await dead(db, vault)
    [job] = (await jobs.list_page(vault, PageQuery())).items
    await imports.run_slice(vault, job.id, 0)
    job = await jobs.get(vault, job.id)
    assert (job.state, [(item.id, item.code) for item in job.failed]) == ("done", [(document.id, "gave_up")])
    assert (await usage(vault)).bytes_reserved == 0


async def test_an_upload_of_the_same_bytes_that_never_arrives_costs_no_file(vault: TenantDatabase, cloud: Cloud) -> None:
    cloud.put("box/a.txt", TEXT)
    upload = await create(vault, TEXT, sha256=hashlib.sha256(TEXT).hexdigest())
    await imports.begin(vault, cloud.connection.id, ["box/a.txt"])
    await run_all(vault)
    await library.trash(vault, upload.document.id)
    assert sorted(await documents(vault)) == ["a.txt"]


async def test_deliveries_of_one_slice_count_once(vault: TenantDatabase, server: DavServer, connection: Connection) -> None:
    put(server, "box/a.txt", TEXT)
    put(server, "box/program.exe", b"MZ")
    await imports.begin(vault, connection.id, ["box/a.txt"])
    await run_all(vault)
    put(server, "box/deep/b.txt", TEXT + b"2")
    await imports.begin(vault, connection.id, ["box"])
    [job] = (await jobs.list_page(vault, PageQuery(limit=1))).items
    await asyncio.gather(*(imports.run_slice(vault, job.id, 0) for _ in range(4)))
    await run_all(vault)
    job = await jobs.get(vault, job.id)
    assert (job.state, job.total, job.done, [item.path for item in job.failed]) == ("done", 3, 2, ["box/program.exe"])
