"""Broker and worker killed in the middle of a delivery: it is delivered again, and nothing is stuck or lost."""

import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from redis.asyncio import Redis

from infra.broker.bucket_events import BROKERS
from infra.broker.deliveries import DeliveryLease
from infra.local.postgres import Postgres
from infra.local.valkey import Valkey
from tests.infra.broker.conftest import Outbox
from tests.infra.broker.waiting import until
from tests.infra.worker.process import Started, WorkerProcess


@dataclass
class Stack:
    outbox: Outbox
    worker: WorkerProcess
    broker: Started
    redis_url: str
    note: Path
    release: Path

    async def publish(self, times: int = 1) -> None:
        """Deliveries that write a line and then wait for `release`."""
        await self.outbox.publish("take_note", times=times, data={"write": str(self.note), "until": str(self.release)})

    async def attempts(self) -> list[int]:
        """Of each delivery, the fewest first."""
        found: list[int] = await self.outbox.value(
            "SELECT array_agg(attempts ORDER BY attempts) FROM deliveries WHERE function = 'take_note'"
        )
        return found

    def lines(self) -> list[str]:
        return self.note.read_text().splitlines() if self.note.exists() else []


@pytest.fixture
async def stack(outbox: Outbox, own_valkey: Valkey, tmp_path: Path) -> AsyncIterator[Stack]:
    worker = WorkerProcess()
    env = {"DATABASE_URL": outbox.url, "REDIS_URL": own_valkey.url, "WORKER_URL": worker.url, "BROKER_DOCUMENTS_CONCURRENCY": "4"}
    broker = Started("infra.broker", env=env)
    await worker.start()
    await broker.start()
    yield Stack(outbox, worker, broker, own_valkey.url, tmp_path / "note", tmp_path / "release")
    await broker.kill()
    await worker.kill()


async def test_a_delivery_goes_on_when_its_broker_was_killed(stack: Stack) -> None:
    await stack.publish()
    await until(stack.lines)
    await stack.broker.kill()
    await stack.broker.start()
    # The lease would run out by itself in a quarter of a minute.
    await stack.outbox.execute("UPDATE deliveries SET lease_until = now() - interval '1 second' WHERE state = 'running'")
    await until(lambda: len(stack.lines()) == 2)
    stack.release.touch()
    await stack.outbox.until_all_are("done")
    assert (await stack.outbox.one())["attempts"] == 2


async def test_deliveries_go_on_within_moments_of_a_killed_worker_s_return(stack: Stack) -> None:
    await stack.publish(times=8)
    await until(lambda: len(stack.lines()) == 4)
    await stack.worker.kill()
    stack.release.touch()
    await stack.worker.start()
    await until(stack.worker.serves)
    # Under a second when nothing else runs; in any case before leases run out, which would help as well.
    await stack.outbox.until_all_are("done", seconds=DeliveryLease().seconds - 1)
    # Four were cut off; of the others those that reached it in the moment in which it died.
    assert await stack.attempts() in ([1] * unharmed + [2] * (8 - unharmed) for unharmed in range(5))


async def test_a_worker_that_finishes_what_runs_before_it_stops_costs_the_others_no_attempt(stack: Stack) -> None:
    await stack.publish()
    await until(stack.lines)
    stack.worker.process.send_signal(signal.SIGTERM)
    await until(lambda: stack.worker.stops())
    await stack.publish(times=5)

    async def sent_back() -> bool:
        told = await stack.outbox.value("SELECT count(*) FROM deliveries WHERE state = 'ready' AND last_error LIKE '%%stopping'")
        # None of them is still on its way: the worker may be gone before it arrives.
        return told and await stack.outbox.states() == {"running": 1, "ready": 5}

    async def finished() -> bool:
        return await stack.outbox.states() == {"done": 1, "ready": 5}

    await until(sent_back)
    stack.release.touch()
    assert await stack.worker.process.wait() == 0
    await until(finished)
    await stack.worker.start()
    await stack.outbox.until_all_are("done")
    assert await stack.attempts() == [1] * 6
    assert len(stack.lines()) == 6


async def test_a_broker_that_is_stopped_finishes_what_runs_and_gives_back_the_rest(stack: Stack) -> None:
    await stack.publish(times=6)
    await until(lambda: len(stack.lines()) == 4)
    redis = Redis.from_url(stack.redis_url)
    await until(lambda: redis.scard(BROKERS))  # who has not come yet has not left
    stack.broker.process.send_signal(signal.SIGTERM)
    await until(lambda: _has_left(redis))
    await redis.aclose()
    stack.release.touch()
    assert await stack.broker.process.wait() == 0
    assert await stack.outbox.states() == {"done": 4, "ready": 2}


async def test_a_broker_outlives_a_restart_of_postgresql(stack: Stack, postgres: Postgres) -> None:
    await stack.publish(times=4)
    await until(lambda: len(stack.lines()) == 4)
    await postgres.stop()
    stack.release.touch()
    await postgres.start()
    await stack.outbox.until_all_are("done")
    assert len(stack.lines()) == 4


async def _has_left(redis: Redis) -> bool:
    return not await redis.scard(BROKERS)
