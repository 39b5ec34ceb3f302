"""Lists that a person keeps."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

import pytest
from pydantic import ValidationError

from shared.db import Database, TenantDatabase
from shared.documents import library, topics, views
from shared.documents.topic_models import NewTopic
from shared.documents.view_models import NewView, ViewChange, ViewsQuery
from shared.documents.views import TooManyViews
from shared.errors import NotFound
from tests.documents.conftest import read_through, stored
from tests.documents.test_bulk import rows


def a_view(name: str, query: dict[str, Any], *, pinned: bool = False) -> NewView:
    return NewView.model_validate({"name": name, "query": query, "pinned": pinned})


async def _listed(vault: TenantDatabase, *, counts: bool = False) -> dict[str, int | None]:
    return {view.name: view.documents for view in (await views.list_page(vault, ViewsQuery(counts=counts))).items}


async def test_pinned_views_come_first_then_by_name(vault: TenantDatabase) -> None:
    for name, pinned in (("b", False), ("Z", True), ("a", False), ("Ä", True)):
        await views.create(vault, a_view(name, {}, pinned=pinned))
    assert list(await _listed(vault)) == ["Ä", "Z", "a", "b"]


async def test_a_view_gives_back_what_was_kept_and_changes_by_parts(vault: TenantDatabase) -> None:
    query = {"q": "heron", "status": ["ready"], "issued_after": "2024-01-01", "sort": "-issued_on", "trashed": True}
    made = await views.create(vault, a_view("Birds", query))
    assert (made.query, made.documents, made.pinned) == (query, None, False)
    changed = await views.update(vault, made.id, ViewChange(pinned=True))
    assert (changed.name, changed.query, changed.pinned) == ("Birds", query, True)
    changed = await views.update(vault, made.id, ViewChange.model_validate({"query": {"language": ["de"]}, "name": "Vögel"}))
    assert (changed.name, changed.query) == ("Vögel", {"language": ["de"]})
    await views.delete(vault, made.id)
    with pytest.raises(NotFound):
        await views.delete(vault, made.id)


@pytest.mark.parametrize(
    "query",
    [{"limit": 5}, {"cursor": "x"}, {"sort": "name"}, {"topic_id": ["x"]}, {"issued_after": "yesterday"}, {"owner_id": []}],
    ids=str,
)
def test_only_parameters_of_a_list_are_kept(query: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        a_view("x", query)


async def test_documents_are_counted_up_to_a_thousand(vault: TenantDatabase) -> None:
    await rows(vault, 3, trashed=True)
    await rows(vault, 1005)
    for number in range(2):
        await read_through(vault, (await stored(vault, f"the heron wades {number}".encode())).id)
    for name, query in (("all", {}), ("trash", {"trashed": True}), ("words", {"q": "heron"}), ("none", {"language": ["fi"]})):
        await views.create(vault, a_view(name, query))
    assert await _listed(vault, counts=True) == {"all": 1000, "trash": 3, "words": 2, "none": 0}


async def test_a_view_that_names_a_deleted_topic_lists_nothing_and_stays(vault: TenantDatabase) -> None:
    [document] = await rows(vault, 1)
    topic = await topics.create(vault, NewTopic(name="Gone"))
    async with vault.transaction() as tx:
        await topics.file(tx, owner_id=vault.owner_id, document_id=document, topic_ids=[topic.id])
    await views.create(vault, a_view("by id", {"topic_id": [str(topic.id)]}))
    await views.create(vault, a_view("by name", {"q": "topic:Gone"}))
    assert await _listed(vault, counts=True) == {"by id": 1, "by name": 1}
    await topics.delete(vault, topic.id)
    assert await _listed(vault, counts=True) == {"by id": 0, "by name": None}
    assert (await library.get(vault, document)).topics == []


async def test_anothers_views_are_not_found(vault: TenantDatabase, other_owner: UUID, db: Database) -> None:
    made = await views.create(vault, a_view("Mine", {}))
    other = TenantDatabase(db, other_owner)
    for view_id in (made.id, uuid4()):
        with pytest.raises(NotFound):
            await views.update(other, view_id, ViewChange(name="Stolen"))
        with pytest.raises(NotFound):
            await views.delete(other, view_id)
    assert await _listed(other) == {}


async def test_views_are_bounded_also_at_once(vault: TenantDatabase) -> None:
    async with vault.transaction() as tx:
        await tx.execute(
            """
            INSERT INTO views (id, owner_id, name, name_key, query)
            SELECT gen_random_uuid(), %s, 'x', 'x', '{}' FROM generate_series(1, %s)
            """,
            (vault.owner_id, views.AT_MOST - 2),
        )
    outcomes = await asyncio.gather(*(views.create(vault, a_view("y", {})) for _ in range(5)), return_exceptions=True)
    assert sum(isinstance(outcome, TooManyViews) for outcome in outcomes) == 3
