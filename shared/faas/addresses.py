"""Who the client is, by address: the connection's peer, or what a trusted party says of it.

`X-Forwarded-For` is believed only from TRUSTED_PROXIES. The gateway tells remote functions the address in a header of its own, signed.
"""

import hashlib
import hmac
import time
from collections.abc import Mapping, MutableMapping
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any

from shared.config import settings

SIGNED_ADDRESS_HEADER = "x-docuvault-client"
SIGNATURE_SECONDS = 60


def client_address(scope: MutableMapping[str, Any], headers: Mapping[str, str]) -> str:
    """The client's IP address as text; `unknown` where the connection has none (a unix socket)."""
    signed = headers.get(SIGNED_ADDRESS_HEADER)
    if signed is not None and (address := _verified(signed)) is not None:
        return address
    peer = scope.get("client")
    address = str(peer[0]) if peer else "unknown"
    proxies = settings().trusted_proxies
    if not proxies:
        return address
    forwarded = [part.strip() for part in headers.get("x-forwarded-for", "").split(",")]
    while forwarded and _trusted(address):
        candidate = _parsed(forwarded.pop())
        if candidate is None:
            break
        address = str(candidate)
    return address


def network(address: str) -> str:
    """What limits count by: an IPv4 address, or an IPv6 address's /64 (one household or host has at least that)."""
    parsed = _parsed(address)
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped:
            return str(parsed.ipv4_mapped)
        return str(ip_network((parsed, 64), strict=False))
    return address


def signed_address(address: str) -> str:
    """The header's value for `address`, good for a minute."""
    stamp = f"{address} {int(time.time())}"
    return f"{stamp} {_signature(settings().secret_key[0], stamp)}"


def _verified(value: str) -> str | None:
    stamp, _, signature = value.rpartition(" ")
    address, _, moment = stamp.partition(" ")
    if not moment.isdecimal() or abs(time.time() - int(moment)) > SIGNATURE_SECONDS:
        return None
    for secret in settings().secret_key:
        if hmac.compare_digest(signature.encode("latin-1", "replace"), _signature(secret, stamp).encode()):
            return address
    return None


def _signature(secret: bytes, stamp: str) -> str:
    key = hmac.digest(secret, b"docuvault client address", hashlib.sha256)
    return hmac.digest(key, stamp.encode("latin-1", "replace"), hashlib.sha256).hex()


def _parsed(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(text.removeprefix("[").partition("]")[0] if text.startswith("[") else text)
    except ValueError:
        return None


@lru_cache(maxsize=1024)
def _trusted(address: str) -> bool:
    parsed = _parsed(address)
    return parsed is not None and any(parsed in proxy for proxy in settings().trusted_proxies)
