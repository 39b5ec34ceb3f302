"""Look-alikes: the same paper twice is listed once, by bounded work, and only while both are there."""

import asyncio
from uuid import UUID

import pytest

from shared.api.models import PageQuery
from shared.db import Database, TenantDatabase
from shared.documents import classify_step, library, lookalikes, purging, reprocessing
from shared.documents.models import Document
from shared.errors import InvalidCursor
from tests.documents.conftest import read_through, row, stored
from tests.search.test_likeness import misread, paper, statement


async def ready(vault: TenantDatabase, words: list[str]) -> Document:
    document = await stored(vault, " ".join(words).encode())
    await read_through(vault, document.id)
    await classify_step.classify(vault, document_id=document.id, revision=1)
    return await library.get(vault, document.id)


async def pairs(vault: TenantDatabase) -> list[set[UUID]]:
    page = await lookalikes.list_page(vault, PageQuery())
    return [{document.id for document in item.documents} for item in page.items]


async def test_a_paper_that_was_scanned_twice_is_listed_once(vault: TenantDatabase) -> None:
    first, other = await ready(vault, misread(paper(1), 0.04, 1)), await ready(vault, paper(2))
    assert await pairs(vault) == []
    second = await ready(vault, misread(paper(1), 0.04, 2))
    [item] = (await lookalikes.list_page(vault, PageQuery())).items
    assert item.documents == [first, second]
    assert 0.5 <= item.likeness < 1
    assert other.id not in {document.id for document in item.documents}


async def test_of_two_that_are_read_at_once_one_finds_the_other(vault: TenantDatabase) -> None:
    first, second = await asyncio.gather(*(ready(vault, misread(paper(1), 0.02, seed)) for seed in (1, 2)))
    assert await pairs(vault) == [{first.id, second.id}]


async def test_the_next_letter_of_the_same_kind_is_none(vault: TenantDatabase) -> None:
    for month in range(4):
        await ready(vault, statement(month))
    assert await pairs(vault) == []


async def test_a_pair_goes_with_one_of_the_two_and_comes_back_from_the_trash(vault: TenantDatabase) -> None:
    first, second = await ready(vault, paper(1)), await ready(vault, misread(paper(1), 0.02, 2))
    await library.trash(vault, first.id)
    assert await pairs(vault) == []
    await library.restore(vault, first.id)
    assert await pairs(vault) == [{first.id, second.id}]
    await library.trash(vault, second.id)
    await purging.purge(vault, second.id)
    assert await pairs(vault) == []


async def test_one_that_is_just_being_removed_is_not_waited_for(vault: TenantDatabase) -> None:
    first = await ready(vault, paper(1))
    async with vault.transaction() as tx:
        await tx.execute("DELETE FROM document_fingerprints WHERE document_id = %s", (first.id,))
        async with asyncio.timeout(20):
            await ready(vault, misread(paper(1), 0.02, 2))
    assert await pairs(vault) == []


async def test_reading_anew_finds_them_anew_and_a_new_version_forgets_them(vault: TenantDatabase) -> None:
    first, second = await ready(vault, paper(1)), await ready(vault, misread(paper(1), 0.02, 2))
    await reprocessing.reprocess(vault, first.id)
    await read_through(vault, first.id, 2)
    assert await pairs(vault) == []
    await classify_step.classify(vault, document_id=first.id, revision=2)
    assert await pairs(vault) == [{first.id, second.id}]
    await stored(vault, " ".join(paper(5)).encode(), replaces=first.id)
    assert await pairs(vault) == []
    assert await row(vault, first.id, "revision") == 3


async def test_nobody_elses_documents_are_compared(vault: TenantDatabase, db: Database, other_owner: UUID) -> None:
    other = TenantDatabase(db, other_owner)
    await ready(vault, paper(1))
    await ready(other, paper(1))
    assert (await pairs(vault), await pairs(other)) == ([], [])


async def test_pages_are_whole_and_a_strange_cursor_is_refused(vault: TenantDatabase) -> None:
    for seed in range(4):
        await ready(vault, misread(paper(1), 0.01 * seed, seed))
    every = await pairs(vault)
    assert len(every) == 6
    paged: list[set[UUID]] = []
    cursor: str | None = None
    while True:
        page = await lookalikes.list_page(vault, PageQuery(limit=4, cursor=cursor))
        paged += [{document.id for document in item.documents} for item in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert paged == every
    with pytest.raises(InvalidCursor):
        await lookalikes.list_page(vault, PageQuery(cursor="x"))
