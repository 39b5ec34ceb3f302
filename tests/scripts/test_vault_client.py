"""The client waits as it is told, goes on after what breaks, and says what is refused; against a small server that speaks the API."""

import hashlib
import io
import json
from collections import deque
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from scripts.vault_client import PATIENCE_SECONDS, Refused, Unreachable, VaultClient

CONTENT = b"Dear heron"
Handler = Callable[[httpx.Request], httpx.Response]


class Scripted:
    """A server that gives its responses one by one, and keeps what it was asked; a clock that goes only while the client sleeps."""

    def __init__(self, *responses: httpx.Response | Exception) -> None:
        self.responses = deque(responses)
        self.requests: list[httpx.Request] = []
        self.slept: list[float] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        request.read()
        self.requests.append(request)
        response = self.responses.popleft() if len(self.responses) > 1 else self.responses[0]
        if isinstance(response, Exception):
            raise response
        return response

    def client(self) -> VaultClient:
        transport = httpx.MockTransport(self)
        return VaultClient(
            "http://vault", "dvt_x", transport=transport, store_transport=transport, sleep=self.slept.append, clock=lambda: sum(self.slept)
        )


def problem(status: int, code: str, headers: dict[str, str] | None = None, **members: Any) -> httpx.Response:
    return httpx.Response(status, json={"code": code, "detail": f"because {code}", **members}, headers=headers)


CREATED = httpx.Response(
    201, json={"document": {"id": "d"}, "upload": {"method": "single", "url": "http://store/o", "headers": {"if-none-match": "*"}}}
)


def test_it_waits_as_long_as_it_is_told_and_says_the_same_again() -> None:
    server = Scripted(
        problem(429, "rate_limited", {"retry-after": "7"}), httpx.ConnectError("refused"), problem(503, "unavailable"), CREATED,
        httpx.Response(200), httpx.Response(202, json={}),
    )  # fmt: skip
    with server.client() as vault:
        assert vault.upload(io.BytesIO(CONTENT), "a.txt").outcome == "uploaded"
    assert server.slept == [7.0, 2.0, 4.0]
    create = server.requests[:4]
    assert len({request.headers["idempotency-key"] for request in create}) == 1
    assert json.loads(create[0].content) == {
        "filename": "a.txt", "size": len(CONTENT), "content_type": "text/plain", "sha256": hashlib.sha256(CONTENT).hexdigest(),
    }  # fmt: skip
    put = server.requests[4]
    assert (put.method, str(put.url), put.content, put.headers["if-none-match"]) == ("PUT", "http://store/o", CONTENT, "*")
    assert "authorization" not in put.headers, "the token is none of the store's business"
    assert put.headers["content-length"] == str(len(CONTENT))


def test_its_patience_ends() -> None:
    server = Scripted(httpx.ConnectError("refused"))
    with server.client() as vault, pytest.raises(Unreachable):
        vault.call("GET", "/api/account")
    assert PATIENCE_SECONDS / 2 < sum(server.slept) <= PATIENCE_SECONDS


def test_the_same_bytes_are_not_sent_again() -> None:
    server = Scripted(problem(409, "duplicate_document", document_id="d"), httpx.Response(200, json={"status": "ready"}))
    with server.client() as vault:
        assert vault.upload(io.BytesIO(CONTENT), "a.txt", title="New").outcome == "there already"
    assert [request.method for request in server.requests] == ["POST", "GET"], "nor are its details touched"


def test_an_upload_in_parts_goes_on_with_those_that_are_missing() -> None:
    server = Scripted(
        problem(409, "duplicate_document", document_id="d"),
        httpx.Response(200, json={"status": "uploading"}),
        httpx.Response(200, json={}),
        httpx.Response(
            200, json={"method": "multipart", "part_size": 4, "part_count": 3, "parts": [{"number": 2, "size": 4, "etag": "e"}]}
        ),
        httpx.Response(200, json={"items": [{"number": 1, "url": "http://store/1", "headers": {}}]}),
        httpx.Response(200),
        httpx.Response(200, json={"items": [{"number": 3, "url": "http://store/3", "headers": {}}]}),
        httpx.Response(200),
        httpx.Response(202, json={}),
    )
    with server.client() as vault:
        assert vault.upload(io.BytesIO(CONTENT), "a.txt", title="T").outcome == "resumed"
    assert [request.content for request in server.requests if request.method == "PUT"] == [CONTENT[:4], CONTENT[8:]]


def test_what_the_store_has_already_is_completed() -> None:
    server = Scripted(CREATED, httpx.Response(412), httpx.Response(202, json={}))
    with server.client() as vault:
        assert vault.upload(io.BytesIO(CONTENT), "a.txt").outcome == "uploaded"
    assert server.requests[-1].url.path == "/api/documents/d/complete"


def test_a_detail_that_is_not_taken_costs_itself_alone() -> None:
    refused = problem(422, "validation_failed", errors=[{"loc": ["body", "sender"], "msg": "too long"}])
    server = Scripted(CREATED, refused, httpx.Response(200, json={}), httpx.Response(200), httpx.Response(202, json={}))
    with server.client() as vault:
        uploaded = vault.upload(io.BytesIO(CONTENT), "a.txt", title="T", sender="x" * 999)
    assert uploaded.left_out == {"sender": "because validation_failed"}
    assert json.loads(server.requests[2].content) == {"title": "T"}


def test_what_is_refused_says_why_and_no_other_server_is_mistaken_for_one() -> None:
    server = Scripted(problem(403, "quota_exceeded"))
    with server.client() as vault, pytest.raises(Refused, match="quota_exceeded"):
        vault.upload(io.BytesIO(CONTENT), "a.txt")
    for response in (
        httpx.Response(404, text="<html>"),
        httpx.Response(302, headers={"location": "http://elsewhere"}),
        httpx.Response(400, json=[1]),
    ):
        with Scripted(response).client() as vault, pytest.raises(Refused, match="DocuVault"):
            vault.call("GET", "/api/topics")


def test_a_topic_is_found_whatever_its_case_also_if_another_just_made_it() -> None:
    empty = httpx.Response(200, json={"items": [], "next_cursor": None})
    full = httpx.Response(200, json={"items": [{"id": "t", "name": "STRASSE"}], "next_cursor": None})
    server = Scripted(empty, problem(409, "topic_exists"), full)
    with server.client() as vault:
        assert [vault.topic("Straße"), vault.topic(" straße ")] == ["t", "t"]
    assert len(server.requests) == 3
