"""Imports and exports are jobs: listed with their progress, told by server-sent events, cancelled, and ended whatever becomes of a file."""

import asyncio
import json
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from shared.clock import now
from shared.cloud import exports, imports
from shared.cloud.models import Connection
from shared.db import Database, TenantDatabase
from shared.documents import changes, jobs, library
from shared.errors import NotFound, RateLimited
from shared.events.catalogue import CloudFileChosen
from shared.storage import StorageUnavailable
from tests.cloud.clouds import Cloud
from tests.cloud.conftest import files, ready
from tests.cloud.test_imports import documents, events, export, put, run_all
from tests.cloud.test_watching import job_list
from tests.documents.conftest import usage
from tests.storage.servers.dav_server import DavServer, status
from tests.storage.servers.drive_server import refusing

TEXT = b"Dear heron,\nthe waterworks send their quarterly invoice.\n"


async def fetch_all(vault: TenantDatabase) -> None:
    for event in await events(vault, CloudFileChosen.TYPE):
        await imports.fetch(vault, UUID(event["document_id"]))


async def test_an_import_is_a_job_that_counts_its_files(vault: TenantDatabase, server: DavServer, connection: Connection) -> None:
    for number in range(3):
        put(server, f"box/{number}.txt", TEXT + str(number).encode())
    put(server, "box/deep/program.exe", b"MZ")
    put(server, "one.txt", TEXT)
    await imports.begin(vault, connection.id, ["box", "one.txt"])
    [job] = await job_list(vault)
    assert (job.kind, job.state, job.total, job.done) == ("import", "running", None, 0)
    assert await imports.run_slice(vault, job.id, 0)
    job = await jobs.get(vault, job.id)
    assert (job.state, job.total, job.done) == ("running", 5, 0)
    assert [(item.code, item.path) for item in job.failed] == [("unsupported_type", "box/deep/program.exe")]
    await fetch_all(vault)
    job = await jobs.get(vault, job.id)
    assert (job.state, job.total, job.done) == ("done", 5, 4)
    assert job.finished_at is not None
    assert "path" in job.model_dump(mode="json")["failed"][0]
    await fetch_all(vault)
    await imports.run_slice(vault, job.id, 0)
    assert await jobs.get(vault, job.id) == job


async def test_what_is_here_already_counts_at_once(vault: TenantDatabase, server: DavServer, connection: Connection) -> None:
    put(server, "box/a.txt", TEXT)
    await imports.begin(vault, connection.id, ["box"])
    await run_all(vault)
    await imports.begin(vault, connection.id, ["box/a.txt"])
    newest = (await job_list(vault))[0]
    assert (newest.state, newest.total, newest.done) == ("done", 1, 1)
    await imports.begin(vault, connection.id, ["box"])
    await run_all(vault)
    newest = (await job_list(vault))[0]
    assert (newest.state, newest.total, newest.done) == ("done", 1, 1)


async def test_a_file_that_fails_is_counted_with_its_path(vault: TenantDatabase, server: DavServer, connection: Connection) -> None:
    for name in ("gone", "changed", "good"):
        put(server, f"{name}.txt", TEXT + name.encode())
    begun = await imports.begin(vault, connection.id, ["gone.txt", "changed.txt", "good.txt"])
    (server.folder / "gone.txt").unlink()
    put(server, "changed.txt", TEXT)
    await fetch_all(vault)
    [job] = await job_list(vault)
    assert (job.state, job.total, job.done) == ("done", 3, 1)
    failed = {item.path: (item.id, item.code) for item in job.failed}
    assert failed == {"gone.txt": (begun[0].id, "not_found"), "changed.txt": (begun[1].id, "changed_meanwhile")}


async def test_a_job_ends_though_nobody_fetches_a_file_any_more(
    db: Database, vault: TenantDatabase, server: DavServer, connection: Connection
) -> None:
    for name in ("dead", "good"):
        put(server, f"{name}.txt", TEXT + name.encode())
    [dead, good] = await imports.begin(vault, connection.id, ["dead.txt", "good.txt"])
    assert await imports.fetch(vault, good.id)
    async with db.system() as tx:
        await tx.execute(
            """
            UPDATE deliveries SET state = 'dead' FROM events
            WHERE events.id = deliveries.event_id AND events.dedup_key = %(key)s
            """,
            {"key": CloudFileChosen(owner_id=vault.owner_id, document_id=dead.id).dedup_key},
        )
    [job] = await job_list(vault)
    await imports.run_slice(vault, job.id, 0)
    job = await jobs.get(vault, job.id)
    assert (job.state, job.done) == ("done", 1)
    assert [(item.id, item.code) for item in job.failed] == [(dead.id, "gave_up")]
    assert (await usage(vault)).bytes_reserved == 0
    assert await imports.fetch(vault, dead.id) is False


async def test_a_cancelled_import_keeps_what_it_has_and_takes_nothing_more(
    vault: TenantDatabase, server: DavServer, connection: Connection
) -> None:
    for number in range(3):
        put(server, f"box/{number}.txt", TEXT + str(number).encode())
        put(server, f"box/deep/{number}.txt", TEXT + b"deep" + str(number).encode())
    put(server, "one.txt", TEXT)
    [one] = await imports.begin(vault, connection.id, ["one.txt", "box"])
    assert await imports.fetch(vault, one.id)
    [job] = await job_list(vault)
    assert (await jobs.cancel(vault, job.id)).state == "cancelled"
    await run_all(vault)
    assert sorted(await documents(vault)) == ["one.txt"]
    await imports.begin(vault, connection.id, ["box"])
    newest = (await job_list(vault))[0]
    await imports.run_slice(vault, newest.id, 0)
    await jobs.cancel(vault, newest.id)
    await run_all(vault)
    assert sorted(await documents(vault)) == ["one.txt"]
    assert (await usage(vault)).bytes_reserved == 0
    assert (await jobs.get(vault, newest.id)).state == "cancelled"


async def test_an_export_is_a_job_that_counts_its_copies(vault: TenantDatabase, server: DavServer, connection: Connection) -> None:
    chosen = [await ready(vault, TEXT + str(number).encode(), f"{number}.txt") for number in range(3)]
    waiting = await export(vault, connection, [document.id for document in chosen], "out")
    [job] = await job_list(vault)
    assert (job.kind, job.state, job.total, job.done) == ("export", "running", 3, 0)
    server.fail("PUT", status(503))
    with pytest.raises(StorageUnavailable):
        await exports.carry_out(vault, waiting[0])
    assert await exports.carry_out(vault, waiting[0])
    server.fail("PUT", status(403))
    assert await exports.carry_out(vault, waiting[1]) is False
    job = await jobs.get(vault, job.id)
    assert (job.state, job.done) == ("running", 1)
    assert [(item.id, item.code) for item in job.failed] == [(chosen[1].id, "name_refused")]
    async with vault.transaction() as tx:
        await tx.execute("DELETE FROM documents WHERE id = %(id)s", {"id": chosen[2].id})
    assert await exports.carry_out(vault, waiting[2]) is False
    await exports.run_slice(vault, job.id, 0)
    job = await jobs.get(vault, job.id)
    assert (job.state, job.total, job.done) == ("done", 2, 1)


async def test_a_cancelled_export_makes_no_more_copies(vault: TenantDatabase, server: DavServer, connection: Connection) -> None:
    chosen = [await ready(vault, TEXT + str(number).encode(), f"{number}.txt") for number in range(2)]
    waiting = await export(vault, connection, [document.id for document in chosen], "out")
    assert await exports.carry_out(vault, waiting[0])
    [job] = await job_list(vault)
    await jobs.cancel(vault, job.id)
    assert await exports.carry_out(vault, waiting[1]) is False
    assert list(files(server)) == ["out/0.txt"]


async def test_a_copy_that_nobody_makes_any_more_is_counted(
    db: Database, vault: TenantDatabase, server: DavServer, connection: Connection
) -> None:
    document = await ready(vault, TEXT)
    await export(vault, connection, [document.id], "out")
    async with db.system() as tx:
        await tx.execute(
            "UPDATE deliveries SET state = 'dead' WHERE owner_id = %(owner)s AND function = 'export_cloud_file'", {"owner": vault.owner_id}
        )
    [job] = await job_list(vault)
    await exports.run_slice(vault, job.id, 0)
    job = await jobs.get(vault, job.id)
    assert (job.state, [(item.id, item.code) for item in job.failed]) == ("done", [(document.id, "gave_up")])


async def test_jobs_are_told_as_they_go(vault: TenantDatabase, server: DavServer, connection: Connection) -> None:
    put(server, "a.txt", TEXT)
    put(server, "b.txt", TEXT + b"b")
    told: list[dict[str, Any]] = []
    ended = asyncio.Event()

    async def yes() -> bool:
        return True

    connected = asyncio.Event()

    async def listen() -> None:
        async for block in changes.stream(vault, last_event_id=None, ends_at=now() + timedelta(minutes=5), still_allowed=yes):
            connected.set()
            if b"event: job\n" in block:
                assert b"id:" not in block.partition(b"\n")[0]
                told.append(json.loads(block.partition(b"data: ")[2]))
                if told[-1]["state"] == "done":
                    ended.set()

    listening = asyncio.create_task(listen())
    async with asyncio.timeout(60):
        await connected.wait()
        begun = await imports.begin(vault, connection.id, ["a.txt", "b.txt"])
        for document in begun:
            await imports.fetch(vault, document.id)
        await ended.wait()
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)
    [job] = await job_list(vault)
    assert told[-1] == job.model_dump(mode="json")
    assert len({json.dumps(each) for each in told}) == len(told), "nothing is told twice"


async def test_there_are_not_too_many_jobs_at_once_and_each_is_its_owners(
    vault: TenantDatabase, db: Database, other_owner: UUID, server: DavServer, connection: Connection
) -> None:
    (server.folder / "box").mkdir()
    for _ in range(jobs.FILES_AT_ONCE):
        await imports.begin(vault, connection.id, ["box"])
    with pytest.raises(RateLimited):
        await imports.begin(vault, connection.id, ["box"])
    job = (await job_list(vault))[0]
    stranger = TenantDatabase(db, other_owner)
    with pytest.raises(NotFound):
        await jobs.cancel(stranger, job.id)
    assert await imports.run_slice(stranger, job.id, 0) is False


@pytest.mark.parametrize("cloud", ["google_drive"], indirect=True)
async def test_what_the_cloud_says_is_here_is_not_even_fetched(vault: TenantDatabase, cloud: Cloud) -> None:
    document = await ready(vault, TEXT)
    cloud.put("box/same.txt", TEXT)
    [found] = await imports.begin(vault, cloud.connection.id, ["box/same.txt"])
    assert found.id == document.id
    await imports.begin(vault, cloud.connection.id, ["box"])
    await run_all(vault)
    assert ("GET", "media") not in cloud.server.asked
    assert {job.state for job in await job_list(vault)} == {"done"}


@pytest.mark.parametrize("cloud", ["google_drive"], indirect=True)
async def test_documents_of_googles_own_kinds_come_as_pdfs(vault: TenantDatabase, cloud: Cloud) -> None:
    drive = cloud.server
    notes = drive.add("Notes", mime_type="application/vnd.google-apps.document")
    drive.add("A form", mime_type="application/vnd.google-apps.form")
    drive.add("Elsewhere", mime_type="application/vnd.google-apps.shortcut")
    await imports.begin(vault, cloud.connection.id, [""])
    await run_all(vault)
    [document] = (await documents(vault)).values()
    assert (document.filename, document.content_type, document.size) == ("Notes.pdf", "application/pdf", len(b"%PDF exported"))
    [job] = await job_list(vault)
    assert sorted((item.code, item.path) for item in job.failed) == [("unsupported_type", "A form"), ("unsupported_type", "Elsewhere")]
    assert ((await usage(vault)).bytes_used, (await usage(vault)).bytes_reserved) == (document.size, 0)
    before = len(drive.asked)
    assert [known.id for known in await imports.begin(vault, cloud.connection.id, ["Notes"])] == [document.id]
    assert ("GET", "export") not in drive.asked[before:]
    drive.change(notes, b"")
    drive.fail("GET export", refusing(403, "exportSizeLimitExceeded"))
    await imports.begin(vault, cloud.connection.id, ["Notes"])
    await run_all(vault)
    newest = (await job_list(vault))[0]
    assert [(item.code, item.path) for item in newest.failed] == [("name_refused", "Notes")]
    assert (await library.get(vault, document.id)).filename == "Notes.pdf"
