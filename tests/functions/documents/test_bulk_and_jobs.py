"""Bulk actions, jobs, purge, empty trash and reprocess as a client meets them."""

from typing import Any
from uuid import UUID, uuid4

import pytest

from shared.db import Database, TenantDatabase
from shared.documents import bulk
from tests.functions.documents.conftest import Person

JOB_MEMBERS = {"id", "kind", "state", "total", "done", "failed", "created_at", "finished_at"}


async def _run(person: Person, db: Database, job_id: str) -> dict[str, Any]:
    await bulk.run_slice(TenantDatabase(db, person.owner), UUID(job_id), 0)
    job: dict[str, Any] = (await person.ask("GET", f"/api/jobs/{job_id}")).json()
    return job


async def test_bulk_by_ids_answers_with_what_was_done_and_what_was_not(person: Person, another: Person) -> None:
    mine, theirs = await person.upload(b"mine"), await another.upload(b"theirs")
    answer = await person.ask("POST", "/api/documents/bulk", json={"ids": [theirs["id"], mine["id"]], "action": "trash"})
    assert (answer.status, answer.json()) == (200, {"done": [mine["id"]], "failed": [{"id": theirs["id"], "code": "not_found"}]})
    assert (await person.ask("GET", f"/api/documents/{mine['id']}")).json()["trashed_at"] is not None
    assert (await another.ask("GET", f"/api/documents/{theirs['id']}")).json()["trashed_at"] is None


async def test_bulk_by_a_filter_is_a_job_that_is_listed_and_looked_at(person: Person, another: Person, db: Database) -> None:
    await person.upload(b"one")
    kept = await person.upload(b"two")
    asked = {"filter": {"status": ["stored"]}, "except": [kept["id"]], "action": "trash"}
    answer = await person.ask("POST", "/api/documents/bulk", json=asked)
    assert (answer.status, answer.json().keys()) == (202, JOB_MEMBERS)
    job_id = answer.json()["id"]
    assert (answer.json()["kind"], answer.json()["state"]) == ("bulk", "running")
    job = await _run(person, db, job_id)
    assert (job["state"], job["total"], job["done"], job["failed"]) == ("done", 1, 1, [])
    assert (await person.ask("GET", "/api/jobs")).json() == {"items": [job], "next_cursor": None}
    assert (await person.ask("DELETE", f"/api/jobs/{job_id}")).json() == job
    assert (await another.ask("GET", f"/api/jobs/{job_id}")).code == "not_found"
    assert (await another.ask("DELETE", f"/api/jobs/{job_id}")).code == "not_found"
    assert (await another.ask("GET", "/api/jobs")).json()["items"] == []


async def test_jobs_come_page_by_page_and_a_tampered_cursor_is_refused(person: Person, another: Person) -> None:
    made = [(await person.ask("POST", "/api/documents/bulk", json={"filter": {}, "action": "trash"})).json()["id"] for _ in range(3)]
    first = (await person.ask("GET", "/api/jobs?limit=2")).json()
    rest = (await person.ask("GET", f"/api/jobs?limit=2&cursor={first['next_cursor']}")).json()
    assert [job["id"] for job in first["items"] + rest["items"]] == made[::-1]
    for who, cursor in ((person, first["next_cursor"][:-2] + "xx"), (another, first["next_cursor"]), (person, "nonsense")):
        assert (await who.ask("GET", f"/api/jobs?cursor={cursor}")).code == "invalid_cursor"


async def test_the_sixth_job_at_once_is_told_to_wait(person: Person) -> None:
    answers = [await person.ask("POST", "/api/documents/bulk", json={"filter": {}, "action": "restore"}) for _ in range(6)]
    assert [answer.status for answer in answers] == [202] * 5 + [429]
    assert answers[-1].header("retry-after") is not None


async def test_an_idempotency_key_begins_one_job(person: Person) -> None:
    headers = {"idempotency-key": str(uuid4())}
    asked = {"filter": {}, "action": "restore"}
    first, again = [await person.ask("POST", "/api/documents/bulk", json=asked, headers=headers) for _ in range(2)]
    assert (again.status, again.json()["id"]) == (202, first.json()["id"])
    assert len((await person.ask("GET", "/api/jobs")).json()["items"]) == 1


async def test_purge_answers_as_the_contract_says(person: Person, another: Person) -> None:
    document = await person.upload(b"a letter")
    path = f"/api/documents/{document['id']}"
    refused = await person.ask("DELETE", f"{path}/permanent")
    assert (refused.status, refused.code) == (409, "not_in_trash")
    await person.ask("DELETE", path)
    assert (await another.ask("DELETE", f"{path}/permanent")).code == "not_found"
    assert (await person.ask("DELETE", f"{path}/permanent")).status == 202
    for method, ending in (
        ("GET", ""),
        ("DELETE", ""),
        ("POST", "/restore"),
        ("DELETE", "/permanent"),
        ("GET", "/text"),
        ("POST", "/reprocess"),
    ):
        assert (await person.ask(method, f"{path}{ending}")).code == "not_found", (method, ending)
    assert (await person.ask("PATCH", path, json={"title": "x"})).code == "not_found"


async def test_the_trash_is_emptied(person: Person, another: Person) -> None:
    gone, kept, theirs = await person.upload(b"one"), await person.upload(b"two"), await another.upload(b"three")
    await person.ask("DELETE", f"/api/documents/{gone['id']}")
    await another.ask("DELETE", f"/api/documents/{theirs['id']}")
    assert (await person.ask("DELETE", "/api/documents/trash")).status == 202
    assert (await person.ask("GET", f"/api/documents/{gone['id']}")).code == "not_found"
    assert (await person.ask("GET", f"/api/documents/{kept['id']}")).status == 200
    assert (await another.ask("GET", f"/api/documents/{theirs['id']}")).status == 200
    assert (await person.ask("DELETE", "/api/documents/trash")).status == 202


async def test_reprocess_begins_a_new_revision_and_history_keeps_both(person: Person, another: Person, db: Database) -> None:
    document = await person.upload(b"a letter")
    path = f"/api/documents/{document['id']}"
    async with db.tenant(person.owner) as tx:
        await tx.execute("UPDATE documents SET status = 'ready' WHERE id = %s", (document["id"],))
    assert (await another.ask("POST", f"{path}/reprocess")).code == "not_found"
    answer = await person.ask("POST", f"{path}/reprocess")
    assert (answer.status, answer.json()["status"]) == (202, "stored")
    steps = (await person.ask("GET", f"{path}/history")).json()["items"]
    assert all(step["duration_ms"] is not None for step in steps if step["state"] != "running")
    created = (await person.ask("POST", "/api/documents", json={"filename": "a", "size": 5, "content_type": "text/plain"})).json()
    refused = await person.ask("POST", f"/api/documents/{created['document']['id']}/reprocess")
    assert (refused.status, refused.code) == (409, "upload_incomplete")


@pytest.mark.parametrize(
    "body",
    [{}, {"action": "trash"}, {"ids": [], "filter": {}, "action": "trash"}, {"filter": {"q": "topic:Nowhere"}, "action": "trash"}],
    ids=str,
)
async def test_a_bulk_request_that_makes_no_sense_is_refused(person: Person, body: dict[str, Any]) -> None:
    refused = await person.ask("POST", "/api/documents/bulk", json=body)
    assert (refused.status, refused.code) == (422, "validation_failed")
