"""Loopback ports for the services of this machine: free ones, held by locks, and the same ones again after a restart."""

import fcntl
import os
import secrets
import tempfile
from pathlib import Path

from infra.local.private_files import is_foreign, own_folder
from infra.port_probe import check_port
from infra.processes import StartError

_LOWEST_PORT, _BLOCK = 10_500, 8
_blocks: dict[int, int] = {}
"""Descriptors of the locks on blocks of ports that are this process's, by the first port; a lock ends with the process."""


def free_port_block(size: int) -> int:
    """The first of `size` (8 at most) free loopback ports in a row whose gRPC siblings (10,000 above, SeaweedFS's rule) are free too.

    Below the range that the system hands out to connections, so that none of them takes one before its server does; and no other process of
    ours is given the same ones while this one lives, though nobody listens there yet. Raises StartError.
    """
    for _ in range(1000):
        first = _LOWEST_PORT + _BLOCK * secrets.randbelow(1_400)
        if first in _blocks or not _lock_block(first):
            continue
        ports = [first + offset + above for offset in range(size) for above in (0, 10_000)]
        if all(map(port_is_free, ports)) and not any(map(is_foreign, store_sockets(first))):
            return first
        os.close(_blocks.pop(first))
    raise StartError("No free ports were found between 10500 and 32000.")


def same_port_block(first: int, size: int) -> int:
    """The ports that were given before, perhaps to a process that is gone; others if somebody has them now. Raises StartError."""
    free = _lock_block(first) and all(port_is_free(first + offset) for offset in range(size))
    free = free and not any(map(is_foreign, store_sockets(first)))
    return first if free else free_port_block(size)


def port_is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether a server could listen there now."""
    try:
        check_port(host, port)
    except OSError:
        return False
    return True


def store_sockets(port: int) -> list[Path]:
    """The sockets that the store on `port` and its parts make in /tmp, by names it does not let one choose."""
    parts = enumerate(("s3", "master", "volume", "filer", "admin"))
    return [Path(f"/tmp/seaweedfs-{part}-grpc-{port + offset + 10_000}.sock") for offset, part in parts]  # noqa: S108


def _lock_block(port: int) -> bool:
    """Whether the block that `port` is of is this process's, which it then stays."""
    first = port - (port - _LOWEST_PORT) % _BLOCK
    if first in _blocks:
        return True
    folder = Path(tempfile.gettempdir()) / f"docuvault-ports-{os.geteuid()}"
    own_folder(folder, None)
    lock = os.open(folder / str(first), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return False
    _blocks[first] = lock
    return True
