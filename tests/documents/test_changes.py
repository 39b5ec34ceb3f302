"""The stream of changes: in order, without gaps, resumable, and of one owner alone."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from shared.clock import now
from shared.db import Database, TenantDatabase, Transaction
from shared.documents import changes, library, uploads
from shared.errors import Unavailable
from tests.documents.conftest import create, stored


@dataclass(frozen=True)
class Told:
    """One event as a client reads it."""

    id: int | None
    kind: str
    data: dict[str, Any]


async def _yes() -> bool:
    return True


@asynccontextmanager
async def _listening(vault: TenantDatabase, last_event_id: str | None = None) -> AsyncIterator["asyncio.Queue[Told]"]:
    """A client that is connected; what it is told."""
    told: asyncio.Queue[Told] = asyncio.Queue()
    connected = asyncio.Event()

    async def listen() -> None:
        stream = changes.stream(vault, last_event_id=last_event_id, ends_at=now() + timedelta(minutes=5), still_allowed=_yes)
        async for block in stream:
            connected.set()
            lines = [line.partition(": ") for line in block.decode().splitlines() if line and not line.startswith(":")]
            fields = {name: value for name, _, value in lines}
            if "event" in fields:
                told.put_nowait(Told(int(fields["id"]) if "id" in fields else None, fields["event"], json.loads(fields["data"])))

    listening = asyncio.create_task(listen())
    try:
        async with asyncio.timeout(60):
            await connected.wait()
        yield told
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)


async def _until(told: "asyncio.Queue[Told]", status: str) -> list[Told]:
    """What is told up to a document in that status."""
    heard: list[Told] = []
    async with asyncio.timeout(60):
        while not heard or heard[-1].data.get("status") != status:
            heard.append(await told.get())
    return heard


async def test_each_change_is_told_with_the_document_as_it_is(vault: TenantDatabase) -> None:
    async with _listening(vault) as told:
        document = await stored(vault)
        heard = await _until(told, "stored")
    assert {event.data["id"] for event in heard} == {str(document.id)}
    assert heard[-1].data == json.loads(document.model_dump_json())
    assert [event.id for event in heard] == sorted({event.id or 0 for event in heard})


async def test_who_was_away_is_told_what_was_missed(vault: TenantDatabase) -> None:
    async with _listening(vault) as told:
        first = await stored(vault)
        last = (await _until(told, "stored"))[-1].id
    second = await stored(vault)
    async with _listening(vault, str(last)) as told:
        heard = await _until(told, "stored")
    assert {event.data["id"] for event in heard} == {str(second.id)}
    assert first.id != second.id
    assert heard[-1].id == (last or 0) + 2


async def test_a_removed_document_is_told_as_such(vault: TenantDatabase) -> None:
    created = await create(vault)
    async with _listening(vault) as told:
        await uploads.abort(vault, created.document.id)
        async with asyncio.timeout(60):
            event = await told.get()
    assert (event.kind, event.data) == ("document_removed", {"id": str(created.document.id)})


async def test_one_that_was_away_too_long_is_told_to_begin_anew(db: Database, vault: TenantDatabase) -> None:
    for _ in range(3):
        await create(vault)
    async with db.system() as tx:
        await tx.execute("UPDATE document_changes SET at = now() - interval '2 days' WHERE owner_id = %(owner)s", {"owner": vault.owner_id})
        await changes.prune(tx)
    document = await stored(vault)
    for stale in ("1", "99", "nonsense", "-1", "1" * 40):
        async with _listening(vault, stale) as told, asyncio.timeout(60):
            event = await told.get()
        assert (event.kind, event.id) == ("reset", 5)
    async with _listening(vault, "3") as told:
        heard = await _until(told, "stored")
    assert heard[0].kind == "document"
    assert heard[-1].data["id"] == str(document.id)


async def test_nobody_hears_of_anothers_documents(vault: TenantDatabase, db: Database, other_owner: UUID) -> None:
    other = TenantDatabase(db, other_owner)
    async with _listening(vault) as told, _listening(other) as overheard:
        await stored(vault)
        await _until(told, "stored")
        mine = await stored(other)
        heard = await _until(overheard, "stored")
    assert {event.data["id"] for event in heard} == {str(mine.id)}


async def test_all_streams_of_an_owner_are_told(vault: TenantDatabase) -> None:
    async with _listening(vault) as one, _listening(vault) as two:
        await stored(vault)
        # The first change may be told when the document is stored already: by which change it is told does not matter.
        assert (await _until(one, "stored"))[-1].data == (await _until(two, "stored"))[-1].data


async def test_a_lost_wake_up_costs_a_second(vault: TenantDatabase) -> None:
    document = await stored(vault)
    async with _listening(vault) as told:
        async with vault.transaction() as tx:
            await tx.execute("UPDATE documents SET title = 'Changed' WHERE id = %(id)s", {"id": document.id})
        async with asyncio.timeout(60):
            assert (await told.get()).data["title"] == "Changed"


async def test_what_could_not_be_read_when_it_was_told_is_read_soon_after(vault: TenantDatabase) -> None:
    seen = asyncio.Event()

    class Interrupted(TenantDatabase):
        """Cannot be reached until the hub has told of everything it will ever tell of."""

        @asynccontextmanager
        async def transaction(self) -> AsyncIterator[Transaction]:
            if connected.is_set() and not seen.is_set():
                raise Unavailable
            async with super().transaction() as tx:
                yield tx

    connected = asyncio.Event()
    async with _listening(Interrupted(vault._database, vault.owner_id)) as told:
        connected.set()
        created = await create(vault)
        async with asyncio.timeout(10):
            while changes.hub()._seen.get(vault.owner_id) != 1:
                await asyncio.sleep(0.01)
            while any(changed.is_set() for changed in changes.hub()._streams[vault.owner_id]):
                await asyncio.sleep(0)
        seen.set()
        async with asyncio.timeout(changes.COMMENT_SECONDS / 2):
            assert (await told.get()).data["id"] == str(created.document.id)


async def test_what_clients_do_not_see_is_no_change(db: Database, vault: TenantDatabase) -> None:
    document = await stored(vault)
    async with _listening(vault) as told:
        async with db.system() as tx:
            await tx.execute("UPDATE documents SET looked_at = now() WHERE id = %(id)s", {"id": document.id})
        await library.trash(vault, document.id)
        async with asyncio.timeout(60):
            assert (await told.get()).data["trashed_at"] is not None
    async with vault.transaction() as tx:
        assert await tx.fetch_value("SELECT change_seq FROM account_usage WHERE owner_id = %(owner)s", {"owner": vault.owner_id}) == 3


async def test_the_stream_ends_with_the_token(vault: TenantDatabase) -> None:
    stream = changes.stream(vault, last_event_id=None, ends_at=now() + timedelta(milliseconds=200), still_allowed=_yes)
    async with asyncio.timeout(60):
        assert [block async for block in stream] == [b": connected\n\n"]


async def test_whose_token_was_revoked_is_told_nothing_more(vault: TenantDatabase) -> None:
    revoked = asyncio.Event()

    async def still_allowed() -> bool:
        return not revoked.is_set()

    stream = changes.stream(vault, last_event_id=None, ends_at=now() + timedelta(minutes=5), still_allowed=still_allowed)
    assert await anext(stream) == b": connected\n\n"
    revoked.set()
    await create(vault)
    async with asyncio.timeout(60):
        assert [block async for block in stream] == []


async def test_the_hub_rests_when_nobody_listens(vault: TenantDatabase) -> None:
    async with _listening(vault):
        assert changes.hub()._tasks
    assert not changes.hub()._tasks
