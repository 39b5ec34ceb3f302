"""The bytes of documents in a cloud, by a link: ranges, names, and never what somebody has put in their place."""

import os
from collections.abc import Awaitable, Callable
from uuid import UUID

import pytest

from shared.clock import now
from shared.cloud import content, moves
from shared.cloud.models import Connection
from shared.db import TenantDatabase
from shared.documents import library
from shared.ids import new_id
from tests.cloud.conftest import ready, waiting_move
from tests.cloud.test_connections import Person
from tests.faas.asgi import Heard, ask
from tests.storage.servers.dav_server import DavServer, status

TEXT = b"Dear heron, the waterworks send their invoice.\n"


@pytest.fixture
async def url(vault: TenantDatabase, connection: Connection) -> str:
    """The path of a link to a document in the cloud."""
    document = await ready(vault, TEXT, "Brief an März.txt")
    await moves.request(vault, document.id, connection.id)
    move_id = await waiting_move(vault, document.id)
    assert move_id is not None
    await moves.carry_out(vault, document.id, move_id)
    link = await library.download(vault, document.id, "inline")
    return "/api/content/" + link.url.rpartition("/api/content/")[2]


@pytest.fixture
def person(owner: UUID) -> Person:
    return Person(owner, new_id())


async def fetch(person: Person, url: str, method: str = "GET", **headers: str) -> Heard:
    return await ask(person.app, method, url, headers={name.replace("_", "-"): value for name, value in headers.items()})


async def test_a_link_gives_the_document_under_its_name(person: Person, url: str) -> None:
    whole = await fetch(person, url)
    assert (whole.status, whole.body) == (200, TEXT)
    assert whole.header("content-disposition") == "inline; filename=\"Brief an Marz.txt\"; filename*=UTF-8''Brief%20an%20M%C3%A4rz.txt"
    assert whole.header("content-type") == "text/plain"
    assert whole.header("content-length") == str(len(TEXT))
    assert whole.header("accept-ranges") == "bytes"
    assert whole.header("cache-control") == "private, no-store"
    assert whole.header("x-content-type-options") == "nosniff"
    head = await fetch(person, url, "HEAD")
    assert (head.status, head.body, head.header("content-length")) == (200, b"", str(len(TEXT)))


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("bytes=0-3", slice(0, 4)),
        ("bytes=5-", slice(5, None)),
        ("bytes=-6", slice(-6, None)),
        ("bytes=40-999", slice(40, None)),
        ("bytes=-999", slice(None)),
    ],
)
async def test_a_range_is_given(person: Person, url: str, asked: str, expected: slice) -> None:
    part = await fetch(person, url, Range=asked)
    assert (part.status, part.body) == (206, TEXT[expected])
    start = len(TEXT[: expected.start]) if expected.start else 0
    assert part.header("content-range") == f"bytes {start}-{start + len(part.body) - 1}/{len(TEXT)}"


@pytest.mark.parametrize("asked", ["bytes=999-", "bytes=-0"])
async def test_a_range_beyond_the_end_is_416(person: Person, url: str, asked: str) -> None:
    refused = await fetch(person, url, Range=asked)
    assert (refused.status, refused.header("content-range")) == (416, f"bytes */{len(TEXT)}")


@pytest.mark.parametrize("asked", ["bytes=5-3", "bytes=0-1,3-4", "lines=1-2", "bytes=x-", "bytes=٣-٤", "bytes=" + "9" * 400 + "-"])
async def test_what_is_no_range_gives_everything(person: Person, url: str, asked: str) -> None:
    whole = await fetch(person, url, Range=asked.encode().decode("latin-1"))
    assert (whole.status, whole.body) == (200, TEXT)


async def test_a_range_of_something_else_gives_everything(person: Person, url: str) -> None:
    etag = (await fetch(person, url)).header("etag")
    assert etag is not None
    assert (await fetch(person, url, Range="bytes=0-3", If_Range=etag)).status == 206
    assert (await fetch(person, url, Range="bytes=0-3", If_Range='"other"')).status == 200


async def test_a_server_that_knows_no_ranges_changes_nothing(person: Person, url: str, server: DavServer) -> None:
    server.ignores_ranges = True
    assert (await fetch(person, url, Range="bytes=5-9")).body == TEXT[5:10]


async def test_a_link_that_was_tampered_with_or_has_expired_is_404(person: Person, owner: UUID, url: str) -> None:
    token = url.rpartition("/")[2]
    other = "A" if token[10] != "A" else "B"
    expired = content.link(owner, owner, "inline", now()).rpartition("/")[2]
    for bad in (token[:-1], token[:10] + other + token[11:], token + "A", "x", "A" * 500, "%00", "ü", expired):
        refused = await fetch(person, f"/api/content/{bad.encode().hex() if bad == 'ü' else bad}")
        assert refused.status == 404, bad


async def test_what_was_changed_or_removed_in_the_cloud_is_told(person: Person, url: str, server: DavServer) -> None:
    [path] = [path for path in server.folder.rglob("*") if path.is_file()]
    path.write_bytes(b"x" * len(TEXT))
    os.utime(path, (1, 1))
    changed = await fetch(person, url)
    assert (changed.status, changed.code) == (409, "original_changed")
    path.unlink()
    missing = await fetch(person, url)
    assert (missing.status, missing.code) == (404, "original_missing")


async def test_what_only_has_another_time_is_still_the_document(person: Person, url: str, server: DavServer) -> None:
    [path] = [path for path in server.folder.rglob("*") if path.is_file()]
    os.utime(path, (1, 1))
    assert (await fetch(person, url)).body == TEXT
    before = len(server.asked)
    assert (await fetch(person, url)).body == TEXT
    assert [asked.method for asked in server.asked[before:]] == ["PROPFIND", "GET"]


async def test_a_cloud_that_is_down_is_told(person: Person, url: str, server: DavServer) -> None:
    server.fail("PROPFIND", *[status(503)] * 3)
    assert (await fetch(person, url)).code == "unavailable"
    server.fail("PROPFIND", status(401))
    assert (await fetch(person, url)).code == "credentials_rejected"


async def test_an_owner_has_so_many_streams_at_once(person: Person, owner: UUID, url: str) -> None:
    content._streams[owner] = content.STREAMS_AT_ONCE
    try:
        assert (await fetch(person, url)).code == "rate_limited"
    finally:
        del content._streams[owner]
    assert (await fetch(person, url)).status == 200


async def test_a_link_of_a_disabled_account_gives_nothing(
    db: object, person: Person, owner: UUID, url: str, new_owner: Callable[[], Awaitable[UUID]]
) -> None:
    from shared.db import database

    async with database().system() as tx:
        await tx.execute("UPDATE users SET disabled = true WHERE id = %(id)s", {"id": owner})
    assert (await fetch(person, url)).status == 404
