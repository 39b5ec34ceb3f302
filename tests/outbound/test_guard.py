"""Where requests of ours may go when somebody else chose the address, and that the connection goes where the guard looked."""

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from ipaddress import ip_address

import httpx
import httpx2
import pytest

from shared.outbound import HostNotAllowed, UrlGuard, UrlNotAllowed
from shared.outbound.address_rules import Address, is_public
from shared.outbound.clients import ResponseTooLarge, client, sdk_client

PRIVATE = [
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",
    "100.100.100.200",
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.1",
    "192.0.2.1",
    "192.168.0.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.1.1.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "2002:7f00:1::",
    "2002:a00:1::1",
    "2001::1",
    "2001:db8::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "100::1",
    "3fff::1",
    "5f00::1",
]
PUBLIC = [
    "8.8.8.8",
    "1.1.1.1",
    "172.32.0.1",
    "100.128.0.1",
    "2606:4700:4700::1111",
    "::ffff:8.8.8.8",
    "64:ff9b::808:808",
    "2002:808:808::1",
]


def _resolving(*addresses: str) -> UrlGuard:
    async def resolve(host: str, port: int) -> Sequence[Address]:
        return [ip_address(address) for address in addresses]

    return UrlGuard(resolve=resolve)


@pytest.mark.parametrize("address", PRIVATE)
def test_no_private_address_is_public(address: str) -> None:
    assert not is_public(ip_address(address))


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are(address: str) -> None:
    assert is_public(ip_address(address))


async def test_one_private_address_among_a_names_is_enough_to_refuse_it() -> None:
    await _resolving("8.8.8.8", "1.1.1.1").check_url("https://example.org/v1")
    with pytest.raises(HostNotAllowed):
        await _resolving("8.8.8.8", "10.0.0.1").check_url("https://example.org/v1")
    with pytest.raises(HostNotAllowed):
        await _resolving().check_url("https://nowhere.example/v1")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.org",
        "//example.org",
        "ftp://example.org/",
        "file:///etc/passwd",
        "gopher://example.org/",
        "unix:///run/redis.sock",
        "http://",
        "http://user:password@example.org/",
        "http://8.8.8.8@10.0.0.1/",
        "http://exa mple.org/",
        "http://example.org\\@10.0.0.1/",
        "http://example.org:99999/",
        "http://[::1/",
        "http://exämple.org/",
        "http://example.org/\n",
        "http://example.org/" + "x" * 3000,
    ],
)
async def test_only_plain_http_urls_are_urls(url: str) -> None:
    with pytest.raises(UrlNotAllowed):
        await _resolving("8.8.8.8").check_url(url)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1/", "http://0x7f.1/", "http://2130706433/", "http://[::ffff:127.0.0.1]/", "http://localhost/"]
)
async def test_however_it_is_spelled_this_machine_is_not_called(url: str) -> None:
    with pytest.raises(HostNotAllowed):
        await UrlGuard().check_url(url)


async def test_hosts_and_networks_may_be_allowed() -> None:
    await UrlGuard(["127.0.0.1"]).check_url("http://127.0.0.1:9/")
    await UrlGuard(["127.0.0.0/8"]).check_url("http://127.0.0.3/")
    await UrlGuard(["LOCALHOST"]).check_url("http://localhost/")
    await UrlGuard(trusted=True).check_url("http://127.0.0.1/")
    with pytest.raises(HostNotAllowed):
        await UrlGuard(["127.0.0.1"]).check_url("http://127.0.0.2/")
    with pytest.raises(UrlNotAllowed):
        await UrlGuard(trusted=True).check_url("file:///etc/passwd")


async def test_what_must_stay_at_home_goes_to_private_addresses_only() -> None:
    await UrlGuard(trusted=True, at_home=True).check_url("http://127.0.0.1/")
    with pytest.raises(HostNotAllowed):
        await UrlGuard(trusted=True, at_home=True).check_url("http://8.8.8.8/")


@asynccontextmanager
async def _server(answer: bytes) -> AsyncIterator[tuple[int, list[bytes]]]:
    """Answers each request with these bytes; its port, and the requests' heads."""
    heads: list[bytes] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], heads
    finally:
        server.close()


def _response(body: bytes, *headers: bytes, status: bytes = b"200 OK") -> bytes:
    return b"\r\n".join([b"HTTP/1.1 " + status, b"Content-Length: %d" % len(body), *headers, b"", body])


async def _get(kind: str, guard: UrlGuard, url: str) -> bytes:
    if kind == "httpx2":
        return (await sdk_client(guard).get(url)).content
    async with client(guard, seconds=5, response_bytes=4 * 2**20) as http:
        return (await http.get(url)).content


kinds = pytest.mark.parametrize("kind", ["httpx", "httpx2"])


@kinds
async def test_a_client_reaches_what_it_may_and_nothing_else(kind: str) -> None:
    async with _server(_response(b"hello")) as (port, heads):
        assert await _get(kind, UrlGuard(["127.0.0.1"]), f"http://127.0.0.1:{port}/") == b"hello"
        assert len(heads) == 1
        for guard in (UrlGuard(), UrlGuard(["10.0.0.1"])):
            with pytest.raises(HostNotAllowed):
                await _get(kind, guard, f"http://127.0.0.1:{port}/")
        assert len(heads) == 1


@kinds
async def test_a_name_that_changes_its_mind_after_the_check_gains_nothing(kind: str) -> None:
    """DNS rebinding: public when the settings were saved, private at the connection."""
    answers = [["8.8.8.8"], ["127.0.0.1"]]

    async def resolve(host: str, port: int) -> Sequence[Address]:
        return [ip_address(address) for address in (answers.pop(0) if len(answers) > 1 else answers[0])]

    async with _server(_response(b"secret")) as (port, heads):
        guard = UrlGuard(resolve=resolve)
        await guard.check_url(f"http://rebind.example:{port}/")
        with pytest.raises(HostNotAllowed):
            await _get(kind, guard, f"http://rebind.example:{port}/")
        assert heads == []


@kinds
async def test_the_connection_goes_to_the_address_that_was_checked_under_the_hosts_name(kind: str) -> None:
    async def resolve(host: str, port: int) -> Sequence[Address]:
        return [ip_address("127.0.0.1")]

    async with _server(_response(b"hello")) as (port, heads):
        guard = UrlGuard(["models.example"], resolve=resolve)
        assert await _get(kind, guard, f"http://models.example:{port}/") == b"hello"  # a name that no resolver knows
        assert f"Host: models.example:{port}".encode().lower() in heads[0].lower()


@kinds
async def test_of_several_addresses_one_that_answers_is_found(kind: str) -> None:
    async def resolve(host: str, port: int) -> Sequence[Address]:
        return [ip_address("127.0.0.9"), ip_address("127.0.0.1")]

    async with _server(_response(b"hello")) as (port, _):
        assert await _get(kind, UrlGuard(trusted=True, resolve=resolve), f"http://models.example:{port}/") == b"hello"


@kinds
async def test_redirects_are_not_followed(kind: str) -> None:
    async with _server(_response(b"", b"Location: http://127.0.0.1:1/", status=b"307 Temporary Redirect")) as (port, heads):
        assert await _get(kind, UrlGuard(["127.0.0.1"]), f"http://127.0.0.1:{port}/") == b""
        assert len(heads) == 1


@kinds
async def test_the_environments_proxy_is_not_used(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{closed.getsockname()[1]}")
        monkeypatch.setenv("ALL_PROXY", f"http://127.0.0.1:{closed.getsockname()[1]}")
        async with _server(_response(b"hello")) as (port, _):
            assert await _get(kind, UrlGuard(["127.0.0.1"]), f"http://127.0.0.1:{port}/") == b"hello"


@kinds
async def test_a_response_without_an_end_is_cut_off(kind: str) -> None:
    async with _server(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + b"x" * (5 * 2**20)) as (port, _):
        with pytest.raises(ResponseTooLarge):
            await _get(kind, UrlGuard(["127.0.0.1"]), f"http://127.0.0.1:{port}/")


@kinds
async def test_a_packed_response_is_not_unpacked(kind: str) -> None:
    async with _server(_response(b"\x1f\x8b", b"Content-Encoding: gzip")) as (port, heads):
        with pytest.raises(ResponseTooLarge):
            await _get(kind, UrlGuard(["127.0.0.1"]), f"http://127.0.0.1:{port}/")
        assert b"accept-encoding: identity" in heads[0].lower()


@kinds
async def test_a_host_that_does_not_answer_is_an_ordinary_failure(kind: str) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    with pytest.raises((httpx.ConnectError, httpx2.ConnectError)):
        await _get(kind, UrlGuard(trusted=True), f"http://127.0.0.1:{port}/")
