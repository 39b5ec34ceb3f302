"""Bodies and queries: what is read, what is refused, and how it is said."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic import Field

from shared.faas import Call, RequestModel, Response, requests
from tests.faas.asgi import Exchange, Heard, ask, declared, scope, serving


class NewThing(RequestModel):
    name: str = Field(min_length=1, max_length=10)
    size: int = 0
    tags: tuple[int, ...] = ()


class Optional(RequestModel):
    note: str | None = None


class Search(RequestModel):
    q: str = ""
    limit: int = Field(default=50, ge=1, le=200)
    tag: tuple[str, ...] = ()


async def make(call: Call[NewThing]) -> Response:
    return Response.content(call.body.model_dump_json().encode(), "application/json")


async def note(call: Call[Optional]) -> Response:
    return Response.content(call.body.model_dump_json().encode(), "application/json")


async def search(call: Call[None, Search]) -> Response:
    return Response.content(call.query.model_dump_json().encode(), "application/json")


async def take(call: Call) -> Response:
    size = 0
    async for chunk in call.stream:
        size += len(chunk)
    return Response.content(str(size).encode(), "text/plain")


APP = serving(
    declared("POST", "/things", make, body=NewThing, max_body=1000, returns="application/json"),
    declared("PUT", "/note", note, body=Optional, returns="application/json"),
    declared("GET", "/things", search, query=Search, returns="application/json"),
    declared("POST", "/stream", take, body="stream", max_body=1000, returns="text/plain"),
)
JSON = {"content-type": "application/json"}


def errors(heard: Heard) -> list[Any]:
    assert heard.status == 422
    assert heard.code == "validation_failed"
    found: list[Any] = heard.json()["errors"]
    return found


async def test_a_body_that_fits_is_handed_over() -> None:
    heard = await ask(APP, "POST", "/things", json={"name": "é", "tags": [1]}, headers=JSON)
    assert heard.json() == {"name": "é", "size": 0, "tags": [1]}


async def test_a_body_may_come_in_pieces() -> None:
    heard = await ask(APP, "POST", "/things", body=[b'{"na', b"", b'me": "x"}'], headers=JSON)
    assert heard.json()["name"] == "x"


async def test_an_absent_body_is_an_empty_object() -> None:
    assert (await ask(APP, "PUT", "/note")).json() == {"note": None}
    assert errors(await ask(APP, "POST", "/things"))[0]["loc"] == ["body", "name"]


@pytest.mark.parametrize(
    "malformed", [b"{", b'{"name": x}', b'{"name": "a"} trailing', b"\xff\xfe", b'{"name": "\xff"}', b'{"name": "\\ud800"}', b"[" * 900]
)
async def test_malformed_json_is_400(malformed: bytes) -> None:
    heard = await ask(APP, "POST", "/things", body=malformed, headers=JSON)
    assert heard.status == 400
    assert heard.code == "malformed_body"


@pytest.mark.parametrize(
    ("body", "loc"),
    [
        ({"name": ""}, ["body", "name"]),
        ({"name": 3}, ["body", "name"]),
        ({"name": "x", "tags": [1, "two"]}, ["body", "tags", 1]),
        ({"name": "x", "size": 1.5}, ["body", "size"]),
        ({"name": "x", "role": "admin"}, ["body", "role"]),
        ([], ["body"]),
        (None, ["body"]),
        ("text", ["body"]),
    ],
)
async def test_a_body_that_does_not_fit_is_422_and_says_where(body: Any, loc: list[Any]) -> None:
    found = errors(await ask(APP, "POST", "/things", body=json.dumps(body).encode(), headers=JSON))
    assert [set(error) for error in found] == [{"loc", "msg"}]
    assert found[0]["loc"] == loc


async def test_what_was_sent_is_not_sent_back() -> None:
    heard = await ask(APP, "POST", "/things", json={"name": "hunter2-hunter2", "size": "hunter2"}, headers=JSON)
    assert len(errors(heard)) == 2
    assert b"hunter2" not in heard.body


async def test_at_most_twenty_errors_are_told() -> None:
    assert len(errors(await ask(APP, "POST", "/things", json={"name": "x", "tags": ["a"] * 50}, headers=JSON))) == 20


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/jsonx", ""]
)
async def test_another_content_type_is_415(content_type: str) -> None:
    heard = await ask(APP, "POST", "/things", json={"name": "x"}, headers={"content-type": content_type})
    assert heard.status == 415
    assert heard.code == "unsupported_media_type"


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "Application/JSON", "application/merge-patch+json"])
async def test_json_by_any_of_its_names_is_read(content_type: str) -> None:
    assert (await ask(APP, "POST", "/things", json={"name": "x"}, headers={"content-type": content_type})).status == 200


# ---- size and time


async def test_a_declared_length_over_the_limit_is_413_before_anything_is_read() -> None:
    exchange = Exchange(APP, scope("POST", "/things", headers={**JSON, "content-length": "1001"}))
    heard = await exchange.end()
    assert heard.status == 413
    assert heard.code == "body_too_large"


@pytest.mark.parametrize("path", ["/things", "/stream"])
async def test_a_body_that_turns_out_larger_than_the_limit_is_413(path: str) -> None:
    exchange = Exchange(APP, scope("POST", path, headers=JSON))
    exchange.send(b"x" * 600, more=True)
    exchange.send(b"x" * 401, more=True)
    heard = await exchange.end()
    assert heard.status == 413
    assert heard.code == "body_too_large"


async def test_a_body_of_exactly_the_limit_is_taken() -> None:
    assert (await ask(APP, "POST", "/stream", body=[b"x" * 600, b"x" * 400], headers={"content-length": "1000"})).body == b"1000"


async def test_an_absurd_length_is_no_crash() -> None:
    for length in ("9" * 5000, "²", "-1", "1e3"):
        assert (await ask(APP, "POST", "/things", json={"name": "x"}, headers={**JSON, "content-length": length})).status in (200, 413)


async def test_a_body_that_does_not_arrive_in_time_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "BODY_TIMEOUT_SECONDS", 0.05)
    exchange = Exchange(APP, scope("POST", "/things", headers=JSON))
    exchange.send(b"{", more=True)
    heard = await exchange.end()
    assert heard.status == 408
    assert heard.code == "body_timeout"


async def test_a_client_that_goes_away_before_its_body_is_whole_runs_nothing() -> None:
    ran = False

    async def run(call: Call[NewThing]) -> None:
        nonlocal ran
        ran = True

    exchange = Exchange(serving(declared("POST", "/", run, body=NewThing)), scope("POST", "/", headers=JSON))
    exchange.send(b'{"name": "x"}', more=True)
    exchange.leave()
    await exchange.end()
    assert not ran


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/things", 200), ("POST", "/nothing", 404), ("PATCH", "/things", 405), ("POST", "/things", 413)]
)
async def test_a_body_that_nobody_wants_is_read_before_the_connection_may_close(method: str, path: str, status: int) -> None:
    # A connection closed on unread bytes is reset, and the client never sees the answer.
    length = "5000" if status == 413 else "10"
    exchange = Exchange(APP, scope(method, path, headers={"content-length": length}))
    exchange.send(b"hello", more=True)
    exchange.send(b"world")
    heard = await exchange.end()
    assert (heard.status, heard.header("connection")) == (status, None)
    assert exchange.unread == 0


@pytest.mark.parametrize(("version", "told"), [("1.1", "close"), ("2", None)])
async def test_a_client_is_told_that_the_connection_closes_on_what_was_not_read(version: str, told: str | None) -> None:
    # HTTP/2 has no such header (RFC 9113, section 8.2.2): there a stream ends, not the connection.
    exchange = Exchange(APP, scope("POST", "/things", headers={"content-length": "9000000"}) | {"http_version": version})
    for _ in range(20):
        exchange.send(bytes(requests.DISCARDED_BYTES // 10), more=True)
    heard = await exchange.end()
    assert (heard.status, heard.header("connection")) == (413, told)
    assert 0 < exchange.unread < 20


async def test_a_stream_reaches_the_function_while_it_is_still_being_sent() -> None:
    async def echo(call: Call) -> Response:
        async def upper() -> AsyncIterator[bytes]:
            async for chunk in call.stream:
                yield chunk.upper()

        return Response.stream(upper(), "text/plain")

    exchange = Exchange(serving(declared("POST", "/", echo, body="stream", returns="text/plain")), scope("POST", "/"))
    exchange.send(b"one ", more=True)
    await exchange.until(lambda heard: heard.body == b"ONE ")
    exchange.send(b"two")
    assert (await exchange.end()).body == b"ONE TWO"


# ---- queries


async def test_a_query_that_fits_is_handed_over() -> None:
    heard = await ask(APP, "GET", "/things?q=a+b%26%C3%A9&limit=7&tag=x&tag=y")
    assert heard.json() == {"q": "a b&é", "limit": 7, "tag": ["x", "y"]}


@pytest.mark.parametrize(
    ("query", "loc"),
    [
        ("limit=0", ["query", "limit"]),
        ("limit=201", ["query", "limit"]),
        ("limit=", ["query", "limit"]),
        ("limit=1&limit=2", ["query", "limit"]),
        ("unknown=1", ["query", "unknown"]),
        ("q=%00", ["query", "q"]),
        ("q=%FF", ["query"]),
        ("&".join(f"tag={n}" for n in range(600)), ["query"]),
    ],
)
async def test_a_query_that_does_not_fit_is_422_and_says_where(query: str, loc: list[str]) -> None:
    assert errors(await ask(APP, "GET", f"/things?{query}"))[0]["loc"] == loc


async def test_what_was_asked_is_not_sent_back() -> None:
    heard = await ask(APP, "GET", "/things?limit=hunter2")
    assert errors(heard)
    assert b"hunter2" not in heard.body
