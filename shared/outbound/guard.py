"""The URL guard: where a request of ours may go when somebody else chose the address.

A vault that fetches what its users name could be led to its own database, to a neighbour on the network or to a cloud's metadata
service (OWASP: server-side request forgery). So a URL that a user gave leads to public addresses only. Names are resolved here, every
address of a name must be public, and the connection goes to the address that was checked: a name that changes between check and
connection gains nothing. ALLOWED_PRIVATE_HOSTS lists exceptions. What the admin configured is trusted and may be local.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from urllib.parse import urlsplit

from shared.outbound.address_rules import Address, is_public

URL_CHARACTERS = 2048
RESOLVE_SECONDS = 5.0

Resolve = Callable[[str, int], Awaitable[Sequence[Address]]]


class HostNotAllowed(Exception):
    """The host has an address that requests may not go to, or none at all; the message is for people."""


class UrlNotAllowed(Exception):
    """The URL cannot be one that requests go to; the message is for people."""


class UrlGuard:
    """`private_hosts` are names, addresses and networks that are allowed although private; `trusted` allows every address, `at_home`
    private ones alone: for what must not leave this house."""

    def __init__(
        self, private_hosts: Sequence[str] = (), *, trusted: bool = False, at_home: bool = False, resolve: Resolve | None = None
    ) -> None:
        self._names = frozenset(_host_of(entry) for entry in private_hosts)
        self._networks = tuple(network for entry in private_hosts if (network := _network(entry)) is not None)
        self._resolve = resolve or _resolved
        self._trusted = trusted
        self._at_home = at_home

    def names(self, host: str) -> bool:
        """Whether the host is one that is allowed by its name (or address) although it may be private."""
        return self._trusted or _host_of(host) in self._names

    async def check_url(self, url: str) -> None:
        """Whether requests to `url` may be made just now. Raises UrlNotAllowed, HostNotAllowed."""
        host, port = parts_of(url)
        await self.addresses(host, port)

    async def addresses(self, host: str, port: int) -> Sequence[Address]:
        """The addresses of `host` that a connection may go to. Raises HostNotAllowed if it has none or if one of them is private."""
        addresses = await self._resolve(host, port)
        if not addresses:
            raise HostNotAllowed(f"There is no host “{host}”.")
        if self._at_home and any(is_public(address) for address in addresses):
            raise HostNotAllowed(f"“{host}” is an address outside this house, and this must not leave it.")
        if not self._trusted and _host_of(host) not in self._names:
            for address in addresses:
                if not is_public(address) and not any(address in network for network in self._networks):
                    raise HostNotAllowed(f"“{host}” is an address in a private network, which this server does not call.")
        return addresses


def parts_of(url: str) -> tuple[str, int]:
    """Host and port of an http or https URL without user and password. Raises UrlNotAllowed."""
    if len(url) > URL_CHARACTERS or not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        raise UrlNotAllowed("This is not an http:// or https:// URL.")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise UrlNotAllowed("This is not an http:// or https:// URL.") from None
    if parts.scheme not in ("http", "https") or not host:
        raise UrlNotAllowed("This is not an http:// or https:// URL.")
    if "@" in parts.netloc:
        raise UrlNotAllowed("User name and password do not belong in the URL.")
    return host, port if port is not None else {"http": 80, "https": 443}[parts.scheme]


async def _resolved(host: str, port: int) -> Sequence[Address]:
    """Every address of `host`, as the system's resolver orders them; it also reads the odd spellings of IPv4 (`0x7f.1`)."""
    try:
        return (ip_address(host),)
    except ValueError:
        pass  # a name, or a spelling that the resolver reads
    try:
        async with asyncio.timeout(RESOLVE_SECONDS):
            infos = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError, TimeoutError):
        return ()
    return tuple(dict.fromkeys(ip_address(entry[4][0]) for entry in infos))


def _host_of(entry: str) -> str:
    return entry.strip().strip("[]").rstrip(".").casefold()


def _network(entry: str) -> IPv4Network | IPv6Network | None:
    try:
        return ip_network(entry.strip().strip("[]"), strict=False)
    except ValueError:
        return None
