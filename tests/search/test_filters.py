"""Filters in a query, facets, suggestions, documents that are alike."""

from datetime import UTC, date, datetime
from typing import Any, cast
from uuid import UUID

import pytest

from shared.api.models import Page
from shared.db import Database, TenantDatabase
from shared.documents import details, facets, listing, query_filters, reindexing, search_suggestions
from shared.documents.listing import Filters
from shared.documents.models import Sort
from shared.errors import InvalidCursor, ValidationFailed
from shared.search.query import parse
from shared.search.similar import find_similar
from tests.search.vault import Vault


@pytest.fixture
def vault(db: Database, owner: UUID) -> Vault:
    return Vault(TenantDatabase(db, owner))


@pytest.fixture
def other_vault(db: Database, other_owner: UUID) -> Vault:
    return Vault(TenantDatabase(db, other_owner))


async def found(vault: Vault, text: str) -> set[str]:
    """The titles of what a query with filters finds."""
    query = parse(text)
    filters = await query_filters.narrowed(vault.db, Filters(), query.filters)
    if not query.groups:
        return {document.title for document in (await listing.list_documents(vault.db, filters)).items}
    return {hit.row.title for hit in (await listing.find(vault.db, query, text, filters)).hits}


async def test_a_query_may_hold_filters(vault: Vault) -> None:
    day = datetime(2024, 5, 31, tzinfo=UTC)
    await vault.add("tax", "refund of the year", topics=["taxes"], created_at=day, language="en")
    await vault.add("picture", "refund", content_type="image/png", created_at=datetime(2025, 1, 1, tzinfo=UTC), language="de")
    await vault.add("gone", "refund", trashed_at=day, created_at=day)
    assert await found(vault, "refund topic:Taxes") == {"tax"}
    assert await found(vault, 'topic:"taxes" refund') == {"tax"}
    assert await found(vault, "refund type:pdf") == {"tax"}
    assert await found(vault, "refund type:picture") == {"picture"}
    assert await found(vault, "refund language:de") == await found(vault, "refund language:German") == {"picture"}
    assert await found(vault, "refund after:2024-05 before:2024-06") == {"tax"}
    assert await found(vault, "refund after:2024-06") == {"picture"}
    assert await found(vault, "refund before:2025") == {"tax"}
    assert await found(vault, "refund in:trash") == {"gone"}
    assert await found(vault, "type:png") == {"picture"}
    assert await found(vault, '"type:png"') == set()


@pytest.mark.parametrize(
    "text",
    [
        *("topic:none", "type:nonsense", "after:yesterday", "before:2024-13", "in:heaven", "sender:me", "after:0000", "before:99999"),
        *(
            "before:2024-02-30",
            "after:12.05.2024",
            "before:2024/05",
            "before:1e3",
            "after:-1",
            "type:*",
            "type:\0",
            "language:klingon",
            "in:a",
        ),
    ],
)
async def test_a_wrong_filter_is_explained(vault: Vault, text: str) -> None:
    with pytest.raises(ValidationFailed) as refused:
        await found(vault, f"word {text}")
    assert text in str(refused.value.detail)


@pytest.mark.parametrize(
    "text", ["topic:" + "x" * 9_000, 'sender:"' + "é" * 9_000 + '"', "language:" + "日" * 9_000, "after:" + "1" * 9_000]
)
async def test_a_filter_of_thousands_of_letters_is_refused_in_a_sentence(vault: Vault, text: str) -> None:
    with pytest.raises(ValidationFailed) as refused:
        await found(vault, f"word {text}")
    assert str(refused.value.detail).endswith(".")


async def test_what_only_looks_like_a_filter_is_text(vault: Vault) -> None:
    await vault.add("link", "see http://example.org and re: invoice")
    assert await found(vault, "http://example.org") == {"link"}
    assert await found(vault, "re: invoice") == {"link"}


async def test_facets_count_what_is_found(vault: Vault, other_vault: Vault) -> None:
    for number in range(4):
        await vault.add(f"{number}", "word", topics=["x"] if number else ["x", "y"], language="de" if number == 3 else "en")
    await vault.add("other", "nothing", topics=["y"])
    await other_vault.add("theirs", "word", topics=["x"])
    query = parse("word")
    page = await listing.find(vault.db, query, "word", Filters(), limit=1, counted=facets.COUNTED)
    source = listing.source(vault.db, Filters())
    counted = await facets.of_found(vault.db, page.matched, " AND ".join(source.conditions), source.parameters)
    assert [(topic.name, topic.documents) for topic in counted.topics] == [("x", 4), ("y", 1)]
    assert [(one.value, one.documents) for one in counted.languages] == [("en", 3), ("de", 1)]
    assert [(one.value, one.documents) for one in counted.content_types] == [("application/pdf", 4)]
    assert [one.documents for one in counted.years] == [4]
    listed = await facets.of_list(vault.db, " AND ".join(source.conditions), source.parameters)
    assert [(topic.name, topic.documents) for topic in listed.topics] == [("x", 4), ("y", 2)]


@pytest.mark.parametrize("sort", ["-relevance", "filename"])
async def test_facets_of_a_phrase_count_what_has_the_phrase_not_what_has_its_words(vault: Vault, sort: Sort) -> None:
    for number in range(6):
        await vault.add(f"{number}", "grey heron" if number < 2 else "heron grey", topics=["birds"])
    page = await listing.find(vault.db, parse('"grey heron"'), "grey heron", Filters(), sort, counted=facets.COUNTED)
    source = listing.source(vault.db, Filters())
    counted = await facets.of_found(vault.db, page.matched, " AND ".join(source.conditions), source.parameters)
    assert [(topic.name, topic.documents) for topic in counted.topics] == [("birds", 2)]


async def test_what_is_typed_is_completed(vault: Vault, other_vault: Vault) -> None:
    document_id = await vault.add("Insurance policy", "the insurer insures", topics=["insurance"])
    await other_vault.add("Inspection", "inspector")
    suggested = await search_suggestions.suggest(vault.db, "ins")
    assert ("topic", "insurance", None) in {(one.kind, one.text, one.document_id) for one in suggested}
    assert ("title", "Insurance policy", document_id) in {(one.kind, one.text, one.document_id) for one in suggested}
    assert {one.text for one in suggested if one.kind == "word"} == {"insurance", "insurer", "insures"}
    for nothing in ("", " ", "%", "_", "zzz", "\\"):
        assert await search_suggestions.suggest(vault.db, nothing) == []


async def test_documents_that_share_telling_words_are_alike(vault: Vault, other_vault: Vault) -> None:
    first = await vault.add("one", "the heron landed beside the waterworks and the quarterly invoice")
    await vault.add("two", "another heron near the waterworks")
    await other_vault.add("theirs", "heron waterworks")
    for number in range(5):
        await vault.add(f"noise {number}", "weather and sports")
    await reindexing.merge_waiting()
    hits = (await find_similar(vault.db, first, listing.source(vault.db, Filters()), 10, {})).hits
    assert hits[0].row.title == "two"
    assert "one" not in {hit.row.title for hit in hits}


async def _detailed(vault: Vault, document_id: UUID, *, sender: str | None = None, issued_on: date | None = None) -> None:
    """As reading the document, or its owner, says who it comes from and when it was issued."""
    async with vault.db.transaction() as tx:
        if sender is not None:
            await details.propose(tx, owner_id=vault.db.owner_id, document_id=document_id, source="text", sender=sender)
        if issued_on is not None:
            await details.propose(tx, owner_id=vault.db.owner_id, document_id=document_id, source="text", issued_on=issued_on)


async def test_a_query_may_name_the_sender_and_the_papers_date(vault: Vault, other_vault: Vault) -> None:
    old = await vault.add("old", "water bill", created_at=datetime(2026, 3, 1, tzinfo=UTC))
    await _detailed(vault, old, sender="City Works Ltd.", issued_on=date(2024, 6, 30))
    new = await vault.add("new", "water bill", created_at=datetime(2026, 3, 1, tzinfo=UTC))
    await _detailed(vault, new, sender="Harbour Services")
    theirs = await other_vault.add("theirs", "water bill")
    await _detailed(other_vault, theirs, sender="Bluebell")
    assert await found(vault, 'bill sender:"city works"') == {"old"}
    assert await found(vault, 'sender:"City Works Ltd"') == {"old"}
    assert await found(vault, "bill after:2024-05 before:2026") == {"old"}
    assert await found(vault, "bill after:2026") == {"new"}
    assert await found(vault, "after:2024-07-01 before:2026-03-02") == {"new"}
    with pytest.raises(ValidationFailed, match="no document comes from a sender of this name"):
        await found(vault, "bill sender:Bluebell")
    suggested = await search_suggestions.suggest(vault.db, "city")
    assert ("sender", "City Works Ltd.") in {(one.kind, one.text) for one in suggested}
    counted = await facets.of_list(vault.db, "d.trashed_at IS NULL", {})
    assert {(one.name, one.documents) for one in counted.senders} == {("City Works Ltd.", 1), ("Harbour Services", 1)}
    assert {(one.value, one.documents) for one in counted.years} == {("2024", 1), ("2026", 1)}


@pytest.mark.parametrize("text", ["", "bill"])
async def test_a_list_by_the_papers_date_has_the_undated_last_on_every_page(vault: Vault, text: str) -> None:
    for title, issued_on in (("b", date(2024, 2, 1)), ("none", None), ("a", date(2024, 1, 1)), ("c", date(2024, 3, 1)), ("nor", None)):
        await _detailed(vault, await vault.add(title, "bill"), issued_on=issued_on)
    for sort, dated in (("issued_on", ["a", "b", "c"]), ("-issued_on", ["c", "b", "a"])):
        titles: list[str] = []
        cursor = None
        while True:
            if text:
                page: Page[Any] = await listing.search_documents(vault.db, text, Filters(), cast(Sort, sort), 2, cursor)
            else:
                page = await listing.list_documents(vault.db, Filters(), cast(Sort, sort), 2, cursor)
            titles += [one.title for one in page.items]
            cursor = page.next_cursor
            if cursor is None:
                break
        assert titles[:3] == dated
        assert set(titles[3:]) == {"none", "nor"}
    only = await listing.list_documents(vault.db, Filters(issued_after=date(2024, 2, 1), issued_before=date(2024, 3, 1)))
    assert [one.title for one in only.items] == ["b"]


async def test_similar_documents_come_page_by_page(vault: Vault) -> None:
    first = await vault.add("one", "the heron landed beside the waterworks")
    for number in range(7):
        await vault.add(f"like {number}", f"a heron near the waterworks {number}")
    await vault.merge()
    source = listing.source(vault.db, Filters())
    titles: list[str] = []
    cursor = None
    while True:
        page = await find_similar(vault.db, first, source, 3, {"document": first}, cursor)
        titles += [hit.row.title for hit in page.hits]
        cursor = page.next_cursor
        if cursor is None:
            break
        await vault.add("later", "heron waterworks")
    assert sorted(title for title in titles if title != "later") == [f"like {number}" for number in range(7)]
    first_page = await find_similar(vault.db, first, source, 3, {"document": first})
    with pytest.raises(InvalidCursor):
        await find_similar(vault.db, first, source, 3, {"document": "another"}, first_page.next_cursor)
