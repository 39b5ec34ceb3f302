"""Deliveries reach functions: fairly, once at a time, and again after a failure."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from aiohttp import web

from infra.broker.cancellation import end
from infra.broker.deliveries import SETTINGS, DeliveryLease, Shares, claim
from infra.broker.dispatcher import GATHER_SECONDS
from infra.broker.retries import MAX_ATTEMPTS, retry_delay
from infra.local.postgres import Postgres
from infra.worker.app import Worker
from infra.worker.discovery import load_event_functions
from shared.clock import now
from shared.config import settings
from shared.db import Database, Transaction
from shared.events.signing import REJECTED_HEADER, verify
from shared.ids import new_id
from tests.infra.broker.conftest import Functions, Outbox, StartDispatcher, analyse, rows_read
from tests.infra.broker.waiting import until

NOBODY = UUID(int=0)


class CountedTransactions(Database):
    """Counts its transactions."""

    transactions = 0

    @asynccontextmanager
    async def system(self, settings: str = "") -> AsyncIterator[Transaction]:
        self.transactions += 1
        async with super().system(settings) as tx:
            yield tx


async def test_an_event_reaches_its_function_as_a_signed_cloud_event(
    outbox: Outbox, functions: Functions, dispatching: StartDispatcher
) -> None:
    owner = new_id()
    await outbox.publish("read_it", owner=owner, data={"name": "Grüße", "size": 1.5})
    async with dispatching():
        await outbox.until_all_are("done")
    ((service, headers, body),) = functions.calls
    assert service == "read-it"
    assert headers["ce-specversion"] == "1.0"
    assert headers["content-type"] == "application/json"
    attributes = {name.removeprefix("ce-"): value for name, value in headers.items() if name.startswith("ce-")}
    said = verify(attributes, body, settings().secret_key, now())
    assert (said.type, said.owner_id, said.subject) == ("test.happened", owner, "subject")
    assert body == {"name": "Grüße", "size": 1.5}
    assert (await outbox.one())["finished_at"] is not None


async def test_one_owner_with_many_deliveries_does_not_starve_another(
    outbox: Outbox, functions: Functions, dispatching: StartDispatcher
) -> None:
    busy, patient = new_id(), new_id()
    await outbox.publish("slow", owner=busy, times=60)
    await outbox.publish("slow", owner=patient, times=3)
    order: list[str] = []

    async def slow(headers: Mapping[str, str], body: Any) -> web.Response:
        order.append(headers["ce-source"].rpartition("/")[2])
        await asyncio.sleep(0.02)
        return web.Response()

    functions.handlers["slow"] = slow
    async with dispatching(concurrency=2):
        await outbox.until_all_are("done")
    assert [place for place, owner in enumerate(order) if owner == str(patient)][-1] < 12


async def test_an_owner_alone_leaves_slots_free_for_one_who_comes_new(
    outbox: Outbox, functions: Functions, dispatching: StartDispatcher
) -> None:
    greedy, new = new_id(), new_id()
    release = functions.hold("slow")
    await outbox.publish("slow", owner=greedy, times=20)
    async with dispatching(concurrency=4, shared=True):
        await until(lambda: len(functions.calls) >= 2)
        await outbox.publish("quick", owner=new)
        await until(lambda: functions.calls[-1][0] == "quick")
        assert len(functions.calls) == 3, "the greedy owner has two of the four slots, however much it has waiting"
        release.set()
        await outbox.until_all_are("done")


async def test_many_greedy_owners_leave_a_slot_free_for_one_who_comes_new(
    outbox: Outbox, functions: Functions, dispatching: StartDispatcher
) -> None:
    greedy = [new_id() for _ in range(3)]
    release = functions.hold("slow")
    for owner in greedy:
        await outbox.publish("slow", owner=owner, times=20)
    async with dispatching(concurrency=8, shared=True):
        await until(lambda: len(functions.calls) >= 6)
        await outbox.publish("quick", owner=new_id())
        await until(lambda: functions.calls[-1][0] == "quick")
        assert Counter(headers["ce-source"].rpartition("/")[2] for _, headers, _ in functions.calls[:-1]).total() < 8
        release.set()
        await outbox.until_all_are("done")


async def test_a_slot_is_kept_for_one_who_comes_new_however_many_owners_are_at_work(
    outbox: Outbox, functions: Functions, dispatching: StartDispatcher
) -> None:
    for owner in [new_id() for _ in range(10)]:
        await outbox.publish("slow", owner=owner, times=25)
    release, calls = asyncio.Event(), 0

    async def slow(headers: Mapping[str, str], body: Any) -> web.Response:
        nonlocal calls
        calls += 1
        if calls > 120:
            await release.wait()
        await asyncio.sleep(0.25)
        return web.Response()

    functions.handlers["slow"] = slow
    async with dispatching(concurrency=8, shared=True):
        await until(lambda: calls >= 127)
        await outbox.publish("quick", owner=new_id())
        await until(lambda: functions.calls[-1][0] == "quick")
        assert calls == 127, "ten owners hold seven of eight slots"
        release.set()
        await outbox.until_all_are("done")


async def test_deliveries_that_are_nobodys_have_no_share(outbox: Outbox, functions: Functions, dispatching: StartDispatcher) -> None:
    release = functions.hold("work")
    await outbox.publish(times=4)
    async with dispatching(concurrency=4, shared=True):
        await until(lambda: len(functions.calls) == 4)
        release.set()
        await outbox.until_all_are("done")


async def test_no_more_is_claimed_than_fits_however_many_owners_wait(
    outbox: Outbox, functions: Functions, dispatching: StartDispatcher
) -> None:
    await outbox.publish("quick", owner=new_id(), times=300)
    release = functions.hold("slow")
    async with dispatching(concurrency=8, shared=True):
        await outbox.until_all_are("done")
        for _ in range(200):
            await outbox.publish("slow", owner=new_id())

        async def eight_are_held() -> bool:
            states = await outbox.states()
            return (states.get("running"), states.get("ready")) == (8, 192)

        await until(eight_are_held)
        release.set()
        await outbox.until_all_are("done")


async def test_a_share_that_is_used_up_is_claimed_anew_without_waiting_for_a_poll(
    outbox: Outbox, functions: Functions, dispatching: StartDispatcher
) -> None:
    await outbox.publish(owner=new_id(), times=300)
    async with dispatching(concurrency=4, shared=True) as running:
        await outbox.until_all_are("done")
        assert time.monotonic() - running.began < 75, "two at a time and a poll a second would take 150 s"


async def test_of_one_owner_the_cheapest_is_delivered_first(outbox: Outbox, functions: Functions, dispatching: StartDispatcher) -> None:
    owner = new_id()
    for cost in (5, 0, 3, 1):
        await outbox.publish(owner=owner, data={"cost": cost}, cost=cost)
    async with dispatching(concurrency=1, shared=True):
        await outbox.until_all_are("done")
    assert [body["cost"] for _, _, body in functions.calls] == [0, 1, 3, 5]


async def test_what_was_claimed_ahead_is_given_back_when_deliveries_turn_slow(
    outbox: Outbox, functions: Functions, dispatching: StartDispatcher
) -> None:
    await outbox.publish("quick", owner=new_id(), times=400)
    release = functions.hold("slow")
    async with dispatching(concurrency=2):
        await outbox.until_all_are("done")  # so quick that many are claimed ahead from now on
        await outbox.publish("slow", owner=new_id(), times=30)

        async def two_are_held() -> bool:
            states = await outbox.states()
            return (states.get("running"), states.get("ready")) == (2, 28)

        await until(two_are_held)
        release.set()
        await outbox.until_all_are("done")


async def test_owners_take_turns_when_there_are_more_of_them_than_places(outbox: Outbox) -> None:
    owners = sorted(new_id() for _ in range(7))
    for owner in owners:
        await outbox.publish(owner=owner, times=3)
    served: list[UUID] = []
    after = NOBODY
    for _ in range(7):
        async with outbox.database.system() as tx:
            claimed = await claim(tx, "a", "documents", 3, after, DeliveryLease())
        after = max(claimed, key=lambda delivery: delivery.turn).lane
        served += [delivery.lane for delivery in sorted(claimed, key=lambda delivery: delivery.turn)]
    assert sorted(served) == sorted(owners * 3)
    assert set(Counter(served[:14]).values()) == {2}


@pytest.mark.parametrize("plan", ["force_custom_plan", "force_generic_plan"])
@pytest.mark.parametrize("statistics_of", ["an idle moment", "a busy moment"])
async def test_a_claim_reads_what_it_takes_however_much_is_done_and_ready(
    outbox: Outbox, postgres: Postgres, plan: str, statistics_of: str
) -> None:
    owner, other, event = new_id(), new_id(), new_id()
    if statistics_of == "an idle moment":
        await outbox.publish(owner=new_id(), times=60)
        await outbox.publish(owner=new_id(), times=3)
        await analyse(postgres)
        await outbox.empty()
    await outbox.fill(100_000, "done", owner=new_id())
    await outbox.execute("INSERT INTO events (id, type, subject, data) VALUES (%(id)s, 'test.happened', '', '{}')", id=event)
    await outbox.execute(
        """
        INSERT INTO deliveries (id, event_id, function, queue, owner_id)
        SELECT gen_random_uuid(), %(event)s, 'work', 'documents', %(owner)s FROM generate_series(1, 100000)
        """,
        event=event,
        owner=owner,
    )
    await outbox.publish(owner=other, times=5)
    if statistics_of == "a busy moment":
        await analyse(postgres)
    async with outbox.database.system(SETTINGS) as tx:
        await tx.execute(f"SET LOCAL plan_cache_mode = {plan}")
        for turn in range(5):  # prepared at the third
            before = await rows_read(tx)
            claimed = await claim(tx, "a", "documents", 10, NOBODY, DeliveryLease())
            assert Counter(delivery.lane for delivery in claimed) == ({owner: 5, other: 5} if turn == 0 else {owner: 10})
            assert await rows_read(tx) - before < 10 * len(claimed)


async def test_a_claim_passes_over_owners_without_a_share_and_reads_nothing_of_theirs(outbox: Outbox) -> None:
    greedy, patient = new_id(), new_id()
    await outbox.fill(2_000, "ready", owner=greedy)
    await outbox.publish(owner=patient, times=5)
    async with outbox.database.system(SETTINGS) as tx:
        before = await rows_read(tx)
        claimed = await claim(tx, "a", "documents", 4, NOBODY, DeliveryLease(), Shares(2, {greedy: 0}))
        assert Counter(delivery.lane for delivery in claimed) == {patient: 2}
        claimed += await claim(tx, "a", "documents", 4, NOBODY, DeliveryLease(), Shares(2, {greedy: 1}))
        assert Counter(delivery.lane for delivery in claimed) == {patient: 4, greedy: 1}
        assert await rows_read(tx) - before < 100


async def test_a_failure_is_tried_again_and_its_reason_is_kept(outbox: Outbox, functions: Functions, dispatching: StartDispatcher) -> None:
    functions.answer("work", (500, "ValueError: the store is away"))
    await outbox.publish()
    async with dispatching():
        await until(lambda: len(functions.calls) == 1)
        await outbox.until_all_are("done")
    row = await outbox.one()
    assert row["attempts"] == 2
    assert row["last_error"] == "500 ValueError: the store is away"


@pytest.mark.parametrize("status", [401, 403, 404, 422, 429, 500, 503])
async def test_every_refusal_that_is_no_rejection_is_tried_again(
    outbox: Outbox, functions: Functions, dispatching: StartDispatcher, status: int
) -> None:
    functions.answer("work", (status, "no"))
    await outbox.publish()
    # So many that the next one is due in minutes, however long this machine holds us up.
    await outbox.execute("UPDATE deliveries SET attempts = 6")
    async with dispatching():
        await outbox.until_all_are("waiting")
        row = await outbox.one()
        assert row["attempts"] == 7
        assert timedelta(minutes=4) < row["due_in"] < timedelta(minutes=8)
        await outbox.execute("UPDATE deliveries SET available_at = now()")
        await outbox.until_all_are("done")
    assert len(functions.calls) == 2


async def test_a_rejection_is_a_dead_letter_at_once(outbox: Outbox, functions: Functions, dispatching: StartDispatcher) -> None:
    functions.answer("work", web.Response(status=422, text="no such document", headers={"X-DocuVault-Rejected": "1"}))
    await outbox.publish()
    async with dispatching():
        await outbox.until_all_are("dead")
    row = await outbox.one()
    assert (row["attempts"], row["last_error"]) == (1, "no such document")
    assert row["finished_at"] is not None


async def test_an_event_that_is_malformed_is_a_dead_letter_at_once(
    outbox: Outbox, functions: Functions, dispatching: StartDispatcher
) -> None:
    worker = httpx.AsyncClient(transport=httpx.ASGITransport(Worker(load_event_functions())), base_url="http://worker")

    async def hosted(headers: Mapping[str, str], body: Any) -> web.Response:
        answer = await worker.post("/extract-document", headers=headers, json=body)
        return web.Response(status=answer.status_code, text=answer.text, headers={REJECTED_HEADER: answer.headers[REJECTED_HEADER]})

    functions.handlers["extract-document"] = hosted
    await outbox.publish("extract_document", owner=new_id(), data={"document_id": "none"})
    await outbox.execute("UPDATE events SET type = 'document.stored'")
    async with worker, dispatching():
        await outbox.until_all_are("dead")
    row = await outbox.one()
    assert row["attempts"] == 1
    assert row["last_error"].startswith("the event is no DocumentStored: document_id: ")


async def test_the_last_attempt_that_fails_makes_a_dead_letter(outbox: Outbox, functions: Functions, dispatching: StartDispatcher) -> None:
    functions.answer("work", (500, "again"))
    await outbox.publish()
    await outbox.execute("UPDATE deliveries SET attempts = %(n)s", n=MAX_ATTEMPTS - 1)
    async with dispatching():
        await outbox.until_all_are("dead")
    assert len(functions.calls) == 1


async def test_data_that_cannot_be_signed_is_a_dead_letter(outbox: Outbox, functions: Functions, dispatching: StartDispatcher) -> None:
    await outbox.publish(data={"number": 2**60})
    async with dispatching():
        await outbox.until_all_are("dead")
    assert "canonical JSON" in (await outbox.one())["last_error"]
    assert functions.calls == []


async def test_a_function_that_takes_too_long_is_given_up_and_tried_again(
    outbox: Outbox, functions: Functions, dispatching: StartDispatcher
) -> None:
    release = functions.hold("work")
    await outbox.publish()
    async with dispatching(seconds=0.2):
        await until(lambda: len(functions.calls) == 2)
        release.set()
        await outbox.until_all_are("done")
    assert "took more than 0.2 seconds" in (await outbox.one())["last_error"]


def test_attempts_spread_over_hours_and_then_end() -> None:
    delays = [retry_delay(attempt, 0.5) for attempt in range(1, MAX_ATTEMPTS)]
    assert delays[:4] == [0.5, 1.5, 4.5, 13.5]
    assert 2 < sum(delay or 0 for delay in delays) / 3600 < 4
    assert retry_delay(MAX_ATTEMPTS) is None
    assert retry_delay(3, 0.0) == pytest.approx(4.5 * 0.75)
    assert retry_delay(3, 1.0) == pytest.approx(4.5 * 1.25)


async def test_an_unreachable_worker_costs_no_attempt_and_deliveries_go_on_as_soon_as_it_is_back(
    outbox: Outbox, functions: Functions, dispatching: StartDispatcher
) -> None:
    await functions.stop()
    await outbox.publish(times=30)
    async with dispatching():

        async def put_back() -> bool:
            return bool(await outbox.value("SELECT count(*) FROM deliveries WHERE last_error IS NOT NULL AND state = 'ready'"))

        await until(put_back)
        await functions.start()
        await outbox.until_all_are("done")
    assert await outbox.value("SELECT max(attempts) FROM deliveries") == 1
    assert len(functions.calls) == 30


async def test_a_service_that_is_not_deployed_holds_up_no_other(outbox: Outbox, functions: Functions, dispatching: StartDispatcher) -> None:
    port = functions.url.rpartition(":")[2]
    # Addresses, since what becomes of an unknown name, and when, is up to the machine's name servers.
    missing, deployed = "127.0.0.2", "127.0.0.1"
    await outbox.publish(missing, times=3)
    await outbox.publish(deployed, times=3)
    async with dispatching(template="http://{service}:" + port + "/work", concurrency=2):

        async def settled() -> bool:
            tried = await outbox.value(
                "SELECT count(*) FROM deliveries WHERE function = %(missing)s AND attempts > 0 AND state <> 'done'", missing=missing
            )
            return tried == 3 and (await outbox.states()).get("done") == 3

        await until(settled)
    assert len(functions.calls) == 3


async def test_queues_have_limits_of_their_own(outbox: Outbox, functions: Functions, dispatching: StartDispatcher) -> None:
    release = functions.hold("ocr")
    await outbox.publish("ocr", times=10)
    async with dispatching(concurrency=2):
        await until(lambda: len(functions.calls) == 2)
        await outbox.publish("mail", queue="email")
        await until(lambda: any(service == "mail" for service, _, _ in functions.calls))
        assert sum(service == "ocr" for service, _, _ in functions.calls) == 2
        release.set()
        await outbox.until_all_are("done")


async def test_a_lease_is_extended_while_the_function_runs(outbox: Outbox, functions: Functions, dispatching: StartDispatcher) -> None:
    release = functions.hold("work")
    await outbox.publish()
    # So long that none runs out while others on this machine hold us up; brokers look for such every second.
    async with dispatching(name="a", lease=DeliveryLease(60, 0.2)), dispatching(name="b", lease=DeliveryLease(60, 0.2)):
        await until(lambda: len(functions.calls) == 1)
        first = (await outbox.one())["lease_until"]

        async def long_after() -> bool:
            return bool((await outbox.one())["lease_until"] - first > timedelta(seconds=2.5))

        await until(long_after)
        release.set()
        await outbox.until_all_are("done")
    assert len(functions.calls) == 1


async def test_the_result_of_a_lost_lease_is_ignored(outbox: Outbox, functions: Functions, dispatching: StartDispatcher) -> None:
    release = functions.hold("work")
    await outbox.publish()
    async with dispatching(name="a", lease=DeliveryLease(30, 0.2)):
        await until(lambda: len(functions.calls) == 1)
        await outbox.execute("UPDATE deliveries SET leased_by = 'b', attempts = 2, lease_until = now() + interval '1 hour'")
        release.set()
    row = await outbox.one()
    assert (row["state"], row["leased_by"], row["attempts"]) == ("running", "b", 2)


async def test_an_expired_lease_is_taken_over(outbox: Outbox, functions: Functions, dispatching: StartDispatcher) -> None:
    await outbox.publish()
    await outbox.execute(
        "UPDATE deliveries SET state = 'running', leased_by = 'dead', attempts = 1, lease_until = now() - interval '1 second'"
    )
    async with dispatching():
        await outbox.until_all_are("done")
    assert (await outbox.one())["attempts"] == 2


async def test_a_delivery_whose_brokers_die_every_time_ends_as_a_dead_letter(outbox: Outbox, dispatching: StartDispatcher) -> None:
    await outbox.publish()
    await outbox.execute(
        "UPDATE deliveries SET state = 'running', leased_by = 'dead', attempts = %(n)s, lease_until = now() - interval '1 second'",
        n=MAX_ATTEMPTS,
    )
    async with dispatching():
        await outbox.until_all_are("dead")


async def test_two_brokers_never_run_a_delivery_at_the_same_time(
    outbox: Outbox, functions: Functions, dispatching: StartDispatcher
) -> None:
    running: set[str] = set()
    seen: Counter[str] = Counter()
    twice = False

    async def watch(headers: Mapping[str, str], body: Any) -> web.Response:
        nonlocal twice
        event = headers["ce-id"]
        twice = twice or event in running
        running.add(event)
        seen[event] += 1
        await asyncio.sleep(0.005)
        running.discard(event)
        return web.Response(status=500 if seen[event] == 1 and int(event[-1], 16) % 4 == 0 else 200)

    functions.handlers["work"] = watch
    for _ in range(10):
        await outbox.publish(owner=new_id(), times=30)
    async with dispatching(name="a", concurrency=10), dispatching(name="b", concurrency=10):
        await outbox.until_all_are("done")
    assert len(seen) == 300
    assert not twice
    assert all(times == (2 if int(event[-1], 16) % 4 == 0 else 1) for event, times in seen.items())


async def test_a_busy_broker_writes_its_results_together(outbox: Outbox, functions: Functions, dispatching: StartDispatcher) -> None:
    ends: list[float] = []

    async def quick(headers: Mapping[str, str], body: Any) -> web.Response:
        await asyncio.sleep(0.002 * (body["number"] % 7))
        ends.append(time.monotonic())
        return web.Response()

    functions.handlers["quick"] = quick
    await outbox.publish("quick", times=300, owner=new_id())
    database = CountedTransactions(outbox.url)
    async with dispatching(concurrency=8, database=database):
        await outbox.until_all_are("done")
        elapsed = ends[-1] - ends[0]
    await database.close()
    assert database.transactions < elapsed / GATHER_SECONDS + 25  # claims that were urgent, the first and the last ones


async def test_a_drain_lets_running_deliveries_finish_and_gives_back_the_rest(
    outbox: Outbox, functions: Functions, dispatching: StartDispatcher
) -> None:
    release = functions.hold("work")
    await outbox.publish(times=6)
    async with dispatching(concurrency=2) as running:
        await until(lambda: len(functions.calls) == 2)
        draining = asyncio.create_task(running.dispatcher.drain(seconds=10))
        release.set()
        await draining

        async def settled() -> bool:
            return await outbox.states() == {"done": 2, "ready": 4}

        await until(settled)
    assert await outbox.value("SELECT sum(attempts) FROM deliveries") == 2


async def test_a_busy_broker_is_woken_by_a_publisher_elsewhere(outbox: Outbox, functions: Functions, dispatching: StartDispatcher) -> None:
    from shared.db.listen import listen
    from shared.events import DELIVERIES_CHANNEL

    async with dispatching() as running:
        heard = asyncio.Event()

        def wake(queue: str) -> None:
            heard.set()
            running.dispatcher.wake(queue)

        listening = asyncio.create_task(listen(outbox.url, DELIVERIES_CHANNEL, wake))
        await asyncio.wait_for(heard.wait(), 60)
        elsewhere = Database(outbox.url)
        for number in range(3):
            heard.clear()
            await Outbox(elsewhere, outbox.url).publish()
            await asyncio.wait_for(heard.wait(), 60)
            await until(lambda: len(functions.calls) > number)  # noqa: B023  awaited at once
        await end([listening])
        await elsewhere.close()
