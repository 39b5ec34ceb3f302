"""The broker as a whole, as a process."""

import asyncio
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from infra.images import healthy
from infra.local.valkey import Valkey
from infra.notification_list import LIST
from shared.ids import new_id
from tests.infra.broker.conftest import Functions, Outbox
from tests.infra.broker.test_bucket_events import entry, record
from tests.infra.broker.waiting import until
from tests.infra.worker.process import Started


@pytest.fixture
async def broker(outbox: Outbox, own_valkey: Valkey, functions: Functions) -> AsyncIterator[Started]:
    started = Started("infra.broker", env={"DATABASE_URL": outbox.url, "REDIS_URL": own_valkey.url, "WORKER_URL": functions.url})
    await started.start()
    yield started
    await started.kill()


async def test_a_notification_on_the_list_reaches_its_function(
    broker: Started, outbox: Outbox, own_valkey: Valkey, functions: Functions
) -> None:
    client = Redis.from_url(own_valkey.url)
    key = f"{new_id()}/{new_id()}/file.pdf"
    await client.rpush(LIST, entry(record(key)))
    await outbox.until_all_are("done")
    ((service, headers, body),) = functions.calls
    assert (service, headers["ce-type"], headers["ce-subject"]) == ("object-created", "s3:ObjectCreated:Put", key)
    assert (body["key"], body["size"]) == (key, 7)
    await client.aclose()


async def test_deliveries_go_on_while_redis_is_down(broker: Started, outbox: Outbox, own_valkey: Valkey, functions: Functions) -> None:
    await outbox.publish("first")
    await outbox.until_all_are("done")
    await own_valkey.kill()
    await outbox.publish("second")
    await outbox.until_all_are("done")
    assert [service for service, _, _ in functions.calls] == ["first", "second"]


async def test_a_stopped_broker_leaves_no_trace_in_redis(broker: Started, outbox: Outbox, own_valkey: Valkey) -> None:
    await outbox.publish()
    await outbox.until_all_are("done")
    broker.process.send_signal(signal.SIGINT)
    assert await asyncio.wait_for(broker.process.wait(), 20) == 0
    client = Redis.from_url(own_valkey.url)
    await until(lambda: _is_empty(client))
    await client.aclose()


async def test_a_broker_gives_signs_of_life_while_its_database_responds(
    outbox: Outbox, own_valkey: Valkey, functions: Functions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    beat = tmp_path / "beat"
    monkeypatch.setenv("BROKER_HEARTBEAT", str(beat))
    environ = {"REDIS_URL": own_valkey.url, "WORKER_URL": functions.url, "BROKER_HEARTBEAT": str(beat)}
    unreached = Started("infra.broker", env=environ | {"DATABASE_URL": "postgresql://docuvault_app@127.0.0.1:1/docuvault"})
    await unreached.start()
    alive = Started("infra.broker", env=environ | {"DATABASE_URL": outbox.url, "BROKER_HEARTBEAT": str(tmp_path / "other")})
    await alive.start()
    await until(lambda: (tmp_path / "other").exists())
    assert healthy.problem("broker") == "no sign of life yet"
    monkeypatch.setenv("BROKER_HEARTBEAT", str(tmp_path / "other"))
    assert healthy.problem("broker") == ""
    await unreached.kill()
    await alive.kill()


async def test_wrong_settings_are_a_sentence() -> None:
    broken = Started("infra.broker", env={"REDIS_URL": "localhost"})
    await broken.start()
    _, errors = await asyncio.wait_for(broken.process.communicate(), 30)
    assert broken.process.returncode == 1
    assert errors.decode().startswith("REDIS_URL: is not a redis://")


async def _is_empty(client: Redis) -> bool:
    return await client.dbsize() == 0
