"""Who the client is, by address: the connection's peer, or what a trusted party says of it.

`X-Forwarded-For` is believed only from TRUSTED_PROXIES. The gateway tells remote functions the client's address, and the origin that the
client called, in a header of its own, signed.
"""

import time
from collections.abc import Mapping, MutableMapping
from functools import lru_cache
from typing import Any

from shared.config import settings
from shared.keys import is_signed, sign
from shared.networks import parse_address

SIGNED_CLIENT_HEADER = "x-docuvault-client"
SIGNATURE_SECONDS = 60
_PURPOSE = "client address"


def client_address(scope: MutableMapping[str, Any], headers: Mapping[str, str]) -> str:
    """The client's IP address as text; `unknown` if the connection has none (a unix socket)."""
    signed = headers.get(SIGNED_CLIENT_HEADER)
    if signed is not None and (told := _verified(signed)) is not None:
        return told[0]
    peer = scope.get("client")
    address = str(peer[0]).removeprefix("::ffff:") if peer else "unknown"
    if not settings().trusted_proxies or "x-forwarded-for" not in headers:
        return address
    forwarded = headers["x-forwarded-for"].split(",")
    while forwarded and is_trusted_proxy(address):
        candidate = parse_address(forwarded.pop().strip())
        if candidate is None:
            break
        address = str(candidate)
    return address


def called_origin(scope: MutableMapping[str, Any], headers: Mapping[str, str]) -> str:
    """Scheme and host that the client called us by."""
    signed = headers.get(SIGNED_CLIENT_HEADER)
    if signed is not None and (told := _verified(signed)) is not None:
        return told[1]
    return f"{scope.get('scheme', 'http')}://{headers.get('host', '')}"


def signed_client(address: str, origin: str) -> str:
    """The header's value for a client, good for a minute."""
    stamp = f"{address} {origin.replace(' ', '')} {int(time.time())}"
    return f"{stamp} {sign(_PURPOSE, _bytes(stamp)).hex()}"


def _verified(value: str) -> tuple[str, str] | None:
    stamp, _, signature = value.rpartition(" ")
    address, origin, moment = stamp.split(" ") if stamp.count(" ") == 2 else ("", "", "")
    if not (moment.isascii() and moment.isdecimal() and len(moment) < 16) or abs(time.time() - int(moment)) > SIGNATURE_SECONDS:
        return None
    try:
        tag = bytes.fromhex(signature)
    except ValueError:
        return None
    return (address, origin) if is_signed(_PURPOSE, _bytes(stamp), tag) else None


def _bytes(stamp: str) -> bytes:
    return stamp.encode("latin-1", "replace")


@lru_cache(maxsize=1024)
def is_trusted_proxy(address: str) -> bool:
    """Whether the address is one of TRUSTED_PROXIES."""
    parsed = parse_address(address)
    return parsed is not None and any(parsed in proxy for proxy in settings().trusted_proxies)
