"""Archives of documents that live in a cloud of their owner's."""

import io
import json
import zipfile

import pytest

from shared.cloud import moves
from shared.cloud.models import Connection
from shared.db import TenantDatabase
from shared.documents import archives
from shared.documents.archive_models import ArchiveRequest
from shared.documents.models import Document
from tests.cloud.conftest import ready, waiting_move
from tests.storage.servers.dav_server import DavServer, body, status


async def _made(vault: TenantDatabase) -> dict[str, bytes]:
    link = await archives.create(vault, ArchiveRequest())
    response = await archives.serve(link.url.rpartition("/")[2])
    assert not isinstance(response.body, bytes)
    with zipfile.ZipFile(io.BytesIO(b"".join([chunk async for chunk in response.body]))) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture
async def moved(vault: TenantDatabase, connection: Connection) -> Document:
    """A document in the cloud."""
    document = await ready(vault, b"In the cloud\n", "cloud.txt")
    await moves.request(vault, document.id, connection.id)
    move_id = await waiting_move(vault, document.id)
    assert move_id is not None
    await moves.carry_out(vault, document.id, move_id)
    return document


async def test_originals_come_from_the_cloud_and_from_the_bucket(vault: TenantDatabase, moved: Document) -> None:
    await ready(vault, b"In the bucket\n", "bucket.txt")
    files = await _made(vault)
    assert (files["cloud.txt"], files["bucket.txt"]) == (b"In the cloud\n", b"In the bucket\n")
    assert "errors.txt" not in files


async def test_what_was_changed_in_the_cloud_is_not_passed_off_as_the_document(
    vault: TenantDatabase, moved: Document, server: DavServer
) -> None:
    [path] = [path for path in server.folder.rglob("*") if path.is_file()]
    path.write_bytes(b"Something el\n")
    files = await _made(vault)
    assert "cloud.txt" not in files
    assert b"was changed in your cloud" in files["errors.txt"]
    path.unlink()
    assert b"is no longer where it was" in (await _made(vault))["errors.txt"]


async def test_a_cloud_that_is_down_costs_its_documents_alone(
    vault: TenantDatabase, moved: Document, server: DavServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "PAUSES_SECONDS", (0.0,))
    await ready(vault, b"In the bucket\n", "bucket.txt")
    server.fail("PROPFIND", *[status(503)] * 20)
    files = await _made(vault)
    assert files.keys() >= {"bucket.txt", "text/cloud.txt.txt", "errors.txt"}
    assert [json.loads(line)["filename"] for line in files["manifest.jsonl"].splitlines()] == [None, "bucket.txt"]


async def test_a_cloud_that_failed_for_several_documents_is_not_asked_for_the_rest(
    vault: TenantDatabase, connection: Connection, server: DavServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "PAUSES_SECONDS", ())
    for number in range(archives.UNREACHABLE_AFTER + 2):
        document = await ready(vault, f"letter {number}".encode(), f"{number}.txt")
        await moves.request(vault, document.id, connection.id)
        move_id = await waiting_move(vault, document.id)
        assert move_id is not None
        await moves.carry_out(vault, document.id, move_id)
    server.fail("PROPFIND", *[status(401)] * 20)
    before = len(server.asked)
    files = await _made(vault)
    assert len([asked for asked in server.asked[before:] if asked.method == "PROPFIND"]) == archives.UNREACHABLE_AFTER
    assert len(files["errors.txt"].splitlines()) == archives.UNREACHABLE_AFTER + 2
    assert files["errors.txt"].count(b"was not asked again") == 2


async def test_an_original_that_breaks_off_goes_on_from_there(
    vault: TenantDatabase, moved: Document, server: DavServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "PAUSES_SECONDS", (0.0,))
    server.fail("GET", body(200, b"In the", "text/plain"))
    before = len(server.asked)
    files = await _made(vault)
    assert files["cloud.txt"] == b"In the cloud\n"
    assert "errors.txt" not in files
    gets = [asked for asked in server.asked[before:] if asked.method == "GET"]
    assert ["bytes=6-" in str(asked.headers) for asked in gets] == [False, True]
