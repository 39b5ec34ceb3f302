"""Who may: tokens, scopes, roles, and the Origin rule of the refresh cookie."""

from collections.abc import Awaitable, Callable
from uuid import UUID

import pytest

from shared.faas import Call, Response
from tests.faas.asgi import ask, declared, serving

Bearer = Callable[..., dict[str, str]]
ApiToken = Callable[..., Awaitable[dict[str, str]]]


async def open_to_all(call: Call) -> Response:
    return Response.no_content()


async def whoami(call: Call) -> Response:
    return Response.content(str(call.user.user_id).encode(), "text/plain")


async def refresh(call: Call) -> Response:
    return Response.content(call.cookies.get("docuvault_refresh", "").encode(), "text/plain")


APP = serving(
    declared("GET", "/open", open_to_all),
    declared("GET", "/user", whoami, auth="user", scope="documents:read"),
    declared("GET", "/self", whoami, auth="user"),
    declared("GET", "/admin", whoami, auth="admin"),
    declared("GET", "/confused", whoami),
    declared("POST", "/refresh", refresh, auth="cookie"),
)


async def test_what_is_open_is_open(services: None) -> None:
    assert (await ask(APP, "GET", "/open")).status == 204


async def test_a_signed_in_user_is_known(owner: UUID, bearer: Bearer) -> None:
    assert (await ask(APP, "GET", "/user", headers=bearer(owner))).body.decode() == str(owner)


@pytest.mark.parametrize(
    "authorization",
    [None, "", "Bearer", "Bearer ", "Basic dXNlcjpwYXNz", "Bearer x.y.z", "Bearer dvt_nonsense", "Token x", "Bearer \xff" * 9],
)
async def test_no_token_or_one_that_is_not_ours_is_401(services: None, authorization: str | None) -> None:
    heard = await ask(APP, "GET", "/user", headers={} if authorization is None else {"authorization": authorization})
    assert heard.status == 401
    assert heard.code == "unauthenticated"
    assert heard.header("www-authenticate") == "Bearer"


async def test_the_scheme_is_read_in_any_case(owner: UUID, bearer: Bearer) -> None:
    headers = bearer(owner)
    headers["authorization"] = headers["authorization"].replace("Bearer ", "bEARER  ")
    assert (await ask(APP, "GET", "/user", headers=headers)).status == 200


async def test_a_token_taken_to_another_browser_is_401(owner: UUID, bearer: Bearer) -> None:
    assert (await ask(APP, "GET", "/user", headers={**bearer(owner), "user-agent": "another"})).status == 401


async def test_admin_functions_are_for_admins(owner: UUID, bearer: Bearer) -> None:
    heard = await ask(APP, "GET", "/admin", headers=bearer(owner))
    assert (heard.status, heard.code) == (403, "forbidden")
    assert (await ask(APP, "GET", "/admin", headers=bearer(owner, role="admin"))).status == 200


async def test_an_api_token_may_do_what_its_scopes_say(owner: UUID, api_token: ApiToken) -> None:
    heard = await ask(APP, "GET", "/user", headers=await api_token(owner, "topics:read", "documents:read"))
    assert heard.body.decode() == str(owner)


async def test_an_api_token_without_the_scope_is_told_so(owner: UUID, api_token: ApiToken) -> None:
    heard = await ask(APP, "GET", "/user", headers=await api_token(owner, "documents:write"))
    assert (heard.status, heard.code) == (403, "insufficient_scope")


@pytest.mark.parametrize("path", ["/self", "/admin"])
async def test_where_no_scope_is_declared_no_api_token_is_accepted(owner: UUID, api_token: ApiToken, path: str) -> None:
    heard = await ask(APP, "GET", path, headers=await api_token(owner, "documents:read", "account:read"))
    assert (heard.status, heard.code) == (403, "forbidden")


async def test_a_function_that_lets_everyone_in_has_no_user(owner: UUID, bearer: Bearer) -> None:
    assert (await ask(APP, "GET", "/confused", headers=bearer(owner))).status == 401


async def test_permission_is_asked_before_the_body_is_looked_at(services: None) -> None:
    from shared.faas import RequestModel

    class Body(RequestModel):
        name: str

    app = serving(declared("POST", "/", whoami, auth="user", body=Body))
    assert (await ask(app, "POST", "/", body=b"{malformed")).status == 401


# ---- the refresh cookie

COOKIE = {"cookie": "a=b; docuvault_refresh=the-token"}


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        pytest.param({}, True, id="no browser at all"),
        pytest.param({"sec-fetch-site": "same-origin"}, True, id="our own page"),
        pytest.param({"sec-fetch-site": "same-site"}, False, id="a sister site"),
        pytest.param({"sec-fetch-site": "cross-site"}, False, id="another site"),
        pytest.param({"sec-fetch-site": "none"}, False, id="typed into the address bar"),
        pytest.param({"origin": "http://vault.test"}, True, id="the request's own scheme and host"),
        pytest.param({"origin": "http://vault.test", "sec-fetch-site": "same-origin"}, True, id="the same, as browsers send it"),
        pytest.param({"origin": "https://vault.test"}, False, id="another scheme"),
        pytest.param({"origin": "http://vault.test:8080"}, False, id="another port"),
        pytest.param({"origin": "http://vault.test.evil.org"}, False, id="a longer host"),
        pytest.param({"origin": "https://backend.example.org"}, True, id="BACKEND_URL"),
        pytest.param({"origin": "https://front.example.org"}, True, id="FRONTEND_URL"),
        pytest.param({"origin": "https://app.example.org"}, True, id="one of CORS_ORIGINS"),
        pytest.param({"origin": "https://app.example.org", "sec-fetch-site": "cross-site"}, True, id="one of CORS_ORIGINS, cross-site"),
        pytest.param({"origin": "https://evil.example.org"}, False, id="any other"),
        pytest.param({"origin": "null"}, False, id="an opaque origin"),
        pytest.param({"origin": ""}, False, id="an empty origin"),
    ],
)
async def test_the_refresh_cookie_counts_only_from_where_it_may(
    services: None, with_settings: Callable[..., None], headers: dict[str, str], allowed: bool
) -> None:
    with_settings(
        BACKEND_URL="https://backend.example.org", FRONTEND_URL="https://front.example.org", CORS_ORIGINS="https://app.example.org"
    )
    heard = await ask(APP, "POST", "/refresh", headers={**COOKIE, **headers})
    if allowed:
        assert heard.body == b"the-token"
    else:
        assert (heard.status, heard.code) == (403, "origin_not_allowed")


async def test_behind_the_gateway_the_own_origin_is_the_one_that_the_client_called(services: None) -> None:
    from shared.faas.client_addresses import SIGNED_CLIENT_HEADER, signed_client

    told = {SIGNED_CLIENT_HEADER: signed_client("192.0.2.1", "https://public.test")}
    assert (await ask(APP, "POST", "/refresh", headers={**COOKIE, **told, "origin": "https://public.test"})).status == 200
    assert (await ask(APP, "POST", "/refresh", headers={**COOKIE, **told, "origin": "http://vault.test"})).status == 403
