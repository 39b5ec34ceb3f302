"""What a request brings, checked: its headers, its query, its body."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Mapping, MutableMapping
from contextlib import suppress
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl, quote

from pydantic import BaseModel, ValidationError

from shared.api.models import query_forms
from shared.api.response import JSON
from shared.errors import (
    BodyTimeout,
    BodyTooLarge,
    HeadersTooLarge,
    MalformedBody,
    MalformedRequest,
    UnsupportedMediaType,
    UriTooLong,
    ValidationFailed,
)
from shared.faas.asgi import AsgiScope, Receive
from shared.faas.routing import Route

BODY_TIMEOUT_SECONDS = 30
"""How long a JSON body may take to arrive."""
SILENT_SECONDS = 20.0
"""How long nothing may come of a body that is read as it comes."""
GRACE_SECONDS = 20.0
LEAST_RATE = 1024
"""Bytes a second that such a body must bring while it is waited for; it may fall behind by GRACE_SECONDS, however much has come before."""
MAX_HOST_CHARACTERS = 300
_HOST = re.compile(r"(?:[A-Za-z0-9._~%-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]*)?")
"""RFC 3986, section 3.2.2, less what no name of a host has."""
MAX_URI_BYTES = 8 * 1024
MAX_HEADER_BYTES = 32 * 1024
"""Less than the server itself reads (`infra.serving`), so that what is a little too long gets a problem for a response."""
MAX_QUERY_FIELDS = 500
MAX_ERRORS = 20
"""How many places that do not fit are told at once."""
DISCARDED_BYTES = 1024 * 1024
DISCARDED_SECONDS = 1.0
"""How much of a body that nobody wants is still read: closing a connection on unread bytes resets it, and the response is never seen."""


class Incoming:
    """A request's messages, for whoever reads the body and, once that is whole, for whoever waits for the client to leave."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._whole = asyncio.Event()

    async def __call__(self) -> MutableMapping[str, Any]:
        """The next message."""
        message = await self._receive()
        if not message.get("more_body", False):
            self._whole.set()
        return message

    async def after_the_body(self) -> MutableMapping[str, Any]:
        """The next message that is no part of the body."""
        await self._whole.wait()
        return await self._receive()

    async def discard_the_rest(self) -> bool:
        """Reads what is left of the body, within bounds; whether it is whole now."""
        if self._whole.is_set():
            return True
        left = DISCARDED_BYTES
        with suppress(TimeoutError):
            async with asyncio.timeout(DISCARDED_SECONDS):
                while not self._whole.is_set() and left > 0:
                    left -= len((await self()).get("body", b""))
        return self._whole.is_set()


def headers_of(scope: AsgiScope) -> tuple[dict[str, str], int]:
    """Headers by lower-case name, and how many bytes all names and values have.

    Repeated ones are joined as RFC 9110, section 5.3 has it, cookies as RFC 6265, section 5.4.
    """
    headers: dict[str, str] = {}
    size = 0
    for raw_name, raw_value in scope["headers"]:
        size += len(raw_name) + len(raw_value)
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}{'; ' if name == 'cookie' else ', '}{value}" if name in headers else value
    return headers, size


def raw_path(scope: AsgiScope) -> bytes:
    """The path as the client sent it, without the query."""
    raw: bytes | None = scope.get("raw_path")
    if raw is None:  # servers need not tell it (ASGI, "HTTP connection scope")
        return quote(scope["path"]).encode()
    return raw.partition(b"?")[0] if b"?" in raw else raw


def refuse_malformed(scope: AsgiScope, path: bytes, headers: Mapping[str, str], header_bytes: int) -> None:
    """Raises MalformedRequest unless there is one Host (RFC 9112, section 3.2), UriTooLong, HeadersTooLarge."""
    if len(path) + len(scope["query_string"]) > MAX_URI_BYTES:
        raise UriTooLong(f"An address has at most {MAX_URI_BYTES} bytes.")
    if header_bytes > MAX_HEADER_BYTES:
        raise HeadersTooLarge(f"A request's headers have at most {MAX_HEADER_BYTES} bytes.")
    host = headers.get("host", "")
    # Two of them were joined with a comma and a space; granian gives a request without one an empty one.
    if len(host) > MAX_HOST_CHARACTERS or not (_is_host(host) or (not host and scope["http_version"] != "1.1")):
        raise MalformedRequest("A request has exactly one Host header, with a host and perhaps a port.")


@lru_cache(maxsize=1024)
def _is_host(text: str) -> bool:
    return _HOST.fullmatch(text) is not None


def refuse_length(headers: Mapping[str, str], limit: int) -> None:
    """Raises BodyTooLarge if the request says beforehand that its body has more than `limit` bytes."""
    length = headers.get("content-length", "")
    if length.isdecimal() and (len(length) > 18 or int(length) > limit):
        raise _too_large(limit)


async def read(receive: Receive, limit: int) -> bytes:
    """The whole body. Raises BodyTooLarge, BodyTimeout, MalformedBody if the client goes away."""
    try:
        async with asyncio.timeout(BODY_TIMEOUT_SECONDS):
            return b"".join([chunk async for chunk in stream(receive, limit)])
    except TimeoutError:
        raise BodyTimeout(f"The body did not arrive within {BODY_TIMEOUT_SECONDS} seconds.") from None


async def stream(receive: Receive, limit: int) -> AsyncIterator[bytes]:
    """The body as it comes.

    Raises BodyTooLarge once it has more than `limit` bytes, BodyTimeout when it comes too slowly, MalformedBody if the client goes away.
    Only the time spent waiting for the client counts: whoever reads may take as long as it takes.
    """
    size = 0
    behind = 0.0
    while True:
        began = time.monotonic()
        try:
            async with asyncio.timeout(SILENT_SECONDS):
                message = await receive()
        except TimeoutError:
            raise BodyTimeout(f"Nothing of the body arrived for {SILENT_SECONDS:.0f} seconds.") from None
        waited = time.monotonic() - began
        if message["type"] == "http.disconnect":
            raise MalformedBody("The client went away before the body was whole.")
        chunk: bytes = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise _too_large(limit)
        behind = max(0.0, behind + waited - len(chunk) / LEAST_RATE)
        if behind > GRACE_SECONDS:
            raise BodyTimeout(f"The body came with less than {LEAST_RATE} bytes a second.")
        if chunk:
            yield chunk
        if not message.get("more_body", False):
            return


def query(route: Route, query_string: bytes) -> BaseModel:
    """The query as the route's model. Raises ValidationFailed."""
    assert route.query is not None
    values: dict[str, Any] = {}
    try:
        pairs = parse_qsl(query_string.decode("utf-8"), keep_blank_values=True, errors="strict", max_num_fields=MAX_QUERY_FIELDS)
    except UnicodeDecodeError:
        raise ValidationFailed("The query is not valid UTF-8.", errors=[{"loc": ["query"], "msg": "is not valid UTF-8"}]) from None
    except ValueError:
        msg = f"has more than {MAX_QUERY_FIELDS} fields"
        raise ValidationFailed(f"The query {msg}.", errors=[{"loc": ["query"], "msg": msg}]) from None
    forms = query_forms(route.query)
    for name, value in pairs:
        if "\0" in value:
            raise _misfit(name, "holds a NUL character")
        if name in forms and not forms[name][0].fullmatch(value):
            raise _misfit(name, forms[name][1])
        if name in route.list_parameters:
            values.setdefault(name, []).append(value)
        elif name in values:
            raise _misfit(name, "is given more than once")
        else:
            values[name] = value
    try:
        return route.query.model_validate(values)
    except ValidationError as invalid:
        raise _validation_failed("query", invalid) from None


def body(model: type[BaseModel], raw: bytes, headers: Mapping[str, str]) -> BaseModel:
    """The body as `model`, its types as JSON has them; an absent one counts as `{}`.

    Raises UnsupportedMediaType, MalformedBody, ValidationFailed.
    """
    media_type = headers.get("content-type", JSON).partition(";")[0].strip().lower()
    if media_type != JSON and not media_type.endswith("+json"):
        raise UnsupportedMediaType("Send the body as application/json.")
    try:
        return model.__pydantic_validator__.validate_json(raw or b"{}", strict=True)  # type: ignore[no-any-return]
    except ValidationError as invalid:
        first = invalid.errors(include_url=False, include_input=False)[0]
        if first["type"] == "json_invalid":
            raise MalformedBody(f"The body is not valid JSON: {first['msg'].removeprefix('Invalid JSON: ')}.") from None
        raise _validation_failed("body", invalid) from None


def _validation_failed(where: str, invalid: ValidationError) -> ValidationFailed:
    errors = [
        {"loc": [where, *error["loc"]], "msg": error["msg"].removeprefix("Value error, ")}
        for error in invalid.errors(include_url=False, include_input=False, include_context=False)[:MAX_ERRORS]
    ]
    first = ".".join(str(part) for part in errors[0]["loc"][1:]) or where
    return ValidationFailed(f"{first}: {errors[0]['msg']}", errors=errors)


def _misfit(name: str, msg: str) -> ValidationFailed:
    return ValidationFailed("The query does not fit.", errors=[{"loc": ["query", name], "msg": msg}])


def _too_large(limit: int) -> BodyTooLarge:
    return BodyTooLarge(f"The body may have {limit} bytes.")
