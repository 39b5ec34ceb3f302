"""list_deliveries, retry_delivery, list_schedules, run_schedule, get_stats, get_settings, update_settings."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from infra.broker import deliveries
from infra.broker.deliveries import DeliveryLease, DeliveryResult
from infra.gateway.app import Gateway
from shared.admin import schedules
from shared.clock import now
from shared.config import settings
from shared.db import Database
from shared.events import publish
from shared.events.catalogue import Tick
from shared.events.subscriptions import SCHEDULES
from shared.ids import new_id
from shared.time_budgets import DELIVERY_SECONDS
from tests.identity.browser import PASSWORD, Browser, new_address

DELIVERY = {"id", "event_type", "function", "queue", "state", "attempts", "last_error", "created_at", "available_at"}
SCHEDULE = {"name", "schedule", "last_run_at", "last_duration_ms", "last_outcome", "next_run_at"}


async def _made(db: Database, state: str, *, name: str = "purge_trash", error: str | None = None) -> str:
    """A delivery that has come so far."""
    async with db.system() as tx:
        event_id = await publish(tx, Tick(name=name, tick=now()))
        await tx.execute(
            """
            UPDATE deliveries SET state = %(state)s, attempts = 12, last_error = %(error)s, finished_at = now() WHERE event_id = %(event)s
            """,
            {"state": state, "error": error, "event": event_id},
        )
        return str(await tx.fetch_value("SELECT id FROM deliveries WHERE event_id = %(event)s", {"event": event_id}))


async def _listed(admin: Browser, **query: Any) -> list[dict[str, Any]]:
    response = await admin.get("/api/admin/deliveries", params=query)
    assert response.status_code == 200, response.text
    items: list[dict[str, Any]] = response.json()["items"]
    return items


async def test_dead_letters_are_listed_newest_first(admin: Browser, own_instance: Database) -> None:
    dead = [await _made(own_instance, "dead", error="ValueError: no") for _ in range(3)]
    done = await _made(own_instance, "done")
    items = await _listed(admin, state="dead")
    assert [item["id"] for item in items] == dead[::-1]
    assert set(items[0]) == DELIVERY
    assert (items[0]["function"], items[0]["event_type"], items[0]["queue"]) == ("purge_trash", "schedule.purge_trash", "system")
    assert (items[0]["last_error"], items[0]["attempts"]) == ("ValueError: no", 12)
    assert [item["id"] for item in await _listed(admin)] == [done, *dead[::-1]]
    first = (await admin.get("/api/admin/deliveries", params={"state": "dead", "limit": 2})).json()
    rest = await _listed(admin, state="dead", limit=2, cursor=first["next_cursor"])
    assert [item["id"] for item in [*first["items"], *rest]] == dead[::-1]
    other = await admin.get("/api/admin/deliveries", params={"state": "done", "cursor": first["next_cursor"]})
    assert (other.status_code, other.json()["code"]) == (422, "invalid_cursor")
    for wrong in ("'; DROP TABLE users; --", "lost", ""):
        assert (await admin.get("/api/admin/deliveries", params={"state": wrong})).status_code == 422


async def test_a_dead_letter_is_tried_again_once_however_often_it_is_asked_for(admin: Browser, own_instance: Database) -> None:
    delivery_id = await _made(own_instance, "dead", error="ValueError: no")
    results = await asyncio.gather(*(admin.post(f"/api/admin/deliveries/{delivery_id}/retry") for _ in range(3)))
    assert {result.status_code for result in results} == {202}
    assert {(result.json()["state"], result.json()["attempts"]) for result in results} == {("ready", 0)}
    logged = (await admin.get("/api/admin/audit", params={"action": "admin:delivery_retried"})).json()["items"]
    assert [(line["target"], line["detail"]["function"]) for line in logged] == [(delivery_id, "purge_trash")]
    async with own_instance.system() as tx:
        (claimed,) = await deliveries.claim(tx, "broker", "system", 5, UUID(int=0), DeliveryLease())
    assert (str(claimed.id), claimed.attempt) == (delivery_id, 1)


async def test_what_was_delivered_is_not_delivered_again(admin: Browser, own_instance: Database) -> None:
    delivery_id = await _made(own_instance, "done")
    refused = await admin.post(f"/api/admin/deliveries/{delivery_id}/retry")
    assert (refused.status_code, refused.json()["code"]) == (409, "delivery_done")
    missing = await admin.post(f"/api/admin/deliveries/{new_id()}/retry")
    assert (missing.status_code, missing.json()["code"]) == (404, "not_found")


async def test_a_list_of_the_dead_does_not_read_what_was_done(own_instance: Database) -> None:
    async with own_instance.system() as tx:
        rows = await tx.connection.execute(
            """
            EXPLAIN SELECT id FROM deliveries WHERE state = 'dead' AND id < 'ffffffff-ffff-ffff-ffff-ffffffffffff' ORDER BY id DESC LIMIT 50
            """
        )
        plan = "\n".join(row[0] for row in await rows.fetchall())
    assert "deliveries_dead" in plan


async def test_every_schedule_says_when_it_is_due(admin: Browser, own_instance: Database) -> None:
    response = await admin.get("/api/admin/schedules")
    items = response.json()["items"]
    assert [item["name"] for item in items] == sorted(SCHEDULES)
    assert set(items[0]) == SCHEDULE
    for item in items:
        assert item["schedule"] == SCHEDULES[item["name"]]
        assert datetime.fromisoformat(item["next_run_at"]) > now()
        assert (item["last_run_at"], item["last_duration_ms"], item["last_outcome"]) == (None, None, None)


@pytest.mark.parametrize(("state", "outcome"), [("done", "done"), ("dead", "failed"), ("waiting", "failed")])
async def test_a_schedule_tells_of_its_last_run(admin: Browser, own_instance: Database, state: Any, outcome: str) -> None:
    started = await admin.post("/api/admin/schedules/prune_expired/run")
    assert (started.status_code, started.json()["last_run_at"]) == (202, None)
    async with own_instance.system() as tx:
        (delivery,) = await deliveries.claim(tx, "broker", "system", 5, UUID(int=0), DeliveryLease())
    assert delivery.function == "prune_expired"
    running = await _schedule(admin, "prune_expired")
    assert (running["last_outcome"], running["last_duration_ms"]) == ("running", None)
    async with own_instance.system() as tx:
        await deliveries.finish(tx, "broker", [DeliveryResult(delivery, state, delay=60)])
    last = await _schedule(admin, "prune_expired")
    assert last["last_outcome"] == outcome
    assert datetime.fromisoformat(last["last_run_at"]) > now() - timedelta(minutes=5)
    assert (last["last_duration_ms"] is None) == (state == "waiting")


async def _schedule(admin: Browser, name: str) -> dict[str, Any]:
    items = (await admin.get("/api/admin/schedules")).json()["items"]
    return next(dict(item) for item in items if item["name"] == name)


async def test_a_schedule_that_waits_to_run_is_not_queued_again(admin: Browser, own_instance: Database) -> None:
    results = await asyncio.gather(*(admin.post("/api/admin/schedules/purge_trash/run") for _ in range(4)))
    assert {result.status_code for result in results} == {202}
    assert len(await _listed(admin, state="ready")) == 1
    logged = (await admin.get("/api/admin/audit", params={"action": "admin:schedule_run"})).json()["items"]
    assert {line["target"] for line in logged} == {"purge_trash"}
    for name in ("nothing", "send_email", "..%2fpurge_trash", str(new_id())):
        missing = await admin.post(f"/api/admin/schedules/{name}/run")
        assert (missing.status_code, missing.json()["code"]) == (404, "not_found")


def test_the_next_run_is_the_next_tick() -> None:
    moment = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
    assert schedules.next_tick("0 0 * * *", moment) == datetime(2026, 2, 1, tzinfo=UTC)
    assert schedules.next_tick("*/30 * * * *", moment) == moment + timedelta(minutes=30)


async def test_the_system_in_numbers(admin: Browser, own_instance: Database) -> None:
    await _made(own_instance, "dead")
    await _made(own_instance, "ready")
    numbers = (await admin.get("/api/admin/stats")).json()
    assert set(numbers) == {"users", "documents", "bytes", "queues"}
    assert (numbers["users"], numbers["documents"], numbers["bytes"]) == (1, 0, 0)
    assert [queue["queue"] for queue in numbers["queues"]] == list(DELIVERY_SECONDS)
    system = next(queue for queue in numbers["queues"] if queue["queue"] == "system")
    assert set(system) == {"queue", "ready", "running", "dead", "oldest_seconds"}
    assert (system["ready"], system["running"], system["dead"]) == (1, 0, 1)
    assert system["oldest_seconds"] >= 0
    assert all(queue["ready"] == queue["dead"] == 0 for queue in numbers["queues"] if queue["queue"] != "system")


async def test_settings_are_those_of_the_environment_until_an_admin_sets_them(admin: Browser, app: Gateway) -> None:
    before = (await admin.get("/api/admin/settings")).json()
    assert set(before) == {"registration", "default_quota", "max_document_size", "ai"}
    assert (before["registration"], before["default_quota"]) == ("open", settings().default_quota)
    assert before["max_document_size"] == settings().max_document_size
    changed = await admin.put("/api/admin/settings", json={"registration": "closed", "default_quota": 1000, "max_document_size": 500})
    assert changed.status_code == 200, changed.text
    assert changed.json() == before | {"registration": "closed", "default_quota": 1000, "max_document_size": 500}
    (line,) = (await admin.get("/api/admin/audit", params={"action": "admin:settings_updated"})).json()["items"]
    assert line["detail"] == {"registration": "closed", "default_quota": 1000, "max_document_size": 500}
    stranger = await Browser(app=app).post("/api/auth/register", json={"email": new_address(), "password": PASSWORD})
    assert (stranger.status_code, stranger.json()["code"]) == (403, "registration_closed")
    assert (await admin.put("/api/admin/settings", json={"registration": "open"})).json()["default_quota"] == 1000


async def test_the_limits_that_an_admin_sets_hold_for_uploads(admin: Browser, own_instance: Database) -> None:
    await admin.put("/api/admin/settings", json={"default_quota": 1000, "max_document_size": 500})
    assert (await admin.get("/api/account/usage")).json()["bytes_quota"] == 1000

    async def upload(size: int) -> tuple[int, str]:
        response = await admin.post("/api/documents", json={"filename": "a.txt", "size": size, "content_type": "text/plain"})
        return response.status_code, response.json().get("code", "")

    assert await upload(501) == (413, "document_too_large")
    assert await upload(500) == (201, "")
    assert await upload(500) == (201, "")
    assert await upload(1) == (403, "quota_exceeded")
    streamed = await admin.post("/api/documents/upload", files={"file": ("a.txt", b"x" * 501, "text/plain")})
    assert (streamed.status_code, streamed.json()["code"]) == (413, "document_too_large")
    # Above the environment's, too: that holds only until an admin says something else.
    larger = settings().max_document_size + 1
    await admin.put("/api/admin/settings", json={"default_quota": 2**50, "max_document_size": larger})
    assert await upload(larger) == (201, "")
    assert await upload(larger + 1) == (413, "document_too_large")


@pytest.mark.parametrize(
    "change", [{"registration": "ajar"}, {"default_quota": -1}, {"default_quota": "5 GiB"}, {"max_document_size": 2**61}]
)
async def test_a_setting_that_does_not_fit_changes_nothing(admin: Browser, change: dict[str, Any]) -> None:
    before = (await admin.get("/api/admin/settings")).json()
    refused = await admin.put("/api/admin/settings", json=change)
    assert (refused.status_code, refused.json()["code"]) == (422, "validation_failed")
    assert (await admin.get("/api/admin/settings")).json() == before
