"""update_account, list_security_events, delete_account and delete_account_data; the first admin."""

import asyncio
import os
from uuid import UUID

import psycopg
import pytest

from shared.audit import chain
from shared.config import read_settings, settings
from shared.db import Database
from shared.identity import bootstrap
from shared.ids import new_id
from shared.storage import object_store
from tests import accounts
from tests.audit.sealing import seal_all
from tests.identity.authenticator import challenge, enrol
from tests.identity.browser import Browser, Person, new_address, new_person
from tests.identity.waiting import until_others_wait


@pytest.fixture
async def person(db: Database) -> Person:
    return await new_person()


async def test_the_display_name_changes_and_nothing_else_does(person: Person) -> None:
    answer = await person.browser.patch("/api/account", json={"display_name": "Ada Lovelace"})
    assert answer.status_code == 200
    assert answer.json()["display_name"] == "Ada Lovelace"
    assert (await person.browser.patch("/api/account", json={"display_name": None})).json()["display_name"] is None
    for extra in ({"role": "admin"}, {"id": str(new_id())}, {"email": "x@example.org"}, {"bytes_quota": 1}, {"second_factor": True}):
        refused = await person.browser.patch("/api/account", json={"display_name": "x", **extra})
        assert (refused.status_code, refused.json()["code"]) == (422, "validation_failed")
    assert (await person.browser.patch("/api/account", json={})).status_code == 422
    assert (await person.browser.patch("/api/account", json={"display_name": "a\u0000b"})).status_code == 422


async def test_documents_are_kept_here_where_nothing_else_is_connected(person: Person) -> None:
    here = await person.browser.put("/api/account/storage", json={"connection_id": None})
    assert (here.status_code, here.json()["storage_connection_id"]) == (200, None)
    assert here.json() == (await person.browser.get("/api/account")).json()
    nobodys = await person.browser.put("/api/account/storage", json={"connection_id": str(new_id())})
    assert (nobodys.status_code, nobodys.json()["code"]) == (404, "not_found")
    for body in ({}, {"connection_id": "x"}, {"connection_id": None, "role": "admin"}):
        assert (await person.browser.put("/api/account/storage", json=body)).status_code == 422


async def test_one_sees_what_happened_to_the_account(person: Person) -> None:
    await Browser("198.51.100.3", user_agent="Stranger").login(person.email, "wrong password!")
    events = (await person.browser.get("/api/account/security-events")).json()
    actions = [(item["action"], item["outcome"]) for item in events["items"]]
    assert actions == [("session:login", "failure"), ("session:login", "success"), ("account:register", "success")]
    failure = events["items"][0]
    assert set(failure) == {"id", "at", "actor", "action", "target", "outcome", "ip", "user_agent", "detail"}
    assert (failure["ip"], failure["user_agent"], failure["actor"]) == ("198.51.100.3", "Stranger", None)
    page = (await person.browser.get("/api/account/security-events", params={"limit": 2})).json()
    rest = (await person.browser.get("/api/account/security-events", params={"limit": 2, "cursor": page["next_cursor"]})).json()
    assert [item["id"] for item in page["items"] + rest["items"]] == [item["id"] for item in events["items"]]
    assert rest["next_cursor"] is None


async def test_others_do_not_see_it(person: Person) -> None:
    stranger = await new_person()
    mine = {item["id"] for item in (await person.browser.get("/api/account/security-events")).json()["items"]}
    theirs = {item["id"] for item in (await stranger.browser.get("/api/account/security-events")).json()["items"]}
    assert not mine & theirs


async def _document(db: Database, owner: UUID, *, uploading: bool = False) -> tuple[str, str]:
    document_id, key = new_id(), f"{owner}/{new_id()}/{new_id()}.txt"
    thumbnail = f".derived/{owner}/{document_id}/1.webp"
    async with db.tenant(owner) as tx:
        await tx.execute(
            """
            INSERT INTO documents (id, owner_id, filename, title, size, content_type, status, object_key, thumbnail_key)
            VALUES (%(id)s, %(owner)s, 'a.txt', 'a', 5, 'text/plain', %(status)s, %(key)s, %(thumbnail)s)
            """,
            {
                "id": document_id,
                "owner": owner,
                "status": "uploading" if uploading else "ready",
                "key": key,
                "thumbnail": thumbnail,
            },
        )
    await object_store().put(key, b"hello", content_type="text/plain")
    await object_store().put(thumbnail, b"image", content_type="image/webp")
    return key, thumbnail


async def test_a_deleted_account_is_closed_at_once_and_gone_soon(person: Person, db: Database) -> None:
    owner = UUID(person.id)
    keys = [key for uploading in (False, True) for key in await _document(db, owner, uploading=uploading)]
    token = (await person.browser.post("/api/auth/tokens", json={"name": "x", "scopes": ["account:read"]})).json()["token"]
    program = Browser()
    program.headers["authorization"] = f"Bearer {token}"
    assert (await program.get("/api/account")).status_code == 200
    wrong = await person.browser.post("/api/account/delete", json={"password": "wrong password!"})
    assert (wrong.status_code, wrong.json()["code"]) == (401, "invalid_credentials")
    cookie = person.browser.cookie
    gone = await person.browser.post("/api/account/delete", json={"password": person.password})
    assert gone.status_code == 202
    assert (await person.browser.get("/api/account")).status_code == 401
    assert (await program.get("/api/account")).status_code == 401
    refreshed = await Browser().post("/api/auth/refresh", headers={"cookie": f"docuvault_refresh={cookie}"})
    assert refreshed.status_code == 401
    assert (await Browser().login(person.email, person.password)).status_code == 401

    # The address is free again, and the log has forgotten it.
    assert (await Browser().post("/api/auth/register", json={"email": person.email, "password": "an all new password"})).status_code == 202
    assert (await Browser().login(person.email, "an all new password")).json()["user"]["id"] != person.id

    await accounts.erase(owner)
    await accounts.erase(owner)
    assert [await object_store().stat(key) for key in keys] == [None] * 4
    async with db.system() as tx:
        assert await tx.fetch_value("SELECT count(*) FROM users WHERE id = %s", (owner,)) == 0
        for table in ("documents", "account_usage"):
            assert await tx.fetch_value(f"SELECT count(*) FROM {table} WHERE owner_id = %s", (owner,)) == 0
        for table in ("sessions", "api_tokens"):
            assert await tx.fetch_value(f"SELECT count(*) FROM {table} WHERE user_id = %s", (owner,)) == 0
        assert await tx.fetch_value("SELECT count(*) FROM audit_lines WHERE owner_id = %s", (owner,)) > 0
        assert await tx.fetch_value("SELECT count(*) FROM audit_personal WHERE owner_id = %s", (owner,)) == 0
        assert await tx.fetch_value("SELECT count(*) FROM upload_tombstones WHERE owner_id = %s", (owner,)) == 1
    await seal_all(db, owner)
    async with db.system() as tx:
        assert (await chain.verify(tx)).ok


async def _rows_that_name(db: Database, *texts: str) -> dict[str, int]:
    """How many rows of which tables hold one of these texts, in any column."""
    found = {}
    async with db.system() as tx:
        names = await tx.fetch_value(
            """
            SELECT array_agg(relname::text) FROM pg_class
            WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND has_table_privilege('docuvault_system', oid, 'SELECT')
            """
        )
        for name in names:
            count = await tx.fetch_value(
                f"SELECT count(*) FROM {name} AS t WHERE lower(t::text) LIKE ANY (%(texts)s)",
                {"texts": [f"%{text.lower()}%" for text in texts]},
            )
            if count:
                found[name] = count
    return found


async def test_nothing_of_a_deleted_account_is_left_in_any_table_but_lines_without_a_person(db: Database) -> None:
    person = await new_person(address="203.0.113.61")
    owner = UUID(person.id)
    await person.browser.patch("/api/account", json={"display_name": f"Name of {person.id}"})
    await enrol(db, person)
    await person.browser.post("/api/auth/tokens", json={"name": "x", "scopes": ["account:read"]}, headers={"idempotency-key": person.id})
    await Browser().post("/api/auth/password/forgot", json={"email": person.email})
    await Browser().login(person.email.upper(), "wrong password!")
    await Browser().second_factor(await challenge(person, Browser()), code="no code")
    await _document(db, owner)
    assert len(await _rows_that_name(db, person.id, person.email)) > 10
    assert (await person.browser.post("/api/account/delete", json={"password": person.password})).status_code == 202
    # At once nothing says whose address it was.
    assert await _rows_that_name(db, person.email) == {}
    await accounts.erase(owner)
    # What happened, and what is still to be delivered, names a number that belongs to nobody any more.
    assert set(await _rows_that_name(db, person.id)) <= {"audit_lines", "events", "deliveries"}
    async with db.system() as tx:
        assert await tx.fetch_value("SELECT count(*) FROM audit_personal WHERE owner_id = %s", (owner,)) == 0
        told = await tx.fetch_value("SELECT string_agg(data::text, ' ') FROM events WHERE owner_id = %s", (owner,))
    assert person.email not in told
    assert "Name of" not in told


async def test_a_document_that_joins_while_the_account_is_erased_goes_too(person: Person, db: Database) -> None:
    owner = UUID(person.id)
    await person.browser.post("/api/account/delete", json={"password": person.password})
    key = f"{owner}/{new_id()}/{new_id()}.txt"
    await object_store().put(key, b"hello", content_type="text/plain")
    async with db.system() as joining:
        # An upload that began before the account was closed.
        await joining.execute(
            """
            INSERT INTO documents (id, owner_id, filename, title, size, content_type, status, object_key)
            VALUES (%(id)s, %(owner)s, 'a.txt', 'a', 5, 'text/plain', 'stored', %(key)s)
            """,
            {"id": new_id(), "owner": owner, "key": key},
        )
        erasing = asyncio.create_task(accounts.erase(owner))
        await until_others_wait(db, joining, 1)
    await erasing
    assert await object_store().stat(key) is None
    async with db.system() as tx:
        assert await tx.fetch_value("SELECT count(*) FROM users WHERE id = %s", (owner,)) == 0


async def test_a_living_account_is_not_erased(person: Person, db: Database) -> None:
    await accounts.erase(UUID(person.id))
    assert (await person.browser.get("/api/account")).status_code == 200


async def test_deletion_wakes_its_function(person: Person, db: Database) -> None:
    await person.browser.post("/api/account/delete", json={"password": person.password})
    async with db.system() as tx:
        function = await tx.fetch_value(
            "SELECT function FROM deliveries JOIN events ON events.id = event_id WHERE subject = %s AND type = 'account.deleted'",
            (person.id,),
        )
    assert function == "delete_account_data"


async def test_the_first_admin_is_made_once(own_instance: Database, caplog: pytest.LogCaptureFixture) -> None:
    email, password = new_address(), "the very first admin"
    config = read_settings(os.environ | {"ADMIN_EMAIL": email, "ADMIN_PASSWORD": password})
    assert await bootstrap.ensure_admin(own_instance, config)
    assert not await bootstrap.ensure_admin(own_instance, config)
    admin = Browser()
    assert (await admin.login(email, password)).json()["user"]["role"] == "admin"
    # Changed later: nothing happens, and it is said.
    other = new_address()
    changed = read_settings(os.environ | {"ADMIN_EMAIL": other, "ADMIN_PASSWORD": "another password here"})
    assert not await bootstrap.ensure_admin(own_instance, changed)
    assert "ADMIN_EMAIL is ignored" in caplog.text
    assert password not in caplog.text
    assert (await Browser().login(other, "another password here")).status_code == 401
    # Also where the password alone is changed.
    caplog.set_level("INFO")
    renewed = read_settings(os.environ | {"ADMIN_EMAIL": email, "ADMIN_PASSWORD": "another password here"})
    assert not await bootstrap.ensure_admin(own_instance, renewed)
    assert "ADMIN_PASSWORD is not looked at any more" in caplog.text
    assert (await Browser("203.0.113.8").login(email, "another password here")).status_code == 401


async def test_once_the_first_admin_is_deleted_there_is_no_second_first_one_and_no_address(own_instance: Database) -> None:
    email, password = new_address(), "the very first admin"
    config = read_settings(os.environ | {"ADMIN_EMAIL": email, "ADMIN_PASSWORD": password})
    other = await new_person()
    async with own_instance.system() as tx:
        await tx.execute("UPDATE users SET role = 'admin' WHERE id = %s", (other.id,))
    assert await bootstrap.ensure_admin(own_instance, config)
    admin = Browser()
    await admin.login(email, password)
    assert (await admin.post("/api/account/delete", json={"password": password})).status_code == 202
    assert await _rows_that_name(own_instance, email) == {}
    assert not await bootstrap.ensure_admin(own_instance, config)
    assert (await Browser().login(email, password)).status_code == 401


async def test_whoever_took_the_admins_address_is_not_made_admin(own_instance: Database) -> None:
    person = await new_person()
    config = read_settings(os.environ | {"ADMIN_EMAIL": person.email, "ADMIN_PASSWORD": "the very first admin"})
    assert not await bootstrap.ensure_admin(own_instance, config)
    assert (await Browser().login(person.email, person.password)).json()["user"]["role"] == "user"
    assert settings().admin_email == ""


async def test_the_last_admin_cannot_leave(own_instance: Database) -> None:
    admin = await new_person()
    async with own_instance.system() as tx:
        await tx.execute("UPDATE users SET role = 'admin' WHERE id = %s", (admin.id,))
    refused = await admin.browser.post("/api/account/delete", json={"password": admin.password})
    assert (refused.status_code, refused.json()["code"]) == (409, "last_admin")
    assert (await admin.browser.get("/api/account")).status_code == 200


async def test_the_first_admin_is_made_also_where_postgresql_comes_later(db: Database) -> None:
    from shared.errors import Unavailable

    tries: list[str] = []
    stop = asyncio.Event()

    async def flaky(_: Database, __: object) -> bool:
        tries.append("once more")
        if len(tries) < 3:
            raise Unavailable if len(tries) == 1 else psycopg.errors.UndefinedTable
        stop.set()
        return True

    await bootstrap.see_to_admin(db, settings(), stop, ensure=flaky, retry_seconds=0.01)
    assert len(tries) == 3
