"""Bucket notifications become events: once each, in any order, through every outage; garbage is kept aside."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote_plus

import pytest
from redis.asyncio import Redis

from infra.broker import bucket_events, cancellation
from infra.broker.bucket_events import BROKERS, BucketEvents, heartbeat_key, in_flight_list, subscriptions_for
from infra.broker.cancellation import end
from infra.broker.notification_format import Unintelligible, parse
from infra.local.postgres import Postgres
from infra.local.valkey import Valkey
from infra.notification_list import LIST
from shared.db import Database
from shared.ids import new_id
from shared.storage.object_keys import OriginalKey
from tests.infra.broker.conftest import Outbox
from tests.infra.broker.waiting import until


def record(key: str, *, sequencer: str = "17F3A0", name: str = "s3:ObjectCreated:Put", **more: Any) -> dict[str, Any]:
    """A record as MinIO writes it."""
    return {
        "eventVersion": "2.0",
        "eventSource": "minio:s3",
        "awsRegion": "",
        "eventTime": "2026-11-24T04:00:00.123Z",
        "eventName": name,
        "userIdentity": {"principalId": "docuvault"},
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": "Config",
            "bucket": {"name": "docuvault", "arn": "arn:aws:s3:::docuvault"},
            "object": {"key": quote_plus(key), "size": 7, "eTag": "e7", "contentType": "application/pdf", "sequencer": sequencer, **more},
        },
    }


def entry(*records: dict[str, Any]) -> bytes:
    """A list entry in MinIO's access format."""
    return json.dumps([{"Event": list(records), "EventTime": "2026-11-24T04:00:00.123Z"}]).encode()


@pytest.fixture
async def list_client(own_valkey: Valkey) -> AsyncIterator[Redis]:
    """A client of a Valkey of this test alone, with the broker's time-outs."""
    client = Redis.from_url(own_valkey.url, socket_connect_timeout=1, socket_timeout=2)
    yield client
    await client.aclose()


@asynccontextmanager
async def taking(outbox: Outbox, client: Redis, name: str = "a") -> AsyncIterator[list[str]]:
    """A broker's taking side at work; the list grows with each batch it has written."""
    batches: list[str] = []
    task = asyncio.create_task(BucketEvents(outbox.database, client, name, batches.append).run())
    try:
        yield batches
    finally:
        await end([task])


async def number_of_events(outbox: Outbox) -> int:
    return int(await outbox.value("SELECT count(*) FROM events"))


@pytest.mark.parametrize(
    "payload",
    [
        entry(record("a/b/c.pdf")),
        json.dumps({"Event": [record("a/b/c.pdf")], "EventTime": "now"}).encode(),
        json.dumps({"Event": record("a/b/c.pdf")}).encode(),
        json.dumps({"EventName": "s3:ObjectCreated:Put", "Key": "docuvault/a/b/c.pdf", "Records": [record("a/b/c.pdf")]}).encode(),
        json.dumps([record("a/b/c.pdf")]).encode(),
        json.dumps(record("a/b/c.pdf", name="ObjectCreated:Put")).encode(),
    ],
)
def test_every_known_shape_is_understood(payload: bytes) -> None:
    (notification,) = parse(payload)
    assert (notification.event_name, notification.bucket, notification.key) == ("s3:ObjectCreated:Put", "docuvault", "a/b/c.pdf")
    assert (notification.size, notification.etag, notification.sequencer) == (7, "e7", "17F3A0")
    assert notification.dedup_key == "docuvault/a/b/c.pdf/17F3A0"


def test_keys_are_url_decoded() -> None:
    (notification,) = parse(entry(record("ordner/ein plus + und Ümlaut%.pdf")))
    assert notification.key == "ordner/ein plus + und Ümlaut%.pdf"


def test_an_object_whose_size_minio_cannot_tell_is_announced_all_the_same() -> None:
    (notification,) = parse(entry(record("k", size=-1)))
    assert (notification.key, notification.size) == ("k", None)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\xff\xfe",
        b"hello",
        b"[]",
        b"{}",
        b"null",
        b"[1, 2]",
        b'{"Records": []}',
        b"[" * 100_000,
        json.dumps([{"Event": [{"s3": {}}]}]).encode(),
        entry(record("")),
        entry(record("a\x00b")),
        entry(record("x" * 1025)),
        entry(record("k", size=-2)),
        entry(record("k", size="7")),
        entry(record("k", eTag="\ud800")),
        entry(record("k", sequencer="a\x00")),
        b'[{"Event":[{"eventName":"s3:ObjectCreated:Put","s3":{"bucket":{"name":"b"},"object":{"key":"%FF"}}}]}]',
        b" " * (2**20 + 1),
    ],
    ids=lambda payload: repr(payload[:40]),
)
def test_what_is_no_notification_is_unintelligible(payload: bytes) -> None:
    with pytest.raises(Unintelligible):
        parse(payload)


def test_nesting_is_no_reason_to_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    """From Python 3.12 on the JSON reader nests deeper than functions may."""
    nested: Any = record("a/b/c.pdf")
    for _ in range(10 * sys.getrecursionlimit()):
        nested = [nested]
    monkeypatch.setattr("infra.broker.notification_format.json.loads", lambda payload: nested)
    assert [notification.key for notification in parse(b"")] == ["a/b/c.pdf"]


def test_patterns_choose_the_functions() -> None:
    assert [target.function for target in subscriptions_for("s3:ObjectCreated:CompleteMultipartUpload")] == ["object_created"]
    assert subscriptions_for("s3:ObjectRemoved:Delete") == ()


async def test_a_notification_becomes_an_event_of_its_owner(outbox: Outbox, list_client: Redis) -> None:
    owner = new_id()
    key = str(OriginalKey.new(owner, new_id(), ".pdf"))
    await list_client.rpush(LIST, entry(record(key)))
    async with taking(outbox, list_client) as batches:
        await until(lambda: batches)
        await until(lambda: _empty(list_client, "a"))
    row = await outbox.one()
    assert (row["function"], row["queue"], row["state"], row["owner_id"]) == ("object_created", "documents", "ready", owner)
    assert batches == ["documents"], "the dispatcher looks where there is something"
    assert await outbox.value("SELECT type || ' ' || subject FROM events") == f"s3:ObjectCreated:Put {key}"
    assert (await outbox.value("SELECT data FROM events"))["size"] == 7


async def test_the_same_notification_twice_is_one_event_and_order_does_not_matter(outbox: Outbox, list_client: Redis) -> None:
    key = f"{new_id()}/{new_id()}/file.pdf"
    later, earlier = entry(record(key, sequencer="0002")), entry(record(key, sequencer="0001"))
    await list_client.rpush(LIST, later, earlier, later, earlier)
    async with taking(outbox, list_client) as batches:
        await until(lambda: batches)
        await list_client.rpush(LIST, later)
        await until(lambda: len(batches) >= 2)
    assert await number_of_events(outbox) == 2
    assert await outbox.states() == {"ready": 2}


async def test_objects_of_our_own_making_wake_nothing(outbox: Outbox, list_client: Redis) -> None:
    key = f"{new_id()}/{new_id()}/file.pdf"
    await list_client.rpush(LIST, entry(record(".derived/thumbnail.webp"), record(".audit/x")), entry(record(key)))
    async with taking(outbox, list_client):
        await until(lambda: _written(outbox, 1))
    assert await outbox.value("SELECT subject FROM events") == key


async def test_garbage_is_kept_aside_and_blocks_nothing(outbox: Outbox, list_client: Redis) -> None:
    good = [entry(record(f"{new_id()}/{number}/f")) for number in range(3)]
    await list_client.rpush(LIST, b"garbage\x00", good[0], b"\xff\xfe", good[1], b"{}", good[2])
    async with taking(outbox, list_client):
        await until(lambda: _written(outbox, 3))
        await until(lambda: _empty(list_client, "a"))
    assert await outbox.value("SELECT count(*) FROM bucket_event_rejects") == 3
    assert await outbox.value("SELECT reason FROM bucket_event_rejects WHERE payload LIKE 'garbage%%'") == "not JSON: JSONDecodeError"


async def test_an_entry_that_postgresql_refuses_does_not_take_its_batch_along(outbox: Outbox, list_client: Redis) -> None:
    poison = record("k")
    poison["s3"]["bucket"]["name"] = "".join(new_id().hex for _ in range(500))  # too long for the index of dedup keys
    await list_client.rpush(LIST, entry(record(f"{new_id()}/1/f")), entry(poison), entry(record(f"{new_id()}/2/f")))
    async with taking(outbox, list_client):
        await until(lambda: _empty(list_client, "a"))
    assert await number_of_events(outbox) == 2
    assert str(await outbox.value("SELECT reason FROM bucket_event_rejects")).startswith("could not be written")


async def test_what_a_dead_broker_had_in_flight_is_taken_over(outbox: Outbox, list_client: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    await list_client.sadd(BROKERS, "dead")
    await list_client.rpush(in_flight_list("dead"), entry(record(f"{new_id()}/1/f")), entry(record(f"{new_id()}/2/f")))
    await list_client.sadd(BROKERS, "alive")
    await list_client.set(heartbeat_key("alive"), "1")
    await list_client.rpush(in_flight_list("alive"), entry(record(f"{new_id()}/3/f")))
    async with taking(outbox, list_client):
        await until(lambda: _written(outbox, 2))
        await until(lambda: _empty(list_client, "dead"))
    assert await number_of_events(outbox) == 2
    assert await list_client.llen(in_flight_list("alive")) == 1


async def test_a_broker_that_stops_leaves_nothing_in_flight(outbox: Outbox, list_client: Redis, postgres: Postgres) -> None:
    away = Outbox(Database("postgresql://nobody@127.0.0.1:1/none"), "")
    key = f"{new_id()}/1/f"
    await list_client.rpush(LIST, entry(record(key)))
    async with taking(away, list_client):
        await until(lambda: list_client.llen(in_flight_list("a")))
    assert await list_client.llen(LIST) == 1
    assert await list_client.smembers(BROKERS) == set()
    async with taking(outbox, list_client):
        await until(lambda: _written(outbox, 1))
    await away.database.close()


async def test_leaving_is_not_cut_short_however_long_it_takes(outbox: Outbox, list_client: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cancellation, "AGAIN_SECONDS", 0)
    async with taking(outbox, list_client):
        await until(lambda: list_client.exists(heartbeat_key("a")))
        await list_client.rpush(in_flight_list("a"), *(entry(record(f"{new_id()}/{number}/f")) for number in range(3)))
    assert await list_client.llen(in_flight_list("a")) == 0
    assert await list_client.smembers(BROKERS) == set()
    assert not await list_client.exists(heartbeat_key("a"))


async def test_with_postgresql_away_notifications_stay_in_flight_until_it_is_back(
    outbox: Outbox, list_client: Redis, postgres: Postgres
) -> None:
    async with taking(outbox, list_client):
        await list_client.rpush(LIST, entry(record(f"{new_id()}/1/f")))
        await until(lambda: _written(outbox, 1))
        await postgres.stop()
        try:
            await list_client.rpush(LIST, entry(record(f"{new_id()}/2/f")))
            await until(lambda: list_client.llen(in_flight_list("a")))
        finally:
            await postgres.start()
        await until(lambda: _written(outbox, 2))
        await until(lambda: _empty(list_client, "a"))


async def test_notifications_go_on_after_redis_was_down_and_after_it_was_flushed(
    outbox: Outbox, list_client: Redis, own_valkey: Valkey
) -> None:
    async with taking(outbox, list_client):
        await list_client.rpush(LIST, entry(record(f"{new_id()}/1/f")))
        await until(lambda: _written(outbox, 1))
        await own_valkey.kill()
        await own_valkey.start()
        store = Redis.from_url(own_valkey.url)
        await store.rpush(LIST, entry(record(f"{new_id()}/2/f")))
        await until(lambda: _written(outbox, 2))
        await store.flushall()
        await store.rpush(LIST, entry(record(f"{new_id()}/3/f")))
        await until(lambda: _written(outbox, 3))
        await store.aclose()


async def test_an_entry_whose_move_was_answered_to_nobody_is_found_again(
    outbox: Outbox, list_client: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bucket_events, "WAIT_SECONDS", 0.02)
    async with taking(outbox, list_client):
        await until(lambda: list_client.exists(heartbeat_key("a")))
        await list_client.rpush(in_flight_list("a"), entry(record(f"{new_id()}/1/f")))
        await until(lambda: _written(outbox, 1))


async def test_such_an_entry_is_found_in_the_midst_of_traffic_too(outbox: Outbox, list_client: Redis) -> None:
    stray = f"{new_id()}/stray/f"
    async with taking(outbox, list_client) as batches:
        await until(lambda: list_client.exists(heartbeat_key("a")))
        await list_client.rpush(in_flight_list("a"), entry(record(stray)))

        async def written_while_others_come() -> bool:
            seen = len(batches)
            await list_client.rpush(LIST, entry(record(f"{new_id()}/1/f")))
            await until(lambda: len(batches) > seen)
            return bool(await outbox.value("SELECT count(*) FROM events WHERE subject = %(key)s", key=stray))

        await until(written_while_others_come)


async def _written(outbox: Outbox, number: int) -> bool:
    try:
        return await number_of_events(outbox) >= number
    except Exception:  # PostgreSQL may be away just now
        return False


async def _empty(client: Redis, broker: str) -> bool:
    # In the order in which entries move: the other way round one that moves in between is in neither.
    return not await client.llen(LIST) and not await client.llen(in_flight_list(broker))
