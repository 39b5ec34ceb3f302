"""Whose address it is: only what the connection, a trusted proxy or our own gateway says counts."""

import time
from collections.abc import Callable, Mapping

import pytest

from shared.faas import client_addresses
from shared.faas.client_addresses import SIGNED_CLIENT_HEADER, client_address, signed_client
from shared.networks import network

PROXIES = "10.0.0.0/8, 2001:db8:aaaa::/48"


def address(peer: str | None, headers: Mapping[str, str]) -> str:
    return client_address({"client": (peer, 1) if peer else None}, headers)


def test_without_proxies_the_peer_is_the_client_whatever_it_says() -> None:
    assert address("192.0.2.1", {"x-forwarded-for": "203.0.113.9"}) == "192.0.2.1"


def test_a_connection_without_an_address_is_unknown() -> None:
    assert address(None, {}) == "unknown"


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        pytest.param("10.1.1.1", "203.0.113.9", "203.0.113.9", id="one proxy"),
        pytest.param("10.1.1.1", "203.0.113.9, 10.2.2.2", "203.0.113.9", id="two proxies"),
        pytest.param("10.1.1.1", "203.0.113.9,10.2.2.2 ,10.3.3.3", "203.0.113.9", id="three proxies"),
        pytest.param("10.1.1.1", "1.1.1.1, 203.0.113.9", "203.0.113.9", id="what the client made up stands before its own address"),
        pytest.param("10.1.1.1", "10.9.9.9, 203.0.113.9, 10.2.2.2", "203.0.113.9", id="a made-up proxy changes nothing"),
        pytest.param("192.0.2.1", "203.0.113.9", "192.0.2.1", id="a peer that is no proxy"),
        pytest.param("10.1.1.1", "10.2.2.2, 10.3.3.3", "10.2.2.2", id="a client inside the proxies' network"),
        pytest.param("10.1.1.1", "", "10.1.1.1", id="an empty header"),
        pytest.param("10.1.1.1", "203.0.113.9, nonsense", "10.1.1.1", id="nonsense ends the chain at the last one trusted"),
        pytest.param("10.1.1.1", "nonsense, 203.0.113.9", "203.0.113.9", id="nonsense before the client does not matter"),
        pytest.param("10.1.1.1", "203.0.113.9:4711", "10.1.1.1", id="a port is no part of an address"),
        pytest.param("10.1.1.1", "[2001:db8:1::7]:4711", "2001:db8:1::7", id="IPv6 in brackets, with a port"),
        pytest.param("10.1.1.1", "2001:db8:1::7", "2001:db8:1::7", id="IPv6"),
        pytest.param("2001:db8:aaaa::1", "203.0.113.9", "203.0.113.9", id="a proxy over IPv6"),
        pytest.param("::ffff:10.1.1.1", "203.0.113.9", "203.0.113.9", id="a proxy over IPv4 on a socket of both"),
        pytest.param("10.1.1.1", "::ffff:203.0.113.9", "203.0.113.9", id="a client over IPv4 on a proxy's socket of both"),
    ],
)
def test_a_proxy_is_believed_as_far_as_proxies_go(with_settings: Callable[..., None], peer: str, forwarded: str, client: str) -> None:
    with_settings(TRUSTED_PROXIES=PROXIES)
    assert address(peer, {"x-forwarded-for": forwarded}) == client


def test_without_the_header_a_proxy_is_the_client(with_settings: Callable[..., None]) -> None:
    with_settings(TRUSTED_PROXIES=PROXIES)
    assert address("10.1.1.1", {}) == "10.1.1.1"


def test_an_ipv4_client_on_a_socket_of_both_has_its_ipv4_address() -> None:
    assert address("::ffff:192.0.2.1", {}) == "192.0.2.1"


@pytest.mark.parametrize(
    ("client", "counted"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("unknown", "unknown"),
    ],
)
def test_limits_count_ipv4_addresses_and_ipv6_networks(client: str, counted: str) -> None:
    assert network(client) == counted


# ---- what the gateway tells remote functions


def test_a_signed_address_is_believed() -> None:
    assert address("10.1.1.1", {SIGNED_CLIENT_HEADER: signed_client("203.0.113.9", "https://vault.test")}) == "203.0.113.9"


def test_the_origin_that_the_client_called_comes_with_it() -> None:
    headers = {"host": "service.internal", SIGNED_CLIENT_HEADER: signed_client("203.0.113.9", "https://vault.test")}
    assert client_addresses.called_origin({"scheme": "http"}, headers) == "https://vault.test"


def test_an_address_signed_by_the_key_before_is_still_believed(with_settings: Callable[..., None]) -> None:
    import os

    signed = signed_client("203.0.113.9", "https://vault.test")
    with_settings(SECRET_KEY=f"{os.urandom(32).hex()},{os.environ['SECRET_KEY']}")
    assert address("10.1.1.1", {SIGNED_CLIENT_HEADER: signed}) == "203.0.113.9"


def test_a_forged_address_is_not_believed() -> None:
    signed = signed_client("203.0.113.9", "https://vault.test")
    signature = signed.rpartition(" ")[2]
    forgeries = [
        "",
        "203.0.113.9",
        signed.replace("203.0.113.9", "203.0.113.8"),
        signed.replace("https", "http"),
        f"{signed}0",
        signed[:-1],
        f"203.0.113.9 https://vault.test {int(time.time())} {'0' * 64}",
        f"203.0.113.9 https://vault.test {int(time.time()) + 30} {signature}",
        f"203.0.113.9 https://vault.test {'9' * 5000} {signature}",
        f"203.0.113.9 https://vault.test ١٢٣ {signature}",
        f"203.0.113.9 x y https://vault.test {int(time.time())} {signature}",
        "é é é é",
    ]
    assert {address("192.0.2.1", {SIGNED_CLIENT_HEADER: forgery}) for forgery in forgeries} == {"192.0.2.1"}


def test_a_signed_address_is_good_for_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now)
    signed = signed_client("203.0.113.9", "https://vault.test")
    monkeypatch.setattr(time, "time", lambda: now + 58)
    assert address("192.0.2.1", {SIGNED_CLIENT_HEADER: signed}) == "203.0.113.9"
    monkeypatch.setattr(time, "time", lambda: now + 62)
    assert address("192.0.2.1", {SIGNED_CLIENT_HEADER: signed}) == "192.0.2.1"
