"""Senders: listed, renamed, merged, and known again after that."""

import asyncio
from uuid import UUID, uuid4

import pytest
from psycopg.errors import LockNotAvailable

from shared.api.models import PageQuery
from shared.db import Database, TenantDatabase
from shared.documents import details, library, senders
from shared.documents.change_models import DocumentChange
from shared.documents.sender_models import SenderChange
from shared.documents.senders import SenderExists
from shared.errors import InvalidCursor, NotFound, ValidationFailed
from tests.documents.test_bulk import rows


async def propose(vault: TenantDatabase, document_id: UUID, name: str) -> UUID:
    async with vault.transaction() as tx:
        await details.propose(tx, owner_id=vault.owner_id, document_id=document_id, source="text", sender=name)
    sender = (await library.get(vault, document_id)).sender
    assert sender is not None
    return sender.id


async def _listed(vault: TenantDatabase) -> list[tuple[str, int]]:
    return [(sender.name, sender.documents) for sender in (await senders.list_page(vault, PageQuery())).items]


async def test_senders_are_listed_by_name_with_what_is_outside_the_trash(vault: TenantDatabase, other_owner: UUID, db: Database) -> None:
    documents = await rows(vault, 4)
    for document, name in zip(documents, ("City Works", "City Works", "Ärztekammer", "bank"), strict=True):
        await propose(vault, document, name)
    await library.trash(vault, documents[0])
    assert await _listed(vault) == [("Ärztekammer", 1), ("bank", 1), ("City Works", 1)]
    first = await senders.list_page(vault, PageQuery(limit=2))
    rest = await senders.list_page(vault, PageQuery(limit=2, cursor=first.next_cursor))
    assert [sender.name for sender in (*first.items, *rest.items)] == ["Ärztekammer", "bank", "City Works"]
    other = TenantDatabase(db, other_owner)
    assert await _listed(other) == []
    with pytest.raises(InvalidCursor):
        await senders.list_page(other, PageQuery(cursor=first.next_cursor))


async def test_a_renamed_sender_is_known_by_both_names(vault: TenantDatabase) -> None:
    first, second, third = await rows(vault, 3)
    sender = await propose(vault, first, "Ctiy Wroks")
    before = (await library.get(vault, first)).updated_at
    assert (await senders.rename(vault, sender, SenderChange(name="City Works"))).name == "City Works"
    renamed = await library.get(vault, first)
    assert renamed.sender is not None
    assert renamed.sender.name == "City Works"
    assert renamed.updated_at > before
    assert await propose(vault, second, "Ctiy Wroks") == sender
    assert await propose(vault, third, "CITY WORKS Ltd") == sender


async def test_a_name_is_one_senders(vault: TenantDatabase) -> None:
    first, second = await rows(vault, 2)
    await propose(vault, first, "City Works")
    other = await propose(vault, second, "Bank")
    with pytest.raises(SenderExists):
        await senders.rename(vault, other, SenderChange(name="CITY works"))
    assert (await senders.rename(vault, other, SenderChange(name="BANK"))).name == "BANK"


async def test_merged_senders_are_one_for_good(vault: TenantDatabase) -> None:
    documents = await rows(vault, 4)
    first, second = await propose(vault, documents[0], "Ctiy Wroks"), await propose(vault, documents[1], "City Works")
    await details.update(vault, documents[2], DocumentChange.model_validate({"sender": "Ctiy Wroks"}))
    merged = await senders.merge(vault, first, second)
    assert (merged.id, merged.name, merged.documents) == (second, "City Works", 3)
    assert await propose(vault, documents[3], "Ctiy Wroks") == second
    assert await _listed(vault) == [("City Works", 4)]
    with pytest.raises(NotFound):
        await senders.merge(vault, first, second)
    with pytest.raises(ValidationFailed):
        await senders.merge(vault, second, second)


async def test_merges_that_cross_end_as_one_sender(vault: TenantDatabase) -> None:
    documents = await rows(vault, 2)
    first, second = await propose(vault, documents[0], "One"), await propose(vault, documents[1], "Two")
    outcomes = await asyncio.gather(senders.merge(vault, first, second), senders.merge(vault, second, first), return_exceptions=True)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["NotFound", "Sender"]
    assert [count for _, count in await _listed(vault)] == [2]


async def test_a_document_that_comes_while_senders_are_merged_is_the_merged_ones(vault: TenantDatabase) -> None:
    documents = await rows(vault, 12)
    first, second = await propose(vault, documents[0], "One"), await propose(vault, documents[1], "Two")
    await asyncio.gather(*(propose(vault, document, "One") for document in documents[2:]), senders.merge(vault, first, second))
    assert await _listed(vault) == [("Two", 12)]


async def test_a_sender_is_held_until_the_document_that_it_was_looked_up_for_has_it(vault: TenantDatabase) -> None:
    [document] = await rows(vault, 1)
    sender_id = await propose(vault, document, "One")
    async with vault.transaction() as tx:
        assert await senders.written_as(tx, vault.owner_id, "ONE") == sender_id
        with pytest.raises(LockNotAvailable):
            async with vault.transaction() as other:
                await other.execute("SELECT FROM senders WHERE id = %s FOR UPDATE NOWAIT", (sender_id,))


async def test_anothers_senders_are_not_found(vault: TenantDatabase, other_owner: UUID, db: Database) -> None:
    [document] = await rows(vault, 1)
    mine = await propose(vault, document, "City Works")
    other = TenantDatabase(db, other_owner)
    [theirs] = await rows(other, 1)
    their_sender = await propose(other, theirs, "Bank")
    for sender_id in (mine, uuid4()):
        with pytest.raises(NotFound):
            await senders.rename(other, sender_id, SenderChange(name="Stolen"))
        with pytest.raises(NotFound):
            await senders.merge(other, sender_id, their_sender)
        with pytest.raises(NotFound):
            await senders.merge(other, their_sender, sender_id)
