"""From an ASGI request to an answer: the one path every HTTP function is served by, alone or behind the gateway.

In this order: request id, route, CORS preflight, limit by address, sign-in, limit by account, permission, body size, validation,
idempotency, the function; failures become RFC 9457 problems here and nowhere else.
"""

import asyncio
import logging
import re
import time
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, MutableMapping
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from pydantic import BaseModel, ValidationError

from shared.config import settings
from shared.errors import (
    BodyTooLarge,
    DomainError,
    Forbidden,
    InsufficientScope,
    MalformedBody,
    MethodNotAllowed,
    NotFound,
    OriginNotAllowed,
    Unauthenticated,
    UnsupportedMediaType,
    ValidationFailed,
)
from shared.faas import draining, origins
from shared.faas.addresses import client_address
from shared.faas.answers import JSON, Answer, problem
from shared.faas.call import AnyCall, Call, PathParameters, bearer_token
from shared.faas.declarations import EndpointDeclaration
from shared.ids import new_id

if TYPE_CHECKING:
    from shared.identity.access import Principal

AsgiScope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

log = logging.getLogger("docuvault.http")

BODY_TIMEOUT_SECONDS = 30
"""How long a JSON body may take to arrive."""
GZIP_FROM_BYTES = 1024
_SANE_REQUEST_ID = re.compile(r"[A-Za-z0-9._:+/=-]{8,128}")
_COMPRESSIBLE = ("application/json", "application/problem+json", "text/", "application/javascript")


class InternalError(DomainError):
    status, code, title = 500, "internal_error", "Something went wrong here; it has been logged under the request id"


class Route:
    """One declaration with what can be worked out beforehand."""

    __slots__ = ("body", "declaration", "list_parameters", "query", "remote")

    def __init__(self, declaration: EndpointDeclaration) -> None:
        self.declaration = declaration
        self.body = declaration.body if isinstance(declaration.body, type) else None
        self.query = declaration.query
        self.list_parameters = frozenset(
            field.alias or name
            for name, field in (self.query.model_fields.items() if self.query else ())
            if "list[" in str(field.annotation) or "tuple[" in str(field.annotation)
        )


class _Node:
    __slots__ = ("children", "parameter", "parameter_name", "routes")

    def __init__(self) -> None:
        self.children: dict[str, _Node] = {}
        self.parameter: _Node | None = None
        self.parameter_name = ""
        self.routes: dict[str, Route] = {}


Match = tuple[dict[str, Route], dict[str, str]]


class Router:
    """Finds routes by path, then method. A literal segment wins over a parameter before the method is looked at."""

    def __init__(self, declarations: Iterable[EndpointDeclaration]) -> None:
        self._literal: dict[str, dict[str, Route]] = {}
        self._root = _Node()
        for declaration in declarations:
            self._add(Route(declaration))

    def find(self, path: str) -> Match | None:
        """The methods that answer at `path` and the path's parameters, or None."""
        literal = self._literal.get(path)
        if literal is not None:
            return literal, {}
        node = self._root
        parameters: dict[str, str] = {}
        for segment in path[1:].split("/"):
            child = node.children.get(segment)
            if child is None:
                child = node.parameter
                if child is None or not segment:
                    return None
                parameters[node.parameter_name] = segment
            node = child
        return (node.routes, parameters) if node.routes else None

    def _add(self, route: Route) -> None:
        path = route.declaration.path
        node = self._root
        for segment in path[1:].split("/"):
            if segment.startswith("{"):
                if node.parameter is None:
                    node.parameter, node.parameter_name = _Node(), segment[1:-1]
                if node.parameter_name != segment[1:-1]:
                    raise ValueError(f"{path}: this place in the path is already called {node.parameter_name}")
                node = node.parameter
            else:
                node = node.children.setdefault(segment, _Node())
        if route.declaration.method in node.routes:
            raise ValueError(f"{route.declaration.method} {path} is declared twice")
        node.routes[route.declaration.method] = route
        if "{" not in path:
            self._literal[path] = node.routes


Remote = Callable[[AsgiScope, Receive, EndpointDeclaration, str], Awaitable[Answer]]
"""Answers a declaration's request elsewhere (the gateway's remote functions), with all the headers the client is to get."""


async def serve(router: Router, scope: AsgiScope, receive: Receive, send: Send, *, remote: Remote | None = None) -> None:
    """Answers one ASGI `http` request."""
    started = time.perf_counter()
    headers = _headers(scope)
    request_id = headers.get("x-request-id", "")
    if not _SANE_REQUEST_ID.fullmatch(request_id):
        request_id = str(new_id())
    method: str = scope["method"]
    name = ""
    secret = complete = False
    try:
        match = router.find(scope["path"])
        if match is None:
            raise NotFound("There is nothing at this address.")
        routes, parameters = match
        route = routes.get("GET" if method == "HEAD" else method)
        if route is None:
            answer = _without_route(routes, method, headers)
        else:
            name = route.declaration.name
            secret = route.declaration.secret_answer
            if remote is not None:
                answer = await remote(scope, receive, route.declaration, request_id)
                complete = True
            else:
                answer = await _call(route, parameters, scope, headers, receive, request_id)
    except DomainError as error:
        answer = problem(error, request_id)
    except Exception:
        log.exception("unexpected failure", extra={"fields": {"function": name, "request_id": request_id}})
        answer = problem(InternalError(), request_id)
    if complete:
        await _send_as_it_is(answer, receive, send, head=method == "HEAD")
    else:
        await _send(answer, headers, request_id, receive, send, head=method == "HEAD", may_compress=not secret)
    _log_request(started, method, answer.status, name, request_id)


async def _call(
    route: Route,
    parameters: dict[str, str],
    scope: AsgiScope,
    headers: dict[str, str],
    receive: Receive,
    request_id: str,
) -> Answer:
    from shared.faas import rate_limits

    declaration = route.declaration
    address = client_address(scope, headers)
    await rate_limits.count_address(address)
    for limit in declaration.rate_limits:
        await rate_limits.count_named(limit, address)
    principal = await _principal(declaration, scope, headers)
    if principal is not None:
        await rate_limits.count_account(str(principal.user_id))
    query: Any = _query(route, scope["query_string"]) if route.query else None
    length = headers.get("content-length", "")
    if length.isdecimal() and int(length) > declaration.max_body:
        raise BodyTooLarge(f"The body may have {declaration.max_body} bytes.")
    raw = b""
    body: Any = None
    if declaration.body != "stream" and declaration.method in ("POST", "PUT", "PATCH", "DELETE"):
        raw = await _read(receive, declaration.max_body)
        if route.body is not None:
            body = _body(route.body, raw, headers)
    path = PathParameters(parameters)
    for parameter in parameters:
        if parameter.endswith("_id"):
            getattr(path, parameter)
    call: AnyCall = Call(
        request_id=request_id,
        headers=headers,
        path=path,
        client_address=address,
        principal=principal,
        body=body,
        query=query,
        stream=_stream(receive, declaration.max_body),
    )
    if declaration.idempotent and principal is not None and "idempotency-key" in headers:
        from shared.faas import idempotency

        fingerprint = raw if declaration.body != "stream" else f"{scope['query_string']!r} {length}".encode()
        return await idempotency.once(
            call.db,
            declaration,
            headers["idempotency-key"],
            scope["path"].encode() + b"\0" + fingerprint,
            lambda: _run(declaration, call),
        )
    return await _run(declaration, call)


async def _run(declaration: EndpointDeclaration, call: AnyCall) -> Answer:
    result = await declaration.handler(call)
    if isinstance(result, Answer):
        return result
    if isinstance(result, BaseModel):
        return Answer.json(result, status=declaration.status)
    return Answer.no_content() if declaration.status == 204 else Answer(declaration.status)


async def _principal(declaration: EndpointDeclaration, scope: AsgiScope, headers: dict[str, str]) -> "Principal | None":
    if declaration.auth == "none":
        return None
    if declaration.auth == "cookie":
        if not origins.may_use_cookie(scope, headers):
            raise OriginNotAllowed
        return None
    token = bearer_token(headers)
    if token is None:
        raise Unauthenticated("Send an access token: `Authorization: Bearer …`.")
    from shared.identity.access import authenticate

    principal = await authenticate(token, user_agent=headers.get("user-agent", ""), accept_language=headers.get("accept-language", ""))
    if principal.scopes is not None:
        if declaration.scope is None:
            raise Forbidden("API tokens may not do this; sign in instead.")
        if declaration.scope not in principal.scopes:
            raise InsufficientScope(f"This API token lacks the scope {declaration.scope}.")
    if declaration.auth == "admin" and principal.role != "admin":
        raise Forbidden("Only an admin may do this.")
    return principal


def _query(route: Route, query_string: bytes) -> BaseModel:
    assert route.query is not None
    values: dict[str, Any] = {}
    try:
        pairs = parse_qsl(query_string.decode("utf-8"), keep_blank_values=True, errors="strict", max_num_fields=500)
    except (UnicodeDecodeError, ValueError):
        raise ValidationFailed("The query is not valid UTF-8.", errors=[{"loc": ["query"], "msg": "is not valid UTF-8"}]) from None
    for name, value in pairs:
        if "\0" in value:
            raise ValidationFailed("The query does not fit.", errors=[{"loc": ["query", name], "msg": "holds a NUL character"}])
        if name in route.list_parameters:
            values.setdefault(name, []).append(value)
        elif name in values:
            raise ValidationFailed("The query does not fit.", errors=[{"loc": ["query", name], "msg": "is given more than once"}])
        else:
            values[name] = value
    try:
        return route.query.model_validate(values)
    except ValidationError as invalid:
        raise _validation_failed("query", invalid) from None


def _body(model: type[BaseModel], raw: bytes, headers: dict[str, str]) -> BaseModel:
    media_type = headers.get("content-type", JSON).partition(";")[0].strip().lower()
    if media_type != JSON and not media_type.endswith("+json"):
        raise UnsupportedMediaType
    try:
        return model.__pydantic_validator__.validate_json(raw or b"{}")  # type: ignore[no-any-return]
    except ValidationError as invalid:
        first = invalid.errors(include_url=False, include_input=False)[0]
        if first["type"] == "json_invalid":
            raise MalformedBody(f"The body is not valid JSON: {first['msg'].removeprefix('Invalid JSON: ')}.") from None
        raise _validation_failed("body", invalid) from None


def _validation_failed(where: str, invalid: ValidationError) -> ValidationFailed:
    errors = [
        {"loc": [where, *error["loc"]], "msg": error["msg"].removeprefix("Value error, ")}
        for error in invalid.errors(include_url=False, include_input=False, include_context=False)[:20]
    ]
    first = ".".join(str(part) for part in errors[0]["loc"][1:]) or where
    return ValidationFailed(f"{first}: {errors[0]['msg']}", errors=errors)


async def _read(receive: Receive, limit: int) -> bytes:
    try:
        async with asyncio.timeout(BODY_TIMEOUT_SECONDS):
            return b"".join([chunk async for chunk in _stream(receive, limit)])
    except TimeoutError:
        raise MalformedBody(f"The body did not arrive within {BODY_TIMEOUT_SECONDS} seconds.") from None


async def _stream(receive: Receive, limit: int) -> AsyncIterator[bytes]:
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise MalformedBody("The client went away before the body was whole.")
        chunk: bytes = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise BodyTooLarge(f"The body may have {limit} bytes.")
        if chunk:
            yield chunk
        if not message.get("more_body", False):
            return


def _without_route(routes: dict[str, Route], method: str, headers: dict[str, str]) -> Answer:
    allowed = sorted({*routes, "OPTIONS", *(("HEAD",) if "GET" in routes else ())})
    allow = ", ".join(allowed)
    if method != "OPTIONS":
        raise MethodNotAllowed(f"This address answers to {allow}.", headers={"Allow": allow})
    answer = Answer.no_content([("allow", allow)])
    if "access-control-request-method" in headers and origins.is_cors_origin(headers.get("origin", "")):
        answer.headers += [
            ("access-control-allow-methods", allow),
            ("access-control-allow-headers", headers.get("access-control-request-headers", "authorization, content-type")),
            ("access-control-max-age", "600"),
        ]
    return answer


def _headers(scope: AsgiScope) -> dict[str, str]:
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}{'; ' if name == 'cookie' else ', '}{value}" if name in headers else value
    return headers


async def _send(
    answer: Answer,
    headers: dict[str, str],
    request_id: str,
    receive: Receive,
    send: Send,
    *,
    head: bool,
    may_compress: bool,
) -> None:
    names = {name for name, _ in answer.headers}
    out: list[tuple[bytes, bytes]] = [(name.encode("latin-1"), value.encode("latin-1", "replace")) for name, value in answer.headers]
    out.append((b"x-request-id", request_id.encode("latin-1")))
    out += _security_headers(names)
    origin = headers.get("origin")
    if origin is not None:
        out += origins.cors_headers(origin)
    body = answer.body
    if isinstance(body, bytes):
        if may_compress and len(body) >= GZIP_FROM_BYTES and "content-encoding" not in names and _accepts_gzip(headers, answer):
            body = _gzip(body)
            out += [(b"content-encoding", b"gzip"), (b"vary", b"accept-encoding")]
        if answer.status != 204 and "content-length" not in names:
            out.append((b"content-length", str(len(body)).encode()))
    await _transmit(answer.status, out, body, receive, send, head=head)


async def _send_as_it_is(answer: Answer, receive: Receive, send: Send, *, head: bool) -> None:
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers]
    await _transmit(answer.status, headers, answer.body, receive, send, head=head)


async def _transmit(
    status: int,
    headers: list[tuple[bytes, bytes]],
    body: bytes | AsyncIterator[bytes],
    receive: Receive,
    send: Send,
    *,
    head: bool,
) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
    if isinstance(body, bytes):
        await send({"type": "http.response.body", "body": b"" if head else body})
    elif head:
        await _close(body)
        await send({"type": "http.response.body", "body": b""})
    else:
        await _send_stream(body, receive, send)


async def _send_stream(chunks: AsyncIterator[bytes], receive: Receive, send: Send) -> None:
    """Streams until the end, the client's going away, or the server's draining, whichever is first."""

    async def pump() -> None:
        async for chunk in chunks:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def gone() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    pumping = asyncio.ensure_future(pump())
    watching = [asyncio.ensure_future(gone()), asyncio.ensure_future(draining.started())]
    try:
        await asyncio.wait([pumping, *watching], return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (pumping, *watching):
            if not task.done():
                task.cancel()
        await asyncio.gather(pumping, *watching, return_exceptions=True)
        await _close(chunks)
    if not pumping.cancelled() and (failure := pumping.exception()) is not None:
        raise failure


async def _close(chunks: AsyncIterator[bytes]) -> None:
    close = getattr(chunks, "aclose", None)
    if close is not None:
        await close()


_SECURITY_HEADERS: list[tuple[bytes, bytes]] = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
]
_HSTS = (b"strict-transport-security", b"max-age=31536000")
_DEFAULTS = {
    "cache-control": (b"cache-control", b"no-store"),
    "content-security-policy": (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
}


def _security_headers(given: set[str]) -> list[tuple[bytes, bytes]]:
    headers = _SECURITY_HEADERS + [header for name, header in _DEFAULTS.items() if name not in given]
    if settings().backend_url.startswith("https://"):
        headers.append(_HSTS)
    return headers


def _accepts_gzip(headers: dict[str, str], answer: Answer) -> bool:
    content_type = next((value for name, value in answer.headers if name == "content-type"), "")
    if not content_type.startswith(_COMPRESSIBLE):
        return False
    for item in headers.get("accept-encoding", "").lower().split(","):
        coding, _, parameters = item.partition(";")
        if coding.strip() in ("gzip", "*"):
            return parameters.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


def _gzip(body: bytes) -> bytes:
    compressor = zlib.compressobj(level=5, wbits=31)
    return compressor.compress(body) + compressor.flush()


def _log_request(started: float, method: str, status: int, name: str, request_id: str) -> None:
    if log.isEnabledFor(logging.INFO):
        # The path may hold a token (shares, content): the function's name says enough.
        log.info(
            "request",
            extra={
                "fields": {
                    "method": method,
                    "function": name or None,
                    "status": status,
                    "ms": round((time.perf_counter() - started) * 1000, 2),
                    "request_id": request_id,
                }
            },
        )
