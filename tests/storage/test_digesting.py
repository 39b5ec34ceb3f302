"""Hashing and writing on a thread: the same bytes, errors told, and no thread left that writes into a file which is closed."""

import asyncio
import hashlib
import io
import secrets
import threading
from pathlib import Path

import pytest

from shared.storage.digesting import BATCH_BYTES, digesting


@pytest.mark.parametrize("sizes", [(), (0,), (5,), (BATCH_BYTES - 1, 1, 1), (BATCH_BYTES,) * 3, (300_000,) * 20, (3 * BATCH_BYTES + 7, 1)])
async def test_the_file_and_the_hash_are_of_all_that_came(sizes: tuple[int, ...], tmp_path: Path) -> None:
    chunks = [secrets.token_bytes(size) for size in sizes]
    with (tmp_path / "file").open("wb") as file:
        async with digesting(file) as digest, digesting() as hashed_only:
            for chunk in chunks:
                await digest.take(chunk)
                await hashed_only.take(chunk)
            expected = hashlib.sha256(b"".join(chunks)).hexdigest()
            assert (digest.size, await digest.sha256(), await hashed_only.sha256()) == (sum(sizes), expected, expected)
    assert (tmp_path / "file").read_bytes() == b"".join(chunks)


class SlowFile(io.BytesIO):
    """Writes as soon as it may."""

    def __init__(self) -> None:
        super().__init__()
        self.writing, self.may_write = threading.Event(), threading.Event()

    def write(self, content: object) -> int:
        self.writing.set()
        assert self.may_write.wait(60)
        return super().write(content)  # type: ignore[arg-type]


async def test_a_slow_disk_holds_up_nobody_else() -> None:
    file = SlowFile()
    async with digesting(file) as digest:
        await digest.take(bytes(BATCH_BYTES))
        await asyncio.to_thread(file.writing.wait, 60)
        file.may_write.set()  # the event loop is free to say so
        assert await digest.sha256() == hashlib.sha256(bytes(BATCH_BYTES)).hexdigest()


async def test_who_is_cancelled_leaves_no_thread_that_writes() -> None:
    file = SlowFile()

    async def work() -> None:
        async with digesting(file) as digest:
            for _ in range(3):
                await digest.take(bytes(BATCH_BYTES))

    working = asyncio.create_task(work())
    await asyncio.to_thread(file.writing.wait, 60)
    working.cancel()
    for _ in range(10):
        await asyncio.sleep(0)
    assert not working.done(), "the thread still has the file"
    file.may_write.set()
    with pytest.raises(asyncio.CancelledError):
        await working
    assert len(file.getvalue()) == BATCH_BYTES


async def test_a_disk_that_is_full_is_told() -> None:
    class Full(io.BytesIO):
        def write(self, _: object) -> int:
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        async with digesting(Full()) as digest:
            for _ in range(5):
                await digest.take(bytes(BATCH_BYTES))
    with pytest.raises(OSError, match="No space"):
        async with digesting(Full()) as digest:
            await digest.take(b"little")
            await digest.sha256()
