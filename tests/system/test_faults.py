"""What breaks, and what must be true afterwards: every document `ready` or honestly `failed`, none stuck, none lost, none done twice."""

import asyncio
from uuid import UUID

import httpx
import pytest

from tests.system.conftest import StartStack
from tests.system.stack import Person, Stack, until

MINUTE_AND_MORE = 150.0
"""A lost notification costs up to a minute (the reconciler's period); leases of the killed run out within another."""


async def upload_many(person: Person, count: int, *, complete: bool = False) -> list[str]:
    """`count` small documents, each with a word of its own."""
    texts = [f"note number {number} about word{number}heron\n".encode() for number in range(count)]
    return [await person.upload(f"{number}.txt", text, "text/plain", complete=complete) for number, text in enumerate(texts)]


async def assert_all_ready_once(stack: Stack, person: Person, ids: list[str], *, seconds: float = MINUTE_AND_MORE) -> None:
    """Every document is ready, found exactly once, with one row a step and no delivery left over."""
    for document_id in ids:
        document = await person.settled(document_id, seconds=seconds)
        assert document["status"] == "ready", document["error"]
    for number, document_id in enumerate(ids):
        assert [hit["id"] for hit in await person.search(f"word{number}heron")] == [document_id]
    async with stack.database() as database, database.system() as tx:
        doubled = await tx.fetch_value(
            """
            SELECT count(*)
            FROM (SELECT FROM document_pages WHERE document_id = ANY(%s) GROUP BY document_id, number HAVING count(*) > 1) AS doubled
            """,
            ([UUID(document_id) for document_id in ids],),
        )
        assert doubled == 0
        dead = await tx.fetch_value("SELECT count(*) FROM deliveries WHERE state = 'dead'")
        assert dead == 0


@pytest.mark.parametrize("victim", ["worker", "broker"])
async def test_a_process_killed_in_the_middle_of_the_work_loses_nothing(stack: Stack, victim: str) -> None:
    person = await stack.person()
    ids: list[str] = []
    for _ in range(3):
        ids += await upload_many_from(person, len(ids), 6)
        await stack.kill(victim)
        await stack.start(victim)
    await assert_all_ready_once(stack, person, ids)
    await person.close()


async def upload_many_from(person: Person, first: int, count: int) -> list[str]:
    texts = [f"note number {number} about word{number}heron\n".encode() for number in range(first, first + count)]
    return [await person.upload(f"{first + number}.txt", text, "text/plain") for number, text in enumerate(texts)]


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


async def test_uploads_while_redis_is_down_are_found_again(stack: Stack) -> None:
    person = await stack.person()
    await stack.services.valkey.kill()
    ids = await upload_many(person, 3, complete=True)
    for document_id in ids:
        assert (await person.settled(document_id))["status"] == "ready"
    await stack.services.valkey.start()
    await assert_all_ready_once(stack, person, ids)
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
    health = (await person.http.get("/health")).json()
    assert health["status"] == "degraded"
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
                return int(await tx.fetch_value("SELECT count(*) FROM bucket_event_rejects")) >= 5

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
    import boto3

    person = await stack.person()
    store = stack.services.store
    client = boto3.client(
        "s3",
        endpoint_url=store.endpoint,
        aws_access_key_id=store.access_key,
        aws_secret_access_key=store.secret_key,
        region_name="us-east-1",
    )
    await asyncio.to_thread(client.put_object, Bucket=store.bucket, Key="stranger/of/this.txt", Body=b"hello")
    ids = await upload_many(person, 1)
    await assert_all_ready_once(stack, person, ids)
    assert (await asyncio.to_thread(client.get_object, Bucket=store.bucket, Key="stranger/of/this.txt"))["Body"].read() == b"hello"
    await person.close()


async def test_the_signed_url_takes_nothing_but_what_was_declared(stack: Stack) -> None:
    person = await stack.person()
    content = b"exactly these bytes\n"
    reserved = await person.reserve("exact.txt", content, "text/plain")
    upload = reserved["upload"]
    async with httpx.AsyncClient() as store:
        longer = await store.put(upload["url"], content=content * 2, headers={**upload["headers"], "content-length": str(len(content) * 2)})
        other_type = await store.put(upload["url"], content=content, headers={**upload["headers"], "Content-Type": "text/html"})
    assert longer.status_code in (400, 403)
    assert other_type.status_code in (400, 403)
    assert (await person.put(upload, content)).status_code == 200
    assert (await person.put(upload, content)).status_code == 412
    assert (await person.settled(reserved["document"]["id"]))["status"] == "ready"
    await person.close()


@pytest.mark.parametrize("store", ["minio"])
async def test_the_real_minio_loses_notifications_in_an_outage_and_the_reconciler_finds_them(start_stack: StartStack, store: str) -> None:
    stack = await start_stack(store=store)
    person = await stack.person()
    await stack.services.valkey.kill()
    ids = await upload_many(person, 2)
    await stack.services.valkey.start()
    await assert_all_ready_once(stack, person, ids)
    await person.close()
