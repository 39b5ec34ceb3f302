"""Which IP addresses are public: reachable by everyone, and nobody's inner network."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

Address = IPv4Address | IPv6Address

_NEVER: tuple[IPv4Network | IPv6Network, ...] = tuple(
    ip_network(network)
    for network in (
        "0.0.0.0/8",  # this network (RFC 1122): Linux takes 0.0.0.0 for the machine itself
        "100.64.0.0/10",  # shared by carriers (RFC 6598); a cloud's metadata stands here, too
        "168.63.129.16/32",  # a cloud's wire server, on an address that looks public
        "192.0.0.0/24",  # protocol assignments (RFC 6890)
        "192.88.99.0/24",  # 6to4 relays (RFC 7526)
        "198.18.0.0/15",  # benchmarks (RFC 2544)
        "224.0.0.0/4",
        "240.0.0.0/4",
        "::/96",  # IPv4-compatible (RFC 4291, deprecated), unspecified, loopback
        "64:ff9b:1::/48",  # local-use NAT64 (RFC 8215): what it leads to depends on the network
        "100::/64",  # discard (RFC 6666)
        "2001::/23",  # protocol assignments, Teredo among them
        "2001:db8::/32",
        "3fff::/20",
        "5f00::/16",
        "fc00::/7",
        "fe80::/10",
        "fec0::/10",
        "ff00::/8",
    )
)

_NAT64 = IPv6Network("64:ff9b::/96")
"""RFC 6052: the last 32 bits are an IPv4 address."""


def is_public(address: Address) -> bool:
    """Whether a connection to `address` stays out of every private network; an IPv4 address inside an IPv6 one is judged itself."""
    if isinstance(address, IPv6Address):
        inner = _inner(address)
        if inner is not None:
            return is_public(inner)
        if address.scope_id is not None:
            return False
    return address.is_global and not any(address in network for network in _NEVER if network.version == address.version)


def _inner(address: IPv6Address) -> IPv4Address | None:
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.sixtofour
