"""Streams in pieces that wait on the disk, not in memory.

A piece that comes in slowly is a temporary file without a name; it is read again when it is whole, and only while it is sent: a little at a
time, or all of it for who needs that. So however many streams come in at once, and however slowly, this process holds SENT_AT_ONCE pieces
in memory at most.
"""

import asyncio
import tempfile
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator
from contextlib import asynccontextmanager
from typing import IO
from weakref import WeakKeyDictionary

from shared.storage.backend import StorageUnavailable, WrongContent

IN_MEMORY = 64 * 1024
"""Bytes of a piece that are held before there is a file."""
READ_AT_ONCE = 256 * 1024
SENT_AT_ONCE = 4

_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()


class Piece:
    """Some bytes of a stream, in their order."""

    def __init__(self) -> None:
        self._file: IO[bytes] = tempfile.SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115 - closed by drop()
        self.size = 0

    def append(self, content: memoryview) -> None:
        """Raises StorageUnavailable if the disk is full."""
        try:
            self._file.write(content)
        except OSError as full:
            raise StorageUnavailable("There is no room for what comes in just now; try again later.") from full
        self.size += len(content)

    @asynccontextmanager
    async def content(self) -> AsyncIterator[bytes]:
        """The bytes, once it is this piece's turn to be in memory; afterwards the piece is gone."""
        try:
            async with _turn():
                self._file.seek(0)
                yield self._file.read()
        finally:
            self.drop()

    @asynccontextmanager
    async def chunks(self) -> AsyncIterator[AsyncIterable[bytes]]:
        """As `content`, a little at a time; each iteration begins anew, so what failed can be sent again."""
        try:
            async with _turn():
                yield _Rereadable(self._file)
        finally:
            self.drop()

    def drop(self) -> None:
        """Frees what the piece takes."""
        self._file.close()


class _Rereadable:
    """A file's bytes, from their beginning for whoever iterates; one who was left in the middle disturbs no other."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    async def __aiter__(self) -> AsyncIterator[bytes]:
        position = 0
        while True:
            self._file.seek(position)
            chunk = self._file.read(READ_AT_ONCE)
            if not chunk:
                return
            position += len(chunk)
            yield chunk


async def pieces(chunks: AsyncIterator[bytes], size: int) -> AsyncGenerator[Piece, None]:
    """The same bytes in pieces of `size`, the last one smaller; none for a stream without bytes."""
    piece = Piece()
    try:
        async for chunk in chunks:
            left = memoryview(chunk)
            while left:
                room = size - piece.size
                piece.append(left[:room])
                left = left[room:]
                if piece.size == size:
                    whole, piece = piece, Piece()
                    yield whole
        if piece.size:
            last, piece = piece, Piece()
            yield last
    finally:
        piece.drop()


async def exactly(chunks: AsyncIterator[bytes], size: int) -> AsyncIterator[bytes]:
    """The same chunks. Raises WrongContent as soon as there are more than `size` bytes, and at the end if there were fewer."""
    received = 0
    async for chunk in chunks:
        received += len(chunk)
        if received > size:
            raise WrongContent(f"More than the announced {size} bytes came.")
        yield chunk
    if received < size:
        raise WrongContent(f"{size} bytes were announced, {received} came.")


def _turn() -> asyncio.Semaphore:
    return _turns.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(SENT_AT_ONCE))
