"""Titles, dates and senders that sources propose, and what a person set."""

import asyncio
from datetime import date
from typing import Any
from uuid import UUID, uuid4

import pytest

from shared.db import TenantDatabase
from shared.documents import details, library, listing, senders
from shared.documents.models import Document
from shared.documents.senders import alias_key, sane_name
from shared.errors import NotFound
from tests.documents.conftest import read_through, row, stored


async def propose(vault: TenantDatabase, document_id: UUID, source: details.DetailSource, **more: Any) -> frozenset[str]:
    async with vault.transaction() as tx:
        return await details.propose(tx, owner_id=vault.owner_id, document_id=document_id, source=source, **more)


async def a_document(vault: TenantDatabase) -> Document:
    created = await stored(vault)
    return await read_through(vault, created.id)


async def test_a_proposal_sets_title_date_and_sender(vault: TenantDatabase) -> None:
    document = await a_document(vault)
    changed = await propose(
        vault, document.id, "ai", title="Water bill", issued_on=date(2024, 5, 3), place="page 1: 3 May 2024", sender="City Works"
    )
    assert changed == {"title", "issued_on", "sender"}
    found = await library.get(vault, document.id)
    assert (found.title, found.issued_on, found.sender and found.sender.name) == ("Water bill", date(2024, 5, 3), "City Works")
    assert await row(vault, document.id, "issued_on_place") == "page 1: 3 May 2024"
    hits = await listing.search_documents(vault, '"water bill"', listing.Filters())
    assert [hit.id for hit in hits.items] == [document.id], "the index follows the title"
    assert found.updated_at > document.updated_at


async def test_a_source_that_says_nothing_waits_for_nobody(vault: TenantDatabase) -> None:
    document = await a_document(vault)
    async with vault.transaction() as tx:
        await details.locked(tx, vault.owner_id, document.id)
        assert await asyncio.wait_for(propose(vault, document.id, "text", title=" "), 10) == frozenset()


async def test_what_a_person_set_no_proposal_changes(vault: TenantDatabase) -> None:
    document = await a_document(vault)
    async with vault.transaction() as tx:
        await tx.execute(
            """
            UPDATE documents SET title = 'Mine', title_source = 'owner', issued_on = NULL, issued_on_source = 'owner',
                sender_id = NULL, sender_source = 'owner'
            WHERE owner_id = %s AND id = %s
            """,
            (vault.owner_id, document.id),
        )
    for source in ("metadata", "text", "ai", "mail"):
        assert not await propose(vault, document.id, source, title="Theirs", issued_on=date(2024, 1, 1), sender="Somebody")
    found = await library.get(vault, document.id)
    assert (found.title, found.issued_on, found.sender) == ("Mine", None, None)


async def test_a_surer_source_wins_whichever_speaks_first(vault: TenantDatabase) -> None:
    document = await a_document(vault)
    assert await propose(vault, document.id, "mail", issued_on=date(2024, 2, 2)) == {"issued_on"}
    assert not await propose(vault, document.id, "ai", issued_on=date(2023, 1, 1))
    assert not await propose(vault, document.id, "metadata", issued_on=date(2022, 1, 1))
    assert await propose(vault, document.id, "mail", issued_on=date(2024, 2, 3)) == {"issued_on"}
    assert await propose(vault, document.id, "metadata", sender="Scanner Inc") == {"sender"}
    assert await propose(vault, document.id, "text", sender="City Works") == {"sender"}
    assert await propose(vault, document.id, "ai", sender="City Water Works") == {"sender"}


async def test_one_sender_is_meant_however_it_is_written(vault: TenantDatabase) -> None:
    written = ["Stadtwerke Köln GmbH", "STADTWERKE KOLN", "stadtwerke köln G.m.b.H.", " Stadtwerke  Köln, "]
    async with vault.transaction() as tx:
        meant = {await senders.written_as(tx, vault.owner_id, name) for name in written}
        other = await senders.written_as(tx, vault.owner_id, "Stadtwerke Bonn")
    assert len(meant) == 1
    assert other not in meant


async def test_documents_that_bring_a_sender_at_once_bring_one(vault: TenantDatabase) -> None:
    documents = [await a_document(vault) for _ in range(2)] + [await a_document(vault) for _ in range(2)]
    await asyncio.gather(*(propose(vault, document.id, "text", sender="City Works") for document in documents))
    found = {(await library.get(vault, document.id)).sender for document in documents}
    assert len(found) == 1


async def test_a_sender_read_by_mistake_goes_when_no_document_has_it(vault: TenantDatabase) -> None:
    document = await a_document(vault)
    await propose(vault, document.id, "text", sender="Ctiy Wroks")
    await propose(vault, document.id, "mail", sender="City Works")
    async with vault.transaction() as tx:
        count = await tx.fetch_value("SELECT count(*) FROM senders WHERE owner_id = %s", (vault.owner_id,))
    assert count == 1


async def test_nobody_proposes_for_another_owners_document(vault: TenantDatabase, other_owner: UUID, db: Any) -> None:
    document = await a_document(vault)
    with pytest.raises(NotFound):
        await propose(TenantDatabase(db, other_owner), document.id, "ai", title="Stolen title")
    with pytest.raises(NotFound):
        await propose(vault, uuid4(), "ai", title="No such document")


@pytest.mark.parametrize("written", ["", "  ", "12345", "\u200b", "x", "1234567890 a1", "a" * 300, "\n\t"])
def test_what_is_no_name_is_no_sender(written: str) -> None:
    assert sane_name(written) is None


def test_names_are_tidied_up() -> None:
    assert sane_name("  City\u00a0Works \u202eGmbH, ") == "City Works GmbH"
    assert alias_key("City Works") == alias_key("CITY-WORKS Ltd.")
    assert alias_key("株式会社ヤマト") == alias_key("株式会社ヤマト")
