"""What every answer carries: security headers, request id, CORS, compression, problems."""

import gzip
import json
import logging
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from shared.errors import Conflict, DomainError
from shared.faas import Call, Response, ResponseModel
from shared.faas.responses import accepts, matches
from tests.faas.asgi import ask, chunks, declared, serving

LONG = b"a long text " * 500


class Thing(ResponseModel):
    name: str


class Taken(Conflict):
    code, title = "name_taken", "This name is taken"


async def thing(call: Call) -> Thing:
    return Thing(name="é")


async def page(call: Call) -> Response:
    headers = [("cache-control", "public, max-age=60"), ("content-security-policy", "default-src 'self'")]
    return Response.content(LONG, "text/html; charset=utf-8", headers=headers)


async def picture(call: Call) -> Response:
    return Response.content(LONG, "image/webp")


async def secret(call: Call) -> Response:
    return Response.content(LONG, "application/json")


async def zipped(call: Call) -> Response:
    return Response.content(gzip.compress(LONG), "text/plain", headers=[("content-encoding", "gzip")])


async def streamed(call: Call) -> Response:
    return Response.stream(chunks(b"one ", b"two"), "text/plain")


async def nothing(call: Call) -> None:
    return None


async def taken(call: Call) -> None:
    raise Taken("There is one called <so>.", name="é", document_id=UUID(int=7))


async def broken(call: Call) -> None:
    raise RuntimeError("the password is hunter2")


APP = serving(
    declared("GET", "/thing", thing, returns=Thing, status=201),
    declared("GET", "/page", page, returns="text/html"),
    declared("GET", "/picture", picture, returns="image/webp"),
    declared("GET", "/secret", secret, returns="application/json", secret_answer=True),
    declared("GET", "/zipped", zipped, returns="text/plain"),
    declared("GET", "/streamed", streamed, returns="text/plain"),
    declared("POST", "/nothing", nothing),
    declared("GET", "/taken", taken, returns=Thing),
    declared("GET", "/broken", broken, returns=Thing),
)

SECURITY_HEADERS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
}


@pytest.mark.parametrize("path", ["/thing", "/streamed", "/taken", "/broken", "/unknown"])
async def test_every_answer_carries_the_security_headers(path: str) -> None:
    heard = await ask(APP, "GET", path)
    assert {name: heard.header(name) for name in SECURITY_HEADERS} == SECURITY_HEADERS
    assert heard.header("strict-transport-security") is None


async def test_an_answer_may_set_its_own_caching_and_content_policy() -> None:
    heard = await ask(APP, "GET", "/page")
    assert heard.header("cache-control") == "public, max-age=60"
    assert heard.header("content-security-policy") == "default-src 'self'"
    assert heard.header("x-frame-options") == "DENY"


async def test_https_is_held_to_once_we_are_served_by_it(with_settings: Callable[..., None]) -> None:
    with_settings(BACKEND_URL="https://vault.example.org")
    assert (await ask(APP, "GET", "/thing")).header("strict-transport-security") == "max-age=31536000"


async def test_a_model_is_answered_as_utf8_json_with_its_length() -> None:
    heard = await ask(APP, "GET", "/thing")
    assert heard.status == 201
    assert heard.header("content-type") == "application/json"
    assert heard.body.decode() == '{"name":"é"}'
    assert heard.header("content-length") == str(len(heard.body))


async def test_nothing_is_204_without_a_length() -> None:
    heard = await ask(APP, "POST", "/nothing")
    assert (heard.status, heard.body, heard.header("content-length")) == (204, b"", None)


async def test_a_stream_comes_in_pieces_and_ends() -> None:
    heard = await ask(APP, "GET", "/streamed")
    assert (heard.body, heard.complete, heard.header("content-length")) == (b"one two", True, None)


# ---- request ids


@pytest.mark.parametrize("sane", ["0123abcd", "01890a5d-ac96-774b-bcce-b302099a8057", "trace:1/2+3=4_5.6"])
async def test_a_sane_request_id_of_the_client_is_kept(sane: str) -> None:
    assert (await ask(APP, "GET", "/thing", headers={"x-request-id": sane})).header("x-request-id") == sane


@pytest.mark.parametrize("insane", ["", "short", "x" * 129, "with space in", "line\nbreak", 'quote"quote', "é" * 9])
async def test_any_other_request_id_is_replaced_by_one_of_ours(insane: str) -> None:
    given = (await ask(APP, "GET", "/thing", headers={"x-request-id": insane})).header("x-request-id")
    assert UUID(given).version == 7


async def test_a_problem_names_the_request_id_of_its_header() -> None:
    heard = await ask(APP, "GET", "/unknown")
    assert heard.json()["request_id"] == heard.header("x-request-id")


# ---- problems


async def test_a_named_failure_becomes_a_problem_with_its_members() -> None:
    heard = await ask(APP, "GET", "/taken", headers={"x-request-id": "request-1"})
    assert heard.status == 409
    assert heard.header("content-type") == "application/problem+json"
    assert heard.json() == {
        "type": "urn:docuvault:problem:name_taken",
        "title": "This name is taken",
        "status": 409,
        "detail": "There is one called <so>.",
        "code": "name_taken",
        "request_id": "request-1",
        "name": "é",
        "document_id": str(UUID(int=7)),
    }


async def test_a_members_name_cannot_replace_what_every_problem_has() -> None:
    async def confused(call: Call) -> None:
        raise DomainError("x", request_id="another", code="other")

    heard = await ask(serving(declared("GET", "/", confused)), "GET", "/", headers={"x-request-id": "request-1"})
    assert heard.json()["request_id"] == "request-1"
    assert heard.json()["code"] == "bad_request"


async def test_an_unexpected_failure_gives_nothing_away_and_is_logged_under_the_request_id(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, "docuvault.http"):
        heard = await ask(APP, "GET", "/broken", headers={"x-request-id": "request-1"})
    assert heard.status == 500
    assert heard.code == "internal_error"
    assert b"hunter2" not in heard.body
    assert b"RuntimeError" not in heard.body
    record = next(record for record in caplog.records if record.name == "docuvault.http")
    fields: dict[str, Any] = record.__dict__["fields"]
    assert fields == {"function": "broken", "request_id": "request-1"}
    assert record.exc_info is not None


async def test_a_request_is_logged_without_its_path(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "docuvault.http"):
        await ask(APP, "GET", "/thing?token=secret", headers={"x-request-id": "request-1"})
    record = caplog.records[-1]
    fields: dict[str, Any] = record.__dict__["fields"]
    assert fields["function"] == "thing"
    assert fields["status"] == 201
    assert "secret" not in json.dumps(fields) + record.getMessage()


# ---- compression


@pytest.mark.parametrize("accepted", ["gzip", "deflate, gzip;q=0.5", "*", "GZIP", "gzip ; q=1", "br;q=1.0, gzip;q=0.001"])
async def test_text_is_compressed_for_those_who_accept_it(accepted: str) -> None:
    heard = await ask(APP, "GET", "/page", headers={"accept-encoding": accepted})
    assert heard.header("content-encoding") == "gzip"
    assert "accept-encoding" in str(heard.header("vary"))
    assert heard.header("content-length") == str(len(heard.body))
    assert gzip.decompress(heard.body) == LONG


@pytest.mark.parametrize("accepted", ["", "identity", "br", "gzip;q=0", "gzip; q=0.000", "*;q=0", "gzip;q=0, *;q=1", "*, gzip;q=0"])
async def test_text_is_not_compressed_for_those_who_do_not(accepted: str) -> None:
    heard = await ask(APP, "GET", "/page", headers={"accept-encoding": accepted})
    assert (heard.header("content-encoding"), heard.body) == (None, LONG)
    assert "accept-encoding" in str(heard.header("vary"))


@pytest.mark.parametrize("path", ["/picture", "/secret", "/thing", "/streamed"])
async def test_pictures_secrets_small_answers_and_streams_are_never_compressed(path: str) -> None:
    heard = await ask(APP, "GET", path, headers={"accept-encoding": "gzip"})
    assert heard.header("content-encoding") is None


async def test_what_is_compressed_already_is_left_alone() -> None:
    heard = await ask(APP, "GET", "/zipped", headers={"accept-encoding": "gzip"})
    assert heard.header("content-encoding") == "gzip"
    assert gzip.decompress(heard.body) == LONG


@pytest.mark.parametrize(
    ("accepted", "coding", "does"),
    [
        ("gzip, deflate, br", "br", True),
        ("br;q=0.5", "br", True),
        ("br;q=0, gzip", "br", False),
        ("*", "br", True),
        ("brotli", "br", False),
        ("", "br", False),
    ],
)
def test_a_coding_is_accepted_by_its_name_or_by_a_star_unless_its_weight_is_0(accepted: str, coding: str, does: bool) -> None:
    assert accepts(accepted, coding) is does


@pytest.mark.parametrize(
    ("header", "does"),
    [
        ('"a"', True),
        ('W/"a"', True),
        ('"b", W/"a"', True),
        ('"b","a"', True),
        ("*", True),
        ('"b"', False),
        ('"a b"', False),
        ("a", False),
        ("", False),
    ],
)
def test_the_tags_that_a_client_has_are_a_list_in_which_weak_ones_count(header: str, does: bool) -> None:
    assert matches('"a"', header) is does
    assert matches('W/"a"', header) is does


# ---- CORS

PREFLIGHT = {"access-control-request-method": "POST", "access-control-request-headers": "authorization, content-type"}


@pytest.mark.parametrize("origin", ["https://app.example.org", "https://front.example.org:8443"])
async def test_pages_of_allowed_origins_may_read_answers(with_settings: Callable[..., None], origin: str) -> None:
    with_settings(CORS_ORIGINS="https://app.example.org", FRONTEND_URL="https://front.example.org:8443/vault")
    for path in ("/thing", "/unknown", "/broken"):
        heard = await ask(APP, "GET", path, headers={"origin": origin})
        assert heard.header("access-control-allow-origin") == origin
        assert heard.header("access-control-allow-credentials") == "true"
        assert "x-request-id" in str(heard.header("access-control-expose-headers"))
        assert str(heard.header("vary")).count("origin") == 1


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example.org", "null", "http://app.example.org", "https://app.example.org.evil.org", "https://app.example.org:444"],
)
async def test_pages_of_other_origins_may_not(with_settings: Callable[..., None], origin: str) -> None:
    with_settings(CORS_ORIGINS="https://app.example.org")
    heard = await ask(APP, "GET", "/thing", headers={"origin": origin})
    assert heard.status == 201
    assert [name for name, _ in heard.headers if name.startswith("access-control")] == []
    assert "origin" in str(heard.header("vary"))


async def test_an_answer_kept_by_a_cache_varies_with_the_origin_even_where_none_was_sent() -> None:
    assert "origin" in str((await ask(APP, "GET", "/page")).header("vary"))


async def test_a_preflight_of_an_allowed_origin_is_granted(with_settings: Callable[..., None]) -> None:
    with_settings(CORS_ORIGINS="https://app.example.org")
    heard = await ask(APP, "OPTIONS", "/nothing", headers={"origin": "https://app.example.org", **PREFLIGHT})
    assert heard.status == 204
    assert heard.header("access-control-allow-origin") == "https://app.example.org"
    assert heard.header("access-control-allow-methods") == "OPTIONS, POST"
    assert heard.header("access-control-allow-headers") == "authorization, content-type"
    assert heard.header("access-control-max-age") == "600"


async def test_a_preflight_of_another_origin_is_not(with_settings: Callable[..., None]) -> None:
    with_settings(CORS_ORIGINS="https://app.example.org")
    heard = await ask(APP, "OPTIONS", "/nothing", headers={"origin": "https://evil.example.org", **PREFLIGHT})
    assert heard.status == 204
    assert [name for name, _ in heard.headers if name.startswith("access-control")] == []
