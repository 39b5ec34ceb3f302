"""Documents removed for good: what goes, when, and what happens when the store or the process does not last."""

import asyncio
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from shared.db import Database, TenantDatabase
from shared.documents import details, library, listing, purging, upload_step
from shared.documents.purging import NotInTrash
from shared.errors import NotFound
from shared.storage import ObjectStore, StorageUnavailable, object_store
from tests.documents.conftest import PDF, Usage, published, read_through, row, stored, usage


async def trashed(vault: TenantDatabase, content: bytes = PDF) -> UUID:
    """A document that was read and then thrown away."""
    document = await stored(vault, content, filename="heron.pdf", content_type="application/pdf")
    await read_through(vault, document.id)
    await library.trash(vault, document.id)
    return document.id


async def _events(vault: TenantDatabase, document_id: UUID) -> list[list[str]]:
    return [event.data["object_keys"] for event in await published(vault, document_id) if event.type == "document.purged"]


async def _rows(vault: TenantDatabase, document_id: UUID) -> int:
    """In how many tables something of the document is left."""
    async with vault.transaction() as tx:
        tables = await (
            await tx.connection.execute(
                """
                SELECT table_name FROM information_schema.columns
                WHERE table_schema = 'public' AND column_name = 'document_id' AND table_name NOT IN ('document_changes', 'ai_calls')
                """
            )
        ).fetchall()
        found = 0
        for (table,) in tables:
            found += bool(await tx.fetch_value(f"SELECT true FROM {table} WHERE document_id = %s LIMIT 1", (document_id,)))
    return found


async def test_only_the_trash_is_purged(vault: TenantDatabase) -> None:
    document = await stored(vault)
    with pytest.raises(NotInTrash):
        await purging.purge(vault, document.id)
    await library.trash(vault, document.id)
    await purging.purge(vault, document.id)
    for again in (document.id, uuid4()):
        with pytest.raises(NotFound):
            await purging.purge(vault, again)


async def test_a_purged_document_is_gone_from_everywhere_and_its_room_is_free(vault: TenantDatabase) -> None:
    document_id = await trashed(vault)
    assert await _rows(vault, document_id) > 3
    await purging.purge(vault, document_id)
    with pytest.raises(NotFound):
        await library.get(vault, document_id)
    assert await _rows(vault, document_id) == 0
    assert (await listing.search_documents(vault, "heron", listing.Filters(trashed=True))).items == []
    assert await usage(vault) == Usage(0, 0, 0)


async def test_erasing_removes_the_object_however_often(vault: TenantDatabase) -> None:
    document_id = await trashed(vault)
    original = await row(vault, document_id, "object_key")
    await purging.purge(vault, document_id)
    assert await _events(vault, document_id) == [[original]]
    for _ in range(2):
        await purging.erase(vault.owner_id, [original])
        assert await object_store().stat(original) is None


async def test_an_event_that_was_made_up_erases_nothing_of_anothers(vault: TenantDatabase, other_owner: UUID, db: Database) -> None:
    other = TenantDatabase(db, other_owner)
    key = await row(other, (await stored(other)).id, "object_key")
    await purging.erase(vault.owner_id, [key])
    assert await object_store().stat(key) is not None


async def test_what_arrives_after_the_purge_is_removed(vault: TenantDatabase) -> None:
    document_id = await trashed(vault)
    key = await row(vault, document_id, "object_key")
    await purging.purge(vault, document_id)
    await object_store().put(key, b"late", content_type="text/plain")
    assert await upload_step.object_arrived(key) == "removed"
    assert await object_store().stat(key) is None


async def test_a_lost_event_leaves_nothing_in_the_store_for_good(vault: TenantDatabase, db: Database) -> None:
    document_id = await trashed(vault)
    key = await row(vault, document_id, "object_key")
    await purging.purge(vault, document_id)
    async with db.system() as tx:
        left: int = await tx.fetch_value("SELECT count(*) FROM upload_tombstones WHERE object_key = %s", (key,))
    assert left == 1, "the clean-up removes what tombstones name"


async def test_with_the_store_down_the_purge_is_made_and_the_erasing_tried_again(vault: TenantDatabase) -> None:
    document_id = await trashed(vault)
    await purging.purge(vault, document_id)
    [keys] = await _events(vault, document_id)
    nowhere = ObjectStore(
        endpoint="http://127.0.0.1:9", public_endpoint="http://127.0.0.1:9", region="x", access_key="a", secret_key="b", bucket="c"
    )
    with pytest.raises(StorageUnavailable):
        await purging.erase(vault.owner_id, keys, store=nowhere)
    await purging.erase(vault.owner_id, keys)
    assert [await object_store().stat(key) for key in keys] == [None]


async def test_of_two_purges_at_once_one_is_made(vault: TenantDatabase) -> None:
    document_id = await trashed(vault)
    outcomes = await asyncio.gather(*(purging.purge(vault, document_id) for _ in range(4)), return_exceptions=True)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["NoneType", "NotFound", "NotFound", "NotFound"]
    assert await usage(vault) == Usage(0, 0, 0)
    assert len(await _events(vault, document_id)) == 1


async def test_a_restore_and_a_purge_at_once_end_as_one_of_them(vault: TenantDatabase) -> None:
    document_id = await trashed(vault)
    await asyncio.gather(purging.purge(vault, document_id), library.restore(vault, document_id), return_exceptions=True)
    try:
        assert (await library.get(vault, document_id)).trashed_at is None
    except NotFound:
        assert await usage(vault) == Usage(0, 0, 0)


async def test_after_thirty_days_in_the_trash_a_document_is_removed_and_none_before(vault: TenantDatabase, db: Database) -> None:
    old, young, kept = await trashed(vault), await trashed(vault, PDF + b"\n"), await stored(vault)
    async with vault.transaction() as tx:
        for document_id, days in ((old, 30.01), (young, 29.9)):
            await tx.execute("UPDATE documents SET trashed_at = now() - %s WHERE id = %s", (timedelta(days=days), document_id))
    await purging.purge_expired()
    with pytest.raises(NotFound):
        await library.get(vault, old)
    assert (await library.get(vault, young)).trashed_at is not None
    assert (await library.get(vault, kept.id)).trashed_at is None
    async with db.tenant(vault.owner_id) as tx:
        actor = await tx.fetch_value(
            "SELECT coalesce(actor_id::text, 'nobody') FROM audit_lines WHERE action = 'document:purge' AND target = %s", (str(old),)
        )
    assert actor == "nobody"


async def test_a_sender_that_was_only_read_goes_with_its_last_document(vault: TenantDatabase) -> None:
    document_id = await trashed(vault)
    async with vault.transaction() as tx:
        await details.propose(tx, owner_id=vault.owner_id, document_id=document_id, source="text", sender="City Works")
    await purging.purge(vault, document_id)
    async with vault.transaction() as tx:
        assert await tx.fetch_value("SELECT count(*) FROM senders WHERE owner_id = %s", (vault.owner_id,)) == 0
