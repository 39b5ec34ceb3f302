"""What a person changes of a document: over HTTP, beside others, and before and after the pipeline."""

import asyncio
from typing import Any
from uuid import UUID

import pytest

from shared.db import Database, TenantDatabase
from shared.documents import details, extract_step, listing, topics
from shared.documents.topic_models import NewTopic
from tests.functions.documents.conftest import Person

LETTER = b"Dear heron, the waterworks send their invoice."

NOBODYS = "01890a5d-ac96-774b-bcce-b302099a8057"


async def _upload(person: Person, db: Database, content: bytes = LETTER) -> str:
    """A document that was read."""
    document = await person.upload(content)
    await extract_step.read(TenantDatabase(db, person.owner), UUID(document["id"]), 1)
    return str(document["id"])


async def _topic(person: Person, db: Database, name: str) -> str:
    return str((await topics.create(TenantDatabase(db, person.owner), NewTopic(name=name))).id)


async def _found(person: Person, db: Database, query: str) -> list[str]:
    hits = await listing.search_documents(TenantDatabase(db, person.owner), query, listing.Filters())
    return [str(hit.id) for hit in hits.items]


async def test_everything_that_a_person_writes_can_be_changed(person: Person, db: Database) -> None:
    document = await _upload(person, db)
    topic = await _topic(person, db, "Water")
    asked = {
        "filename": "bills/water 2024.txt",
        "title": "  Water   bill ",
        "notes": "paid by\nstanding order",
        "issued_on": "2024-05-03",
        "sender": "City Works",
        "topic_ids": [topic],
        "ai_policy": "local_only",
    }
    changed = await person.ask("PATCH", f"/api/documents/{document}", json=asked)
    assert changed.status == 200, changed.body
    shown = changed.json()
    assert shown["filename"] == "water 2024.txt"
    assert (shown["title"], shown["notes"], shown["issued_on"]) == ("Water bill", "paid by\nstanding order", "2024-05-03")
    assert (shown["sender"]["name"], shown["topics"], shown["ai_policy"]) == ("City Works", [{"id": topic, "name": "Water"}], "local_only")
    again = await person.ask("GET", f"/api/documents/{document}")
    assert again.json() == shown
    assert again.header("etag") == changed.header("etag")


async def test_null_takes_away_what_may_be_missing_and_nothing_else(person: Person, db: Database) -> None:
    document = await _upload(person, db)
    path = f"/api/documents/{document}"
    await person.ask("PATCH", path, json={"notes": "x", "issued_on": "2024-05-03", "sender": "City Works"})
    emptied = (await person.ask("PATCH", path, json={"notes": None, "issued_on": None, "sender": None})).json()
    assert (emptied["notes"], emptied["issued_on"], emptied["sender"]) == (None, None, None)
    for name in ("title", "filename", "topic_ids", "ai_policy"):
        refused = await person.ask("PATCH", path, json={name: None})
        assert (refused.status, refused.json()["code"]) == (422, "validation_failed"), name


async def test_what_is_absent_stays(person: Person, db: Database) -> None:
    path = f"/api/documents/{await _upload(person, db)}"
    before = (await person.ask("PATCH", path, json={"title": "Water bill", "notes": "x"})).json()
    after = (await person.ask("PATCH", path, json={"issued_on": "2024-05-03"})).json()
    assert {name for name in after if after[name] != before[name]} == {"issued_on", "updated_at"}
    nothing = await person.ask("PATCH", path, json={})
    assert nothing.json() == after, "nothing to change changes nothing, updated_at neither"


@pytest.mark.parametrize(
    "body",
    [
        {"title": ""},
        {"title": "   "},
        {"title": "\u200b"},
        {"title": "a\nb"},
        {"title": "x" * 201},
        {"title": 5},
        {"filename": ""},
        {"notes": "x" * 10_001},
        {"notes": "a\0b"},
        {"issued_on": "2024-02-30"},
        {"issued_on": "yesterday"},
        {"issued_on": 20240503},
        {"issued_on": "2024-05-03T00:00:01Z"},
        {"sender": ""},
        {"sender": "x" * 201},
        {"sender": {"name": "City Works"}},
        {"topic_ids": "all"},
        {"topic_ids": ["no-uuid"]},
        {"topic_ids": [NOBODYS] * 101},
        {"ai_policy": "always"},
        {"size": 1},
        {"status": "ready"},
        {"owner_id": NOBODYS},
    ],
    ids=lambda body: str(body)[:60],
)
async def test_what_does_not_fit_is_refused_and_changes_nothing(person: Person, body: dict[str, Any]) -> None:
    document = await person.upload(LETTER)
    path = f"/api/documents/{document['id']}"
    before = (await person.ask("GET", path)).json()
    refused = await person.ask("PATCH", path, json=body)
    assert (refused.status, refused.json()["code"]) == (422, "validation_failed")
    assert (await person.ask("GET", path)).json() == before


async def test_a_topic_of_somebody_else_is_not_found_and_nothing_is_changed(person: Person, another: Person, db: Database) -> None:
    document = await _upload(person, db)
    theirs = await _topic(another, db, "Theirs")
    refused = await person.ask("PATCH", f"/api/documents/{document}", json={"title": "Changed", "topic_ids": [theirs]})
    assert (refused.status, refused.json()["code"]) == (404, "not_found")
    assert (await person.ask("GET", f"/api/documents/{document}")).json()["title"] == "letter"


async def test_another_owners_document_is_not_found(person: Person, another: Person, db: Database) -> None:
    document = await _upload(person, db)
    refused = await another.ask("PATCH", f"/api/documents/{document}", json={"title": "Mine now"}, headers={"if-match": "*"})
    assert (refused.status, refused.json()["code"]) == (404, "not_found")


async def test_if_match_refuses_what_was_changed_meanwhile(person: Person, db: Database) -> None:
    path = f"/api/documents/{await _upload(person, db)}"
    tag = (await person.ask("GET", path)).header("etag")
    assert tag is not None
    assert tag.startswith('"'), "a strong tag"
    first = await person.ask("PATCH", path, json={"title": "First"}, headers={"if-match": tag})
    assert first.status == 200
    second = await person.ask("PATCH", path, json={"title": "Second"}, headers={"if-match": tag})
    assert (second.status, second.json()["code"]) == (412, "changed_meanwhile")
    assert (await person.ask("GET", path)).json()["title"] == "First"
    fresh = first.header("etag")
    assert (await person.ask("PATCH", path, json={"title": "Third"}, headers={"if-match": f'"other", {fresh}'})).status == 200
    assert (await person.ask("PATCH", path, json={"title": "Fourth"}, headers={"if-match": "*"})).status == 200
    now = (await person.ask("GET", path)).header("etag")
    assert (await person.ask("PATCH", path, json={"title": "Fifth"}, headers={"if-match": f"W/{now}"})).status == 412
    assert (await person.ask("PATCH", path, json={"title": "Fifth"}, headers={"if-match": "nonsense"})).status == 412


async def test_of_two_edits_at_once_with_one_tag_one_is_made(person: Person, db: Database) -> None:
    path = f"/api/documents/{await _upload(person, db)}"
    tag = (await person.ask("GET", path)).header("etag")
    edits = [person.ask("PATCH", path, json={"notes": f"note {number}"}, headers={"if-match": str(tag)}) for number in range(8)]
    made = [answer.json() for answer in await asyncio.gather(*edits) if answer.status == 200]
    assert len(made) == 1
    assert (await person.ask("GET", path)).json()["notes"] == made[0]["notes"]


async def test_edits_of_different_members_at_once_are_all_kept(person: Person, db: Database) -> None:
    path = f"/api/documents/{await _upload(person, db)}"
    first, second = await _topic(person, db, "First"), await _topic(person, db, "Second")
    edits: list[dict[str, Any]] = [
        {"title": "T"}, {"notes": "N"}, {"issued_on": "2020-02-02"}, {"sender": "S & Co"}, {"topic_ids": [first, second]},
        {"filename": "f.txt"}, {"ai_policy": "never"},
    ]  # fmt: skip
    answers = await asyncio.gather(*(person.ask("PATCH", path, json=edit) for edit in edits))
    assert [answer.status for answer in answers] == [200] * len(edits)
    kept = (await person.ask("GET", path)).json()
    assert (kept["title"], kept["notes"], kept["issued_on"], kept["sender"]["name"]) == ("T", "N", "2020-02-02", "S & Co")
    assert (kept["filename"], kept["ai_policy"], len(kept["topics"])) == ("f.txt", "never", 2)


async def test_swapping_topics_at_once_never_waits_in_a_circle(person: Person, db: Database) -> None:
    documents = [await _upload(person, db, f"letter {number}".encode()) for number in range(6)]
    pair = [await _topic(person, db, "First"), await _topic(person, db, "Second")]
    async with db.tenant(person.owner) as tx:
        await tx.execute("INSERT INTO document_terms SELECT id, owner_id, '{water}' FROM documents WHERE owner_id = %s", (person.owner,))
    for turn in range(4):
        asked = [
            person.ask("PATCH", f"/api/documents/{one}", json={"topic_ids": [pair[(at + turn) % 2]]}) for at, one in enumerate(documents)
        ]
        assert [answer.status for answer in await asyncio.gather(*asked)] == [200] * len(documents)


async def test_the_index_follows_title_name_and_notes(person: Person, db: Database) -> None:
    document = await _upload(person, db)
    path = f"/api/documents/{document}"
    await person.ask("PATCH", path, json={"title": "Kingfisher", "filename": "sandpiper.txt", "notes": "the plumber said: use oakum"})
    for word in ("kingfisher", "sandpiper", "oakum", '"use oakum"', "waterworks"):
        assert await _found(person, db, word) == [document], word
    hits = await listing.search_documents(TenantDatabase(db, person.owner), "oakum", listing.Filters())
    assert hits.items[0].snippet is not None
    assert "<mark>oakum</mark>" in hits.items[0].snippet
    await person.ask("PATCH", path, json={"title": "Plain", "filename": "plain.txt", "notes": None})
    for word in ("kingfisher", "sandpiper", '"use oakum"'):
        assert await _found(person, db, word) == [], word
    assert await _found(person, db, "waterworks") == [document]


async def test_what_a_person_wrote_before_it_was_read_stays_and_is_found(person: Person, db: Database) -> None:
    document = await person.upload(LETTER)
    await person.ask("PATCH", f"/api/documents/{document['id']}", json={"title": "Kingfisher", "notes": "oakum", "sender": "Me"})
    await extract_step.read(TenantDatabase(db, person.owner), UUID(document["id"]), 1)
    shown = (await person.ask("GET", f"/api/documents/{document['id']}")).json()
    assert (shown["title"], shown["notes"], shown["sender"]["name"]) == ("Kingfisher", "oakum", "Me")
    for word in ("kingfisher", "oakum"):
        assert await _found(person, db, word) == [document["id"]], word


async def test_a_corrected_sender_is_learned(person: Person, db: Database) -> None:
    vault = TenantDatabase(db, person.owner)

    async def read_sender(document: str) -> str:
        async with vault.transaction() as tx:
            await details.propose(tx, owner_id=person.owner, document_id=UUID(document), source="text", sender="Ctiy Wroks GmbH")
        return str((await person.ask("GET", f"/api/documents/{document}")).json()["sender"]["name"])

    first, second, third = [await _upload(person, db, f"letter {number}".encode()) for number in range(3)]
    assert await read_sender(first) == "Ctiy Wroks GmbH"
    await person.ask("PATCH", f"/api/documents/{first}", json={"sender": "City Works"})
    assert await read_sender(second) == "City Works"
    await person.ask("PATCH", f"/api/documents/{second}", json={"sender": "Water Works"})
    assert await read_sender(third) == "Water Works", "the last correction counts"
    assert await read_sender(first) == "City Works", "what a person set stays"


async def test_a_name_that_a_person_gave_stays_that_senders(person: Person, db: Database) -> None:
    vault = TenantDatabase(db, person.owner)
    first, second, third = [await _upload(person, db, f"letter {number}".encode()) for number in range(3)]
    await person.ask("PATCH", f"/api/documents/{first}", json={"sender": "Market"})
    for document in (second, third):
        async with vault.transaction() as tx:
            await details.propose(tx, owner_id=person.owner, document_id=UUID(document), source="text", sender="Market")
        await person.ask("PATCH", f"/api/documents/{second}", json={"sender": "Bookshop at the market"})
    assert (await person.ask("GET", f"/api/documents/{third}")).json()["sender"]["name"] == "Market"


async def test_senders_differ_by_more_than_case(person: Person, db: Database) -> None:
    path = f"/api/documents/{await _upload(person, db)}"
    first = (await person.ask("PATCH", path, json={"sender": "City Works"})).json()["sender"]
    assert (await person.ask("PATCH", path, json={"sender": "CITY WORKS"})).json()["sender"] == first
    other = (await person.ask("PATCH", path, json={"sender": "City Works Ltd"})).json()["sender"]
    assert other["name"] == "City Works Ltd"


async def test_a_change_is_told_to_those_who_watch(person: Person, db: Database) -> None:
    document = await _upload(person, db)
    watching = person.open("/api/documents/events")
    await watching.until(lambda heard: b": connected" in heard.body)
    await person.ask("PATCH", f"/api/documents/{document}", json={"notes": "seen"})
    await watching.until(lambda heard: b'"notes":"seen"' in heard.body)
    watching.leave()
    await watching.end()
