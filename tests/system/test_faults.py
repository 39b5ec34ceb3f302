"""What breaks, and what must be true afterwards: every document `ready` or honestly `failed`, none stuck, none lost, none done twice."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

import httpx
import pytest

from shared.db import Database
from tests.benchmarks.fairness import printed_pages
from tests.system.stack import Person, Stack, until

MINUTE_AND_MORE = 150.0
"""A lost notification costs up to a minute (the reconciler's period); leases of the killed run out within another."""


async def upload_many(person: Person, count: int, *, first: int = 0, complete: bool = False) -> list[str]:
    """`count` small documents, each with a word of its own."""
    return [await person.upload(f"{number}.txt", note(number), "text/plain", complete=complete) for number in range(first, first + count)]


def note(number: int) -> bytes:
    return f"note number {number} about word{number}heron\n".encode()


@dataclass(frozen=True)
class Done:
    """What was done for a document: its events, and its steps with how they ended."""

    events: list[str]
    steps: list[str]


ONCE = Done(["document.extracted", "document.ready", "document.stored"], ["classify done", "extract done", "upload done"])


async def assert_all_ready_once(stack: Stack, person: Person, ids: list[str], *, seconds: float = MINUTE_AND_MORE) -> None:
    """Every document is ready and found exactly once, each step was committed once, and nothing is left over or counted twice."""
    for document_id in ids:
        document = await person.settled(document_id, seconds=seconds)
        assert document["status"] == "ready", document["error"]
    for number, document_id in enumerate(ids):
        assert [hit["id"] for hit in await person.search(f"word{number}heron")] == [document_id]
    usage = await person.usage()
    size = sum(len(note(number)) for number in range(len(ids)))
    assert (usage["documents"], usage["bytes_used"], usage["bytes_reserved"]) == (len(ids), size, 0)
    async with stack.database() as database:
        async with database.system() as tx:
            for document_id in ids:
                done = await tx.fetch_one(
                    """
                    SELECT ARRAY(SELECT type FROM events WHERE subject = %(id)s::text ORDER BY type) AS events,
                        ARRAY(
                            SELECT step || ' ' || state FROM document_steps WHERE document_id = %(id)s ORDER BY step
                        ) AS steps
                    """,
                    {"id": UUID(document_id)},
                    row=Done,
                )
                assert done == ONCE

        async def all_done() -> bool:
            async with database.system() as tx:
                states = await tx.fetch_value("SELECT array_agg(DISTINCT state) FROM deliveries WHERE queue = 'documents'")
            assert "dead" not in states
            return bool(states == ["done"])

        await until(all_done, "no delivery is left over")


@pytest.mark.parametrize("victim", ["worker", "broker"])
async def test_a_process_killed_at_any_moment_loses_nothing(stack: Stack, victim: str) -> None:
    person = await stack.person()
    ids: list[str] = []
    for _ in range(3):
        ids += await upload_many(person, 6, first=len(ids))
        await stack.kill(victim)
        await stack.start(victim)
    await assert_all_ready_once(stack, person, ids)
    await person.close()


MIDDLE = {"object_created": "account_usage", "extract_document": "document_pages", "classify_document": "document_terms"}
"""A table that each step writes in the middle of its transaction, and that the steps before it leave alone while it goes on."""


@pytest.mark.parametrize("victim", ["worker", "broker"])
async def test_a_process_killed_in_the_middle_of_each_step_loses_nothing(stack: Stack, victim: str) -> None:
    person = await stack.person()
    ids: list[str] = []
    for function, table in MIDDLE.items():
        content = note(len(ids))
        reserved = await person.reserve("note.txt", content, "text/plain")
        ids.append(reserved["document"]["id"])
        async with held_at(stack, table) as stands_there:
            assert (await person.put(reserved["upload"], content)).status_code == 200
            await until(stands_there, f"{function} stands in the middle of its work")
            await stack.kill(victim)
        await stack.start(victim)
        assert (await person.settled(ids[-1], seconds=MINUTE_AND_MORE))["status"] == "ready"
        async with stack.database() as database:

            async def taken_up_again(function: str = function, database: Database = database) -> bool:
                async with database.system() as tx:
                    attempts = await tx.fetch_value("SELECT max(attempts) FROM deliveries WHERE function = %(name)s", {"name": function})
                return bool(attempts >= 2)

            await until(taken_up_again, f"{function} is delivered again")
    await assert_all_ready_once(stack, person, ids)
    await person.close()


@pytest.mark.parametrize("victim", ["worker", "broker"])
async def test_a_process_killed_in_the_middle_of_recognition_loses_and_doubles_nothing(stack: Stack, victim: str) -> None:
    person = await stack.person()
    document_id = await person.upload("scan.pdf", printed_pages(3), "application/pdf")
    async with stack.database() as database:

        async def recognising() -> bool:
            async with database.system() as tx:
                return bool(await tx.fetch_value("SELECT true FROM deliveries WHERE function = 'recognize_pages' AND state = 'running'"))

        await until(recognising, "recognition is under way")
        async with held_at(stack, "document_recognition") as stands_there:
            await until(stands_there, "a slice stands in the middle of keeping what it has recognised")
            await stack.kill(victim)
        await stack.start(victim)
        document = await person.settled(document_id, seconds=MINUTE_AND_MORE)
        assert (document["status"], document["warnings"], document["page_count"]) == ("ready", [], 3)

        async def taken_up_again() -> bool:
            async with database.system() as tx:
                return bool(await tx.fetch_value("SELECT max(attempts) >= 2 FROM deliveries WHERE function = 'recognize_pages'"))

        await until(taken_up_again, "the slice that was cut off is delivered again")
        async with database.system() as tx:
            pages = await tx.fetch_value("SELECT array_agg(number ORDER BY number) FROM document_pages WHERE length(text) > 500")
            slices = await tx.fetch_value("SELECT array_agg((data ->> 'done')::integer) FROM events WHERE type = 'document.scanned'")
            done = await tx.fetch_value("SELECT count(*) FROM events WHERE type IN ('document.extracted', 'document.ready')")
            left = await tx.fetch_value("SELECT count(*) FROM document_recognition")
    assert pages == [1, 2, 3]
    assert len(slices) == len(set(slices))
    assert (done, left) == (2, 0)
    assert [hit["id"] for hit in await person.search("invoice amount")] == [document_id]
    await person.close()


async def test_a_broker_killed_while_it_takes_notifications_off_the_list_loses_none(stack: Stack) -> None:
    person = await stack.person()
    reserved = [await person.reserve(f"{number}.txt", note(number), "text/plain") for number in range(3)]
    async with held_at(stack, "events") as stands_there:
        for number, each in enumerate(reserved):
            assert (await person.put(each["upload"], note(number))).status_code == 200
        await until(stands_there, "the broker writes what it has taken")
        await stack.kill("broker")
    await stack.start("broker")
    await assert_all_ready_once(stack, person, [each["document"]["id"] for each in reserved])
    await person.close()


@asynccontextmanager
async def held_at(stack: Stack, table: str) -> AsyncIterator[Callable[[], Awaitable[bool]]]:
    """Within, whoever writes to `table` stands still in the middle of its transaction; gives whether somebody does."""
    async with stack.database() as database, database.system() as tx:
        await tx.execute(f"LOCK TABLE {table} IN SHARE MODE")

        async def stands_there() -> bool:
            return bool(
                await tx.fetch_value(
                    "SELECT EXISTS (SELECT FROM pg_locks WHERE relation = %(table)s::regclass AND NOT granted)", {"table": table}
                )
            )

        yield stands_there


async def test_redis_flushed_in_the_middle_costs_nothing_but_a_minute(stack: Stack) -> None:
    person = await stack.person()
    await stack.kill("broker")
    ids = await upload_many(person, 5)
    from redis.asyncio import Redis

    redis = Redis.from_url(stack.services.valkey.url)
    await until(lambda: redis.llen("docuvault:bucket-events"), "the notifications wait on the list")
    await redis.flushall()
    await redis.aclose()
    await stack.start("broker")
    await assert_all_ready_once(stack, person, ids)
    await person.close()


async def test_uploads_while_redis_is_down_lose_at_most_a_minute(stack: Stack) -> None:
    """MinIO loses its notifications in an outage: the reconciler finds the documents of clients that said nothing."""
    person = await stack.person()
    await stack.services.valkey.kill()
    told = await upload_many(person, 3, complete=True)
    for document_id in told:
        assert (await person.settled(document_id))["status"] == "ready"
    untold = await upload_many(person, 2, first=len(told))
    await stack.services.valkey.start()
    await assert_all_ready_once(stack, person, told + untold)
    await person.close()


async def test_postgresql_restarted_in_the_middle_of_the_work_loses_nothing(stack: Stack) -> None:
    person = await stack.person()
    ids = await upload_many(person, 6)
    await stack.services.postgres.stop()
    answer = await person.http.get("/api/documents")
    assert answer.status_code == 503
    assert answer.json()["code"] == "unavailable"
    assert int(answer.headers["retry-after"]) >= 1
    await stack.services.postgres.start()
    await assert_all_ready_once(stack, person, ids)
    await person.close()


async def test_the_object_store_down_for_a_while_delays_documents_and_fails_none(stack: Stack) -> None:
    person = await stack.person()
    await stack.kill("worker")
    ids = await upload_many(person, 3)
    await stack.services.store.kill()
    await stack.start("worker")
    async with stack.database() as database:

        async def tried() -> bool:
            async with database.system() as tx:
                return bool(await tx.fetch_value("SELECT count(*) FROM deliveries WHERE attempts > 0 AND last_error IS NOT NULL"))

        await until(tried, "a delivery has failed on the missing store")

    async def degraded() -> bool:
        return bool((await person.http.get("/health")).json()["status"] == "degraded")

    await until(degraded, "health, which remembers its answer for a second, tells of it")
    refused = await person.http.post("/api/documents/upload", files={"file": ("form.txt", b"through the gateway", "text/plain")})
    assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
    assert int(refused.headers["retry-after"]) >= 1
    await stack.services.store.start()
    await assert_all_ready_once(stack, person, ids)
    await person.close()


async def test_garbage_on_the_redis_list_is_kept_aside_and_blocks_nothing(stack: Stack) -> None:
    from redis.asyncio import Redis

    person = await stack.person()
    redis = Redis.from_url(stack.services.valkey.url)
    garbage = [b"\xff\xfe", b"{", b"[]", b'[{"Event":[{"s3":{}}]}]', b'"text"', b"[" * 5000, b'[{"Event":"x","EventTime":1}]']
    await redis.rpush("docuvault:bucket-events", *garbage)
    ids = await upload_many(person, 2)
    await assert_all_ready_once(stack, person, ids)
    async with stack.database() as database:

        async def kept() -> bool:
            async with database.system() as tx:
                # Twice where Redis was slow to say that it is off the list: at least once is what is promised.
                return bool(await tx.fetch_value("SELECT count(DISTINCT payload) FROM bucket_event_rejects") == len(garbage))

        await until(kept, "the garbage is kept aside")
    await redis.aclose()
    await person.close()


async def test_notifications_twice_and_out_of_order_do_the_work_once(stack: Stack) -> None:
    from redis.asyncio import Redis

    person = await stack.person()
    await stack.kill("broker")
    ids = await upload_many(person, 4)
    redis = Redis.from_url(stack.services.valkey.url)
    await until(lambda: waiting(redis, 4), "four notifications wait")
    entries = await redis.lrange("docuvault:bucket-events", 0, -1)
    await redis.delete("docuvault:bucket-events")
    await redis.rpush("docuvault:bucket-events", *reversed(entries), *entries, *entries)
    await stack.start("broker")
    await assert_all_ready_once(stack, person, ids)
    await redis.aclose()
    await person.close()


async def waiting(redis: object, count: int) -> bool:
    return int(await redis.llen("docuvault:bucket-events")) >= count  # type: ignore[attr-defined]


async def test_an_object_that_no_row_knows_is_left_alone(stack: Stack) -> None:
    person = await stack.person()
    bucket, name = stack.bucket(), stack.services.store.bucket
    await asyncio.to_thread(bucket.put_object, Bucket=name, Key="stranger/of/this.txt", Body=b"hello")
    ids = await upload_many(person, 1)
    await assert_all_ready_once(stack, person, ids)
    assert (await asyncio.to_thread(bucket.get_object, Bucket=name, Key="stranger/of/this.txt"))["Body"].read() == b"hello"
    await person.close()


async def test_an_object_put_again_by_an_operator_changes_nothing(stack: Stack) -> None:
    person = await stack.person()
    [document_id] = await upload_many(person, 1)
    before = await person.settled(document_id)
    bucket, name = stack.bucket(), stack.services.store.bucket
    async with stack.database() as database:
        async with database.system() as tx:
            key = await tx.fetch_value("SELECT object_key FROM documents WHERE id = %(id)s", {"id": UUID(document_id)})
        await asyncio.to_thread(bucket.put_object, Bucket=name, Key=key, Body=b"another text altogether", ContentType="text/plain")

        async def told_twice() -> bool:
            async with database.system() as tx:
                deliveries = await tx.fetch_value(
                    "SELECT count(*) FROM deliveries JOIN events ON events.id = event_id WHERE subject = %(key)s AND state = 'done'",
                    {"key": key},
                )
            return bool(deliveries == 2)

        await until(told_twice, "the second notification is dealt with")
    assert await person.document(document_id) == before
    await assert_all_ready_once(stack, person, [document_id])
    await person.close()


async def test_the_signed_url_takes_nothing_but_what_was_declared(stack: Stack) -> None:
    person = await stack.person()
    content = b"exactly these bytes\n"
    reserved = await person.reserve("exact.txt", content, "text/plain")
    upload = reserved["upload"]
    async with httpx.AsyncClient(timeout=60) as store:
        longer = await store.put(upload["url"], content=content * 2, headers={**upload["headers"], "content-length": str(len(content) * 2)})
        other_type = await store.put(upload["url"], content=content, headers={**upload["headers"], "Content-Type": "text/html"})
        nothing = await store.put(upload["url"], content=b"", headers=upload["headers"])
    assert longer.status_code in (400, 403)
    assert other_type.status_code in (400, 403)
    assert nothing.status_code in (400, 403)
    assert (await person.put(upload, content)).status_code == 200
    assert (await person.put(upload, content)).status_code == 412
    assert (await person.settled(reserved["document"]["id"]))["status"] == "ready"
    await person.close()
