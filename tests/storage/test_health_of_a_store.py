"""What GET /health finds out about an object store."""

import pytest

from shared.observability import dependency_checks
from shared.storage import ObjectMissing, ObjectStore, StorageUnavailable, StoredObject
from shared.storage.object_keys import HEALTH_READ, HEALTH_WRITE


class Broken(ObjectStore):
    """A store whose bucket is there, and which fails to read or to write."""

    def __init__(self, *, reads: bool, writes: bool) -> None:
        self.reads, self.writes = reads, writes
        self.written: list[str] = []

    async def ping(self) -> None:
        return

    async def read(self, key: str, *, limit: int) -> bytes:
        if not self.reads:
            raise StorageUnavailable("its bytes are gone")
        if key not in self.written:
            raise ObjectMissing
        return b"ok"

    async def put(self, key: str, content: bytes, *, content_type: str) -> StoredObject:
        if not self.writes:
            raise StorageUnavailable("the disk is full")
        self.written.append(key)
        return StoredObject(key, len(content), content_type, "")


async def test_a_store_that_reads_and_writes_is_well_and_is_written_to_once_a_minute(store: ObjectStore) -> None:
    await dependency_checks.check_store(store)
    written = await store.stat(HEALTH_WRITE)
    await dependency_checks.check_store(store)
    assert await store.read(HEALTH_READ, limit=10) == b"ok"
    assert await store.stat(HEALTH_WRITE) == written


async def test_a_store_is_written_to_at_the_first_check_only() -> None:
    store = Broken(reads=True, writes=True)
    for _ in range(3):
        await dependency_checks.check_store(store)
    assert store.written == [HEALTH_READ, HEALTH_WRITE]


@pytest.mark.parametrize(
    ("reads", "writes", "detail"),
    [(False, True, "answers, but its objects cannot be read"), (True, False, "answers, but nothing can be stored in it")],
)
async def test_a_store_that_does_half_its_work_is_not_well(reads: bool, writes: bool, detail: str) -> None:
    store = Broken(reads=reads, writes=writes)
    with pytest.raises(dependency_checks.Unhealthy, match=detail):
        await dependency_checks.check_store(store)
    checked = await dependency_checks._timed(lambda: dependency_checks.check_store(store))
    assert (checked.ok, checked.detail) == (False, detail)


async def test_what_could_not_be_stored_is_tried_again_at_the_next_check() -> None:
    store = Broken(reads=True, writes=True)
    await dependency_checks.check_store(store)
    dependency_checks._written_at.pop(store)
    store.writes = False
    for _ in range(2):
        with pytest.raises(dependency_checks.Unhealthy):
            await dependency_checks.check_store(store)
    store.writes = True
    await dependency_checks.check_store(store)
