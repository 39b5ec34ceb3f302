"""What the embedded store's filer (its metadata) is asked over gRPC, beside its log of changes (weed/pb/filer.proto)."""

import json
from dataclasses import dataclass

from infra.local.grpc import CallFailed, Peer, bytes_field, fields, number_field, text_field

_SERVICE = "/filer_pb.SeaweedFiler/"
_SECONDS = 2.0


@dataclass(frozen=True)
class Assignment:
    """Whether the store would take an object under a path now, and whether it would sync the object's bytes before it says so."""

    accepted: bool
    synced: bool


async def has_bucket(peer: Peer, bucket: str) -> bool:
    """Whether the bucket is there; False also if the filer cannot be reached yet."""
    try:
        response = await peer.call(f"{_SERVICE}LookupDirectoryEntry", text_field(1, "/buckets") + text_field(2, bucket), seconds=_SECONDS)
    except CallFailed:
        return False
    return any(number == 1 for number, _ in fields(response))


async def assign(peer: Peer, path: str) -> Assignment:
    """Asks where an object under `path` would go. A filer that cannot be reached yet does not accept it."""
    try:
        response = await peer.call(f"{_SERVICE}AssignVolume", number_field(1, 1) + text_field(6, path), seconds=_SECONDS)
    except CallFailed:
        return Assignment(False, False)
    values = dict(fields(response))
    return Assignment(accepted=bool(values.get(1)) and not values.get(8), synced=bool(values.get(11)))


async def sync_writes(peer: Peer, prefix: str) -> None:
    """Has the bytes of every object under `prefix` synced to the disk before the store acknowledges it. Raises CallFailed."""
    content = json.dumps({"version": 1, "locations": [{"locationPrefix": prefix, "fsync": True}]}).encode()
    attributes = number_field(1, len(content)) + number_field(3, 0o600)
    entry = text_field(1, "filer.conf") + bytes_field(4, attributes) + bytes_field(9, content)
    response = await peer.call(f"{_SERVICE}CreateEntry", text_field(1, "/etc/seaweedfs") + bytes_field(2, entry), seconds=_SECONDS)
    for number, value in fields(response):
        if number == 1 and value:
            raise CallFailed(value.decode(errors="replace"))
