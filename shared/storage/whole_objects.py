"""What every backend of a cloud can do once it streams: small objects in memory, whole ones into a file, and their hash."""

import tempfile
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

from shared.storage.backend import Download, ObjectTooLarge, StorageUnavailable, StoredObject, WrongContent
from shared.storage.digesting import digesting

CHUNK_SIZE = 256 * 1024
IN_MEMORY = 64 * 1024
IDLE_SECONDS = 4.0
"""How long a connection is kept for a next request: Apache closes one after 5 s, and what is sent just then is lost."""


class WholeObjects(ABC):
    """A backend with `stream`, and `_store` for streams of known length, from which the rest follows."""

    @abstractmethod
    def stream(self, key: str, *, start: int = 0, length: int | None = None) -> AsyncGenerator[bytes, None]:
        """As `StorageBackend.stream`."""

    @abstractmethod
    async def _store(
        self, key: str, chunks: AsyncIterator[bytes], size: int, content_type: str, *, replace: bool, attempt: str | None
    ) -> StoredObject:
        """As `StorageBackend.put_stream`, of a stream that is announced to have `size` bytes."""

    async def put(self, key: str, content: bytes, *, content_type: str) -> StoredObject:
        return await self._store(key, _once(content), len(content), content_type, replace=True, attempt=None)

    async def put_stream(
        self,
        key: str,
        chunks: AsyncIterator[bytes],
        *,
        content_type: str,
        size: int | None = None,
        replace: bool = True,
        attempt: str | None = None,
    ) -> StoredObject:
        """A stream of unknown length waits on the disk first: clouds want to know it in advance."""
        if size is not None:
            return await self._store(key, chunks, size, content_type, replace=replace, attempt=attempt)
        async with _measured(chunks) as (measured, again):
            return await self._store(key, again, measured, content_type, replace=replace, attempt=attempt)

    async def read(self, key: str, *, limit: int) -> bytes:
        content = bytearray()
        async with aclosing(self.stream(key)) as chunks:
            async for chunk in chunks:
                content += chunk
                if len(content) > limit:
                    raise ObjectTooLarge(f"{key} has more than {limit} bytes")
        return bytes(content)

    async def download(self, key: str, into: Path, *, limit: int) -> Download:
        with into.open("wb") as file:
            async with digesting(file) as digest, aclosing(self.stream(key)) as chunks:
                async for chunk in chunks:
                    if digest.size + len(chunk) > limit:
                        raise ObjectTooLarge(f"{key} has more than {limit} bytes")
                    await digest.take(chunk)
                return Download(digest.size, await digest.sha256())

    async def _hash(self, key: str, size: int | None) -> str:
        """The hash, in lower-case hex, of what is read back. Raises WrongContent if that has more than `size` bytes."""
        async with digesting() as digest, aclosing(self.stream(key)) as chunks:
            async for chunk in chunks:
                await digest.take(chunk)
                if size is not None and digest.size > size:
                    raise WrongContent(f"The cloud says that there are {size} bytes, and sends more.")
            return await digest.sha256()

    async def presign_get(self, key: str, *, content_type: str, content_disposition: str, seconds: int) -> None:
        return None


async def _once(content: bytes) -> AsyncIterator[bytes]:
    if content:
        yield content


@asynccontextmanager
async def _measured(chunks: AsyncIterator[bytes]) -> AsyncIterator[tuple[int, AsyncIterator[bytes]]]:
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
