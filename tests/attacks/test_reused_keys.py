"""Nothing is lost, and nothing done twice, under an `Idempotency-Key` that was used before: for every operation that takes one."""

import secrets
from typing import Any

import httpx
import pytest

from infra import functions
from shared.db import Database
from shared.faas.declarations import ENDPOINTS
from tests.attacks.operations import ANOTHER_NIL, NIL, Operation, gateway, operations, sample
from tests.identity.browser import Browser, new_person

ELSEWHERE = {
    "connect_webdav": "needs a server: tests/cloud/test_connections.py",
    "watch_folder": "needs a server: tests/cloud/test_watching.py",
    "create_user": "needs an admin: tests/functions/admin/test_users.py",
    "share_document": "needs a document: tests/functions/documents/test_shares_over_http.py",
}

for _path in functions.files():
    functions.load(_path)
OPERATIONS = [operation for operation in operations() if ENDPOINTS[operation.name].idempotent and operation.name not in ELSEWHERE]
COUNTED = ("documents", "topics", "api_tokens")

named = pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)


def _file(content: bytes) -> dict[str, Any]:
    return {"files": {"file": ("a.txt", content, "text/plain")}}


def _two_requests(operation: Operation) -> tuple[dict[str, Any], dict[str, Any]]:
    """Two requests that fit, of equal length, and yet not the same."""
    if operation.content_type == "multipart/form-data":
        return _file(secrets.token_hex(2000).encode()), _file(secrets.token_hex(2000).encode())
    assert operation.body is not None
    if operation.name == "bulk_documents":
        return {"json": {"action": "trash", "ids": [NIL]}}, {"json": {"action": "trash", "ids": [ANOTHER_NIL]}}
    body: dict[str, Any] = sample(operation.body, {})
    body.pop("parent_id", None)
    name, value = next((name, value) for name, value in body.items() if isinstance(value, str) and name != "content_type")
    body |= {"size": 10} if "size" in body else {}
    return {"json": body | {name: "a" + value[1:]}}, {"json": body | {name: "b" + value[1:]}}


async def _rows(db: Database, owner: str) -> dict[str, Any]:
    async with db.system() as tx:
        counts = {
            table: await tx.fetch_value(
                f"SELECT count(*) FROM {table} WHERE {'user_id' if table == 'api_tokens' else 'owner_id'} = %s", (owner,)
            )
            for table in COUNTED
        }
        usage = await tx.fetch_value("SELECT to_jsonb(u) - 'change_seq' FROM account_usage AS u WHERE owner_id = %s", (owner,))
    return counts | {"usage": usage}


@named
async def test_the_same_request_is_done_once_and_another_one_is_refused(operation: Operation, db: Database) -> None:
    person = await new_person()
    browser = Browser(app=gateway())
    browser.headers["authorization"] = f"Bearer {person.browser.access_token}"
    first, other = _two_requests(operation)

    async def send(request: dict[str, Any], key: str) -> httpx.Response:
        return await browser.request(operation.method, operation.at({}), headers={"idempotency-key": key}, **request)

    made = await send(first, "one key")
    assert made.status_code == ENDPOINTS[operation.name].status, made.text
    after = await _rows(db, person.id)
    again = await send(first, "one key")
    if ENDPOINTS[operation.name].secret_answer:
        assert again.json()["code"] == "already_done"
    else:
        assert (again.content, again.headers["idempotent-replayed"]) == (made.content, "true")
    refused = await send(other, "one key")
    assert (refused.status_code, refused.json()["code"]) == (422, "idempotency_key_reused")
    assert await _rows(db, person.id) == after
    assert (await send(other, "another key")).status_code == made.status_code
