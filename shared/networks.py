"""Addresses of clients, and the networks that limits count by."""

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network


@lru_cache(maxsize=4096)
def network(address: str) -> str:
    """What limits count by: an IPv4 address, or an IPv6 address's /64 (one household or host has at least that)."""
    parsed = parse_address(address)
    if isinstance(parsed, IPv6Address):
        return str(ip_network((parsed.packed, 64), strict=False))
    return str(parsed or address)


def parse_address(text: str) -> IPv4Address | IPv6Address | None:
    """An address as a header or a socket has it: IPv6 perhaps in brackets, IPv4 perhaps in IPv6's clothes."""
    try:
        parsed = ip_address(text.removeprefix("[").partition("]")[0] if text.startswith("[") else text)
    except ValueError:
        return None
    return (parsed.ipv4_mapped or parsed) if isinstance(parsed, IPv6Address) else parsed
