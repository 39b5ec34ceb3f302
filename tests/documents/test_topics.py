"""Topics: their names, filing, the owner's decisions and what is learned from them."""

import asyncio
import itertools
import random
from uuid import UUID

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from shared.ai.registry import LOCAL
from shared.api.models import PageQuery
from shared.db import Database, TenantDatabase
from shared.documents import classify_step, library, suggestions, topics
from shared.documents.name_keys import name_key
from shared.documents.topic_models import NewTopic, TopicChange
from shared.documents.topics import TopicExists
from shared.errors import InvalidCursor, NotFound, ValidationFailed
from shared.ids import new_id
from tests.documents import papers
from tests.documents.papers import INVOICE, POEM


async def _classified(db: Database, owner: UUID, text: str) -> UUID:
    document = await papers.extracted(db, owner, text)
    await classify_step.classify(TenantDatabase(db, owner), document_id=document, revision=1, system=LOCAL)
    return document


# Names


@pytest.mark.parametrize("pair", ["Taxes|TAXES", "Straße|STRASSE", "Ärzte|ärzte", "E\u0301cole|École", "ΣΟΦΟΣ|σοφος"])
def test_names_that_differ_in_case_or_composition_only_are_one(pair: str) -> None:
    first, second = pair.split("|")
    assert name_key(first) == name_key(second)


@pytest.mark.parametrize("pair", ["Schon|Schön", "Taxes|Tax"])
def test_other_names_are_not(pair: str) -> None:
    first, second = pair.split("|")
    assert name_key(first) != name_key(second)


def test_names_sort_accented_letters_beside_plain_ones() -> None:
    assert sorted(["Zebra", "Ärzte", "Arzt", "bank"], key=name_key) == ["Arzt", "Ärzte", "bank", "Zebra"]


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=100))
def test_every_name_s_key_fits_an_index(name: str) -> None:
    assert len(name_key(name).encode()) < 2600


@pytest.mark.parametrize("name", ["", "   ", "x" * 101, "a\nb", "a\x00b", "\u200b", "\u2028", "\x7f", "a\x85b", "\u202e"])
def test_a_name_is_one_line_that_shows_something(name: str) -> None:
    with pytest.raises(ValidationError):
        NewTopic(name=name)


def test_white_space_around_and_within_a_name_is_tidied() -> None:
    assert NewTopic(name="  Car \u00a0 papers ").name == "Car papers"


@pytest.mark.parametrize("color", ["red", "#fff", "#12345g", "2e7d32", "#2E7D32\n", ""])
def test_a_color_is_six_hex_digits(color: str) -> None:
    with pytest.raises(ValidationError):
        NewTopic(name="x", color=color)


def test_a_description_has_a_limit_and_no_nul() -> None:
    assert NewTopic(name="x", description="line\nline").description == "line\nline"
    for description in ("x" * 1001, "a\x00b"):
        with pytest.raises(ValidationError):
            NewTopic(name="x", description=description)


# Making and listing


async def test_a_name_is_unique_to_its_owner(db: Database, owner: UUID, other_owner: UUID) -> None:
    await papers.topic(db, owner, "Straße")
    await papers.topic(db, other_owner, "Straße")
    with pytest.raises(TopicExists):
        await papers.topic(db, owner, "STRASSE")


async def test_topics_are_listed_by_name_page_by_page(db: Database, owner: UUID, other_owner: UUID) -> None:
    for name in ("Zebra", "Ärzte", "bank", "Arzt", "Auto"):
        await papers.topic(db, owner, name)
    await papers.topic(db, other_owner, "Not mine")
    tenant = TenantDatabase(db, owner)
    first = await topics.list_page(tenant, limit=2)
    await papers.topic(db, owner, "Aaa")  # an insert before the cursor does not shift what follows
    second = await topics.list_page(tenant, limit=2, cursor=first.next_cursor)
    third = await topics.list_page(tenant, limit=2, cursor=second.next_cursor)
    assert [[topic.name for topic in page.items] for page in (first, second, third)] == [["Arzt", "Ärzte"], ["Auto", "bank"], ["Zebra"]]
    assert third.next_cursor is None


@pytest.mark.parametrize("alphabet", ["保険証券料金請求書類医療費", "🍎🚗🏠📄🎓💶🧾🐕"])
async def test_long_names_in_any_script_leave_a_cursor_that_can_be_sent(db: Database, owner: UUID, alphabet: str) -> None:
    chance = random.Random(7)
    for _ in range(3):
        await papers.topic(db, owner, "".join(chance.choices(alphabet, k=100)))
    page = await topics.list_page(TenantDatabase(db, owner), limit=2)
    following = await topics.list_page(TenantDatabase(db, owner), limit=2, cursor=PageQuery(cursor=page.next_cursor).cursor)
    assert len({topic.id for topic in (*page.items, *following.items)}) == 3


async def test_a_cursor_is_good_for_its_owner_only(db: Database, owner: UUID, other_owner: UUID) -> None:
    for name in ("A", "B"):
        await papers.topic(db, owner, name)
    page = await topics.list_page(TenantDatabase(db, owner), limit=1)
    with pytest.raises(InvalidCursor):
        await topics.list_page(TenantDatabase(db, other_owner), limit=1, cursor=page.next_cursor)


@pytest.mark.parametrize("cursor", ["", "x", "AAAA", "eyJ4IjoxfQ"])
async def test_a_cursor_of_someone_s_own_is_refused(db: Database, owner: UUID, cursor: str) -> None:
    with pytest.raises(InvalidCursor):
        await topics.list_page(TenantDatabase(db, owner), limit=2, cursor=cursor)


async def test_documents_in_the_trash_do_not_count(db: Database, owner: UUID) -> None:
    topic = await papers.topic(db, owner, "Invoices")
    documents = [await _classified(db, owner, INVOICE) for _ in range(3)]
    async with db.tenant(owner) as tx:
        await tx.execute("UPDATE documents SET trashed_at = now() WHERE id = %s", (documents[0],))
    (listed,) = (await topics.list_page(TenantDatabase(db, owner), limit=10)).items
    assert (listed.id, listed.documents) == (topic, 2)


# Filing and learning


async def test_filing_teaches_once(db: Database, owner: UUID) -> None:
    topic = await papers.topic(db, owner, "Box 7")
    document = await _classified(db, owner, INVOICE)
    for _ in range(2):
        async with db.tenant(owner) as tx:
            await topics.file(tx, owner_id=owner, document_id=document, topic_ids=[topic, topic])
    async with db.tenant(owner) as tx:
        assert await papers.learned(tx, topic, "invoic", "subtotal") == {"invoic": (1, 0), "subtotal": (1, 0)}
        assert await tx.fetch_value("SELECT accepted_documents FROM topics WHERE id = %s", (topic,)) == 1
        (filing,) = await papers.filings(tx, document)
    assert (filing.source, filing.confidence) == ("owner", None)


async def test_taking_back_what_the_owner_filed_forgets_it_exactly(db: Database, owner: UUID) -> None:
    topic = await papers.topic(db, owner, "Box 7")
    kept, taken = await _classified(db, owner, INVOICE), await _classified(db, owner, INVOICE + " extraordinary")
    async with db.tenant(owner) as tx:
        await topics.file(tx, owner_id=owner, document_id=kept, topic_ids=[topic])
        before = await papers.learned(tx, topic)
        await topics.file(tx, owner_id=owner, document_id=taken, topic_ids=[topic])
        assert "extraordinary" in await papers.learned(tx, topic)
        await topics.unfile(tx, owner_id=owner, document_id=taken, topic_ids=[topic])
        assert await papers.learned(tx, topic) == before
        assert await papers.filings(tx, taken) == []


async def test_taking_back_what_a_provider_filed_teaches_that_it_does_not_belong(db: Database, owner: UUID) -> None:
    topic = await papers.topic(db, owner, "Invoices")
    document = await _classified(db, owner, INVOICE)
    async with db.tenant(owner) as tx:
        assert [filing.source for filing in await papers.filings(tx, document)] == ["ai"]
        await topics.unfile(tx, owner_id=owner, document_id=document, topic_ids=[topic])
        assert await papers.filings(tx, document) == []
        assert await papers.learned(tx, topic, "invoic") == {"invoic": (0, 1)}
        assert [s.state for s in await suggestions.of_document(tx, owner_id=owner, document_id=document)] == ["rejected"]


async def test_nothing_is_learned_of_a_document_no_one_may_read(db: Database, owner: UUID) -> None:
    topic = await papers.topic(db, owner, "Box 7")
    document = await papers.extracted(db, owner, INVOICE, ai_policy="never")
    await classify_step.classify(TenantDatabase(db, owner), document_id=document, revision=1, system=LOCAL)
    async with db.tenant(owner) as tx:
        await topics.file(tx, owner_id=owner, document_id=document, topic_ids=[topic])
        assert await papers.learned(tx, topic) == {}
        assert len(await papers.filings(tx, document)) == 1


async def test_what_a_purged_document_taught_is_forgotten(db: Database, owner: UUID) -> None:
    topic = await papers.topic(db, owner, "Box 7")
    document = await _classified(db, owner, INVOICE)
    async with db.tenant(owner) as tx:
        await topics.file(tx, owner_id=owner, document_id=document, topic_ids=[topic])
        await tx.execute("DELETE FROM documents WHERE id = %s", (document,))
        assert await papers.learned(tx, topic) == {}
        assert await tx.fetch_value("SELECT accepted_documents FROM topics WHERE id = %s", (topic,)) == 0


async def test_a_deleted_topic_takes_everything_of_its_own_along(db: Database, owner: UUID) -> None:
    topic = await papers.topic(db, owner, "Invoices")
    document = await _classified(db, owner, INVOICE)
    async with db.tenant(owner) as tx:
        await topics.file(tx, owner_id=owner, document_id=document, topic_ids=[topic])
        await tx.execute("DELETE FROM topics WHERE id = %s", (topic,))
        for table in ("document_topics", "topic_suggestions", "topic_examples", "topic_terms"):
            assert await tx.fetch_value(f"SELECT count(*) FROM {table} WHERE owner_id = %s", (owner,)) == 0
        assert await tx.fetch_value("SELECT status FROM documents WHERE id = %s", (document,)) == "ready"


async def test_an_owner_s_end_takes_topics_along(db: Database, owner: UUID) -> None:
    topic = await papers.topic(db, owner, "Invoices")
    document = await _classified(db, owner, INVOICE)
    async with db.tenant(owner) as tx:
        await topics.file(tx, owner_id=owner, document_id=document, topic_ids=[topic])
    async with db.system() as tx:
        await tx.execute("DELETE FROM users WHERE id = %s", (owner,))
        for table in ("topics", "document_topics", "topic_suggestions", "topic_examples", "topic_terms", "document_terms"):
            assert await tx.fetch_value(f"SELECT count(*) FROM {table} WHERE owner_id = %s", (owner,)) == 0


async def test_decisions_at_the_same_time_are_all_learned(db: Database, owner: UUID) -> None:
    first, second = await papers.topic(db, owner, "Box 7"), await papers.topic(db, owner, "Box 8")
    documents = [await _classified(db, owner, f"{INVOICE} {word}") for word in ("apple", "berry", "cherry", "damson", "elder", "fig")]

    async def decide(document: UUID, topic_ids: list[UUID]) -> None:
        async with db.tenant(owner) as tx:
            await topics.file(tx, owner_id=owner, document_id=document, topic_ids=topic_ids)

    async with asyncio.timeout(60):
        orders = itertools.cycle(([first, second], [second, first]))
        await asyncio.gather(*(decide(document, order) for document, order in zip(documents, orders, strict=False)))
    async with db.tenant(owner) as tx:
        for topic in (first, second):
            assert await papers.learned(tx, topic, "invoic", "cherry") == {"invoic": (6, 0), "cherry": (1, 0)}


# Owners apart


async def test_a_topic_cannot_be_attached_to_another_owner_s_document(db: Database, owner: UUID, other_owner: UUID) -> None:
    mine, theirs = await papers.topic(db, owner, "Mine"), await papers.topic(db, other_owner, "Theirs")
    document = await papers.extracted(db, owner, INVOICE)
    for who, topic in ((owner, theirs), (other_owner, theirs), (other_owner, mine)):
        with pytest.raises(NotFound):
            async with db.tenant(who) as tx:
                await topics.file(tx, owner_id=who, document_id=document, topic_ids=[topic])
    for claimed in (owner, other_owner):
        with pytest.raises(psycopg.errors.ForeignKeyViolation):
            async with db.system() as tx:
                await tx.execute(
                    "INSERT INTO document_topics (document_id, topic_id, owner_id, source) VALUES (%s, %s, %s, 'owner')",
                    (document, theirs, claimed),
                )


@pytest.mark.parametrize("table", ["topics", "document_topics", "topic_suggestions", "topic_examples", "topic_terms", "document_terms"])
async def test_without_its_owner_nothing_of_topics_is_seen(db: Database, owner: UUID, other_owner: UUID, table: str) -> None:
    topic = await papers.topic(db, owner, "Invoices")
    document = await _classified(db, owner, INVOICE)
    async with db.tenant(owner) as tx:
        await topics.file(tx, owner_id=owner, document_id=document, topic_ids=[topic])
        assert await tx.fetch_value(f"SELECT count(*) FROM {table}") > 0
    async with db.tenant(other_owner) as tx:
        assert await tx.fetch_value(f"SELECT count(*) FROM {table}") == 0


# Decisions


async def test_accepting_files_learns_and_stays_so(db: Database, owner: UUID) -> None:
    topic = await papers.topic(db, owner, "Garden club")
    document = await _classified(db, owner, papers.REMINDER)
    async with db.tenant(owner) as tx:
        (open_one,) = await suggestions.of_document(tx, owner_id=owner, document_id=document)
    for _ in range(2):
        async with db.tenant(owner) as tx:
            decided = await suggestions.decide(tx, owner_id=owner, document_id=document, suggestion_id=open_one.id, decision="accept")
            assert decided.state == "accepted"
            assert [(f.topic_id, f.source) for f in await papers.filings(tx, document)] == [(topic, "suggestion")]
            assert await papers.learned(tx, topic, "gard") == {"gard": (1, 0)}


async def test_the_last_word_counts(db: Database, owner: UUID) -> None:
    topic = await papers.topic(db, owner, "Garden club")
    document = await _classified(db, owner, papers.REMINDER)
    async with db.tenant(owner) as tx:
        (open_one,) = await suggestions.of_document(tx, owner_id=owner, document_id=document)
    for decision, state, filed, counts in (
        ("reject", "rejected", 0, (0, 1)),
        ("accept", "accepted", 1, (1, 0)),
        ("reject", "rejected", 0, (0, 1)),
    ):
        async with db.tenant(owner) as tx:
            decided = await suggestions.decide(
                tx,
                owner_id=owner,
                document_id=document,
                suggestion_id=open_one.id,
                decision=decision,  # type: ignore[arg-type]
            )
            assert decided.state == state
            assert len(await papers.filings(tx, document)) == filed
            assert await papers.learned(tx, topic, "gard") == {"gard": counts}


async def test_unknown_suggestions_and_those_of_others_are_not_found(db: Database, owner: UUID, other_owner: UUID) -> None:
    await papers.topic(db, owner, "Invoices")
    document, other = await _classified(db, owner, INVOICE), await _classified(db, owner, POEM)
    async with db.tenant(owner) as tx:
        (suggestion,) = await suggestions.of_document(tx, owner_id=owner, document_id=document)
    for who, of, which in ((owner, document, new_id()), (owner, other, suggestion.id), (other_owner, document, suggestion.id)):
        with pytest.raises(NotFound):
            async with db.tenant(who) as tx:
                await suggestions.decide(tx, owner_id=who, document_id=of, suggestion_id=which, decision="accept")


# Nested, deleted, merged


async def _names(vault: TenantDatabase, document_id: UUID) -> list[str]:
    return [topic.name for topic in (await library.get(vault, document_id)).topics]


async def test_a_deleted_topic_leaves_its_documents_and_its_children(db: Database, owner: UUID) -> None:
    vault = TenantDatabase(db, owner)
    parent = await topics.create(vault, NewTopic(name="House"))
    child = await topics.create(vault, NewTopic(name="Water", parent_id=parent.id))
    document = await papers.extracted(db, owner, "text")
    async with vault.transaction() as tx:
        await topics.file(tx, owner_id=owner, document_id=document, topic_ids=[parent.id, child.id])
    await topics.delete(vault, parent.id)
    assert await _names(vault, document) == ["Water"]
    assert [(topic.name, topic.parent_id, topic.documents) for topic in (await topics.list_page(vault, limit=5)).items] == [
        ("Water", None, 1)
    ]
    with pytest.raises(NotFound):
        await topics.delete(vault, parent.id)


async def test_topics_stand_within_a_topic_one_level_deep(db: Database, owner: UUID, other_owner: UUID) -> None:
    vault = TenantDatabase(db, owner)
    top, other = await topics.create(vault, NewTopic(name="Top")), await topics.create(vault, NewTopic(name="Other"))
    child = await topics.create(vault, NewTopic(name="Child", parent_id=top.id))
    for topic_id, parent_id in ((other.id, child.id), (top.id, other.id), (top.id, top.id), (child.id, child.id)):
        with pytest.raises(ValidationFailed):
            await topics.update(vault, topic_id, TopicChange(parent_id=parent_id))
    with pytest.raises(ValidationFailed):
        await topics.create(vault, NewTopic(name="Deep", parent_id=child.id))
    theirs = await topics.create(TenantDatabase(db, other_owner), NewTopic(name="Theirs"))
    with pytest.raises(NotFound):
        await topics.update(vault, other.id, TopicChange(parent_id=theirs.id))
    moved = await topics.update(vault, child.id, TopicChange(parent_id=other.id))
    assert moved.parent_id == other.id
    assert (await topics.update(vault, child.id, TopicChange(parent_id=None))).parent_id is None


async def test_two_changes_at_once_never_nest_two_levels_deep(db: Database, owner: UUID) -> None:
    vault = TenantDatabase(db, owner)
    for number in range(5):
        first, second, third = [await topics.create(vault, NewTopic(name=f"{name}{number}")) for name in "abc"]
        await asyncio.gather(
            topics.update(vault, first.id, TopicChange(parent_id=second.id)),
            topics.update(vault, second.id, TopicChange(parent_id=third.id)),
            return_exceptions=True,
        )
        parents = {topic.id: topic.parent_id for topic in (await topics.list_page(vault, limit=200)).items}
        assert not (parents[first.id] == second.id and parents[second.id] == third.id)


async def test_one_name_at_once_makes_one_topic(db: Database, owner: UUID) -> None:
    vault = TenantDatabase(db, owner)
    names = ["Taxes", "TAXES", "taxes", "tAxEs"] * 3
    outcomes = await asyncio.gather(*(topics.create(vault, NewTopic(name=name)) for name in names), return_exceptions=True)
    assert sum(isinstance(outcome, TopicExists) for outcome in outcomes) == len(names) - 1
    other = await topics.create(vault, NewTopic(name="Other"))
    with pytest.raises(TopicExists):
        await topics.update(vault, other.id, TopicChange(name="taxeS"))


async def test_merged_topics_are_one_with_all_their_documents(db: Database, owner: UUID, other_owner: UUID) -> None:
    vault = TenantDatabase(db, owner)
    first, second = await topics.create(vault, NewTopic(name="Bills")), await topics.create(vault, NewTopic(name="Invoices"))
    child = await topics.create(vault, NewTopic(name="Water", parent_id=first.id))
    one, two = await papers.extracted(db, owner, "a"), await papers.extracted(db, owner, "b")
    async with vault.transaction() as tx:
        await topics.file(tx, owner_id=owner, document_id=one, topic_ids=[first.id])
        await topics.file(tx, owner_id=owner, document_id=two, topic_ids=[first.id, second.id])
    merged = await topics.merge(vault, first.id, second.id)
    assert (merged.id, merged.documents) == (second.id, 2)
    assert [await _names(vault, document) for document in (one, two)] == [["Invoices"], ["Invoices"]]
    parents = {topic.id: topic.parent_id for topic in (await topics.list_page(vault, limit=5)).items}
    assert parents == {second.id: None, child.id: second.id}
    with pytest.raises(ValidationFailed):
        await topics.merge(vault, second.id, second.id)
    theirs = await topics.create(TenantDatabase(db, other_owner), NewTopic(name="Theirs"))
    for pair in ((second.id, theirs.id), (theirs.id, second.id)):
        with pytest.raises(NotFound):
            await topics.merge(vault, *pair)
    into_its_child = await topics.merge(vault, second.id, child.id)
    assert (into_its_child.parent_id, into_its_child.documents) == (None, 2)


async def test_what_is_filed_while_topics_are_merged_is_not_lost(db: Database, owner: UUID) -> None:
    vault = TenantDatabase(db, owner)
    first, second = await topics.create(vault, NewTopic(name="Bills")), await topics.create(vault, NewTopic(name="Invoices"))
    documents = [await papers.extracted(db, owner, f"text {number}") for number in range(8)]

    async def file(document_id: UUID) -> None:
        async with vault.transaction() as tx:
            await topics.file(tx, owner_id=owner, document_id=document_id, topic_ids=[first.id])

    outcomes = await asyncio.gather(*map(file, documents), topics.merge(vault, first.id, second.id), return_exceptions=True)
    filed = [document for document, outcome in zip(documents, outcomes, strict=False) if outcome is None]
    assert [await _names(vault, document) for document in filed] == [["Invoices"]] * len(filed)
