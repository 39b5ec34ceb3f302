"""What every backend can do once it streams: small objects in memory, whole ones into a file, and their hash."""

import hashlib
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from shared.storage.backend import Download, ObjectTooLarge, StorageUnavailable

if TYPE_CHECKING:
    from shared.storage.backend import StorageBackend

CHUNK_SIZE = 256 * 1024
IN_MEMORY = 64 * 1024


async def read(backend: "StorageBackend", key: str, limit: int) -> bytes:
    """A small object. Raises ObjectMissing, and ObjectTooLarge beyond `limit` bytes."""
    content = bytearray()
    async for chunk in backend.stream(key):
        content += chunk
        if len(content) > limit:
            raise ObjectTooLarge(f"{key} has more than {limit} bytes")
    return bytes(content)


async def download(backend: "StorageBackend", key: str, into: Path, limit: int) -> Download:
    """Fetches the object into a file, hashing on the way. Raises ObjectMissing, and ObjectTooLarge beyond `limit` bytes."""
    size, digest = 0, hashlib.sha256()
    with into.open("wb") as file:
        async for chunk in backend.stream(key):
            size += len(chunk)
            if size > limit:
                raise ObjectTooLarge(f"{key} has more than {limit} bytes")
            digest.update(chunk)
            file.write(chunk)
    return Download(size, digest.hexdigest())


async def sha256(backend: "StorageBackend", key: str) -> str:
    """The hash of what comes when the object is read back. Raises ObjectMissing."""
    digest = hashlib.sha256()
    async for chunk in backend.stream(key):
        digest.update(chunk)
    return digest.hexdigest()


async def once(content: bytes) -> AsyncIterator[bytes]:
    """A stream of what is there already."""
    if content:
        yield content


@asynccontextmanager
async def measured(chunks: AsyncIterator[bytes]) -> AsyncIterator[tuple[int, AsyncIterator[bytes]]]:
    """Size and bytes of a stream whose length nobody knows: it waits on the disk. Raises StorageUnavailable if the disk is full."""
    with tempfile.SpooledTemporaryFile(IN_MEMORY) as file:
        size = 0
        try:
            async for chunk in chunks:
                file.write(chunk)
                size += len(chunk)
        except OSError as full:
            raise StorageUnavailable("There is no room for what comes in just now; try again later.") from full
        file.seek(0)

        async def again() -> AsyncIterator[bytes]:
            while chunk := file.read(CHUNK_SIZE):
                yield chunk

        yield size, again()
