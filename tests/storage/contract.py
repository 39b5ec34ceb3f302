"""What every storage backend must do, as tests: a backend's own test module subclasses `StorageContract` and gives it a `backend` fixture.

class TestObjectStore(StorageContract):
    @pytest.fixture
    def backend(self, services: None) -> StorageBackend: ...

The list is that of rclone's own backends (fstest/fstests/fstests.go); `test_rclones_list.py` says which of these tests is which of those.
"""

import asyncio
import hashlib
import secrets
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import ClassVar

import pytest

from shared.storage import NameRefused, NameTaken, ObjectMissing, ObjectTooLarge, StorageBackend, WrongContent

ODD_NAMES = [
    "with spaces  and two.txt",
    "ümläut & +plus.bin",
    "100% of #5; really?.txt",
    "it's (a) [list] {of} $@!=,~`^.txt",
    "Счёт №7.pdf",
    "請求書 二月.pdf",
    "فاتورة.pdf",
    "🧾 receipt 👩‍👩‍👧.png",
    "%2e%2e%2fnot-a-path.txt",
    "test%46.txt",
    "hello? sausage & êé \" ' @ < > + ≠.txt",
    "~ with a tilde",
    " a space in front.txt",
    "a space at the end ",
    "a dot at the end.",
    "..two dots and more",
    "u\u0308 is not \u00fc.txt",
    'quote"s and <angles>.txt',
    "!\"#$%&'()*+,-.:;<=>?@[\\]^_`{|}~",
    ".hidden",
    "a" * 251 + ".txt",
]
IMPOSSIBLE_NAMES = ["", "..", "a/../b", "a//b", "./a", "a\0b", "a\nb", "\ra", "a\t", "\va", "a\x1f", "a\x7f", "a/...", "x" * 300, "\ud800"]


async def chunks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


class StorageContract:
    keeps_content_type: ClassVar[bool] = True
    """Whether what an object was said to be is what the backend says of it, or its name decides."""
    odd_names: ClassVar[list[str]] = ODD_NAMES
    chunk_size: ClassVar[int] = 8 * 2**20
    """Bytes that the backend sends at once."""

    @pytest.fixture
    def folder(self) -> str:
        return f"contract-{secrets.token_hex(8)}"

    @pytest.fixture
    def key(self, folder: str) -> str:
        return f"{folder}/sub folder/ümläut & +plus.bin"

    def _same_type(self, content_type: str, expected: str) -> bool:
        return content_type == expected or not self.keeps_content_type

    async def test_what_was_put_is_what_is_read(self, backend: StorageBackend, key: str) -> None:
        stored = await backend.put(key, b"hello", content_type="text/plain")
        assert stored.size == 5
        assert self._same_type(stored.content_type, "text/plain")
        assert await backend.read(stored.key, limit=5) == b"hello"

    async def test_put_replaces_what_was_there(self, backend: StorageBackend, key: str) -> None:
        first = await backend.put(key, b"one", content_type="text/plain")
        second = await backend.put(first.key, b"second", content_type="text/plain")
        assert await backend.read(second.key, limit=100) == b"second"
        assert second.size == 6

    async def test_what_is_replaced_may_be_longer_shorter_or_of_a_length_nobody_knew(self, backend: StorageBackend, key: str) -> None:
        stored = await backend.put(key, b"x" * 5000, content_type="text/plain")
        for content in (b"y" * 70_000, b"z", b"", b"w" * 300_000):
            assert (await backend.put_stream(stored.key, chunks(content), content_type="text/plain")).size == len(content)
            assert await backend.read(stored.key, limit=10**6) == content
        await self._holds_only(backend, stored.key)

    async def test_a_download_that_nobody_reads_to_its_end_stops_nothing(self, backend: StorageBackend, key: str) -> None:
        content = secrets.token_bytes(2 * 2**20)
        stored = await backend.put(key, content, content_type="application/octet-stream")
        for _ in range(30):
            async with aclosing(backend.stream(stored.key)) as parts:  # type: ignore[type-var]
                assert content.startswith(await anext(parts))
        assert await backend.read(stored.key, limit=len(content)) == content

    async def test_a_folder_is_no_object(self, backend: StorageBackend, folder: str) -> None:
        stored = await backend.put(f"{folder}/within/a.txt", b"a", content_type="text/plain")
        assert await backend.stat(f"{folder}/within") is None
        with pytest.raises(ObjectMissing):
            await backend.sha256(f"{folder}/within")
        assert await backend.read(stored.key, limit=10) == b"a"

    async def test_what_changed_since_is_known_or_may_be(self, backend: StorageBackend, folder: str) -> None:
        await backend.put(f"{folder}/a.txt", b"a", content_type="text/plain")
        changed, position = await backend.changes(folder, "")
        assert changed
        for content in (b"bc", b"def"):
            await backend.put(f"{folder}/a.txt", content, content_type="text/plain")
            changed, position = await backend.changes(folder, position)
            assert changed

    async def test_what_must_not_be_replaced_is_not(self, backend: StorageBackend, key: str) -> None:
        first = await backend.put(key, b"one", content_type="text/plain")
        with pytest.raises(NameTaken):
            await backend.put_stream(first.key, chunks(b"second"), content_type="text/plain", size=6, replace=False)
        assert await backend.read(first.key, limit=100) == b"one"
        await self._holds_only(backend, first.key)

    async def test_stat_tells_size_type_and_etag(self, backend: StorageBackend, key: str) -> None:
        stored = await backend.put(key, b"12345", content_type="application/pdf")
        found = await backend.stat(stored.key)
        assert found == stored
        assert found.size == 5
        assert self._same_type(found.content_type, "application/pdf")
        assert found.etag

    async def test_what_changes_has_another_etag(self, backend: StorageBackend, key: str) -> None:
        first = await backend.put(key, b"12345", content_type="application/pdf")
        second = await backend.put(first.key, b"123456", content_type="application/pdf")
        assert first.etag != second.etag

    async def test_what_is_not_there_is_missing_everywhere(self, backend: StorageBackend, key: str, tmp_path: Path) -> None:
        assert await backend.stat(key) is None
        assert await backend.look(key) is None
        with pytest.raises(ObjectMissing):
            await backend.read(key, limit=10)
        with pytest.raises(ObjectMissing):
            await backend.download(key, tmp_path / "file", limit=10)
        with pytest.raises(ObjectMissing):
            await anext(aiter(backend.stream(key)))
        with pytest.raises(ObjectMissing):
            await anext(aiter(backend.entries(key)))
        with pytest.raises(ObjectMissing):
            await backend.sha256(key)
        await backend.delete(key)

    async def test_nothing_is_found_in_a_folder_that_is_not_there(self, backend: StorageBackend, folder: str) -> None:
        await backend.put(f"{folder}/a.txt", b"a", content_type="text/plain")
        for missing in (f"{folder}/b.txt", f"{folder}/A.txt.", f"{folder}/deeper/a.txt", f"{folder}/deeper/not/there/{folder}"):
            assert await self._is_missing(backend, missing), "nor is a folder that is not there taken for one above it"
        with pytest.raises(ObjectMissing):
            await anext(aiter(backend.entries(f"{folder}/deeper")))

    async def test_a_folder_whose_last_object_is_gone_lists_nothing(self, backend: StorageBackend, key: str) -> None:
        stored = await backend.put(key, b"x", content_type="text/plain")
        await backend.delete(stored.key)
        await self._holds_only(backend, stored.key, nothing=True)

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
        digest = hashlib.sha256(content).hexdigest()
        stored = await backend.put(key, content, content_type="application/octet-stream")
        download = await backend.download(stored.key, tmp_path / "file", limit=len(content))
        assert (download.size, download.sha256) == (len(content), digest)
        assert (tmp_path / "file").read_bytes() == content
        assert await backend.sha256(stored.key) == digest

    async def test_a_range_is_streamed(self, backend: StorageBackend, key: str) -> None:
        content = secrets.token_bytes(600_000)
        stored = await backend.put(key, content, content_type="application/octet-stream")
        ranges = [(0, None), (100_000, None), (7, 300_000), (7, 0), (0, 1), (0, 600_000)]
        at_the_end = [(599_999, 1), (599_999, 5), (599_990, None), (600_000, None)]
        for start, length in ranges + at_the_end:
            end = None if length is None else start + length
            assert b"".join([part async for part in backend.stream(stored.key, start=start, length=length)]) == content[start:end]

    async def test_an_object_of_no_bytes_is_one(self, backend: StorageBackend, key: str, tmp_path: Path) -> None:
        for stored in (
            await backend.put(key, b"", content_type="text/plain"),
            await backend.put_stream(f"{key}2", chunks(), content_type="text/plain", size=0),
            await backend.put_stream(f"{key}3", chunks(b""), content_type="text/plain"),
        ):
            assert stored.size == 0
            assert await backend.read(stored.key, limit=10) == b""
            assert [part async for part in backend.stream(stored.key)] == []
            assert (await backend.download(stored.key, tmp_path / "file", limit=0)).size == 0
            assert await backend.sha256(stored.key) == hashlib.sha256().hexdigest()

    @pytest.mark.parametrize("more", [-1, 0, 1])
    async def test_sizes_around_a_chunk_are_stored(self, backend: StorageBackend, key: str, more: int, tmp_path: Path) -> None:
        content = secrets.token_bytes(self.chunk_size + more)
        halves = content[:1000], content[1000:]
        stored = await backend.put_stream(key, chunks(*halves), content_type="application/pdf", size=len(content))
        assert stored.size == len(content)
        download = await backend.download(stored.key, tmp_path / "file", limit=stored.size)
        assert download.sha256 == hashlib.sha256(content).hexdigest()

    async def test_a_short_stream_is_stored(self, backend: StorageBackend, key: str) -> None:
        stored = await backend.put_stream(key, chunks(b"ab", b"", b"cd"), content_type="text/plain")
        assert stored.size == 4
        assert self._same_type(stored.content_type, "text/plain")
        assert await backend.read(stored.key, limit=4) == b"abcd"

    async def test_a_long_stream_is_stored(self, backend: StorageBackend, key: str, tmp_path: Path) -> None:
        block = secrets.token_bytes(2**20)
        count = 2 * self.chunk_size // 2**20 + 3
        stored = await backend.put_stream(key, chunks(*[block] * count, b"end"), content_type="application/pdf")
        assert stored.size == count * 2**20 + 3
        download = await backend.download(stored.key, tmp_path / "file", limit=stored.size)
        assert download.sha256 == hashlib.sha256(block * count + b"end").hexdigest()

    @pytest.mark.parametrize("mebibytes", [0, 1, 40])
    async def test_a_stream_that_breaks_leaves_nothing(self, backend: StorageBackend, key: str, mebibytes: int) -> None:
        async def broken() -> AsyncIterator[bytes]:
            for _ in range(mebibytes):
                yield bytes(2**20)
            raise ConnectionResetError

        with pytest.raises(ConnectionResetError):
            await backend.put_stream(key, broken(), content_type="text/plain", size=64 * 2**20)
        await self._holds_only(backend, key, nothing=True)

    async def test_a_stream_that_breaks_leaves_what_was_there(self, backend: StorageBackend, key: str) -> None:
        stored = await backend.put(key, b"before", content_type="text/plain")

        async def broken() -> AsyncIterator[bytes]:
            yield b"after"
            raise ConnectionResetError

        with pytest.raises(ConnectionResetError):
            await backend.put_stream(stored.key, broken(), content_type="text/plain", size=100)
        assert await backend.read(stored.key, limit=100) == b"before"
        await self._holds_only(backend, stored.key)

    @pytest.mark.parametrize("size", [0, 3, 5, 100])
    async def test_a_source_of_another_size_than_announced_is_not_stored(self, backend: StorageBackend, key: str, size: int) -> None:
        with pytest.raises(WrongContent):
            await backend.put_stream(key, chunks(b"ab", b"cd"), content_type="text/plain", size=size)
        await self._holds_only(backend, key, nothing=True)

    async def test_who_is_cancelled_leaves_nothing(self, backend: StorageBackend, key: str) -> None:
        begun = asyncio.Event()

        async def endless() -> AsyncIterator[bytes]:
            yield bytes(2**20)
            begun.set()
            await asyncio.Event().wait()

        storing = asyncio.create_task(backend.put_stream(key, endless(), content_type="text/plain", size=2 * 2**20))
        await begun.wait()
        storing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await storing
        await self._holds_only(backend, key, nothing=True)

    async def test_nothing_is_seen_before_all_of_it_is_there(self, backend: StorageBackend, key: str) -> None:
        seen: list[object] = []

        async def slow() -> AsyncIterator[bytes]:
            for _ in range(3):
                yield bytes(2**20)
                seen.append(await backend.stat(key))

        await backend.put_stream(key, slow(), content_type="text/plain", size=3 * 2**20)
        assert seen == [None, None, None]

    async def test_every_name_that_people_give_is_stored_and_listed(self, backend: StorageBackend, folder: str) -> None:
        for name in self.odd_names:
            stored = await backend.put(f"{folder}/{name}", name.encode(), content_type="text/plain")
            assert await backend.read(stored.key, limit=2000) == name.encode()
        listed = {entry.name: entry async for entry in backend.entries(folder)}
        assert sorted(listed) == sorted(self.odd_names)
        for name, entry in listed.items():
            assert (entry.is_folder, entry.size) == (False, len(name.encode()))
            assert await backend.read(entry.key, limit=2000) == name.encode()
            assert entry.modified_at is not None
            assert entry.etag

    async def test_folders_may_have_every_name_that_objects_have(self, backend: StorageBackend, folder: str) -> None:
        for name in self.odd_names:
            stored = await backend.put(f"{folder}/{name}/{name}", name.encode(), content_type="text/plain")
            assert [entry.key async for entry in backend.entries(f"{folder}/{name}")] == [stored.key]
            assert await backend.read(stored.key, limit=2000) == name.encode()
        listed = [(entry.name, entry.is_folder) async for entry in backend.entries(folder)]
        assert sorted(listed) == sorted((name, True) for name in self.odd_names)

    async def test_folders_are_listed_as_such(self, backend: StorageBackend, folder: str) -> None:
        await backend.put(f"{folder}/one/a.txt", b"a", content_type="text/plain")
        await backend.put(f"{folder}/two & 2/deep/b.txt", b"b", content_type="text/plain")
        assert sorted([(entry.name, entry.is_folder) async for entry in backend.entries(folder)]) == [("one", True), ("two & 2", True)]
        deep = [entry async for entry in backend.entries(f"{folder}/two & 2")]
        assert [(entry.name, entry.is_folder, entry.size) for entry in deep] == [("deep", True, None)]
        found = await backend.look(deep[0].key)
        assert found is not None
        assert found.is_folder
        assert await backend.stat(deep[0].key) is None
        assert folder in [entry.name async for entry in backend.entries("")]

    async def test_a_file_has_no_entries(self, backend: StorageBackend, key: str) -> None:
        stored = await backend.put(key, b"a", content_type="text/plain")
        with pytest.raises(ObjectMissing):
            await anext(aiter(backend.entries(stored.key)))

    async def test_a_second_attempt_replaces_what_the_first_left(self, backend: StorageBackend, key: str) -> None:
        async def killed() -> AsyncIterator[bytes]:
            yield b"first"
            raise ConnectionResetError

        with pytest.raises(ConnectionResetError):
            await backend.put_stream(key, killed(), content_type="text/plain", size=100, attempt="7")
        stored = await backend.put_stream(key, chunks(b"second"), content_type="text/plain", size=6, attempt="7")
        assert await backend.read(stored.key, limit=100) == b"second"
        await self._holds_only(backend, stored.key)

    async def test_two_objects_of_one_folder_are_stored_at_once(self, backend: StorageBackend, folder: str) -> None:
        contents = {f"{folder}/new/deep/{number}.txt": secrets.token_bytes(50_000) for number in range(8)}
        await asyncio.gather(*(backend.put(key, content, content_type="text/plain") for key, content in contents.items()))
        for key, content in contents.items():
            assert await backend.read(key, limit=50_000) == content

    async def test_closing_twice_is_fine(self, backend: StorageBackend) -> None:
        await backend.ping()
        await backend.close()
        await backend.close()

    async def test_it_answers_when_it_lets_us_in(self, backend: StorageBackend) -> None:
        await backend.ping()

    async def _is_missing(self, backend: StorageBackend, key: str) -> bool:
        try:
            return await backend.stat(key) is None and await backend.look(key) is None
        except NameRefused:
            return True

    async def _holds_only(self, backend: StorageBackend, key: str, *, nothing: bool = False) -> None:
        """In its folder there is this object and nothing else, or nothing at all."""
        try:
            found = [entry.key async for entry in backend.entries(key.rpartition("/")[0])]
        except ObjectMissing:
            found = []
        assert found == ([] if nothing else [key])
        assert (await backend.stat(key) is None) == nothing


class CloudContract(StorageContract):
    """What holds beyond it where names are people's own."""

    @pytest.mark.parametrize("name", IMPOSSIBLE_NAMES)
    async def test_a_name_that_leads_elsewhere_or_nowhere_is_refused(self, backend: StorageBackend, name: str) -> None:
        with pytest.raises(NameRefused):
            await backend.put(name, b"x", content_type="text/plain")

    async def test_a_folder_is_never_deleted_nor_replaced(self, backend: StorageBackend, folder: str) -> None:
        stored = await backend.put(f"{folder}/inner/a.txt", b"a", content_type="text/plain")
        with pytest.raises(NameRefused):
            await backend.delete(f"{folder}/inner")
        with pytest.raises((NameRefused, NameTaken)):
            await backend.put_stream(f"{folder}/inner", chunks(b"x"), content_type="text/plain", size=1, replace=False)
        with pytest.raises(NameRefused):
            await backend.put(f"{folder}/inner", b"x", content_type="text/plain")
        assert await backend.read(stored.key, limit=10) == b"a"
