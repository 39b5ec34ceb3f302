"""Hashing what comes in, and writing it into a file, on a thread while the next of it comes.

Both release the interpreter's lock, so a long download takes as long as the slower of the two sides, and a slow disk holds up nobody
else's requests. What is shorter than a batch is worked on at once: changing threads would take longer than that.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import IO

BATCH_BYTES = 2**20
"""Bytes that are handed to the thread at once; at most two batches are in memory."""


class Digest:
    """Takes chunks in their order; `size` is how many bytes they were so far."""

    def __init__(self, file: IO[bytes] | None = None) -> None:
        self.size = 0
        self._file = file
        self._sha256 = hashlib.sha256()
        self._batch: list[bytes] = []
        self._batch_bytes = 0
        self._working: asyncio.Future[None] | None = None

    async def take(self, chunk: bytes) -> None:
        """Raises OSError if an earlier chunk could not be written."""
        self.size += len(chunk)
        self._batch.append(chunk)
        self._batch_bytes += len(chunk)
        if self._batch_bytes >= BATCH_BYTES:
            await self._finish()
            batch, self._batch, self._batch_bytes = self._batch, [], 0
            self._working = asyncio.ensure_future(asyncio.to_thread(self._work, batch))

    async def sha256(self) -> str:
        """The hash, in lower-case hex, of all that came, once all of it is written. Raises OSError if some of it could not be."""
        await self._finish()
        self._work(self._batch)
        self._batch = []
        return self._sha256.hexdigest()

    async def _finish(self) -> None:
        if self._working is not None:
            await asyncio.shield(self._working)
            self._working = None

    async def _leave(self) -> None:
        """Waits for the thread, whatever becomes of its work: the file is the caller's to close."""
        if self._working is not None:
            await asyncio.wait([self._working])
            self._working.cancelled() or self._working.exception()

    def _work(self, batch: list[bytes]) -> None:
        for chunk in batch:
            self._sha256.update(chunk)
            if self._file is not None:
                self._file.write(chunk)


@asynccontextmanager
async def digesting(file: IO[bytes] | None = None) -> AsyncIterator[Digest]:
    """A digest that writes into the file, if there is one; at the end, no thread uses it any more."""
    digest = Digest(file)
    try:
        yield digest
    finally:
        await digest._leave()
