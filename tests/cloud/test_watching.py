"""Watched folders: what is new in a cloud becomes a document by itself, once, when it is whole; what cannot be taken is told."""

import asyncio
from uuid import UUID

import pytest

from shared.api.models import PageQuery
from shared.cloud import connections, imports, watching
from shared.cloud.models import Connection, WatchedFolder
from shared.db import Database, TenantDatabase
from shared.documents import jobs, library, quotas, upload_step
from shared.documents.change_models import Job
from shared.documents.upload_step import UPLOAD_COLUMNS, Upload
from shared.errors import LimitReached, NotFound
from shared.events.catalogue import CloudFileChosen, LookDue
from shared.storage import NameRefused
from tests.cloud.clouds import Cloud
from tests.cloud.killing import killed_at_each_request
from tests.cloud.test_imports import documents, events, put, run_all
from tests.documents.conftest import set_quota, usage
from tests.identity.browser import mails_to
from tests.storage.servers.dav_server import DavServer, status


async def watched(vault: TenantDatabase, connection: Connection) -> WatchedFolder:
    [folder] = await watching.list_all(vault, connection.id)
    return folder


async def look(vault: TenantDatabase, folder_id: UUID) -> bool:
    """The look that comes next, and what it leads to."""
    async with vault.transaction() as tx:
        looks = await tx.fetch_value("SELECT looks FROM watched_folders WHERE id = %(id)s", {"id": folder_id})
    looked = await watching.look(vault, folder_id, looks)
    await run_all(vault)
    return looked


async def job_list(vault: TenantDatabase) -> list[Job]:
    return (await jobs.list_page(vault, PageQuery())).items


async def test_what_is_new_in_any_cloud_becomes_a_document_once(vault: TenantDatabase, cloud: Cloud) -> None:
    cloud.put("box/a.txt", b"Dear heron, one.\n")
    cloud.put("elsewhere/z.txt", b"Dear heron, elsewhere.\n")
    folder = await watching.begin(vault, cloud.connection.id, "/box/")
    assert (folder.path, folder.waiting, folder.refused, folder.error) == ("box", 0, [], None)
    await look(vault, folder.id)
    assert await documents(vault) == {}, "it may still be growing"
    assert (await watched(vault, cloud.connection)).waiting == 1
    await look(vault, folder.id)
    assert sorted(await documents(vault)) == ["a.txt"]
    cloud.put("box/deep/er/b.txt", b"Dear heron, two.\n")
    cloud.put("box/same.txt", b"Dear heron, one.\n")
    for _ in range(4):
        await look(vault, folder.id)
    assert sorted(await documents(vault)) == ["a.txt", "b.txt"]
    assert (await usage(vault)).bytes_reserved == 0
    assert {job.state for job in await job_list(vault)} == {"done"}
    seen = await watched(vault, cloud.connection)
    assert (seen.waiting, seen.refused, seen.error) == (0, [], None)


async def test_a_file_that_grows_waits_until_it_is_whole(vault: TenantDatabase, cloud: Cloud) -> None:
    folder = await watching.begin(vault, cloud.connection.id, "")
    for size in range(1, 5):
        cloud.put("scan.txt", b"Dear heron. " * size)
        await look(vault, folder.id)
        assert await documents(vault) == {}
    await look(vault, folder.id)
    [document] = (await documents(vault)).values()
    assert document.size == 48


async def test_a_cloud_with_a_feed_lists_nothing_if_nothing_changed(vault: TenantDatabase, cloud: Cloud) -> None:
    cloud.put("box/deep/a.txt", b"Dear heron.\n")
    folder = await watching.begin(vault, cloud.connection.id, "box")
    for _ in range(3):
        await look(vault, folder.id)
    assert len(await documents(vault)) == 1
    cloud.server.asked.clear()
    await look(vault, folder.id)
    asked = len(cloud.server.asked)
    assert asked <= (2 if cloud.provider == "webdav" else 1)
    assert len(await documents(vault)) == 1


@pytest.mark.parametrize("cloud", ["google_drive", "onedrive"], indirect=True)
async def test_a_feed_that_has_forgotten_us_is_begun_anew(vault: TenantDatabase, cloud: Cloud) -> None:
    folder = await watching.begin(vault, cloud.connection.id, "")
    await look(vault, folder.id)
    position = "999" if cloud.provider == "google_drive" else f"{cloud.server.url}/me/drive/root/delta?token=999"
    async with vault.transaction() as tx:
        await tx.execute("UPDATE watched_folders SET position = %(position)s", {"position": position})
    cloud.put("a.txt", b"Dear heron.\n")
    for _ in range(2):
        await look(vault, folder.id)
    assert len(await documents(vault)) == 1


@pytest.mark.parametrize("cloud", ["onedrive"], indirect=True)
async def test_a_feed_that_goes_on_elsewhere_gets_no_token(vault: TenantDatabase, cloud: Cloud) -> None:
    folder = await watching.begin(vault, cloud.connection.id, "")
    async with vault.transaction() as tx:
        await tx.execute("UPDATE watched_folders SET position = %(url)s", {"url": f"http://127.0.0.1:{cloud.server._port}/elsewhere"})
    cloud.server.asked.clear()
    await look(vault, folder.id)
    assert cloud.server.asked == []
    assert (await watched(vault, cloud.connection)).error


async def test_what_cannot_be_taken_is_told(vault: TenantDatabase, db: Database, server: DavServer, connection: Connection) -> None:
    put(server, "box/program.exe", b"MZ")
    put(server, "box/empty.txt", b"")
    put(server, "box/long.txt", b"Dear heron. " * 100)
    put(server, "box/.hidden.txt", b"x")
    put(server, "box/short.txt", b"Dear heron.\n")
    async with db.system() as tx:
        await tx.execute("UPDATE account_usage SET bytes_quota = 100 WHERE owner_id = %(owner)s", {"owner": vault.owner_id})
    folder = await watching.begin(vault, connection.id, "box")
    for _ in range(3):
        await look(vault, folder.id)
    refused = {file.path: file.code for file in (await watched(vault, connection)).refused}
    expected = {"box/program.exe": "unsupported_type", "box/empty.txt": "empty_document", "box/long.txt": "quota_exceeded"}
    assert refused == expected
    assert sorted(await documents(vault)) == ["short.txt"]
    assert len(await job_list(vault)) == 1, "what is refused again and again makes no job"
    async with db.system() as tx:
        await tx.execute("UPDATE account_usage SET bytes_quota = 10000 WHERE owner_id = %(owner)s", {"owner": vault.owner_id})
    await look(vault, folder.id)
    assert sorted(await documents(vault)) == ["long.txt", "short.txt"]


@pytest.mark.parametrize("cloud", ["nextcloud", "google_drive", "onedrive"], indirect=True)
async def test_a_file_that_failed_is_tried_again_after_a_day_though_nothing_changed(
    vault: TenantDatabase, db: Database, cloud: Cloud
) -> None:
    cloud.put("box/a.txt", b"Dear heron.\n")
    cloud.put("box/gone.txt", b"Dear crane.\n")
    folder = await watching.begin(vault, cloud.connection.id, "box")
    for looks in range(2):
        await watching.look(vault, folder.id, looks)
    async with vault.transaction() as tx:
        uploads = await tx.fetch_all(f"SELECT {UPLOAD_COLUMNS} FROM documents", {}, row=Upload)
    for upload in uploads:
        assert await upload_step.discard(vault, upload)
    [job] = await job_list(vault)
    await imports.run_slice(vault, job.id, 0)
    assert [item.code for item in (await jobs.get(vault, job.id)).failed] == ["gave_up", "gave_up"]
    for _ in range(2):
        await look(vault, folder.id)
    assert await documents(vault) == {}, "it is left alone for a day"
    async with db.system() as tx:
        await tx.execute(
            "UPDATE cloud_imports SET failed_at = now() - interval '25 hours' WHERE owner_id = %(owner)s AND path = 'box/a.txt'",
            {"owner": vault.owner_id},
        )
        # Of what is not there any more nothing is to be found, however often.
        await tx.execute(
            """
            UPDATE cloud_imports SET failed_at = now() - interval '25 hours', path = 'box/of old.txt'
            WHERE owner_id = %(owner)s AND path = 'box/gone.txt'
            """,
            {"owner": vault.owner_id},
        )
    for _ in range(2):
        await look(vault, folder.id)
    assert "a.txt" in await documents(vault)
    for _ in range(2):
        await look(vault, folder.id)
    cloud.server.asked.clear()
    await look(vault, folder.id)
    assert len(cloud.server.asked) <= 1, "it is quiet again"


@pytest.mark.parametrize("cloud", ["nextcloud"], indirect=True)
async def test_a_file_whose_room_was_taken_meanwhile_is_tried_again_though_nothing_changed(
    vault: TenantDatabase, db: Database, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def room_a_moment_ago(*_: object) -> int:
        return 10**6

    cloud.put("box/a.txt", b"Dear heron.\n")
    await set_quota(db, vault.owner_id, 5)
    folder = await watching.begin(vault, cloud.connection.id, "box")
    with monkeypatch.context() as patched:
        patched.setattr(quotas, "room", room_a_moment_ago)
        for _ in range(2):
            await look(vault, folder.id)
    assert [file.code for file in (await watched(vault, cloud.connection)).refused] == ["quota_exceeded"]
    await set_quota(db, vault.owner_id, 500)
    await look(vault, folder.id)
    assert sorted(await documents(vault)) == ["a.txt"]


async def test_a_file_that_is_too_large_is_told_and_makes_no_job(
    vault: TenantDatabase, db: Database, server: DavServer, connection: Connection
) -> None:
    put(server, "box/long.txt", b"Dear heron. " * 100)
    async with db.system() as tx:
        await tx.execute("INSERT INTO system_settings (name, value) VALUES ('max_document_size', '1000')")
    try:
        folder = await watching.begin(vault, connection.id, "box")
        for _ in range(4):
            await look(vault, folder.id)
        refused = [(file.path, file.code) for file in (await watched(vault, connection)).refused]
        assert (refused, await job_list(vault)) == ([("box/long.txt", "document_too_large")], [])
    finally:
        async with db.system() as tx:
            await tx.execute("DELETE FROM system_settings WHERE name = 'max_document_size'")


async def test_what_the_owner_has_thrown_away_does_not_come_back(vault: TenantDatabase, server: DavServer, connection: Connection) -> None:
    put(server, "a.txt", b"Dear heron.\n")
    put(server, "b.txt", b"Dear crane.\n")
    folder = await watching.begin(vault, connection.id, "")
    for _ in range(2):
        await look(vault, folder.id)
    found = await documents(vault)
    await library.trash(vault, found["a.txt"].id)
    async with vault.transaction() as tx:
        await tx.execute("DELETE FROM documents WHERE id = %(id)s", {"id": found["b.txt"].id})
    for _ in range(3):
        await look(vault, folder.id)
    async with vault.transaction() as tx:
        assert await tx.fetch_value("SELECT count(*) FROM documents") == 1
    put(server, "a.txt", b"Dear heron, another one.\n")
    for _ in range(2):
        await look(vault, folder.id)
    async with vault.transaction() as tx:
        assert await tx.fetch_value("SELECT count(*) FROM documents WHERE trashed_at IS NULL") == 1


async def test_documents_that_live_there_do_not_come_in_again(vault: TenantDatabase, cloud: Cloud) -> None:
    from tests.cloud.conftest import ready
    from tests.cloud.test_moves import move

    document = await ready(vault, b"Dear heron.\n")
    await move(vault, document, cloud.connection.id)
    for path in ("", f"DocuVault/{document.created_at:%Y}"):
        folder = await watching.begin(vault, cloud.connection.id, path)
        for _ in range(3):
            await look(vault, folder.id)
    assert (await usage(vault)).documents == 1


async def test_a_folder_that_is_gone_and_a_cloud_that_is_down_are_told_and_tried_again(
    vault: TenantDatabase, server: DavServer, connection: Connection
) -> None:
    put(server, "box/a.txt", b"Dear heron.\n")
    folder = await watching.begin(vault, connection.id, "box")
    server.fail("PROPFIND", *[status(503)] * 3)
    await look(vault, folder.id)
    assert (await watched(vault, connection)).error
    (server.folder / "box").rename(server.folder / "away")
    await look(vault, folder.id)
    first = await watched(vault, connection)
    assert first.error == "The folder is not there any more; stop watching it, or put it back."
    await look(vault, folder.id)
    assert (await watched(vault, connection)).next_look_at > first.next_look_at
    (server.folder / "away").rename(server.folder / "box")
    for _ in range(2):
        await look(vault, folder.id)
    assert (await watched(vault, connection)).error is None
    assert len(await documents(vault)) == 1


async def test_credentials_that_are_rejected_break_the_connection_mail_once_and_stop_the_looks(
    db: Database, vault: TenantDatabase, server: DavServer, connection: Connection
) -> None:
    folder = await watching.begin(vault, connection.id, "")
    for _ in range(2):
        server.fail("PROPFIND", status(401))
        await look(vault, folder.id)
    [broken] = await connections.list_all(vault)
    assert broken.state == "broken"
    assert len(await mails_to(db, f"{vault.owner_id.hex}@example.org")) == 1
    async with db.system() as tx:
        await tx.execute("UPDATE watched_folders SET next_look_at = now() WHERE id = %(id)s", {"id": folder.id})
    before = len(await events(vault, LookDue.TYPE))
    await watching.announce_due()
    assert len(await events(vault, LookDue.TYPE)) == before
    await connections.mark_ok(vault, connection.id)
    await watching.announce_due()
    assert len(await events(vault, LookDue.TYPE)) == before + 1


async def test_looks_are_announced_when_they_are_due_and_happen_once(
    db: Database, vault: TenantDatabase, server: DavServer, connection: Connection
) -> None:
    put(server, "a.txt", b"Dear heron.\n")
    folder = await watching.begin(vault, connection.id, "")
    [first] = await events(vault, LookDue.TYPE)
    await watching.announce_due()
    assert await events(vault, LookDue.TYPE) == [first], "the first one is under way"
    results = await asyncio.gather(*(watching.look(vault, folder.id, first["looks"]) for _ in range(3)))
    assert results.count(True) == 1
    assert await watching.look(vault, folder.id, first["looks"]) is False
    async with db.system() as tx:
        await tx.execute("UPDATE watched_folders SET next_look_at = now() WHERE id = %(id)s", {"id": folder.id})
    await watching.announce_due()
    [_, second] = await events(vault, LookDue.TYPE)
    results = await asyncio.gather(*(watching.look(vault, folder.id, second["looks"]) for _ in range(3)))
    assert results.count(True) == 1
    await run_all(vault)
    assert (await usage(vault)).documents == 1
    assert len(await events(vault, CloudFileChosen.TYPE)) == 1


async def test_a_cancelled_look_takes_nothing_more_and_leaves_it_alone(
    vault: TenantDatabase, server: DavServer, connection: Connection
) -> None:
    put(server, "a.txt", b"Dear heron.\n")
    folder = await watching.begin(vault, connection.id, "")
    for looks in range(2):
        await watching.look(vault, folder.id, looks)
    [job] = await job_list(vault)
    assert (job.kind, job.state, job.total) == ("import", "running", 1)
    await jobs.cancel(vault, job.id)
    for _ in range(3):
        await look(vault, folder.id)
    assert await documents(vault) == {}
    assert (await usage(vault)).bytes_reserved == 0


async def test_only_ones_own_folders_are_watched_and_not_too_many(
    vault: TenantDatabase, db: Database, other_owner: UUID, server: DavServer, connection: Connection
) -> None:
    put(server, "box/a.txt", b"x")
    stranger = TenantDatabase(db, other_owner)
    for asking, path, error in (
        (stranger, "box", NotFound),
        (vault, "nowhere", NotFound),
        (vault, "box/a.txt", NotFound),
        (vault, "..", NameRefused),
    ):
        with pytest.raises(error):
            await watching.begin(asking, connection.id, path)
    folder = await watching.begin(vault, connection.id, "box")
    assert (await watching.begin(vault, connection.id, "box/")).id == folder.id
    with pytest.raises(NotFound):
        await watching.list_all(stranger, connection.id)
    with pytest.raises(NotFound):
        await watching.end(stranger, connection.id, folder.id)
    assert await watching.look(stranger, folder.id, 0) is False
    for number in range(watching.MOST_WATCHED - 1):
        (server.folder / f"f{number}").mkdir()
        await watching.begin(vault, connection.id, f"f{number}")
    (server.folder / "more").mkdir()
    with pytest.raises(LimitReached):
        await watching.begin(vault, connection.id, "more")
    await watching.end(vault, connection.id, folder.id)
    assert await watching.look(vault, folder.id, 0) is False
    await watching.begin(vault, connection.id, "more")


async def test_a_look_killed_at_any_request_loses_and_doubles_nothing(vault: TenantDatabase, cloud: Cloud) -> None:
    """kill -9 when the server has the n-th request of the look that takes the files, for every n that there is."""
    for number in range(3):
        cloud.put(f"box/{number}/letter.txt", f"Dear heron {number}.\n".encode())
    folder = await watching.begin(vault, cloud.connection.id, "box")
    await look(vault, folder.id)
    killed = 0
    async for _ in killed_at_each_request(cloud, vault.owner_id, f"watching.look(db, UUID('{folder.id}'), 1)"):
        killed += 1
    assert killed >= 3
    for _ in range(3):
        await look(vault, folder.id)
    async with vault.transaction() as tx:
        assert await tx.fetch_value("SELECT count(*) FROM documents") == 3
    for job in await job_list(vault):
        await imports.run_slice(vault, job.id, 0)
    assert {job.state for job in await job_list(vault)} == {"done"}
