"""One action on many documents: by ids, and by a filter as a job that is killed, cancelled, refused and goes on."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from pydantic import ValidationError

from shared.api.models import PageQuery
from shared.audit import Caller
from shared.config import settings
from shared.db import Database, TenantDatabase
from shared.documents import bulk, jobs, library, listing, reprocessing, topics
from shared.documents.change_models import BulkRequest, Job
from shared.documents.topic_models import NewTopic
from shared.errors import NotFound, RateLimited
from shared.events import publish
from shared.events.catalogue import JobDue
from shared.ids import new_id
from tests.documents.conftest import create, published, read_through, row, stored, usage

NOBODYS = "01890a5d-ac96-774b-bcce-b302099a8057"


async def rows(vault: TenantDatabase, count: int, *, status: str = "ready", trashed: bool = False, **more: Any) -> list[UUID]:
    """Documents that were never sent: rows alone, oldest first."""
    ids = [new_id() for _ in range(count)]
    columns = {"filename": "a.txt", "title": "a", "size": 5, "content_type": "text/plain", "status": status} | more
    async with vault.transaction() as tx:
        await tx.execute(
            f"""
            INSERT INTO documents (id, owner_id, object_key, trashed_at, {", ".join(columns)})
            SELECT id, %(owner)s, %(owner)s::text || '/' || id || '/x.txt', CASE WHEN %(trashed)s THEN now() END,
                {", ".join(f"%({name})s" for name in columns)}
            FROM unnest(%(ids)s::uuid[]) AS id
            """,
            {"owner": vault.owner_id, "ids": ids, "trashed": trashed, **columns},
        )
    return ids


async def run(vault: TenantDatabase, job: Job) -> Job:
    """What brokers would do: every slice that is announced, until the job has ended."""
    while job.state == "running":
        for event in await published(vault, job.id):
            await bulk.run_slice(vault, job.id, event.data["slices"])
        job = await jobs.get(vault, job.id)
    return job


def by_filter(action: str, chosen: dict[str, Any], **more: Any) -> BulkRequest:
    return BulkRequest.model_validate({"action": action, "filter": chosen, **more})


async def _in_trash(vault: TenantDatabase) -> set[UUID]:
    return {document.id for document in (await listing.list_documents(vault, listing.Filters(trashed=True), limit=200)).items}


# By ids


async def test_each_document_is_done_or_says_why_not(vault: TenantDatabase, other_owner: UUID, db: Database) -> None:
    here, there = await rows(vault, 3), await rows(vault, 2, trashed=True)
    [theirs] = await rows(TenantDatabase(db, other_owner), 1, trashed=True)
    nobodys = uuid4()
    asked = [here[2], theirs, there[0], nobodys, here[0], here[2]]

    async def done(action: str) -> tuple[list[UUID], dict[UUID, str]]:
        result = await bulk.by_ids(vault, BulkRequest.model_validate({"action": action, "ids": asked}))
        return result.done, {item.id: item.code for item in result.failed}

    strangers = {theirs: "not_found", nobodys: "not_found"}
    assert await done("purge") == ([there[0]], {here[2]: "not_in_trash", here[0]: "not_in_trash", **strangers})
    strangers[there[0]] = "not_found"
    assert await done("trash") == ([here[2], here[0]], strangers)
    assert await done("trash") == ([here[2], here[0]], strangers), "a second time nothing changes"
    assert await _in_trash(vault) == {here[2], here[0], there[1]}
    assert await done("restore") == ([here[2], here[0]], strangers)
    assert await _in_trash(vault) == {there[1]}
    assert await _in_trash(TenantDatabase(db, other_owner)) == {theirs}


async def test_documents_are_filed_and_taken_out_of_topics(vault: TenantDatabase, other_owner: UUID, db: Database) -> None:
    ids = await rows(vault, 3)
    first = await topics.create(vault, NewTopic(name="First"))
    second = await topics.create(vault, NewTopic(name="Second"))
    wanted = {"ids": ids, "topic_ids": [first.id, second.id]}
    for _ in range(2):
        assert (await bulk.by_ids(vault, BulkRequest.model_validate({"action": "add_topics", **wanted}))).done == ids
    assert [topic.documents for topic in (await topics.list_page(vault, limit=5)).items] == [3, 3]
    removed = BulkRequest.model_validate({"action": "remove_topics", "ids": ids[:2], "topic_ids": [first.id]})
    assert (await bulk.by_ids(vault, removed)).done == ids[:2]
    assert [topic.documents for topic in (await topics.list_page(vault, limit=5)).items] == [1, 3]
    theirs = await topics.create(TenantDatabase(db, other_owner), NewTopic(name="Theirs"))
    with pytest.raises(NotFound):
        await bulk.by_ids(vault, BulkRequest.model_validate({"action": "add_topics", "ids": ids, "topic_ids": [theirs.id]}))


async def test_trashing_what_is_uploading_gives_it_up(vault: TenantDatabase) -> None:
    uploading = (await create(vault)).document.id
    result = await bulk.by_ids(vault, BulkRequest(action="trash", ids=[uploading]))
    assert result.done == [uploading]
    assert await row(vault, uploading, "id") is None
    assert (await usage(vault)).bytes_reserved == 0


async def test_only_what_arrived_can_be_read_anew(vault: TenantDatabase) -> None:
    [ready], [failed] = await rows(vault, 1), await rows(vault, 1, status="failed")
    uploading = (await create(vault)).document.id
    [refused] = await rows(vault, 1, status="failed")
    async with vault.transaction() as tx:
        await tx.execute(
            """UPDATE documents SET error = '{"step": "upload", "code": "object_mismatch", "detail": ""}' WHERE id = %s""", (refused,)
        )
    result = await bulk.by_ids(vault, BulkRequest(action="reprocess", ids=[ready, failed, uploading, refused]))
    assert result.done == [ready, failed]
    assert {item.id: item.code for item in result.failed} == {uploading: "upload_incomplete", refused: "object_mismatch"}
    assert [await row(vault, one, "status") for one in (ready, failed)] == ["stored", "stored"]
    for one in (ready, failed):
        assert [(event.type, event.data["revision"]) for event in await published(vault, one)] == [("document.stored", 2)]
    again = await reprocessing.reprocess(vault, ready)
    assert (again.status, await row(vault, ready, "revision")) == ("stored", 2), "one that is being read is left to that"


@pytest.mark.parametrize(
    "body",
    [
        {"action": "trash"},
        {"action": "trash", "ids": [], "filter": {}},
        {"action": "trash", "ids": [NOBODYS] * 1001},
        {"action": "add_topics", "ids": [NOBODYS]},
        {"action": "remove_topics", "filter": {}, "topic_ids": []},
        {"action": "trash", "ids": [], "except": [NOBODYS]},
        {"action": "delete", "ids": []},
        {"action": "trash", "filter": {"limit": 5}},
        {"action": "trash", "filter": {"owner_id": NOBODYS}},
        {"action": "trash", "ids": ["x"]},
    ],
    ids=lambda body: str(body)[:60],
)
def test_what_does_not_fit_together_is_refused(body: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        BulkRequest.model_validate(body)


# By filter


async def test_a_job_does_all_that_a_filter_chooses_but_the_exceptions(vault: TenantDatabase) -> None:
    wanted, others = await rows(vault, 250, content_type="application/pdf"), await rows(vault, 5)
    asked = by_filter("trash", {"content_type": ["application/pdf"]}, **{"except": [str(wanted[7]), str(wanted[240])]})
    job = await bulk.by_filter(vault, asked)
    assert (job.state, job.done, job.failed, job.finished_at) == ("running", 0, [], None)
    job = await run(vault, job)
    assert (job.state, job.total, job.done, job.failed) == ("done", 248, 248, [])
    assert job.finished_at is not None
    async with vault.transaction() as tx:
        left = await tx.fetch_value(
            "SELECT array_agg(id ORDER BY id) FROM documents WHERE owner_id = %s AND trashed_at IS NULL", (vault.owner_id,)
        )
    assert left == sorted([wanted[7], wanted[240], *others])


async def test_a_job_leaves_alone_what_comes_after_it_was_asked_for(vault: TenantDatabase) -> None:
    before = await rows(vault, 2)
    job = await bulk.by_filter(vault, by_filter("trash", {}))
    await asyncio.sleep(0.002)  # ids are of their millisecond
    await rows(vault, 1)
    assert (await run(vault, job)).done == 2
    assert await _in_trash(vault) == set(before)


async def test_a_job_by_a_query_does_what_the_query_finds(vault: TenantDatabase) -> None:
    found = [(await stored(vault, f"the heron wades {number}".encode())).id for number in range(3)]
    other = (await stored(vault, b"a kingfisher dives")).id
    for one in (*found, other):
        await read_through(vault, one)
    job = await run(vault, await bulk.by_filter(vault, by_filter("trash", {"q": "heron"}, **{"except": [str(found[1])]})))
    assert (job.state, job.total, job.done) == ("done", 2, 2)
    assert await _in_trash(vault) == {found[0], found[2]}


async def test_what_a_job_cannot_do_is_told_by_id(vault: TenantDatabase) -> None:
    there, here = await rows(vault, 3, trashed=True), await rows(vault, 2)
    job = await run(vault, await bulk.by_filter(vault, by_filter("purge", {})))
    assert (job.done, job.total) == (0, 2)
    assert {(item.id, item.code) for item in job.failed} == {(one, "not_in_trash") for one in here}
    job = await run(vault, await bulk.by_filter(vault, by_filter("purge", {"trashed": True})))
    assert (job.done, job.failed) == (3, [])
    assert [await row(vault, one, "id") for one in there] == [None] * 3


async def test_a_delivery_that_comes_twice_does_nothing_twice(vault: TenantDatabase) -> None:
    await rows(vault, 120)
    job = await bulk.by_filter(vault, by_filter("trash", {}))
    assert await bulk.run_slice(vault, job.id, 0)
    assert not await bulk.run_slice(vault, job.id, 0)
    assert (await jobs.get(vault, job.id)).done == 120


async def test_two_workers_at_once_do_a_job_once(vault: TenantDatabase) -> None:
    await rows(vault, 350)
    job = await bulk.by_filter(vault, by_filter("trash", {}))
    await asyncio.gather(*(bulk.run_slice(vault, job.id, 0) for _ in range(3)))
    ended = await run(vault, await jobs.get(vault, job.id))
    assert (ended.state, ended.done, ended.total) == ("done", 350, 350)


async def test_a_job_goes_on_where_a_killed_worker_left_it(vault: TenantDatabase) -> None:
    await rows(vault, 250)
    job = await bulk.by_filter(vault, by_filter("trash", {}))
    slice_ = asyncio.create_task(bulk.run_slice(vault, job.id, 0))
    while (await jobs.get(vault, job.id)).done == 0 and not slice_.done():
        await asyncio.sleep(0)
    slice_.cancel()
    await asyncio.gather(slice_, return_exceptions=True)
    killed = await jobs.get(vault, job.id)
    assert killed.done in (100, 200, 250)
    ended = await run(vault, killed)
    assert (ended.state, ended.done) == ("done", 250)


async def test_a_cancelled_job_does_no_more(vault: TenantDatabase) -> None:
    await rows(vault, 10)
    job = await bulk.by_filter(vault, by_filter("trash", {}))
    cancelled = await jobs.cancel(vault, job.id)
    assert cancelled.state == "cancelled"
    assert not await bulk.run_slice(vault, job.id, 0)
    assert await _in_trash(vault) == set()
    assert await jobs.cancel(vault, job.id) == cancelled


async def test_an_owner_has_a_few_jobs_under_way_and_no_more(vault: TenantDatabase, other_owner: UUID, db: Database) -> None:
    outcomes = await asyncio.gather(*(bulk.by_filter(vault, by_filter("trash", {})) for _ in range(8)), return_exceptions=True)
    assert sum(isinstance(outcome, Job) for outcome in outcomes) == jobs.AT_ONCE
    assert all(isinstance(outcome, Job | RateLimited) for outcome in outcomes)
    assert (await bulk.by_filter(TenantDatabase(db, other_owner), by_filter("trash", {}))).state == "running"


async def test_a_job_whose_delivery_was_lost_is_woken(vault: TenantDatabase, db: Database) -> None:
    job = await bulk.by_filter(vault, by_filter("trash", {}))
    async with db.system() as tx:
        await tx.execute("DELETE FROM events WHERE subject = %s", (str(job.id),))
        await tx.execute("UPDATE jobs SET updated_at = now() - interval '2 minutes' WHERE id = %s", (job.id,))
    await jobs.wake_standing()
    assert [event.data["slices"] for event in await published(vault, job.id)] == [0]
    async with db.system() as tx:
        await tx.execute(
            "UPDATE deliveries SET state = 'dead' WHERE event_id IN (SELECT id FROM events WHERE subject = %s)", (str(job.id),)
        )
        await tx.execute("UPDATE jobs SET updated_at = now() - interval '2 minutes' WHERE id = %s", (job.id,))
    await jobs.wake_standing()
    assert (await jobs.get(vault, job.id)).state == "failed"


async def test_jobs_that_wait_their_turn_keep_no_lost_one_from_being_woken(vault: TenantDatabase, db: Database) -> None:
    waiting, lost = [await bulk.by_filter(vault, by_filter("trash", {})) for _ in range(2)]
    async with db.system() as tx:
        await tx.execute("DELETE FROM events WHERE subject = %s", (str(lost.id),))
        # As many as are looked after at once, which have stood for longer: each with its delivery.
        for _ in range(100):
            other = {"id": new_id(), "of": waiting.id}
            await tx.execute(
                """
                INSERT INTO jobs (id, owner_id, kind, request, updated_at)
                SELECT %(id)s, owner_id, kind, request, now() - interval '1 hour' FROM jobs WHERE id = %(of)s
                """,
                other,
            )
            await publish(tx, JobDue(owner_id=vault.owner_id, job_id=other["id"], slices=0))
        await tx.execute("UPDATE jobs SET updated_at = now() - interval '2 minutes' WHERE id = %s", (lost.id,))
    await jobs.wake_standing()
    assert [event.data["slices"] for event in await published(vault, lost.id)] == [0]


async def test_a_job_whose_topic_is_deleted_meanwhile_ends(vault: TenantDatabase) -> None:
    await rows(vault, 2)
    topic = await topics.create(vault, NewTopic(name="Gone"))
    job = await bulk.by_filter(vault, by_filter("trash", {"q": "topic:Gone"}))
    async with vault.transaction() as tx:
        await tx.execute("DELETE FROM topics WHERE id = %s", (topic.id,))
    assert (await run(vault, job)).state == "failed"
    assert await _in_trash(vault) == set()


async def test_a_document_that_the_database_refuses_costs_itself_alone(vault: TenantDatabase) -> None:
    ids = await rows(vault, 4)
    name = f"refuse_{ids[1].hex}"
    async with await psycopg.AsyncConnection.connect(settings().database_migrate_url, autocommit=True) as connection:
        await connection.execute(f"ALTER TABLE documents ADD CONSTRAINT {name} CHECK (id <> '{ids[1]}' OR trashed_at IS NULL) NOT VALID")
        try:
            job = await run(vault, await bulk.by_filter(vault, by_filter("trash", {})))
        finally:
            await connection.execute(f"ALTER TABLE documents DROP CONSTRAINT {name}")
    assert (job.state, job.done, [(item.id, item.code) for item in job.failed]) == ("done", 3, [(ids[1], "internal_error")])


# All of the trash


@pytest.mark.parametrize("count", [3, 130])
async def test_the_trash_is_emptied_however_full_it_is(vault: TenantDatabase, count: int) -> None:
    await rows(vault, count, trashed=True)
    [kept] = await rows(vault, 1)
    caller = Caller(vault.owner_id, "192.0.2.1", "tests")
    await bulk.empty_trash(vault, caller=caller)
    for job in (await jobs.list_page(vault, PageQuery())).items:
        await run(vault, job)
    assert await _in_trash(vault) == set()
    assert (await library.get(vault, kept)).trashed_at is None
    async with vault.transaction() as tx:
        lines = await tx.fetch_value(
            "SELECT count(*) FROM audit_lines WHERE owner_id = %s AND action = 'document:purge' AND actor_id = %s",
            (vault.owner_id, vault.owner_id),
        )
    assert lines == count
