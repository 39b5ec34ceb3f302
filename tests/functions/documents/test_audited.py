"""What people and programs do with documents is written, once, with who did it and from where."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest

from infra import functions
from shared.audit import AuditAction
from shared.db import Database
from shared.identity import api_tokens
from tests.functions.documents.conftest import BROWSER, Person

WRITTEN = {
    "create_upload": AuditAction.DOCUMENT_UPLOADED,
    "upload_document": AuditAction.DOCUMENT_UPLOADED,
    # create_upload or upload_document, if it is said what to replace
    "replace": AuditAction.DOCUMENT_VERSION_UPLOADED,
    "abort_upload": AuditAction.DOCUMENT_UPLOAD_ABORTED,
    "download_document": AuditAction.DOCUMENT_DOWNLOADED,
    "update_document": AuditAction.DOCUMENT_UPDATED,
    "trash_document": AuditAction.DOCUMENT_TRASHED,
    "restore_document": AuditAction.DOCUMENT_RESTORED,
    "reprocess_document": AuditAction.DOCUMENT_REPROCESSED,
    "restore_version": AuditAction.DOCUMENT_VERSION_RESTORED,
    "purge_document": AuditAction.DOCUMENT_PURGED,
    "share_document": AuditAction.DOCUMENT_SHARED,
    "revoke_share": AuditAction.DOCUMENT_SHARE_REVOKED,
}
BY_CLOUD_STORAGE = {AuditAction.DOCUMENT_MOVE_REQUESTED, AuditAction.DOCUMENT_IMPORTED, AuditAction.DOCUMENT_EXPORTED}
"""Written by `shared.cloud`, about documents."""
BY_STRANGERS = {"open_share": AuditAction.DOCUMENT_SHARE_OPENED}
"""Done by whoever has a link, who is nobody's account: tests/documents/test_shares.py."""
SILENT = {
    "list_versions": "shows the owner a list",
    "list_lookalikes": "shows the owner a list",
    "list_shares": "shows the owner a list",
    "stream_content": "gives what a link names, and the line was written when the link was made",
    "create_archive": "its line, archive:create, is about no single document (tests/functions/documents/test_archive.py)",
    "stream_archive": "gives what a link names, and the line was written when the link was made",
    "move_document": "its line, document:move, is written when the move is asked for (shared/cloud/moves.py)",
    "list_views": "shows the owner names of lists",
    "create_view": "keeps a list; nothing happens to documents",
    "update_view": "keeps a list; nothing happens to documents",
    "delete_view": "keeps a list no longer; nothing happens to documents",
    "list_senders": "shows the owner names",
    "update_sender": "names a sender, as topics are named, for all its documents",
    "merge_senders": "names a sender, as topics are named, for all its documents",
    "bulk_documents": "each document has the line of the action on it alone (tests/documents/test_bulk.py)",
    "empty_trash": "each document has the line of its purge (tests/documents/test_bulk.py)",
    "list_jobs": "shows the owner what the system does",
    "get_job": "shows the owner what the system does",
    "cancel_job": "what a job has done is written; it does no more",
    "complete_upload": "the line was written when the upload was created; that the bytes have come is in the document's history",
    "sign_upload_parts": "goes on with an upload whose line is there",
    "get_upload": "goes on with an upload whose line is there",
    "get_document": "shows the owner a row of a list",
    "list_documents": "shows the owner a list",
    "list_similar": "shows the owner a list",
    "suggest_search": "shows the owner words of a list",
    "get_document_text": "shows the owner pages; each look at a document would be a line",
    "get_thumbnail": "shows the owner a picture in a list",
    "get_document_history": "shows the owner what the system did",
    "stream_document_events": "shows the owner a list as it changes",
}
ASKED = {"filename": "a.txt", "size": 5, "content_type": "text/plain"}


@dataclass(frozen=True)
class Line:
    action: str
    outcome: str
    actor: UUID | None
    target: str | None
    ip: str | None
    user_agent: str | None
    detail: dict[str, Any]


async def _lines(db: Database, owner: UUID) -> list[Line]:
    async with db.tenant(owner) as tx:
        return await tx.fetch_all(
            """
            SELECT action, outcome, actor_id AS actor, target, ip, user_agent, detail
            FROM audit_lines LEFT JOIN audit_personal ON line_id = id
            WHERE audit_lines.owner_id = %(owner)s ORDER BY id
            """,
            {"owner": owner},
            row=Line,
        )


def test_of_every_operation_on_documents_it_is_said_whether_it_is_written() -> None:
    names = {functions.load(path) for path in functions.files() if path.parent.name == "documents"}
    assert names == set(WRITTEN) - {"replace"} | set(SILENT) | set(BY_STRANGERS), (
        "say in WRITTEN which line it writes, or in SILENT why none is needed"
    )
    events = {event for event in AuditAction if event.value.startswith("document:")}
    assert events == set(WRITTEN.values()) | set(BY_STRANGERS.values()) | BY_CLOUD_STORAGE


async def _do_everything(person: Person, db: Database, headers: dict[str, str]) -> list[tuple[str, str]]:
    """Each operation of WRITTEN, carried out; the lines that must be there, with their documents."""
    form = (
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="b.txt"\r\nContent-Type: text/plain\r\n\r\nDear heron\r\n--b--\r\n'
    )
    expected: list[tuple[str, str]] = []

    async def do(name: str, method: str, path: str, document_id: str = "", **more: Any) -> str:
        more["headers"] = headers | more.get("headers", {})
        answer = await person.ask(method, path, **more)
        assert answer.status in (200, 201, 202, 204), answer.body
        body = answer.json() if answer.body else {}
        document_id = document_id or body.get("document", body)["id"]
        expected.append((WRITTEN[name].value, document_id))
        return document_id

    given_up = await do("create_upload", "POST", "/api/documents", json=ASKED)
    await do("abort_upload", "DELETE", f"/api/documents/{given_up}/upload", given_up)
    multipart = {"content-type": "multipart/form-data; boundary=b"}
    document_id = await do("upload_document", "POST", "/api/documents/upload", body=form, headers=multipart)
    path = f"/api/documents/{document_id}"
    await do("download_document", "GET", f"{path}/download", document_id)
    await do("update_document", "PATCH", path, document_id, json={"title": "Water bill", "notes": "paid"})
    await do("share_document", "POST", f"{path}/shares", document_id, json={"expires_at": "2999-01-01T00:00:00Z"})
    share_id = (await person.ask("GET", f"{path}/shares")).json()["items"][0]["id"]
    await do("revoke_share", "DELETE", f"{path}/shares/{share_id}", document_id)
    replacing = form.replace(b"Dear heron", b"Dear ibis").replace(
        b"--b\r\n", b'--b\r\nContent-Disposition: form-data; name="replaces"\r\n\r\n%s\r\n--b\r\n' % document_id.encode(), 1
    )
    await do("replace", "POST", "/api/documents/upload", document_id, body=replacing, headers=multipart)
    earlier = (await person.ask("GET", f"{path}/versions")).json()["items"][1]["id"]
    await do("restore_version", "POST", f"{path}/versions/{earlier}/restore", document_id)
    await do("trash_document", "DELETE", path, document_id)
    await do("restore_document", "POST", f"{path}/restore", document_id)
    async with db.tenant(person.owner) as tx:
        await tx.execute("UPDATE documents SET status = 'ready' WHERE id = %s", (document_id,))
    await do("reprocess_document", "POST", f"{path}/reprocess", document_id)
    await do("trash_document", "DELETE", path, document_id)
    await do("purge_document", "DELETE", f"{path}/permanent", document_id)
    assert {action for action, _ in expected} == {event.value for event in WRITTEN.values()}
    return expected


def _seen(lines: Sequence[Line]) -> list[tuple[str, str | None]]:
    return [(line.action, line.target) for line in lines]


async def test_everything_that_is_done_with_documents_is_written(person: Person, db: Database) -> None:
    expected = await _do_everything(person, db, {})
    lines = await _lines(db, person.owner)
    assert _seen(lines) == expected
    assert {(line.outcome, line.actor) for line in lines} == {("success", person.owner)}
    assert {(line.ip, line.user_agent) for line in lines} == {(BROWSER.address, BROWSER.user_agent)}
    shared, revoked = (line.detail for line in lines if "share" in line.detail)
    assert shared == revoked
    assert [line.detail for line in lines if line.detail and line.detail != shared] == [{"changed": ["notes", "title"]}, {"version": 1}]


async def test_what_a_program_does_names_its_token(person: Person, db: Database) -> None:
    async with db.system() as tx:
        token, text = await api_tokens.create(
            tx, person.owner, name="script", scopes=["documents:read", "documents:write"], expires_at=None
        )
    expected = await _do_everything(person, db, {"authorization": f"Bearer {text}"})
    lines = await _lines(db, person.owner)
    assert _seen(lines) == expected
    assert all(line.detail["api_token"] == str(token.id) for line in lines)


async def test_what_is_still_uploading_and_deleted_is_written_as_given_up(person: Person, db: Database) -> None:
    created = (await person.ask("POST", "/api/documents", json=ASKED)).json()["document"]
    assert (await person.ask("DELETE", f"/api/documents/{created['id']}")).status == 204
    assert _seen(await _lines(db, person.owner)) == [("document:upload", created["id"]), ("document:abort_upload", created["id"])]


@pytest.mark.parametrize(("method", "ending"), [("GET", "/download"), ("DELETE", ""), ("POST", "/restore"), ("DELETE", "/upload")])
async def test_what_changes_nothing_is_not_written(person: Person, another: Person, db: Database, method: str, ending: str) -> None:
    document = await person.upload(b"Dear heron")
    before = await _lines(db, person.owner)
    assert (await another.ask(method, f"/api/documents/{document['id']}{ending}")).status == 404
    assert await _lines(db, another.owner) == []
    assert await _lines(db, person.owner) == before


async def test_what_is_done_already_is_not_written_again(person: Person, db: Database) -> None:
    document = await person.upload(b"Dear heron")
    path = f"/api/documents/{document['id']}"
    for _ in range(2):
        await person.ask("DELETE", path)
    for _ in range(2):
        await person.ask("POST", f"{path}/restore")
    assert [line.action for line in await _lines(db, person.owner)] == ["document:upload", "document:trash", "document:restore"]


async def test_an_upload_that_is_refused_leaves_no_line(person: Person, db: Database) -> None:
    assert (await person.ask("POST", "/api/documents", json=ASKED | {"size": 30 * 2**30})).status == 413
    async with db.system() as tx:
        await tx.execute("UPDATE account_usage SET bytes_quota = 1 WHERE owner_id = %s", (person.owner,))
    assert (await person.ask("POST", "/api/documents", json=ASKED)).code == "quota_exceeded"
    assert await _lines(db, person.owner) == []
