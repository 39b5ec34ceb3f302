"""Paths and methods: what a request finds."""

import pytest

from shared.faas import Call, Response
from shared.faas.routing import Router
from tests.faas.asgi import ask, declared, serving


async def get_document(call: Call) -> Response:
    return Response.content(f"document {call.path.document_id}".encode(), "text/plain")


async def update_document(call: Call) -> Response:
    return Response.content(b"updated", "text/plain")


async def stream_document_events(call: Call) -> Response:
    return Response.content(b"events", "text/plain")


async def get_page(call: Call) -> Response:
    return Response.content(call.path.text("name").encode(), "text/plain")


DOCUMENT = "01890a5d-ac96-774b-bcce-b302099a8057"
APP = serving(
    declared("GET", "/api/documents/{document_id}", get_document),
    declared("PATCH", "/api/documents/{document_id}", update_document),
    declared("GET", "/api/documents/events", stream_document_events),
    declared("GET", "/api/pages/{name}", get_page),
)


async def test_a_parameter_is_handed_to_the_function() -> None:
    assert (await ask(APP, "GET", f"/api/documents/{DOCUMENT}")).body.decode() == f"document {DOCUMENT}"


async def test_a_literal_segment_wins_over_a_parameter() -> None:
    assert (await ask(APP, "GET", "/api/documents/events")).body == b"events"


async def test_a_literal_segment_wins_before_the_method_is_looked_at() -> None:
    heard = await ask(APP, "PATCH", "/api/documents/events")
    assert heard.status == 405
    assert heard.code == "method_not_allowed"
    assert heard.header("allow") == "GET, HEAD, OPTIONS"


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/nothing",
        "/api",
        "/api/documents",
        "/api/documents/",
        f"/api/documents/{DOCUMENT}/",
        "/api/documents/events/",
        "//api/documents/events",
    ],
)
async def test_a_path_that_no_function_has_is_404_and_a_slash_at_the_end_is_part_of_the_path(path: str) -> None:
    heard = await ask(APP, "GET", path)
    assert heard.status == 404
    assert heard.code == "not_found"


@pytest.mark.parametrize("segment", ["1", "not-a-uuid", "..", "%00", "%F0%9F%98%80"])
async def test_a_path_id_that_is_no_uuid_is_404(segment: str) -> None:
    heard = await ask(APP, "GET", f"/api/documents/{segment}")
    assert heard.status == 404
    assert heard.code == "not_found"


async def test_a_segment_arrives_percent_decoded() -> None:
    assert (await ask(APP, "GET", "/api/pages/a%20b")).body == b"a b"


@pytest.mark.parametrize(
    "path",
    [
        "/api%2fdocuments/events",
        "/api%2Fdocuments%2Fevents",
        "%2fapi/documents/events",
        f"/api/documents%2f{DOCUMENT}",
        "/api/documents/%2e%2e",
    ],
)
async def test_an_encoded_slash_is_no_boundary_between_segments(path: str) -> None:
    heard = await ask(APP, "GET", path)
    assert (heard.status, heard.code) == (404, "not_found")


async def test_an_encoded_slash_stays_within_its_segment() -> None:
    assert (await ask(APP, "GET", "/api/pages/a%2Fb%25")).body == b"a/b%"


async def test_a_character_is_the_same_encoded_or_not() -> None:
    assert (await ask(APP, "GET", "/api/%64ocuments/%65vents")).body == b"events"


@pytest.mark.parametrize("segment", [".", "..", "%2e", "%2E%2e", "a%00b", "%ff", "%C3%28", "%ED%A0%80"])
async def test_a_segment_that_means_something_else_further_on_is_404(segment: str) -> None:
    heard = await ask(APP, "GET", f"/api/pages/{segment}")
    assert (heard.status, heard.code) == (404, "not_found")


@pytest.mark.parametrize("method", ["PUT", "DELETE", "TRACE", "PROPFIND", "get"])
async def test_another_method_is_405_with_allow(method: str) -> None:
    heard = await ask(APP, method, f"/api/documents/{DOCUMENT}")
    assert heard.status == 405
    assert heard.header("allow") == "GET, HEAD, OPTIONS, PATCH"


async def test_options_says_what_is_allowed() -> None:
    heard = await ask(APP, "OPTIONS", f"/api/documents/{DOCUMENT}")
    assert heard.status == 204
    assert heard.header("allow") == "GET, HEAD, OPTIONS, PATCH"
    assert heard.header("content-length") is None


async def test_head_answers_as_get_does_without_a_body() -> None:
    got, head = await ask(APP, "GET", "/api/documents/events"), await ask(APP, "HEAD", "/api/documents/events")
    assert head.status == got.status
    assert head.body == b""
    assert [pair for pair in head.headers if pair[0] != "x-request-id"] == [pair for pair in got.headers if pair[0] != "x-request-id"]
    assert head.header("content-length") == "6"


async def test_head_of_a_failure_has_no_body_either() -> None:
    heard = await ask(APP, "HEAD", "/nothing")
    assert (heard.status, heard.body) == (404, b"")


def test_one_place_in_a_path_has_one_name() -> None:
    first, second = declared("GET", "/api/a/{one}", get_page), declared("PATCH", "/api/a/{two}", update_document)
    with pytest.raises(ValueError, match="already called one"):
        Router([first, second])


def test_a_method_and_path_are_declared_once() -> None:
    first, second = declared("GET", "/api/a", get_page), declared("GET", "/api/a", update_document)
    with pytest.raises(ValueError, match="declared twice"):
        Router([first, second])
