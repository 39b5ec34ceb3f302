"""Taking everything out: a link, and the ZIP that it streams."""

import io
import json
import zipfile
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import pytest

from shared.clock import now
from shared.config import settings
from shared.db import Database, TenantDatabase
from shared.documents import archives
from shared.documents.archive_models import ArchiveRequest
from shared.identity import api_tokens
from shared.storage import StorageUnavailable, object_store
from tests.documents.conftest import read_through, row
from tests.faas.asgi import Heard, ask
from tests.functions.documents.conftest import Person


async def _link(person: Person, asked: Mapping[str, Any] | None = None) -> str:
    """The path of a link."""
    answer = await person.ask("POST", "/api/documents/archive", json=asked or {})
    assert answer.status == 200, answer.body
    assert answer.json().keys() == {"url", "expires_at"}
    url: str = answer.json()["url"]
    return urlsplit(url).path


async def _fetch(person: Person, path: str, method: str = "GET") -> Heard:
    """As a browser does that follows a link: without a token."""
    return await ask(person.app, method, path)


class Archive:
    """An archive that is whole."""

    def __init__(self, answer: Heard) -> None:
        assert (answer.status, answer.complete) == (200, True), answer.body
        with zipfile.ZipFile(io.BytesIO(answer.body)) as opened:
            assert opened.testzip() is None
            self.files = {name: opened.read(name) for name in opened.namelist()}
            self.stored = {info.filename for info in opened.infolist() if info.compress_type == zipfile.ZIP_STORED}
        self.manifest = [json.loads(line) for line in self.files["manifest.jsonl"].splitlines()]
        self.errors = self.files.get("errors.txt", b"").decode()


async def _archive(person: Person, asked: Mapping[str, Any] | None = None) -> Archive:
    return Archive(await _fetch(person, await _link(person, asked)))


async def test_everything_outside_the_trash_comes_out_with_its_text_and_what_is_known_of_it(
    person: Person, another: Person, db: Database
) -> None:
    letter = await person.upload(b"Dear heron,\nthe waterworks.\n", "Brief: März?.txt")
    scan = await person.upload(b"%PDF-1.4 none", "scan.pdf", "application/pdf")
    gone = await person.upload(b"gone", "gone.txt")
    await another.upload(b"theirs", "theirs.txt")
    await person.ask("DELETE", f"/api/documents/{gone['id']}")
    await person.ask("POST", "/api/documents", json={"filename": "coming.txt", "size": 5, "content_type": "text/plain"})
    await read_through(TenantDatabase(db, person.owner), UUID(letter["id"]))
    change = {"title": "Water", "notes": "paid", "issued_on": "2025-03-01", "sender": "Waterworks"}
    assert (await person.ask("PATCH", f"/api/documents/{letter['id']}", json=change)).status == 200

    path = await _link(person)
    answer = await _fetch(person, path)
    assert answer.header("content-type") == "application/zip"
    assert answer.header("content-disposition") == f'attachment; filename="docuvault-{now():%Y-%m-%d}.zip"'
    assert answer.header("cache-control") == "private, no-store"
    archive = Archive(answer)
    assert archive.files.keys() == {"Brief_ März_.txt", "text/Brief_ März_.txt.txt", "scan.pdf", "manifest.jsonl"}
    assert archive.files["Brief_ März_.txt"] == b"Dear heron,\nthe waterworks.\n"
    assert archive.files["text/Brief_ März_.txt.txt"].decode().split() == ["Dear", "heron,", "the", "waterworks."]
    assert archive.files["scan.pdf"] == b"%PDF-1.4 none"
    assert archive.stored == {"scan.pdf"}
    first, second = archive.manifest
    shown = (await person.ask("GET", f"/api/documents/{letter['id']}")).json()
    assert shown | change | {"sender": shown["sender"]} == shown
    expected = {"filename": "Brief_ März_.txt", "original_filename": shown["filename"], "text_filename": "text/Brief_ März_.txt.txt"}
    assert first == shown | expected | {"archive_error": None, "earlier_versions": []}
    assert (second["id"], second["filename"], second["text_filename"]) == (scan["id"], "scan.pdf", None)


async def test_earlier_versions_come_out_too(person: Person) -> None:
    letter = await person.upload(b"first", "Letter.txt")
    await person.upload(b"second", "Letter.md", "text/markdown", replaces=letter["id"])
    lost = await person.upload(b"third", "third.txt", replaces=letter["id"])
    assert lost["version"] == 3
    archive = await _archive(person)
    assert archive.files.keys() == {"third.txt", "versions/third.txt/1.txt", "versions/third.txt/2.md", "manifest.jsonl"}
    assert [archive.files[f"versions/third.txt/{name}"] for name in ("1.txt", "2.md")] == [b"first", b"second"]
    [line] = archive.manifest
    assert [(one["number"], one["filename"], one["original_filename"], one["size"]) for one in line["earlier_versions"]] == [
        (1, "versions/third.txt/1.txt", "Letter.txt", 5),
        (2, "versions/third.txt/2.md", "Letter.md", 6),
    ]


async def test_an_earlier_version_that_cannot_be_had_is_named(person: Person, db: Database) -> None:
    letter = await person.upload(b"first")
    key = await row(TenantDatabase(db, person.owner), UUID(letter["id"]), "object_key")
    await person.upload(b"second", replaces=letter["id"])
    await object_store().delete(key)
    archive = await _archive(person)
    assert archive.files["letter.txt"] == b"second"
    assert archive.manifest[0]["archive_error"] is None
    [earlier] = archive.manifest[0]["earlier_versions"]
    assert earlier["filename"] is None
    assert earlier["archive_error"] in archive.errors


async def test_ids_choose_also_from_the_trash_and_what_is_not_there_is_named(person: Person, another: Person) -> None:
    mine, other, theirs = await person.upload(b"mine"), await person.upload(b"other"), await another.upload(b"theirs")
    await person.ask("DELETE", f"/api/documents/{mine['id']}")
    asked = {"filename": "coming.txt", "size": 5, "content_type": "text/plain"}
    coming = (await person.ask("POST", "/api/documents", json=asked)).json()["document"]
    unknown = str(uuid4())
    archive = await _archive(person, {"ids": [theirs["id"], mine["id"], mine["id"], coming["id"], unknown]})
    assert [line["id"] for line in archive.manifest] == [mine["id"]]
    assert archive.errors.splitlines() == [
        f"{theirs['id']}: There is no such document any more.",
        f"coming.txt ({coming['id']}): The document has not arrived yet.",
        f"{unknown}: There is no such document any more.",
    ]
    assert other["id"] not in str(archive.files)
    assert (await _archive(person, {"ids": []})).files == {"manifest.jsonl": b""}


async def test_a_filter_and_a_query_choose(person: Person, db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "BATCH", 2)
    heron = [await person.upload(f"heron number {number}".encode(), "a.txt") for number in range(5)]
    stork = await person.upload(b"stork", "stork.md", "text/markdown")
    for document in (*heron, stork):
        await read_through(TenantDatabase(db, person.owner), UUID(document["id"]))
    for asked in ({"filter": {"content_type": ["text/plain"]}}, {"filter": {"q": "heron"}}, {"filter": {"q": "type:txt"}}):
        archive = await _archive(person, asked)
        assert [line["id"] for line in archive.manifest] == [document["id"] for document in heron], asked
        assert [line["filename"] for line in archive.manifest] == ["a.txt", *(f"a ({number}).txt" for number in range(2, 6))]
    assert len((await _archive(person)).manifest) == 6


async def test_what_comes_after_the_link_is_left_out(person: Person) -> None:
    path = await _link(person)
    await person.upload(b"late")
    assert Archive(await _fetch(person, path)).manifest == []


@pytest.mark.parametrize(
    "asked", [{"ids": [], "filter": {}}, {"filter": {"q": "topic:Nowhere"}}, {"ids": [str(UUID(int=1))] * 1001}, {"x": 1}]
)
async def test_a_request_that_makes_no_sense_is_refused(person: Person, asked: dict[str, Any]) -> None:
    assert (await person.ask("POST", "/api/documents/archive", json=asked)).status == 422


async def test_a_thousand_ids_fit(person: Person) -> None:
    archive = await _archive(person, {"ids": [str(uuid4()) for _ in range(1000)]})
    assert len(archive.errors.splitlines()) == 1000


async def test_a_document_without_its_original_is_named_and_the_others_come(person: Person, db: Database) -> None:
    lost, there = await person.upload(b"lost", "lost.txt"), await person.upload(b"there", "there.txt")
    vault = TenantDatabase(db, person.owner)
    await read_through(vault, UUID(lost["id"]))
    await object_store().delete(await row(vault, UUID(lost["id"]), "object_key"))
    archive = await _archive(person)
    assert archive.files.keys() == {"text/lost.txt.txt", "there.txt", "manifest.jsonl", "errors.txt"}
    assert archive.errors.startswith(f"lost.txt ({lost['id']}): ")
    assert [(line["filename"], bool(line["archive_error"])) for line in archive.manifest] == [(None, True), ("there.txt", False)]
    assert there["id"] == archive.manifest[1]["id"]


async def test_an_original_that_ends_early_is_named_and_what_came_is_there(
    person: Person, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "PAUSES_SECONDS", (0.0,))
    for number in range(archives.UNREACHABLE_AFTER + 1):
        short = await person.upload(b"four and more %d" % number, "short.txt")
        key = await row(TenantDatabase(db, person.owner), UUID(short["id"]), "object_key")
        await object_store().put(key, b"four", content_type="text/plain")
    await person.upload(b"there", "there.txt")
    archive = await _archive(person)
    assert (archive.files["short.txt"], archive.files["there.txt"]) == (b"four", b"there")
    assert "Only its first 4 of 15 bytes are here." in archive.errors
    assert "Only its first 4" in archive.manifest[0]["archive_error"]


async def test_a_link_that_was_tampered_with_or_has_expired_is_404(person: Person, db: Database) -> None:
    path = await _link(person)
    token = path.rpartition("/")[2]
    other = "A" if token[30] != "A" else "B"
    archive_id = UUID(int=1)
    expired, unknown = (archives._link(person.owner, archive_id, at).rpartition("/")[2] for at in (now(), now() + archives.LINK_LIFETIME))
    for bad in (token[:-1], token[:30] + other + token[31:], token + "A", "x", "A" * 500, "%00", expired, unknown):
        assert (await _fetch(person, f"/api/archives/{bad}")).code == "not_found", bad
    async with db.system() as tx:
        await tx.execute("UPDATE users SET disabled = true WHERE id = %(id)s", {"id": person.owner})
    assert (await _fetch(person, path)).code == "not_found"


async def test_a_link_says_nothing_of_the_documents_and_is_not_kept_for_long(person: Person, db: Database) -> None:
    await _link(person)
    async with db.tenant(person.owner) as tx:
        await tx.execute("UPDATE idempotency_keys SET created_at = now() - interval '6 minutes'")
    await _link(person)
    async with db.tenant(person.owner) as tx:
        assert await tx.fetch_value("SELECT count(*) FROM idempotency_keys") == 1


async def test_an_owner_has_so_many_archives_at_once_and_one_that_is_left_makes_room(person: Person, another: Person, db: Database) -> None:
    await person.upload(bytes(2**21), "big.txt")
    path = await _link(person)
    taken = [archives._stream(TenantDatabase(db, person.owner), ArchiveRequest(), UUID(int=0)) for _ in range(2)]
    for stream in taken:
        await anext(stream)
    assert (await _fetch(person, path)).code == "rate_limited"
    assert (await _fetch(another, await _link(another))).status == 200
    for stream in taken:
        await stream.aclose()
    assert (await _fetch(person, path)).status == 200
    head = await _fetch(person, path, "HEAD")
    assert (head.status, head.body) == (200, b"")
    assert archives._streams == {}


async def test_a_client_that_leaves_ends_the_archive(person: Person) -> None:
    for number in range(3):
        await person.upload(b"%PDF-1.4" + bytes(2**21), f"{number}.pdf", "application/pdf")
    exchange = person.open(await _link(person))
    await exchange.until(lambda answer: len(answer.body) > 1000)
    exchange.leave()
    answer = await exchange.end()
    assert not answer.complete
    assert archives._streams == {}


async def test_a_link_is_written_with_who_asked_for_it(person: Person, db: Database) -> None:
    for asked in ({}, {"filter": {"q": "heron"}}, {"ids": [str(uuid4())]}):
        await _link(person, asked)
    async with db.tenant(person.owner) as tx:
        lines = await tx.fetch_value(
            "SELECT jsonb_agg(jsonb_build_array(action, actor_id, detail) ORDER BY id) FROM audit_lines WHERE owner_id = %s",
            (person.owner,),
        )
    owner = str(person.owner)
    assert lines == [
        ["archive:create", owner, {"chosen": "everything"}],
        ["archive:create", owner, {"chosen": "filter"}],
        ["archive:create", owner, {"chosen": "ids", "documents": 1}],
    ]


async def test_a_token_that_may_only_write_gets_nothing_out(person: Person, db: Database) -> None:
    async with db.system() as tx:
        made = {
            scope: await api_tokens.create(tx, person.owner, name="script", scopes=[scope], expires_at=None)
            for scope in ("documents:read", "documents:write")
        }
    said = {
        scope: (await person.ask("POST", "/api/documents/archive", json={}, headers={"authorization": f"Bearer {text}"})).status
        for scope, (_, text) in made.items()
    }
    assert said == {"documents:read": 200, "documents:write": 403}


async def test_with_the_store_down_the_transfer_breaks_off(person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "PAUSES_SECONDS", ())
    for number in range(archives.UNREACHABLE_AFTER):
        await person.upload(b"heron %d" % number)
    path = await _link(person)
    monkeypatch.setenv("MINIO_ENDPOINT", "http://127.0.0.1:9")
    settings.cache_clear()
    object_store.cache_clear()
    try:
        with pytest.raises(StorageUnavailable):
            await _fetch(person, path)
        assert archives._streams == {}
    finally:
        monkeypatch.undo()
        settings.cache_clear()
        object_store.cache_clear()
