"""What every storage backend must do, as tests: a backend's own test module subclasses `StorageContract` and gives it a `backend` fixture.

class TestObjectStore(StorageContract):
    @pytest.fixture
    def backend(self, services: None) -> StorageBackend: ...
"""

import hashlib
import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shared.storage import ObjectMissing, ObjectTooLarge, StorageBackend


async def _chunks(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


class StorageContract:
    @pytest.fixture
    def key(self) -> str:
        return f"contract/{secrets.token_hex(8)}/ümläut & +plus.bin"

    async def test_what_was_put_is_what_is_read(self, backend: StorageBackend, key: str) -> None:
        stored = await backend.put(key, b"hello", content_type="text/plain")
        assert (stored.size, stored.content_type) == (5, "text/plain")
        assert await backend.read(stored.key, limit=5) == b"hello"

    async def test_put_replaces_what_was_there(self, backend: StorageBackend, key: str) -> None:
        first = await backend.put(key, b"one", content_type="text/plain")
        second = await backend.put(first.key, b"second", content_type="text/plain")
        assert await backend.read(second.key, limit=100) == b"second"

    async def test_stat_tells_size_type_and_etag(self, backend: StorageBackend, key: str) -> None:
        stored = await backend.put(key, b"12345", content_type="application/pdf")
        found = await backend.stat(stored.key)
        assert found == stored
        assert found.size == 5
        assert found.content_type == "application/pdf"
        assert found.etag

    async def test_what_is_not_there_is_missing_everywhere(self, backend: StorageBackend, key: str, tmp_path: Path) -> None:
        assert await backend.stat(key) is None
        with pytest.raises(ObjectMissing):
            await backend.read(key, limit=10)
        with pytest.raises(ObjectMissing):
            await backend.download(key, tmp_path / "file", limit=10)
        with pytest.raises(ObjectMissing):
            await anext(aiter(backend.stream(key)))
        await backend.delete(key)

    async def test_a_deleted_object_is_gone_and_deleting_again_is_fine(self, backend: StorageBackend, key: str) -> None:
        stored = await backend.put(key, b"x", content_type="text/plain")
        await backend.delete(stored.key)
        await backend.delete(stored.key)
        assert await backend.stat(stored.key) is None

    async def test_reading_stops_at_the_limit(self, backend: StorageBackend, key: str, tmp_path: Path) -> None:
        stored = await backend.put(key, b"x" * 1000, content_type="text/plain")
        with pytest.raises(ObjectTooLarge):
            await backend.read(stored.key, limit=999)
        with pytest.raises(ObjectTooLarge):
            await backend.download(stored.key, tmp_path / "file", limit=999)

    async def test_a_download_tells_size_and_hash(self, backend: StorageBackend, key: str, tmp_path: Path) -> None:
        content = secrets.token_bytes(700_001)
        stored = await backend.put(key, content, content_type="application/octet-stream")
        download = await backend.download(stored.key, tmp_path / "file", limit=len(content))
        assert (download.size, download.sha256) == (len(content), hashlib.sha256(content).hexdigest())
        assert (tmp_path / "file").read_bytes() == content

    async def test_a_range_is_streamed(self, backend: StorageBackend, key: str) -> None:
        content = secrets.token_bytes(600_000)
        stored = await backend.put(key, content, content_type="application/octet-stream")
        assert b"".join([chunk async for chunk in backend.stream(stored.key)]) == content
        assert b"".join([chunk async for chunk in backend.stream(stored.key, start=100_000)]) == content[100_000:]
        assert b"".join([chunk async for chunk in backend.stream(stored.key, start=7, length=300_000)]) == content[7:300_007]
        assert b"".join([chunk async for chunk in backend.stream(stored.key, start=7, length=0)]) == b""

    async def test_a_short_stream_is_stored(self, backend: StorageBackend, key: str) -> None:
        stored = await backend.put_stream(key, _chunks(b"ab", b"", b"cd"), content_type="text/plain")
        assert (stored.size, stored.content_type) == (4, "text/plain")
        assert await backend.read(stored.key, limit=4) == b"abcd"

    async def test_a_long_stream_is_stored(self, backend: StorageBackend, key: str, tmp_path: Path) -> None:
        block = secrets.token_bytes(2**20)
        stored = await backend.put_stream(key, _chunks(*[block] * 19, b"end"), content_type="application/pdf")
        assert (stored.size, stored.content_type) == (19 * 2**20 + 3, "application/pdf")
        download = await backend.download(stored.key, tmp_path / "file", limit=stored.size)
        assert download.sha256 == hashlib.sha256(block * 19 + b"end").hexdigest()

    async def test_a_stream_that_breaks_leaves_nothing(self, backend: StorageBackend, key: str) -> None:
        async def broken() -> AsyncIterator[bytes]:
            for _ in range(18):
                yield bytes(2**20)
            raise ConnectionResetError

        with pytest.raises(ConnectionResetError):
            await backend.put_stream(key, broken(), content_type="text/plain")
        assert await backend.stat(key) is None

    async def test_it_answers_when_it_lets_us_in(self, backend: StorageBackend) -> None:
        await backend.ping()
