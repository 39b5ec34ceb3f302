"""What no honest client sends: cursors that were made up, views and filters of what is gone, names and ZIPs that lie, edits that collide.

What each operation makes of documents that are another's, trashed, purged, uploading or failed stands in test_states.py.
"""

import asyncio
import io
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args
from urllib.parse import urlencode, urlsplit
from uuid import uuid4

import pytest

from infra.functions import http_functions
from scripts import import_sources
from scripts.import_sources import SkippedItem, Unusable
from shared.db import Database, TenantDatabase
from shared.documents.models import Sort
from shared.ids import new_id
from tests.documents.conftest import read_through, stored
from tests.documents.test_bulk import rows
from tests.faas.asgi import ask, serving
from tests.functions.documents.conftest import Person
from tests.functions.documents.test_archive import Archive

AREAS = ("/api/documents", "/api/jobs", "/api/topics", "/api/senders", "/api/views", "/api/archives")
LISTS = {
    **{f"documents by {sort}": f"/api/documents?sort={sort}" for sort in get_args(Sort)},
    "what a query finds": "/api/documents?q=heron",
    "what a query finds, by size": "/api/documents?q=heron&sort=size",
    "trash": "/api/documents?trashed=true",
    "of a type": "/api/documents?content_type=text/plain",
    "similar": "/api/documents/{document}/similar",
    "shares": "/api/documents/{document}/shares",
    "versions": "/api/documents/{document}/versions",
    "lookalikes": "/api/documents/lookalikes",
    "jobs": "/api/jobs",
    "topics": "/api/topics",
    "senders": "/api/senders",
    "views": "/api/views",
}
ONE_PAGE = {"similar", "versions", "lookalikes"}
"""Lists that the vault of these tests has no second page of."""


def _with_everything(person: Person) -> Person:
    person.app = serving(*(function for function in http_functions() if function.path.startswith(AREAS)))
    return person


@pytest.fixture
def everybody(person: Person, another: Person) -> tuple[Person, Person]:
    """The two, with every operation of the area."""
    return _with_everything(person), _with_everything(another)


async def _made(person: Person, path: str, body: dict[str, Any]) -> str:
    answer = await person.ask("POST", path, json=body)
    assert answer.status in (201, 202), answer.body
    made: str = answer.json()["id"]
    return made


async def _filled(person: Person, db: Database) -> str:
    """Two of everything that is listed; the id of a document."""
    vault = TenantDatabase(db, person.owner)
    documents = [await stored(vault, f"Dear heron number {number}\n".encode()) for number in range(3)]
    for number, document in enumerate(documents):
        await read_through(vault, document.id)
        changed = await person.ask("PATCH", f"/api/documents/{document.id}", json={"sender": f"Sender {number}"})
        assert changed.status == 200, changed.body
    await rows(vault, 2, trashed=True)
    for number in range(2):
        await _made(person, "/api/topics", {"name": f"Topic {number}"})
        await _made(person, "/api/views", {"name": f"View {number}", "query": {}})
        await _made(person, f"/api/documents/{documents[0].id}/shares", {"expires_at": "2999-01-01T00:00:00Z"})
        await _made(person, "/api/documents/bulk", {"action": "restore", "filter": {"q": f"nothing{number}"}})
    return str(documents[0].id)


def _page(path: str, document: str, **more: Any) -> str:
    path = path.replace("{document}", document)
    return f"{path}{'&' if '?' in path else '?'}{urlencode({'limit': 1, **more})}"


def _tampered(cursor: str) -> list[str]:
    """One character changed at either end and in the middle, cut, longer, and what was no cursor at all."""
    changed = []
    for place in (0, len(cursor) // 2, len(cursor) - 2):
        other = "A" if cursor[place] != "A" else "B"
        changed.append(cursor[:place] + other + cursor[place + 1 :])
    return [*changed, cursor[:-4], cursor + "AAAA", cursor[::-1], "AAAA", "0", "é", "🐦", "../..", "' OR 1=1 --", "[1]"]


async def test_a_cursor_is_good_for_its_own_list_and_owner_and_not_when_it_was_tampered_with(
    everybody: tuple[Person, Person], db: Database
) -> None:
    person, other = everybody
    document, theirs = await _filled(person, db), await _filled(other, db)
    cursors: dict[str, str] = {}
    for name, path in LISTS.items():
        first = await person.ask("GET", _page(path, document))
        assert first.status == 200, (name, first.body)
        if name in ONE_PAGE:
            assert first.json()["next_cursor"] is None
        else:
            cursors[name] = first.json()["next_cursor"]
            assert cursors[name] is not None, name
            second = await person.ask("GET", _page(path, document, cursor=cursors[name]))
            assert second.status == 200, (name, second.body)
            assert len(second.json()["items"]) == 1, name
            assert second.json()["items"] != first.json()["items"], name
    wrong = []
    for name, path in LISTS.items():
        bad = _tampered(cursors.get(name, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"))
        # A relevance without a query is the newest first: the same list.
        bad += [
            cursor for of, cursor in cursors.items() if of != name and not {"relevance", "created_at"} & {*of.split(" "), *of.split("-")}
        ]
        for cursor in bad:
            answer = await person.ask("GET", _page(path, document, cursor=cursor))
            if (answer.status, answer.code) != (422, "invalid_cursor"):
                wrong.append((name, cursor, answer.status))
        if name in cursors:
            answer = await other.ask("GET", _page(path, theirs, cursor=cursors[name]))
            if (answer.status, answer.code) != (422, "invalid_cursor"):
                wrong.append((name, "another's", answer.status))
    assert wrong == []


@pytest.mark.parametrize("limit", ["0", "201", "-1", "1.5", "x", "", "9" * 30])
async def test_a_page_has_one_to_two_hundred_items(everybody: tuple[Person, Person], limit: str) -> None:
    person, _ = everybody
    for path in LISTS.values():
        answer = await person.ask("GET", _page(path, str(uuid4())).replace("limit=1", f"limit={limit}"))
        assert (answer.status, answer.code) == (422, "validation_failed"), path


async def test_of_a_topic_that_is_gone_nothing_is_listed_counted_changed_or_taken_out(
    everybody: tuple[Person, Person], db: Database
) -> None:
    person, _ = everybody
    [document] = await rows(TenantDatabase(db, person.owner), 1)
    topic = await _made(person, "/api/topics", {"name": "Gone"})
    by_id = await _made(person, "/api/views", {"name": "by id", "query": {"topic_id": [topic]}, "pinned": True})
    by_name = await _made(person, "/api/views", {"name": "by name", "query": {"q": "topic:Gone"}})
    assert (await person.ask("DELETE", f"/api/topics/{topic}")).status == 204
    assert (await person.ask("DELETE", f"/api/topics/{topic}")).code == "not_found"
    views = (await person.ask("GET", "/api/views?counts=true")).json()["items"]
    assert [(view["id"], view["documents"]) for view in views] == [(by_id, 0), (by_name, None)]
    assert (await person.ask("GET", f"/api/documents?topic_id={topic}")).json()["items"] == []
    assert (await person.ask("GET", f"/api/documents?topic_id={topic}&facets=true")).json()["facets"]["content_types"] == []
    told = await person.ask("GET", "/api/documents?q=topic:Gone")
    assert (told.status, told.code) == (422, "validation_failed")
    assert "Gone" in told.json()["detail"]
    assert (await person.ask("PATCH", f"/api/views/{by_name}", json={"query": {"q": "heron"}})).status == 200
    job = await person.ask("POST", "/api/documents/bulk", json={"action": "trash", "filter": {"topic_id": [topic]}})
    assert job.status == 202
    assert (await person.ask("POST", "/api/documents/bulk", json={"action": "trash", "filter": {"q": "topic:Gone"}})).status == 422
    filed = {"action": "add_topics", "topic_ids": [topic], "ids": [str(document)]}
    assert (await person.ask("POST", "/api/documents/bulk", json=filed)).code == "not_found"
    assert (await person.ask("PATCH", f"/api/documents/{document}", json={"topic_ids": [topic]})).code == "not_found"
    assert (await person.ask("POST", "/api/topics", json={"name": "Below", "parent_id": topic})).code == "not_found"
    link = (await person.ask("POST", "/api/documents/archive", json={"filter": {"topic_id": [topic]}})).json()["url"]
    assert Archive(await ask(person.app, "GET", urlsplit(link).path)).manifest == []
    assert (await person.ask("GET", f"/api/documents/{document}")).json()["trashed_at"] is None


async def test_of_names_that_are_taken_at_once_one_is_given(everybody: tuple[Person, Person], db: Database) -> None:
    person, _ = everybody
    topics = [await _made(person, "/api/topics", {"name": f"Topic {number}"}) for number in range(5)]
    renamed = await asyncio.gather(*(person.ask("PATCH", f"/api/topics/{topic}", json={"name": "ÉCLAIR"}) for topic in topics))
    assert sorted((answer.status, answer.code) for answer in renamed if answer.status != 200) == [(409, "topic_exists")] * 4
    vault = TenantDatabase(db, person.owner)
    for number, document in enumerate(await rows(vault, 5)):
        assert (await person.ask("PATCH", f"/api/documents/{document}", json={"sender": f"Sender {number}"})).status == 200
    senders = [sender["id"] for sender in (await person.ask("GET", "/api/senders")).json()["items"]]
    named = await asyncio.gather(*(person.ask("PATCH", f"/api/senders/{sender}", json={"name": "Waterworks"}) for sender in senders))
    assert sorted((answer.status, answer.code) for answer in named if answer.status != 200) == [(409, "sender_exists")] * 4


async def test_edits_of_a_view_at_once_are_all_kept_and_of_two_ends_of_a_document_one_is(
    everybody: tuple[Person, Person], db: Database
) -> None:
    person, _ = everybody
    view = await _made(person, "/api/views", {"name": "Old", "query": {}})
    changes: list[dict[str, Any]] = [{"name": "New"}, {"pinned": True}, {"query": {"status": ["failed"]}}]
    answers = await asyncio.gather(*(person.ask("PATCH", f"/api/views/{view}", json=change) for change in changes))
    assert [answer.status for answer in answers] == [200] * 3
    [kept] = (await person.ask("GET", "/api/views")).json()["items"]
    assert (kept["name"], kept["pinned"], kept["query"]) == ("New", True, {"status": ["failed"]})
    for document in await rows(TenantDatabase(db, person.owner), 5, trashed=True):
        path = f"/api/documents/{document}"
        edited, purged, restored = await asyncio.gather(
            person.ask("PATCH", path, json={"title": "Edited"}),
            person.ask("DELETE", f"{path}/permanent"),
            person.ask("POST", f"{path}/restore"),
        )
        left = await person.ask("GET", path)
        if purged.status == 202:
            assert (restored.code, left.code) == ("not_found", "not_found")
            assert edited.status == 200 or edited.code == "not_found"
        else:
            assert (purged.code, restored.status, edited.status) == ("not_in_trash", 200, 200)
            assert (left.json()["title"], left.json()["trashed_at"]) == ("Edited", None)


async def test_whatever_documents_are_called_an_archive_has_each_once_and_none_leads_out_of_it(
    everybody: tuple[Person, Person], db: Database
) -> None:
    person, _ = everybody
    vault = TenantDatabase(db, person.owner)
    names = [
        *("a.txt", "A.TXT", "ａ.txt", "a.txt", "a (2).txt", "manifest.jsonl", "Manifest.JSONL", "errors.txt", "text", "versions"),
        *("../../etc/passwd", "/etc/passwd", "..", "C:\\x.txt", "..\\..\\x.txt", "CON", "nul.txt", "x." + "e" * 300, "\u202etxt.exe"),
    ]
    for number, name in enumerate(names):
        await stored(vault, f"text {number}".encode(), filename=name)
    link = (await person.ask("POST", "/api/documents/archive", json={})).json()["url"]
    archive = Archive(await ask(person.app, "GET", urlsplit(link).path))
    assert archive.errors == ""
    entries = [document["filename"] for document in archive.manifest]
    assert {archive.files[entry] for entry in entries} == {f"text {number}".encode() for number in range(len(names))}
    assert len({entry.casefold() for entry in archive.files}) == len(archive.files)
    for entry in entries:
        assert "/" not in entry
        assert "\\" not in entry
        assert entry not in (".", "..")
        assert entry.partition(".")[0].upper() not in ("CON", "NUL")
        assert len(entry.encode()) <= 200


def _zip(*entries: tuple[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return packed.getvalue()


def _declared(size: int, *, packed: bool = False) -> Callable[[bytes], bytes]:
    """The first entry's size, as the directory tells it, is another one."""

    def lie(archive: bytes) -> bytes:
        data = bytearray(archive)
        struct.pack_into("<I", data, data.index(b"PK\1\2") + (20 if packed else 24), size)
        return bytes(data)

    return lie


def _renamed(old: str, new: str, *, once: bool = False) -> Callable[[bytes], bytes]:
    """An entry's name of the same length, in the directory alone if `once`: the two disagree then."""

    def rename(archive: bytes) -> bytes:
        start = archive.index(b"PK\1\2") if once else 0
        return archive[:start] + archive[start:].replace(old.encode(), new.encode())

    return rename


WHOLE = _zip(("letter.txt", b"letter " * 100), ("other.txt", b"other"))
ZIPS: dict[str, tuple[bytes, dict[str, bytes | None]]] = {
    "nothing is wrong": (WHOLE, {"letter.txt": b"letter " * 100, "other.txt": b"other"}),
    "a name twice": (_renamed("other.txt", "lette.txt")(_zip(("lette.txt", b"1"), ("other.txt", b"2"))), {"lette.txt": b"2"}),
    "names that differ in case": (_zip(("a.txt", b"1"), ("A.txt", b"2")), {"a.txt": b"1", "A.txt": b"2"}),
    "a file that is a folder of another": (_zip(("a", b"1"), ("a/b.txt", b"2")), {"a": b"1", "a/b.txt": b"2"}),
    "out of it": (_zip(("../a.txt", b"1"), ("b.txt", b"2")), {"b.txt": b"2"}),
    "out of it from within": (_zip(("a/../../b.txt", b"1")), {}),
    "from the root": (_zip(("/etc/passwd", b"1")), {}),
    "as Windows does": (_zip(("..\\a.txt", b"1"), ("C:\\b.txt", b"2")), {}),
    "another name where it lies": (_renamed("letter", "lettre", once=True)(WHOLE), {"lettre.txt": None, "other.txt": b"other"}),
    "more bytes than told": (_declared(3)(WHOLE), {"letter.txt": None, "other.txt": b"other"}),
    "fewer bytes than told": (_declared(2000)(WHOLE), {"letter.txt": None, "other.txt": b"other"}),
    "terabytes told": (_declared(0xFFFFFFFE)(WHOLE), {"other.txt": b"other"}),
    "no packed bytes": (_declared(0, packed=True)(WHOLE), {"letter.txt": None, "other.txt": b"other"}),
    "packed bytes beyond the end": (_declared(0x7FFFFFFF, packed=True)(WHOLE), {"letter.txt": b"letter " * 100, "other.txt": b"other"}),
}
"""What is in them, and what of it is read: None if it is said to be damaged."""


@pytest.mark.parametrize("what", ZIPS)
def test_of_a_zip_to_bring_in_only_what_lies_in_it_whole_is_read(tmp_path: Path, what: str) -> None:
    content, expected = ZIPS[what]
    (tmp_path / "in").mkdir()
    path = tmp_path / "in" / f"{new_id()}.zip"
    path.write_bytes(content)
    read: dict[str, bytes | None] = {}
    with import_sources.opened(path) as source:
        for item in import_sources.items(source):
            if not isinstance(item, SkippedItem):
                try:
                    with source.file(item.entry) as file:
                        read[item.entry] = file.read()
                except Unusable:
                    read[item.entry] = None
    assert read == expected
    assert [each.name for each in tmp_path.rglob("*") if each.is_file()] == [path.name]
