"""Each operation on one document, against documents in every state, and against those that are another's, purged or nobody's."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from psycopg.types.json import Jsonb

from shared.clock import now
from shared.db import Database, TenantDatabase
from shared.documents import library, purging
from tests.documents.test_bulk import rows
from tests.functions.documents.conftest import Person

OPERATIONS: dict[str, tuple[str, str, Any]] = {
    "get": ("GET", "", None),
    "update": ("PATCH", "", {"title": "Changed"}),
    "trash": ("DELETE", "", None),
    "restore": ("POST", "/restore", None),
    "purge": ("DELETE", "/permanent", None),
    "reprocess": ("POST", "/reprocess", None),
    "download": ("GET", "/download", None),
    "text": ("GET", "/text", None),
    "page": ("GET", "/text?page=7", None),
    "thumbnail": ("GET", "/thumbnail", None),
    "history": ("GET", "/history", None),
    "similar": ("GET", "/similar", None),
    "upload": ("GET", "/upload", None),
    "complete": ("POST", "/complete", {}),
    "parts": ("POST", "/upload/parts", {"numbers": [1]}),
    "abort": ("DELETE", "/upload", None),
    "share": ("POST", "/shares", {"expires_at": "2999-01-01T00:00:00Z"}),
    "shares": ("GET", "/shares", None),
    "revoke share": ("DELETE", f"/shares/{uuid4()}", None),
    "versions": ("GET", "/versions", None),
    "earlier version": ("GET", f"/download?version_id={uuid4()}", None),
    "restore version": ("POST", f"/versions/{uuid4()}/restore", None),
    "move": ("POST", "/move", {"connection_id": None}),
    "replace": ("POST", "", {"filename": "a.txt", "size": 5, "content_type": "text/plain"}),
}
NOT_FOUND: dict[str, int | str] = {name: "not_found" for name in OPERATIONS}
READ: dict[str, int | str] = {
    "get": 200,
    "update": 200,
    "trash": 204,
    "restore": 200,
    "purge": "not_in_trash",
    "reprocess": 202,
    "download": 200,
    "text": 200,
    "page": "not_found",
    "thumbnail": "not_found",
    "history": 200,
    "similar": 200,
    "upload": "upload_finished",
    "complete": 202,
    "parts": "upload_finished",
    "abort": "upload_finished",
    "share": 201,
    "shares": 200,
    "revoke share": "not_found",
    "versions": 200,
    "earlier version": "not_found",
    "restore version": "not_found",
    "move": 202,
    "replace": 201,
}
EXPECTED: dict[str, dict[str, int | str]] = {
    "another's": NOT_FOUND,
    "purged": NOT_FOUND,
    "nobody's": NOT_FOUND,
    "ready": READ,
    "trashed": READ | {"purge": 202, "replace": "not_replaceable"},
    "failed": READ,
    "refused": READ | {"reprocess": "object_mismatch", "download": "object_mismatch", "share": "object_mismatch", "move": "not_movable"},
    "uploading": READ
    | {
        "reprocess": "upload_incomplete",
        "download": "upload_incomplete",
        "share": "upload_incomplete",
        "upload": 200,
        "parts": "not_found",  # it is sent as a whole
        "move": "not_movable",
        "complete": "upload_incomplete",
        "abort": 204,
        "replace": "not_replaceable",
    },
}


async def _in_state(state: str, mine: TenantDatabase, theirs: TenantDatabase) -> UUID:
    error = (
        {"step": "upload", "code": "object_mismatch", "detail": ""}
        if state == "refused"
        else {"step": "extract", "code": "x", "detail": ""}
    )
    match state:
        case "nobody's":
            return uuid4()
        case "another's":
            [document_id] = await rows(theirs, 1)
        case "purged":
            [document_id] = await rows(mine, 1, trashed=True)
            await purging.purge(mine, document_id)
        case "failed" | "refused":
            [document_id] = await rows(mine, 1, status="failed", error=Jsonb(error))
        case "uploading":
            expires_at = now() + timedelta(minutes=15)
            [document_id] = await rows(mine, 1, status="uploading", upload_method="single", upload_expires_at=expires_at)
        case _:
            [document_id] = await rows(mine, 1, trashed=state == "trashed")
    return document_id


@pytest.mark.parametrize("state", EXPECTED)
async def test_each_operation_answers_for_each_state(person: Person, another: Person, db: Database, state: str) -> None:
    mine, theirs = TenantDatabase(db, person.owner), TenantDatabase(db, another.owner)
    answered: dict[str, int | str] = {}
    for name, (method, ending, body) in OPERATIONS.items():
        document_id = await _in_state(state, mine, theirs)
        more = {} if body is None else {"json": body}
        path = f"/api/documents/{document_id}{ending}"
        if name == "replace":
            path, more["json"] = "/api/documents", body | {"replaces": str(document_id)}
        answer = await person.ask(method, path, **more)
        answered[name] = answer.status if answer.status < 400 else answer.code
        if state == "another's":
            untouched = await library.get(theirs, document_id)
            assert (untouched.title, untouched.trashed_at) == ("a", None)
    assert answered == EXPECTED[state]


@pytest.mark.parametrize("action", ["trash", "restore", "purge", "reprocess"])
async def test_bulk_answers_as_the_operation_on_each_alone(person: Person, another: Person, db: Database, action: str) -> None:
    mine, theirs = TenantDatabase(db, person.owner), TenantDatabase(db, another.owner)
    documents = {state: await _in_state(state, mine, theirs) for state in EXPECTED}
    answer = await person.ask("POST", "/api/documents/bulk", json={"ids": [str(one) for one in documents.values()], "action": action})
    failed = {UUID(item["id"]): item["code"] for item in answer.json()["failed"]}
    told = {state: failed.get(document_id, "done") for state, document_id in documents.items()}
    alone = {state: EXPECTED[state][action] for state in EXPECTED}
    assert told == {state: code if isinstance(code, str) else "done" for state, code in alone.items()}
    assert set(answer.json()["done"]) | {str(one) for one in failed} == {str(one) for one in documents.values()}


@pytest.mark.parametrize("document_id", ["x", "00000000", "../../etc", "%00", "' OR 1=1"])
async def test_what_is_no_id_is_not_found(person: Person, document_id: str) -> None:
    for method, ending, body in OPERATIONS.values():
        answer = await person.ask(method, f"/api/documents/{document_id}{ending}", **({} if body is None else {"json": body}))
        assert answer.status in (404, 405), (method, ending)
