"""Streams in pieces: the same bytes, however they come, and few of them in memory."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from shared.storage import StorageUnavailable, spooling
from shared.storage.spooling import Piece, pieces


async def _chunks(*sizes: int) -> AsyncIterator[bytes]:
    begin = 0
    for size in sizes:
        yield bytes((begin + offset) % 251 for offset in range(size))
        begin += size


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [((), []), ((0,), []), ((4,), [4]), ((10,), [10]), ((3, 3, 3, 3), [10, 2]), ((35,), [10, 10, 10, 5]), ((1,) * 20, [10, 10])],
)
async def test_pieces_are_the_stream(sizes: tuple[int, ...], expected: list[int]) -> None:
    content, found = b"", []
    async for piece in pieces(_chunks(*sizes), 10):
        async with piece.content() as part:
            assert len(part) == piece.size
            content += part
            found.append(len(part))
    assert found == expected
    assert content == bytes(number % 251 for number in range(sum(sizes)))


async def test_a_piece_that_outgrows_memory_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spooling, "IN_MEMORY", 3)
    piece = Piece()
    for chunk in (b"ab", b"cd", b"ef"):
        piece.append(memoryview(chunk))
    async with piece.content() as content:
        assert content == b"abcdef"


async def test_a_piece_is_read_anew_by_each_who_sends_it_a_little_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spooling, "IN_MEMORY", 3)
    monkeypatch.setattr(spooling, "READ_AT_ONCE", 4)
    piece = Piece()
    piece.append(memoryview(b"abcdefghij"))
    async with piece.chunks() as chunks:
        broken_off = aiter(chunks)
        assert await anext(broken_off) == b"abcd"
        again = aiter(chunks)
        assert await anext(again) == b"abcd"
        assert await anext(broken_off) == b"efgh"
        assert [chunk async for chunk in again] == [b"efgh", b"ij"]


async def test_only_so_many_pieces_are_in_memory_at_once() -> None:
    inside, most = 0, 0

    async def send() -> None:
        nonlocal inside, most
        piece = Piece()
        piece.append(memoryview(b"x"))
        async with piece.content():
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0)
            inside -= 1

    await asyncio.gather(*(send() for _ in range(20)))
    assert most == spooling.SENT_AT_ONCE


async def test_a_full_disk_is_503(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        def write(self, content: memoryview) -> int:
            raise OSError(28, "No space left on device")

    piece = Piece()
    monkeypatch.setattr(piece, "_file", Full())
    with pytest.raises(StorageUnavailable, match="no room"):
        piece.append(memoryview(b"x"))
