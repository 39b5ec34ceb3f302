"""From an ASGI request to a response: the one path every HTTP function is served by, alone or behind the gateway.

In this order: request id, one Host and a header of bearable size, route, CORS preflight, sign-in, limits, permission, body size,
validation, limits of the operation's own, the account's turn, idempotency, the function. Failures become RFC 9457 problems here and
nowhere else.

A request with a valid token counts against its account, every other one against its address: a neighbour behind the same address can
use up what is granted to strangers there, but shuts nobody out who is signed in. So the response to a request without a valid token is
401 until its address has used up its limit, then 429. Tokens are verified all the same then (at an address that is used up: a few at a
time, in turn), or its limit would be everybody's there.
"""

import logging
import re
import time
from typing import TYPE_CHECKING, Any, Protocol

from pydantic import BaseModel

from shared import rate_limits
from shared.api.response import Response, problem
from shared.errors import (
    DomainError,
    Forbidden,
    InsufficientScope,
    MethodNotAllowed,
    NotFound,
    OriginNotAllowed,
    Unauthenticated,
)
from shared.faas import origins, requests, turns
from shared.faas.asgi import AsgiScope, Receive, Send
from shared.faas.call import AnyCall, Call, PathParameters, bearer_token
from shared.faas.client_addresses import client_address
from shared.faas.declarations import EndpointDeclaration
from shared.faas.fingerprints import StreamFingerprint
from shared.faas.requests import Incoming
from shared.faas.responses import send_response
from shared.faas.routing import Route, Router
from shared.faas.slots import Slots
from shared.ids import new_id_text
from shared.observability import measurements

if TYPE_CHECKING:
    from shared.identity.access import Principal

log = logging.getLogger("docuvault.http")

_SANE_REQUEST_ID = re.compile(r"[A-Za-z0-9._:+/=-]{8,128}")


class InternalError(DomainError):
    status, code, title = 500, "internal_error", "Something went wrong here; it has been logged under the request id"


class Remote(Protocol):
    """Functions that live elsewhere (the gateway's remote functions)."""

    def serves(self, declaration: EndpointDeclaration) -> bool:
        """Whether the function is one of them."""

    async def __call__(self, scope: AsgiScope, receive: Receive, declaration: EndpointDeclaration, request_id: str) -> Response:
        """Serves the request there, with all the headers the client is to get."""


async def serve(router: Router, scope: AsgiScope, receive: Receive, send: Send, *, remote: Remote | None = None) -> None:
    """Serves one ASGI `http` request."""
    started = time.perf_counter()
    measurements.process.under_way += 1
    headers, header_bytes = requests.headers_of(scope)
    request_id = headers.get("x-request-id", "")
    if not _SANE_REQUEST_ID.fullmatch(request_id):
        request_id = new_id_text()
    method: str = scope["method"]
    declaration: EndpointDeclaration | None = None
    incoming: Incoming | None = None
    held = Slots()
    if method not in ("GET", "HEAD") or "content-length" in headers or "transfer-encoding" in headers:
        receive = incoming = Incoming(receive)
    try:
        try:
            path = requests.raw_path(scope)
            requests.refuse_malformed(scope, path, headers, header_bytes)
            match = router.find(path)
            if match is None:
                raise NotFound("There is nothing at this address.")
            routes, parameters = match
            route = routes.get("GET" if method == "HEAD" else method)
            if route is None:
                response = _without_route(routes, method, headers)
            else:
                declaration = route.declaration
                if remote is not None and not declaration.of_process and remote.serves(declaration):
                    response = await remote(scope, receive, declaration, request_id)
                else:
                    response = await _call(route, parameters, scope, headers, receive, request_id, held)
        except DomainError as error:
            response = problem(error, request_id)
        except Exception:
            log.exception("unexpected failure", extra={"fields": _fields(declaration, request_id)})
            response = problem(InternalError(), request_id)
        if incoming is not None:
            over = response.ready_made or isinstance(response.body, bytes)  # else the function may still be reading while it responds
            if over and not await incoming.discard_the_rest() and scope["http_version"] == "1.1":
                # The server will close: a client that is not told sends its next request into the closing connection (RFC 9112, 9.6).
                response.headers.append(("connection", "close"))
            if method not in ("GET", "HEAD"):  # whose body nobody reads
                receive = incoming.after_the_body
        may_compress = declaration is None or not declaration.secret_answer
        try:
            await send_response(response, headers, request_id, receive, send, head=method == "HEAD", may_compress=may_compress)
        except Exception:
            # Too late for another response: the server ends the connection, so that the client knows this one is not whole.
            log.exception("the response broke off", extra={"fields": _fields(declaration, request_id)})
            raise
    finally:
        held.release()
        measurements.process.under_way -= 1
    seconds = time.perf_counter() - started
    name = None if declaration is None else declaration.name
    measurements.process.count_request(name, response.status, seconds)
    if log.isEnabledFor(logging.INFO):
        # The path may hold a token (shares, content): the function's name says enough.
        milliseconds = round(seconds * 1000, 2)
        fields = {"method": method, "function": name, "status": response.status, "ms": milliseconds, "request_id": request_id}
        log.info("request", extra={"fields": fields})


def _fields(declaration: EndpointDeclaration | None, request_id: str) -> dict[str, str]:
    return {"function": "" if declaration is None else declaration.name, "request_id": request_id}


async def _call(
    route: Route,
    parameters: dict[str, str],
    scope: AsgiScope,
    headers: dict[str, str],
    receive: Receive,
    request_id: str,
    held: Slots,
) -> Response:
    declaration = route.declaration
    address = client_address(scope, headers)
    principal: Principal | None = None
    if declaration.auth in ("user", "admin"):
        principal = await _signed_in(address, headers)
        await rate_limits.count_account(principal.user_id)
        _refuse_forbidden(declaration, principal)
    elif not declaration.of_process:
        await rate_limits.count_address(address)
        if declaration.auth == "cookie":
            _refuse_foreign_page(scope, headers)
    if declaration.at_once is not None:
        held.take(declaration, address, None if principal is None else principal.user_id)
    query: Any = requests.query(route, scope["query_string"]) if route.query else None
    requests.refuse_length(headers, declaration.max_body)
    raw = b""
    body: Any = None
    if declaration.body != "stream" and declaration.method != "GET":
        raw = await requests.read(receive, declaration.max_body)
        if route.body is not None:
            body = requests.body(route.body, raw, headers)
    # Only what fits: a neighbour's malformed requests use nobody's attempts up.
    for limit in declaration.rate_limits:
        await rate_limits.count_named(limit, address)
    path = PathParameters(parameters)
    path.check_ids()
    stream = requests.stream(receive, declaration.max_body)
    key = headers.get("idempotency-key") if declaration.idempotent and principal is not None else None
    fingerprint: bytes | StreamFingerprint = b""
    if key is not None:
        fingerprint = b"\0".join((scope["path"].encode(), scope["query_string"], raw))
        if declaration.body == "stream":
            fingerprint = StreamFingerprint(fingerprint, stream, headers.get("content-type", ""))
            stream = fingerprint.passed_on()
    call: AnyCall = Call(
        request_id=request_id,
        headers=headers,
        path=path,
        client_address=address,
        principal=principal,
        body=body,
        query=query,
        stream=stream,
    )
    if principal is None or declaration.at_once is not None:
        return await _run(declaration, call, key, fingerprint)
    turn = turns.begin(principal.user_id)
    if turn is not None:
        await turns.wait(principal.user_id, turn)
    try:
        return await _run(declaration, call, key, fingerprint)
    finally:
        turns.end(principal.user_id)


async def _run(declaration: EndpointDeclaration, call: AnyCall, key: str | None, fingerprint: bytes | StreamFingerprint) -> Response:
    if key is not None:
        from shared.faas import idempotency

        return await idempotency.once(call.db, declaration, key, fingerprint, lambda: _run(declaration, call, None, fingerprint))
    result = await declaration.handler(call)
    if isinstance(result, Response):
        return result
    if isinstance(result, BaseModel):
        response = Response.json(result, status=declaration.status)
        if declaration.subject is not None:
            response.subject = declaration.subject(result)
        return response
    return Response.no_content() if declaration.status == 204 else Response(declaration.status)


async def _signed_in(address: str, headers: dict[str, str]) -> "Principal":
    """Who calls. Raises Unauthenticated, or RateLimited instead if the address has sent too many requests without a valid token."""
    from shared.identity.access import authenticate

    token = bearer_token(headers)
    try:
        if token is None:
            raise Unauthenticated("Send an access token: `Authorization: Bearer …`.")
        return await authenticate(
            token, user_agent=headers.get("user-agent", ""), accept_language=headers.get("accept-language", ""), address=address
        )
    except Unauthenticated:
        await rate_limits.count_address(address)
        raise


def _refuse_forbidden(declaration: EndpointDeclaration, principal: "Principal") -> None:
    if principal.scopes is not None:
        if declaration.scope is None:
            raise Forbidden("API tokens may not do this; sign in instead.")
        if declaration.scope not in principal.scopes:
            raise InsufficientScope(f"This API token lacks the scope {declaration.scope}.")
    if declaration.auth == "admin" and principal.role != "admin":
        raise Forbidden("Only an admin may do this.")


def _refuse_foreign_page(scope: AsgiScope, headers: dict[str, str]) -> None:
    from shared.identity.cookies import REFRESH_COOKIE

    # Without the cookie there is nothing that a foreign page could use.
    if f"{REFRESH_COOKIE}=" in headers.get("cookie", "") and not origins.may_use_cookie(scope, headers):
        raise OriginNotAllowed


def _without_route(routes: dict[str, Route], method: str, headers: dict[str, str]) -> Response:
    allowed = sorted({*routes, "OPTIONS", *(("HEAD",) if "GET" in routes else ())})
    allow = ", ".join(allowed)
    if method != "OPTIONS":
        raise MethodNotAllowed(f"This address answers to {allow}.", headers={"Allow": allow})
    response = Response.no_content([("allow", allow)])
    if "access-control-request-method" in headers and origins.is_cors_origin(headers.get("origin", "")):
        response.headers += [
            ("access-control-allow-methods", allow),
            ("access-control-allow-headers", headers.get("access-control-request-headers", "authorization, content-type")),
            ("access-control-max-age", "600"),
        ]
    return response
