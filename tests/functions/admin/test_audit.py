"""list_audit_log, list_audit_exports, download_audit_export, verify_audit_log, and the schedule that makes the daily_exports."""

import json
import os
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from infra import functions
from infra.gateway.app import Gateway
from shared.audit import daily_exports
from shared.clock import now
from shared.config import read_settings
from shared.db import Database
from shared.events.catalogue import Tick
from shared.faas.declarations import ENDPOINTS, EVENT_FUNCTIONS
from shared.faas.routing import Router
from shared.identity import bootstrap
from shared.ids import new_id
from tests.identity.browser import Browser, Person, new_address, new_person

AREAS = ("auth", "account", "admin")


@pytest.fixture(scope="module")
def app() -> Gateway:
    return Gateway(Router([ENDPOINTS[functions.load(path)] for path in functions.files() if path.parent.name in AREAS]))


@pytest.fixture
async def admin(own_instance: Database, app: Gateway) -> Browser:
    """The admin of a vault of this test's own."""
    email, password = new_address(), "the very first admin"
    assert await bootstrap.ensure_admin(own_instance, read_settings(os.environ | {"ADMIN_EMAIL": email, "ADMIN_PASSWORD": password}))
    browser = Browser(app=app)
    await browser.login(email, password)
    return browser


@pytest.fixture
async def person(admin: Browser) -> Person:
    return await new_person()


async def _items(browser: Browser, **query: Any) -> list[dict[str, Any]]:
    response = await browser.get("/api/admin/audit", params=query)
    assert response.status_code == 200, response.text
    items: list[dict[str, Any]] = response.json()["items"]
    return items


async def test_an_admin_sees_what_everybody_did(admin: Browser, person: Person) -> None:
    items = await _items(admin)
    assert set(items[0]) == {"id", "at", "actor", "action", "target", "outcome", "ip", "user_agent", "detail"}
    assert {"account:register", "session:login", "account:bootstrap_admin"} <= {item["action"] for item in items}
    assert [item["at"] for item in items] == sorted((item["at"] for item in items), reverse=True)


async def test_the_log_is_filtered_by_actor_action_and_time(admin: Browser, person: Person) -> None:
    mine = await _items(admin, actor=person.id)
    assert mine
    assert {item["actor"] for item in mine} == {person.id}
    assert {item["action"] for item in await _items(admin, action="session:login")} == {"session:login"}
    assert await _items(admin, actor=str(new_id())) == []
    everything = await _items(admin)
    middle = everything[1]["at"]
    assert [item["id"] for item in await _items(admin, after=middle)] == [item["id"] for item in everything[:2]]
    assert [item["id"] for item in await _items(admin, before=middle)] == [item["id"] for item in everything[2:]]
    assert await _items(admin, before="1969-01-01T00:00:00Z") == []
    assert len(await _items(admin, before="9999-12-31T23:59:59Z")) == len(everything)


async def test_pages_follow_one_another_and_a_cursor_belongs_to_its_filters(admin: Browser, person: Person) -> None:
    whole = await _items(admin)
    seen, cursor = [], None
    while True:
        query = {"limit": 2} | ({} if cursor is None else {"cursor": cursor})
        page = (await admin.get("/api/admin/audit", params=query)).json()
        seen += page["items"]
        if page["next_cursor"] is None:
            break
        cursor = page["next_cursor"]
    assert [item["id"] for item in seen] == [item["id"] for item in whole]
    other = await admin.get("/api/admin/audit", params={"limit": 2, "cursor": cursor, "action": "session:login"})
    assert (other.status_code, other.json()["code"]) == (422, "invalid_cursor")


async def test_nobody_else_sees_any_of_it(admin: Browser, app: Gateway) -> None:
    person = await new_person()
    browser = Browser(app=app)
    await browser.login(person.email, person.password)
    for method, path in (
        ("GET", "/api/admin/audit"),
        ("GET", "/api/admin/audit/exports"),
        ("GET", "/api/admin/audit/exports/2001-01-01"),
        ("POST", "/api/admin/audit/verify"),
    ):
        response = await browser.request(method, path)
        assert (response.status_code, response.json()["code"]) == (403, "forbidden")


async def test_an_export_is_listed_and_downloaded_as_it_is_in_the_store(admin: Browser, own_instance: Database) -> None:
    # A vault that is exported for tomorrow, too, so that today's lines are in a file: the day is far from those of other tests.
    today = now().date()
    made = await daily_exports.export_missing(own_instance, up_to=today)
    listed = (await admin.get("/api/admin/audit/exports")).json()["items"]
    assert [item["date"] for item in listed] == [day.isoformat() for day in reversed(made)]
    file = await admin.get(f"/api/admin/audit/exports/{listed[0]['date']}")
    assert (file.status_code, file.headers["content-type"]) == (200, "application/jsonl")
    assert len(file.content) == listed[0]["size"]
    lines = [json.loads(line) for line in file.text.splitlines()]
    assert len(lines) == listed[0]["lines"] + 1
    assert set(lines[-1]) == {"signature"}
    assert "admin:audit_export_downloaded" in {item["action"] for item in await _items(admin)}
    for wrong in ("2001-01-01", "today", "..%2f..", str(UUID(int=0))):
        missing = await admin.get(f"/api/admin/audit/exports/{wrong}")
        assert (missing.status_code, missing.json()["code"]) == (404, "not_found")


async def test_verifying_says_whether_the_log_holds_and_is_itself_logged(admin: Browser) -> None:
    response = await admin.post("/api/admin/audit/verify")
    assert response.status_code == 200
    assert set(response.json()) == {"ok", "checked", "first_bad"}
    (line, *_) = await _items(admin, action="admin:audit_verified")
    assert line["detail"]["checked"] == response.json()["checked"]


async def test_midnight_exports_the_day_that_ended(own_instance: Database, admin: Browser) -> None:
    functions.load(next(path for path in functions.files() if path.stem == "export_audit_log"))
    today = datetime.combine(now().date(), datetime.min.time(), UTC)
    await EVENT_FUNCTIONS["export_audit_log"].handler(Tick(name="export_audit_log", tick=today + timedelta(days=2)))
    listed = (await admin.get("/api/admin/audit/exports")).json()["items"]
    assert [item["date"] for item in listed][:2] == [(today + timedelta(days=1)).date().isoformat(), today.date().isoformat()]
