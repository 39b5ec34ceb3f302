"""What goes wrong with WebDAV servers, and what comes of it: one of a few named errors, nothing half stored, no secret sent elsewhere."""

import asyncio
import os
import secrets
import ssl
from collections.abc import AsyncIterator
from contextlib import nullcontext, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from infra.local.certificates import ensure_certificate
from shared.outbound import UrlGuard, UrlNotAllowed
from shared.storage import (
    CredentialsRejected,
    NameRefused,
    NameTaken,
    ObjectMissing,
    ObjectTooLarge,
    QuotaFull,
    StorageRateLimited,
    StorageUnavailable,
    WrongContent,
)
from shared.storage.cloud_addresses import validate_cloud_url
from shared.storage.multistatus import MOST_TEXT, MultistatusReader, NotMultistatus, moment
from shared.storage.nextcloud import CHUNK_SIZE, NextcloudBackend
from shared.storage.webdav import WebDAVBackend
from tests.storage.contract import chunks
from tests.storage.servers.dav_server import PASSWORD, USER, DavServer, Fault, body, cut_after, status
from tests.storage.servers.nextcloud_server import ACCOUNT, NextcloudServer

GUARD = UrlGuard(["127.0.0.1"])


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[DavServer]:
    async with DavServer(tmp_path / "dav").running() as server:
        yield server


@pytest.fixture
async def backend(server: DavServer) -> AsyncIterator[WebDAVBackend]:
    backend = WebDAVBackend(server_url=server.url, username=USER, password=PASSWORD, guard=GUARD)
    yield backend
    await backend.close()


@pytest.fixture
async def nextcloud(tmp_path: Path) -> AsyncIterator[NextcloudServer]:
    async with NextcloudServer(tmp_path).running() as server:
        yield server  # type: ignore[misc]


@pytest.fixture
async def account(nextcloud: NextcloudServer) -> AsyncIterator[NextcloudBackend]:
    backend = NextcloudBackend(server_url=nextcloud.url, username=USER, password=PASSWORD, guard=GUARD)
    assert await backend.identify() == ACCOUNT
    yield backend
    await backend.close()


@pytest.mark.parametrize(
    ("fault", "error", "reason"),
    [
        (status(401), CredentialsRejected, "credentials_rejected"),
        (status(403), NameRefused, "name_refused"),
        (status(404), ObjectMissing, "not_found"),
        (status(413), QuotaFull, "quota_full"),
        (status(429, Retry_After="120"), StorageRateLimited, "rate_limited"),
        (status(500), StorageUnavailable, "unreachable"),
        (status(503), StorageUnavailable, "unreachable"),
        (status(507), QuotaFull, "quota_full"),
        (cut_after(2**16), StorageUnavailable, "unreachable"),
    ],
)
async def test_a_failed_upload_is_named_and_leaves_nothing(
    server: DavServer, backend: WebDAVBackend, fault: Fault, error: type[Any], reason: str
) -> None:
    server.fail("PUT", fault)
    with pytest.raises(error) as raised:
        await backend.put("f/a.bin", secrets.token_bytes(300_000), content_type="text/plain")
    assert raised.value.reason == reason
    assert list((server.folder / "f").iterdir()) == []


async def test_a_server_that_asks_for_patience_says_for_how_long(server: DavServer, backend: WebDAVBackend) -> None:
    server.fail("PROPFIND", status(429, Retry_After="120"))
    with pytest.raises(StorageRateLimited) as raised:
        await backend.stat("a")
    assert raised.value.retry_after == 120
    assert raised.value.headers == {"Retry-After": "120"}


async def test_what_passes_is_tried_again(server: DavServer, backend: WebDAVBackend) -> None:
    server.fail("PROPFIND", status(503), cut_after())
    assert await backend.stat("a") is None
    server.fail("MKCOL", status(503))
    server.fail("MOVE", status(423))
    assert (await backend.put("f/a", b"x", content_type="text/plain")).size == 1
    server.fail("DELETE", status(502))
    await backend.delete("f/a")
    assert await backend.stat("f/a") is None


async def test_a_move_whose_response_is_lost_was_one_all_the_same(server: DavServer, backend: WebDAVBackend) -> None:
    async def moved_and_cut(request: web.Request) -> web.StreamResponse:
        await server.respond(request)
        return await cut_after()(request) or web.Response()

    server.fail("MOVE", moved_and_cut)
    stored = await backend.put_stream("f/a", chunks(b"x"), content_type="text/plain", size=1, replace=False)
    assert stored.size == 1
    assert [path.name for path in (server.folder / "f").iterdir()] == ["a"]


async def test_an_upload_that_the_server_shortens_never_gets_its_name(server: DavServer, backend: WebDAVBackend) -> None:
    async def shortened(request: web.Request) -> web.StreamResponse:
        (server.folder / request.rel_url.path.removeprefix("/dav/")).write_bytes((await request.read())[:-1])
        return web.Response(status=201)

    server.fail("PUT", shortened)
    with pytest.raises(WrongContent, match="4 bytes were sent"):
        await backend.put("a", b"1234", content_type="text/plain")
    assert list(server.folder.iterdir()) == []
    assert "MOVE" not in [asked.method for asked in server.asked]


async def test_a_download_that_ends_early_is_no_download(server: DavServer, backend: WebDAVBackend) -> None:
    async def half(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(b"x" * 500)
        assert request.transport is not None
        request.transport.close()
        return response

    server.fail("GET", half)
    with pytest.raises(StorageUnavailable):
        await backend.read("a", limit=2000)


@pytest.mark.parametrize("missing", [1, 2**20, 6 * 2**20])
async def test_a_long_download_that_ends_early_is_no_download(
    server: DavServer, backend: WebDAVBackend, tmp_path: Path, missing: int
) -> None:
    content = secrets.token_bytes(8 * 2**20)
    await backend.put("a", content, content_type="text/plain")

    async def short(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": str(len(content))})
        await response.prepare(request)
        await response.write(content[:-missing])
        assert request.transport is not None
        request.transport.close()
        return response

    server.fail("GET", short)
    with pytest.raises(StorageUnavailable):
        await backend.download("a", tmp_path / "file", limit=len(content))
    assert (await backend.download("a", tmp_path / "file", limit=len(content))).size == len(content)
    assert (tmp_path / "file").read_bytes() == content


@pytest.mark.parametrize("size", [2**20 - 1, 2**20 + 1, 2**20 + 2**18, 2 * 2**20 + 7, 5_000_011])
async def test_a_long_download_is_whole_and_its_connection_not_mixed_up(server: DavServer, backend: WebDAVBackend, size: int) -> None:
    content = secrets.token_bytes(size)
    await backend.put("a", content, content_type="text/plain")
    await asyncio.gather(*(backend.put(str(number), b"%d" % number, content_type="text/plain") for number in range(4)))
    for number in range(4):
        assert await backend.read("a", limit=size) == content
        assert await backend.read(str(number), limit=9) == b"%d" % number
    both = await asyncio.gather(*(backend.read("a", limit=size) for _ in range(4)))
    assert both == [content] * 4


@pytest.mark.parametrize(
    "path", ["http://127.0.0.2:{port}/dav/", "http://localhost:{port}/", "https://127.0.0.1:{port}/dav/", "//evil.example/"]
)
async def test_credentials_never_follow_a_redirect_to_another_origin(server: DavServer, backend: WebDAVBackend, path: str) -> None:
    target = path.replace("{port}", str(server.port))
    for method, call in (
        ("PROPFIND", backend.ping),
        ("GET", lambda: backend.read("a", limit=1)),
        ("PUT", lambda: backend.put("a", b"x", content_type="text/plain")),
    ):
        before = len(server.asked)
        server.fail(method, status(302, Location=target))
        with pytest.raises(StorageUnavailable):
            await call()
        assert len([asked for asked in server.asked[before:] if asked.method == method]) == 1


async def test_a_redirect_within_the_server_keeps_the_method(server: DavServer, backend: WebDAVBackend) -> None:
    (server.folder / "real").mkdir()
    for code in (301, 302, 307, 308):
        server.fail("PROPFIND", status(code, Location="/dav/real/"))
        entry = await backend.look("other")
        assert entry is not None
        assert entry.is_folder
    assert {asked.method for asked in server.asked} == {"PROPFIND"}
    server.fail("PROPFIND", status(303, Location="/dav/real/"))
    with pytest.raises(StorageUnavailable):
        await backend.look("other")
    server.fail("PROPFIND", *[status(302, Location="/dav/real/")] * 5)
    with pytest.raises(StorageUnavailable):
        await backend.look("other")


async def test_a_mkcol_that_is_sent_elsewhere_goes_nowhere(server: DavServer, backend: WebDAVBackend) -> None:
    server.fail("MKCOL", *[status(301, Location="http://127.0.0.2/")] * 3)
    with pytest.raises(StorageUnavailable):
        await backend.put("new/a", b"x", content_type="text/plain")
    assert "GET" not in {asked.method for asked in server.asked}


async def test_a_sign_in_page_is_no_listing(server: DavServer, backend: WebDAVBackend) -> None:
    server.fail("PROPFIND", body(200, b"<html><form>Sign in</form></html>", "text/html"))
    with pytest.raises(StorageUnavailable, match="no WebDAV server"):
        await backend.ping()
    server.fail("PROPFIND", body(207, b"<html><form>Sign in</form></html>", "text/html"))
    with pytest.raises(StorageUnavailable, match="no WebDAV listing"):
        await backend.ping()


@pytest.mark.parametrize("method", ["PROPFIND", "PUT", "MOVE", "MKCOL", "DELETE"])
async def test_a_sign_in_page_with_200_is_never_taken_for_success(server: DavServer, backend: WebDAVBackend, method: str) -> None:
    await backend.put("old", b"before", content_type="text/plain")
    page = body(200, b"<html><form>Sign in</form></html>", "text/html")
    server.fail(method, *[page] * 3)
    if method == "DELETE":
        await backend.delete("old")  # its caller asks again later (`leftovers`), and sees that it is there
        assert await backend.stat("old") is not None
        return
    with pytest.raises((StorageUnavailable, NameRefused, ObjectMissing)):
        await backend.put_stream("f/new", chunks(b"x"), content_type="text/plain", size=1, replace=False)
    server.faults.clear()
    assert await backend.stat("f/new") is None
    assert await backend.read("old", limit=10) == b"before"


def endless(code: int, first: bytes, more: bytes) -> Fault:
    """A body that goes on until the client has had enough."""

    async def fault(request: web.Request) -> web.StreamResponse:
        await request.read()
        response = web.StreamResponse(status=code)
        await response.prepare(request)
        await response.write(first)
        while True:
            await response.write(more)

    return fault


async def test_a_body_without_end_is_left(server: DavServer, backend: WebDAVBackend, tmp_path: Path) -> None:
    await backend.put("a", b"12345", content_type="text/plain")
    for work in (
        lambda: backend.read("a", limit=10**6),
        lambda: backend.download("a", tmp_path / "file", limit=10**6),
        lambda: backend.sha256("a"),
    ):
        server.fail("GET", endless(200, b"", bytes(2**16)))
        with pytest.raises((ObjectTooLarge, WrongContent)):
            await work()
    server.fail("PROPFIND", endless(207, b'<d:multistatus xmlns:d="DAV:"><d:response><d:href>', b"a" * 2**16))
    with pytest.raises(StorageUnavailable):
        await backend.stat("a")
    server.fail("PROPFIND", endless(207, b"<html>", b"<p/>" * 1000))
    with pytest.raises(StorageUnavailable):
        await backend.stat("a")


async def test_requests_one_after_the_other_share_a_connection(server: DavServer, backend: WebDAVBackend) -> None:
    for number in range(3):
        await backend.put(f"{number}.txt", b"x", content_type="text/plain")
        assert await backend.read(f"{number}.txt", limit=1) == b"x"
        assert await backend.stat("missing") is None
        with pytest.raises(NameTaken):
            await backend.put_stream(f"{number}.txt", chunks(b"y"), content_type="text/plain", size=1, replace=False)
        server.fail("PROPFIND", status(503))
    asked = [each for each in server.asked if each.method != "DELETE"]
    by_hand = len(server.asked) - len(asked)  # webdavclient3 opens its own
    assert len(server.connections) <= 1 + by_hand


async def test_a_rest_without_end_is_not_waited_for(server: DavServer, backend: WebDAVBackend) -> None:
    async def talkative(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=await _stored(request))
        await response.prepare(request)
        while True:
            await response.write(bytes(2**16))

    async def silent(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=await _stored(request))
        await response.prepare(request)
        await response.write(b"x")
        await asyncio.Event().wait()
        return response

    async def _stored(request: web.Request) -> int:
        return (await server.respond(request)).status

    for number, fault in enumerate((talkative, silent)):
        server.fail("PUT", fault)
        stored = await backend.put(f"{number}", b"content", content_type="text/plain")
        assert await backend.read(stored.key, limit=10) == b"content"


@pytest.mark.parametrize(("host", "trusted", "works"), [("127.0.0.1", True, True), ("127.0.0.1", False, False), ("127.0.0.2", True, False)])
async def test_a_certificate_that_is_not_trusted_or_not_the_hosts_ends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str, trusted: bool, works: bool
) -> None:
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    ensure_certificate(certificate, key)
    server = DavServer(tmp_path / "dav", host=host)
    server.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.tls.load_cert_chain(certificate, key)
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    async with server.running():
        backend = WebDAVBackend(server_url=server.url, username=USER, password=PASSWORD, guard=UrlGuard([server.host]))
        for work in (backend.ping, lambda: backend._with_webdavclient("mkdir", "a")):
            with nullcontext() if works else pytest.raises(StorageUnavailable):
                await work()
        await backend.close()
    assert bool(server.asked) == works, "nothing is sent to whoever cannot show who they are"


@pytest.mark.parametrize("year", [1970, 2100, 2400])
async def test_a_server_whose_clock_is_off_is_believed_but_for_the_time(server: DavServer, backend: WebDAVBackend, year: int) -> None:
    (server.folder / "a").write_bytes(b"x")
    at = datetime(year, 1, 2, tzinfo=UTC).timestamp()
    os.utime(server.folder / "a", (at, at))
    [entry] = [entry async for entry in backend.entries("")]
    assert (entry.name, entry.size) == ("a", 1)
    assert entry.modified_at is None or entry.modified_at.year == year
    assert await backend.read("a", limit=1) == b"x"


LISTED = (
    b'<d:multistatus xmlns:d="DAV:"><d:response><d:href>/dav/a</d:href><d:propstat><d:prop><d:getcontentlength>10</d:getcontentlength>'
    b"</d:prop><d:status>HTTP/1.1 200 OK</d:status></d:propstat></d:response></d:multistatus>"
)


@pytest.mark.parametrize(
    ("head", "sent", "received"),
    [
        (b"Content-Length: 10", b"0123456789", b"0123456789"),
        (b"Content-Length: 5", b"0123456789", b"01234"),
        (b"Content-Length: 5", b"01234HTTP/1.1 207 Multi-Status\r\nContent-Length: 0\r\n\r\n", b"01234"),
        (b"Content-Length: 11", b"0123456789", None),
        (b"Content-Length: abc", b"0123456789", None),
        (b"Content-Length: -1", b"0123456789", None),
        (b"Content-Length: 10\r\nContent-Length: 9", b"0123456789", None),
        (b"Transfer-Encoding: chunked", b"zz\r\n0123456789\r\n0\r\n\r\n", None),
        (b"Transfer-Encoding: chunked", b"a\r\n01234567", None),
        (b"Content-Length: 10\r\nContent-Encoding: gzip", b"0123456789", None),
    ],
)
async def test_a_length_that_is_not_that_of_the_body_spoils_neither_this_request_nor_the_next(
    head: bytes, sent: bytes, received: bytes | None
) -> None:
    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while request := await reader.readuntil(b"\r\n\r\n"):
            if request.startswith(b"GET"):
                writer.write(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n\r\n" + sent)
                if received is None:
                    break
            else:
                length = next(line for line in request.split(b"\r\n") if line.lower().startswith(b"content-length:"))
                await reader.readexactly(int(length.partition(b":")[2]))
                writer.write(b"HTTP/1.1 207 Multi-Status\r\nContent-Length: %d\r\n\r\n" % len(LISTED) + LISTED)
            await writer.drain()
        writer.close()

    async def ended(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            await respond(reader, writer)

    async with await asyncio.start_server(ended, "127.0.0.1", 0) as raw:
        url = f"http://127.0.0.1:{raw.sockets[0].getsockname()[1]}/dav"
        backend = WebDAVBackend(server_url=url, username=USER, password=PASSWORD, guard=GUARD)
        for _ in range(2):
            if received is None:
                with pytest.raises(StorageUnavailable):
                    await backend.read("a", limit=100)
            else:
                assert await backend.read("a", limit=100) == received
            stored = await backend.stat("a")
            assert stored is not None
            assert stored.size == 10
        await backend.close()


@pytest.mark.parametrize("length", ["-1", "1e3", "99999999999999999999", "", "NaN"])
async def test_a_length_that_is_none_is_no_length(server: DavServer, backend: WebDAVBackend, length: str) -> None:
    said = (
        f"<d:response><d:href>/dav/a</d:href><d:propstat><d:prop><d:getcontentlength>{length}</d:getcontentlength></d:prop>"
        "<d:status>HTTP/1.1 200 OK</d:status></d:propstat></d:response>"
    )
    server.fail("PROPFIND", body(207, f'<d:multistatus xmlns:d="DAV:">{said}</d:multistatus>'.encode(), "application/xml"))
    entry = await backend.look("a")
    assert entry is not None
    assert entry.size is None


BOMB = b"""<?xml version="1.0"?><!DOCTYPE m [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>
<d:multistatus xmlns:d="DAV:"><d:response><d:href>&b;</d:href></d:response></d:multistatus>"""
OUTSIDE = b"""<?xml version="1.0"?><!DOCTYPE m [<!ENTITY a SYSTEM "file:///etc/passwd">]>
<d:multistatus xmlns:d="DAV:"><d:response><d:href>&a;</d:href></d:response></d:multistatus>"""
UNDECLARED = b'<d:multistatus xmlns:d="DAV:"><d:response><d:href>&a;</d:href></d:response></d:multistatus>'


@pytest.mark.parametrize("content", [BOMB, OUTSIDE, UNDECLARED, b"", b"\0\0\0", b"<a>" * 1000, b'<d:multistatus xmlns:d="DAV:">'])
async def test_xml_that_expands_reaches_out_or_does_not_end_is_refused(server: DavServer, backend: WebDAVBackend, content: bytes) -> None:
    server.fail("PROPFIND", body(207, content, "application/xml"))
    with pytest.raises(StorageUnavailable) as raised:
        await backend.stat("a")
    assert "root:" not in str(raised.value)


def test_a_listing_is_bounded_in_depth_and_text() -> None:
    deep = b'<d:multistatus xmlns:d="DAV:">' + b"<d:response>" * 100
    with pytest.raises(NotMultistatus, match="nested"):
        MultistatusReader().feed(deep)
    reader = MultistatusReader()
    reader.feed(b'<d:multistatus xmlns:d="DAV:"><d:response><d:href>')
    with pytest.raises(NotMultistatus, match="too long"):
        for _ in range(MOST_TEXT // 1000 + 2):
            reader.feed(b"a" * 1000)


def test_properties_count_with_a_good_status_only() -> None:
    reader = MultistatusReader()
    resources = reader.feed(
        b'<x:multistatus xmlns:x="DAV:"><x:response><x:href>/a%20b</x:href>'
        b"<x:propstat><x:prop><x:getcontentlength>7</x:getcontentlength></x:prop><x:status>HTTP/1.1 404 Not Found</x:status></x:propstat>"
        b"<x:propstat><x:status>HTTP/1.1 200 OK</x:status><x:prop><x:getcontentlength>5</x:getcontentlength>"
        b'<x:getetag>W/"abc"</x:getetag><x:resourcetype/></x:prop></x:propstat>'
        b"<x:propstat><x:prop><x:resourcetype><x:collection/></x:resourcetype></x:prop><x:status>HTTP/1.1 403 No</x:status></x:propstat>"
        b"</x:response><x:response><x:href>/gone</x:href><x:status>HTTP/1.1 404 Not Found</x:status></x:response></x:multistatus>"
    )
    resources += reader.close()
    assert [(resource.href, resource.size, resource.etag, resource.is_folder) for resource in resources] == [("/a%20b", 5, "abc", False)]


@pytest.mark.parametrize(
    "text",
    [
        "Mon, 02 Jan 2006 15:04:05 GMT",
        "Mon, 2 Jan 2006 15:04:05 GMT",
        "Mon, 02 Jan 2006 17:04:05 +0200",
        "Monday, 02-Jan-06 15:04:05 GMT",
        "Mon Jan  2 15:04:05 2006",
        "Mon Jan  2 15:04:05 UTC 2006",
        "2006-01-02T15:04:05Z",
        "2006-01-02T17:04:05+02:00",
    ],
)
def test_every_form_of_a_time_is_read(text: str) -> None:
    assert moment(text) == datetime(2006, 1, 2, 15, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize("text", ["", "yesterday", "99999999999", "Mon, 99 Jan 2006 15:04:05 GMT", "0000-00-00T00:00:00Z"])
def test_what_is_no_time_is_none(text: str) -> None:
    assert moment(text) is None


async def test_names_that_lead_out_of_the_folder_are_not_listed(server: DavServer, backend: WebDAVBackend) -> None:
    hrefs = ["/dav/f/", "/dav/f/good", "/dav/f/%2e%2e", "/dav/f/a/b", "/dav/other", "/etc/passwd", "http://evil.example/dav/f/../x"]
    inner = "".join(
        f"<d:response><d:href>{href}</d:href><d:propstat><d:prop><d:resourcetype/></d:prop></d:propstat></d:response>" for href in hrefs
    ).replace("<d:resourcetype/>", "<d:resourcetype><d:collection/></d:resourcetype>", 1)
    server.fail("PROPFIND", body(207, f'<d:multistatus xmlns:d="DAV:">{inner}</d:multistatus>'.encode(), "application/xml"))
    assert [entry.key async for entry in backend.entries("f")] == ["f/good"]


def _described(href: str, properties: str) -> bytes:
    return f"<d:response><d:href>{href}</d:href><d:propstat><d:prop>{properties}</d:prop></d:propstat></d:response>".encode()


async def test_a_listing_of_fifty_thousand_files_comes_as_it_is_read(server: DavServer, backend: WebDAVBackend) -> None:
    async def long(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=207, headers={"Content-Type": "application/xml"})
        await response.prepare(request)
        await response.write(b'<d:multistatus xmlns:d="DAV:">')
        folder = "<d:resourcetype><d:collection/></d:resourcetype>"
        await response.write(_described("/dav/f/", folder))
        for number in range(50_000):
            await response.write(_described(f"/dav/f/{number}.pdf", "<d:getcontentlength>5</d:getcontentlength>"))
        await response.write(b"</d:multistatus>")
        return response

    server.fail("PROPFIND", long)
    assert len([entry async for entry in backend.entries("f")]) == 50_000


@pytest.mark.parametrize(
    "url",
    [
        "ftp://cloud.example/",
        "file:///etc/passwd",
        "http://user:secret@cloud.example/",
        "http://cloud.example:22/",
        "http://cloud.example:6379/",
        "http://cloud.example/?x=1",
        "http://cloud.example/#x",
        "http://cloud.example/a/../b",
        "http://cloud.example/%2e%2e/b",
        "http://cloud.example/a b\r\nX: y",
        "http:///x",
        "cloud.example",
        "",
        "http://" + "x" * 3000,
    ],
)
def test_an_address_that_cannot_be_a_cloud_is_refused(url: str) -> None:
    with pytest.raises(UrlNotAllowed):
        validate_cloud_url(url, UrlGuard())


def test_an_address_is_kept_without_its_last_slash() -> None:
    assert validate_cloud_url(" https://cloud.example/dav/für/ ", UrlGuard()) == "https://cloud.example/dav/f%C3%BCr"
    assert validate_cloud_url("http://nas:9999", UrlGuard(["nas"])) == "http://nas:9999"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "169.254.169.254", "10.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "0x7f.1"])
async def test_no_request_goes_into_the_private_network(server: DavServer, host: str) -> None:
    backend = WebDAVBackend(server_url=f"http://{host}:8080/dav", username=USER, password=PASSWORD, guard=UrlGuard())
    calls = backend.ping(), backend.delete("a"), backend._with_webdavclient("mkdir", "a"), backend.put("a", b"", content_type="")
    for call in calls:
        with pytest.raises(StorageUnavailable, match="private network"):
            await call
    await backend.close()


async def test_a_large_file_goes_to_nextcloud_in_chunks(nextcloud: NextcloudServer, account: NextcloudBackend) -> None:
    content = secrets.token_bytes(2 * CHUNK_SIZE + 5)
    nextcloud.merging = 2
    stored = await account.put("f/größe.bin", content, content_type="application/octet-stream")
    assert stored.size == len(content)
    assert (nextcloud.folder / "f" / "größe.bin").read_bytes() == content
    assert list(nextcloud.uploads.iterdir()) == []
    sent = [asked for asked in nextcloud.asked if asked.path.startswith(nextcloud.uploads_prefix)]
    assert [asked.method for asked in sent] == ["MKCOL", "PUT", "PUT", "PUT", "MOVE", "MOVE", "MOVE"]
    assert [asked.path.rpartition("/")[2] for asked in sent[1:4]] == ["00001", "00002", "00003"]
    assert all("Destination" in asked.headers for asked in sent)
    assert {asked.headers["OC-Total-Length"] for asked in sent[1:]} == {str(len(content))}
    assert sent[-1].headers["OC-Checksum"].startswith("SHA256:")


async def test_a_lost_chunk_is_sent_again(nextcloud: NextcloudServer, account: NextcloudBackend) -> None:
    content = secrets.token_bytes(CHUNK_SIZE + 5)
    nextcloud.fail("PUT", cut_after(2**20), status(503))
    assert (await account.put("a", content, content_type="text/plain")).size == len(content)
    assert (nextcloud.folder / "a").read_bytes() == content


async def test_chunks_of_an_upload_that_fails_are_removed(nextcloud: NextcloudServer, account: NextcloudBackend) -> None:
    nextcloud.fail("PUT", status(507))
    with pytest.raises(QuotaFull):
        await account.put("a", bytes(CHUNK_SIZE + 1), content_type="text/plain")
    nextcloud.fail("MOVE", status(507))
    with pytest.raises(QuotaFull):
        await account.put("a", bytes(CHUNK_SIZE + 1), content_type="text/plain")
    assert list(nextcloud.uploads.iterdir()) == []
    assert list(nextcloud.folder.iterdir()) == []


async def test_what_is_no_nextcloud_is_told(server: DavServer) -> None:
    backend = NextcloudBackend(server_url=server.url, username=USER, password=PASSWORD, guard=GUARD)
    with pytest.raises(StorageUnavailable, match="no Nextcloud"):
        await backend.identify()
    await backend.close()


async def test_a_nextcloud_address_may_be_any_that_its_pages_have(nextcloud: NextcloudServer) -> None:
    for path in ("/", "/index.php", "/remote.php/dav/files/whoever/", "/remote.php/webdav"):
        backend = NextcloudBackend(server_url=nextcloud.url + path, username=USER, password=PASSWORD, guard=GUARD)
        await backend.identify()
        assert await backend.has_chunked_uploads()
        await backend.ping()
        await backend.close()


async def test_two_writers_of_one_name_leave_one_whole_file(server: DavServer, backend: WebDAVBackend) -> None:
    contents = [bytes([number]) * 100_000 for number in range(4)]
    results = await asyncio.gather(
        *(backend.put_stream("a", chunks(content), content_type="text/plain", size=100_000, replace=False) for content in contents),
        return_exceptions=True,
    )
    assert sum(isinstance(result, NameTaken) for result in results) == 3
    assert (server.folder / "a").read_bytes() in contents
    assert [path.name for path in server.folder.iterdir()] == ["a"]
