"""The document functions as a client meets them: statuses, shapes, problems."""

import asyncio
import hashlib
import json
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from shared.db import Database, TenantDatabase
from shared.documents import extract_step
from shared.faas.declarations import ENDPOINTS
from tests.documents.conftest import PDF
from tests.functions.documents.conftest import Person

LETTER = b"Dear heron, the waterworks send their invoice."
DOCUMENT_MEMBERS = {
    "id", "filename", "title", "size", "content_type", "status", "error", "warnings", "page_count", "language", "sha256",
    "issued_on", "sender", "notes", "topics", "ai_policy", "storage", "version", "created_at", "updated_at", "trashed_at",
}  # fmt: skip


async def test_create_answers_with_a_document_and_how_to_send_it(person: Person) -> None:
    asked = {"filename": "a.pdf", "size": 5, "content_type": "application/pdf", "sha256": "0" * 64}
    answer = await person.ask("POST", "/api/documents", json=asked)
    assert answer.status == 201
    created = answer.json()
    assert created["document"].keys() == DOCUMENT_MEMBERS
    assert created["document"]["storage"] == {"provider": "minio", "connection_id": None}
    assert created["upload"].keys() == {"method", "url", "headers", "expires_at"}
    assert created["upload"]["method"] == "single"


async def test_large_documents_are_sent_in_parts(person: Person) -> None:
    asked = {"filename": "a.pdf", "size": 100 * 2**20, "content_type": "application/pdf"}
    created = (await person.ask("POST", "/api/documents", json=asked)).json()
    assert created["upload"].keys() == {"method", "part_size", "part_count", "expires_at"}
    path = f"/api/documents/{created['document']['id']}/upload"
    signed = await person.ask("POST", f"{path}/parts", json={"numbers": [1, 2]})
    assert [item["number"] for item in signed.json()["items"]] == [1, 2]
    resumed = (await person.ask("GET", path)).json()
    assert resumed.keys() == {"method", "url", "headers", "expires_at", "part_size", "part_count", "parts"}
    assert (await person.ask("DELETE", path)).status == 204
    assert (await person.ask("GET", path)).status == 404


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"size": 0}, 422, "empty_document"),
        ({"size": 2**50}, 413, "document_too_large"),
        ({"content_type": "application/x-msdownload"}, 415, "unsupported_type"),
        ({"size": -1}, 422, "validation_failed"),
        ({"filename": ""}, 422, "validation_failed"),
        ({"sha256": "A" * 64}, 422, "validation_failed"),
        ({"owner_id": "x"}, 422, "validation_failed"),
    ],
)
async def test_what_cannot_be_is_refused_by_name(person: Person, changes: dict[str, object], status: int, code: str) -> None:
    asked = {"filename": "a.txt", "size": 5, "content_type": "text/plain"} | changes
    answer = await person.ask("POST", "/api/documents", json=asked)
    assert (answer.status, answer.code) == (status, code)


async def test_a_duplicate_names_the_document_that_is_there(person: Person) -> None:
    asked = {"filename": "a.txt", "size": 5, "content_type": "text/plain", "sha256": hashlib.sha256(b"hello").hexdigest()}
    first = (await person.ask("POST", "/api/documents", json=asked)).json()["document"]
    again = await person.ask("POST", "/api/documents", json=asked)
    assert (again.status, again.code, again.json()["document_id"]) == (409, "duplicate_document", first["id"])


async def test_a_document_from_upload_to_text(person: Person, db: Database) -> None:
    document = await person.upload(LETTER)
    path = f"/api/documents/{document['id']}"
    assert document["status"] == "stored"
    await extract_step.read(TenantDatabase(db, person.owner), UUID(document["id"]), 1)
    read = (await person.ask("GET", path)).json()
    assert read.keys() == DOCUMENT_MEMBERS
    assert read["status"] == "extracted"
    [page] = (await person.ask("GET", f"{path}/text")).json()["pages"]
    assert page["number"] == 1
    assert "waterworks" in page["text"]
    assert (await person.ask("GET", f"{path}/text?page=1")).json()["pages"] == [page]
    assert (await person.ask("GET", f"{path}/text?boxes=true")).json()["pages"] == [page], "nothing of it was recognised on a picture"
    assert page.keys() == {"number", "text", "width", "height", "confidence", "words"}
    assert (await person.ask("GET", f"{path}/text?page=2")).status == 404
    assert (await person.ask("GET", f"{path}/text?page=0")).status == 422
    download = (await person.ask("GET", f"{path}/download?disposition=inline")).json()
    assert download.keys() == {"url", "expires_at"}
    assert (await person.ask("GET", f"{path}/download?disposition=other")).status == 422
    history = (await person.ask("GET", f"{path}/history")).json()
    assert [step["step"] for step in history["items"]] == ["upload", "extract"]
    assert history["items"][0].keys() == {"step", "state", "attempts", "started_at", "duration_ms", "detail"}


async def test_a_thumbnail_is_webp_and_kept_by_its_tag(person: Person, db: Database) -> None:
    document = await person.upload(PDF, "heron.pdf", "application/pdf")
    path = f"/api/documents/{document['id']}/thumbnail"
    assert (await person.ask("GET", path)).status == 404
    await extract_step.read(TenantDatabase(db, person.owner), UUID(document["id"]), 1)
    picture = await person.ask("GET", path)
    assert (picture.status, picture.header("content-type")) == (200, "image/webp")
    assert picture.body[8:12] == b"WEBP"
    tag = picture.header("etag")
    assert tag is not None
    again = await person.ask("GET", path, headers={"if-none-match": tag})
    assert (again.status, again.body) == (304, b"")


async def test_the_trash(person: Person) -> None:
    document = await person.upload(LETTER)
    path = f"/api/documents/{document['id']}"
    for _ in range(2):
        assert (await person.ask("DELETE", path)).status == 204
    assert (await person.ask("GET", path)).json()["trashed_at"] is not None
    for _ in range(2):
        restored = await person.ask("POST", f"{path}/restore")
        assert (restored.status, restored.json()["trashed_at"]) == (200, None)


async def test_too_early_and_too_late(person: Person) -> None:
    asked = {"filename": "a.txt", "size": 5, "content_type": "text/plain"}
    document_id = (await person.ask("POST", "/api/documents", json=asked)).json()["document"]["id"]
    early = await person.ask("POST", f"/api/documents/{document_id}/complete", json={})
    assert (early.status, early.code) == (409, "upload_incomplete")
    assert (await person.ask("GET", f"/api/documents/{document_id}/download")).code == "upload_incomplete"
    document = await person.upload(LETTER)
    late = await person.ask("DELETE", f"/api/documents/{document['id']}/upload")
    assert (late.status, late.code) == (409, "upload_finished")
    assert (await person.ask("POST", f"/api/documents/{document['id']}/complete", json={})).status == 202


async def test_nobody_reaches_anothers_document(person: Person, another: Person) -> None:
    document = await person.upload(LETTER)
    for path in (f"/api/documents/{document['id']}", f"/api/documents/{uuid4()}", "/api/documents/no-uuid"):
        for method, operation in (
            ("GET", ""), ("GET", "/text"), ("GET", "/download"), ("GET", "/thumbnail"), ("GET", "/history"), ("GET", "/upload"),
            ("DELETE", ""), ("DELETE", "/upload"), ("POST", "/complete"), ("POST", "/restore"),
        ):  # fmt: skip
            answer = await another.ask(method, path + operation, json={} if method == "POST" else None)
            assert (answer.status, answer.code) == (404, "not_found"), (method, path + operation)


def _form(content: bytes, filename: str = "letter.txt") -> tuple[bytes, dict[str, str]]:
    head = f'--b\r\nContent-Disposition: form-data; name="file"; filename="{filename}"\r\nContent-Type: text/plain\r\n\r\n'
    body = head.encode() + content + b"\r\n--b--\r\n"
    return body, {"content-type": "multipart/form-data; boundary=b", "content-length": str(len(body))}


async def test_a_form_is_taken_too(person: Person) -> None:
    body, headers = _form(LETTER)
    answer = await person.ask("POST", "/api/documents/upload", body=[body[:50], body[50:]], headers=headers)
    assert answer.status == 201
    assert answer.json().keys() == DOCUMENT_MEMBERS
    assert (answer.json()["status"], answer.json()["sha256"]) == ("stored", hashlib.sha256(LETTER).hexdigest())
    again = await person.ask("POST", "/api/documents/upload", body=body, headers=headers)
    assert (again.status, again.code, again.json()["document_id"]) == (409, "duplicate_document", answer.json()["id"])
    assert (await person.ask("POST", "/api/documents/upload", json={})).status == 415


async def test_a_form_announced_too_large_is_refused_unread(person: Person) -> None:
    body, headers = _form(LETTER)
    answer = await person.ask("POST", "/api/documents/upload", body=body, headers=headers | {"content-length": str(2**45)})
    assert (answer.status, answer.code) == (413, "document_too_large")


async def test_changes_are_streamed_and_resumed(person: Person) -> None:
    listening = person.open("/api/documents/events")
    await listening.until(lambda heard: b": connected" in heard.body)
    assert listening.answer.header("content-type") == "text/event-stream"
    document = await person.upload(LETTER)
    await listening.until(lambda heard: b'"status":"stored"' in heard.body)
    listening.leave()
    heard = await listening.end()
    blocks = [block.splitlines() for block in heard.body.decode().split("\n\n") if block and not block.startswith(":")]
    assert [line.partition(":")[0] for line in blocks[-1]] == ["id", "event", "data"]
    told = json.loads(blocks[-1][2].removeprefix("data: "))
    assert told == document
    last = blocks[-1][0].removeprefix("id: ")
    await person.ask("DELETE", f"/api/documents/{document['id']}")
    again = person.open("/api/documents/events", headers={"last-event-id": last})
    await again.until(lambda heard: b'"trashed_at":"' in heard.body)
    again.leave()
    assert (await again.end()).body.count(b"event: document\n") == 1


async def test_the_stream_needs_a_token(person: Person) -> None:
    assert (await person.ask("GET", "/api/documents/events", headers={"authorization": ""})).status == 401


async def test_an_event_stream_ends_after_15_minutes_at_most(person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    served = ENDPOINTS["stream_document_events"].handler.__globals__  # its file may have been imported under another name, too
    assert served["LONGEST"] == timedelta(minutes=15)
    monkeypatch.setitem(served, "LONGEST", timedelta(seconds=0.2))
    heard = await person.open("/api/documents/events").end()
    assert (heard.status, heard.complete) == (200, True)


async def test_an_idempotency_key_makes_one_document(person: Person) -> None:
    asked = {"filename": "a.txt", "size": 5, "content_type": "text/plain"}
    headers = {"idempotency-key": str(uuid4())}
    first = await person.ask("POST", "/api/documents", json=asked, headers=headers)
    again = await person.ask("POST", "/api/documents", json=asked, headers=headers)
    assert first.json()["document"]["id"] == again.json()["document"]["id"]


async def test_many_at_once_all_arrive(person: Person) -> None:
    documents = await asyncio.gather(*(person.upload(b"letter %d" % number) for number in range(12)))
    assert {document["status"] for document in documents} == {"stored"}
