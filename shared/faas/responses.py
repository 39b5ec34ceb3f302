"""What a response becomes on the wire: security headers, CORS, compression, streams that end when nobody listens any more."""

import asyncio
import re
import zlib
from collections.abc import AsyncIterator, Mapping
from functools import lru_cache

from shared.api.response import Response
from shared.config import settings
from shared.faas import draining, origins
from shared.faas.asgi import Receive, Send

GZIP_FROM_BYTES = 1024
GZIP_IN_A_THREAD_FROM_BYTES = 128 * 1024
"""Compressing more than this would keep everybody else waiting for milliseconds."""

RawHeaders = list[tuple[bytes, bytes]]

_COMPRESSIBLE = ("application/json", "application/problem+json", "text/", "application/javascript")
_SECURITY_HEADERS: RawHeaders = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
]
_HSTS = (b"strict-transport-security", b"max-age=31536000")
_NO_STORE = (b"cache-control", b"no-store")
_ENTITY_TAG = re.compile(r'(?:W/)?("[^"]*")')
_NO_CONTENT_OF_ITS_OWN = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")
_VARY = (b"vary", b"origin")
_VARY_COMPRESSIBLE = (b"vary", b"origin, accept-encoding")
_GZIPPED = (b"content-encoding", b"gzip")


async def send_response(
    response: Response,
    headers: Mapping[str, str],
    request_id: str,
    receive: Receive,
    send: Send,
    *,
    head: bool,
    may_compress: bool,
) -> None:
    """Sends a response to a request with `headers`, without its body if `head`; one that is ready-made with nothing added."""
    out, names, content_type = _encoded(response)
    if response.ready_made:
        await _transmit(response.status, out, response.body, receive, send, head=head)
        return
    out.append((b"x-request-id", request_id.encode("latin-1")))
    out += _security_headers(b"cache-control" in names, b"content-security-policy" in names)
    origin = headers.get("origin")
    if origin is not None:
        out += origins.cors_headers(origin)
    compressible = content_type.startswith(_COMPRESSIBLE)
    out.append(_VARY_COMPRESSIBLE if compressible else _VARY)
    body = response.body
    if isinstance(body, bytes):
        if (
            compressible
            and may_compress
            and len(body) >= GZIP_FROM_BYTES
            and b"content-encoding" not in names
            and accepts(headers.get("accept-encoding", ""), "gzip")
        ):
            body = _gzip(body) if len(body) < GZIP_IN_A_THREAD_FROM_BYTES else await asyncio.to_thread(_gzip, body)
            out.append(_GZIPPED)
        if response.status != 204 and b"content-length" not in names:
            out.append((b"content-length", b"%d" % len(body)))
    await _transmit(response.status, out, body, receive, send, head=head)


def accepts(accepted: str, coding: str) -> bool:
    """Whether `Accept-Encoding` allows a coding (RFC 9110, section 12.5.3): by name, or else by `*`; a weight of 0 refuses."""
    if not accepted:
        return False
    weights: dict[str, bool] = {}
    for item in accepted.lower().split(","):
        name, _, parameters = item.partition(";")
        weight = parameters.replace(" ", "").removeprefix("q=")
        weights[name.strip()] = weight.rstrip("0") not in ("0.", ".") and weight != "0"
    return weights.get(coding, weights.get("*", False))


def matches(entity_tag: str, if_none_match: str) -> bool:
    """Whether `If-None-Match` names this tag (RFC 9110, section 13.1.2): `*` names any, and a tag that a proxy made weak counts as well."""
    named = (found[1] for found in _ENTITY_TAG.finditer(if_none_match))
    return if_none_match.strip() == "*" or entity_tag.removeprefix("W/") in named


def _encoded(response: Response) -> tuple[RawHeaders, set[bytes], str]:
    out: RawHeaders = []
    names: set[bytes] = set()
    content_type = ""
    for name, value in response.headers:
        raw_name = name.encode("latin-1")
        out.append((raw_name, value.encode("latin-1", "replace")))
        names.add(raw_name)
        if name == "content-type":
            content_type = value
    return out, names, content_type


@lru_cache(maxsize=4)
def _security_headers(own_caching: bool, own_policy: bool) -> RawHeaders:
    headers = list(_SECURITY_HEADERS)
    if not own_caching:
        headers.append(_NO_STORE)
    if not own_policy:
        headers.append(_NO_CONTENT_OF_ITS_OWN)
    if settings().backend_url.startswith("https://"):
        headers.append(_HSTS)
    return headers


def _gzip(body: bytes) -> bytes:
    compressor = zlib.compressobj(level=5, wbits=31)
    return compressor.compress(body) + compressor.flush()


async def _transmit(
    status: int,
    headers: RawHeaders,
    body: bytes | AsyncIterator[bytes],
    receive: Receive,
    send: Send,
    *,
    head: bool,
) -> None:
    if isinstance(body, bytes):
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if head else body})
        return
    try:
        await send({"type": "http.response.start", "status": status, "headers": headers})
        if head:
            await send({"type": "http.response.body", "body": b""})
        else:
            await _send_stream(body, receive, send, endless=all(name != b"content-length" for name, _ in headers))
    finally:
        close = getattr(body, "aclose", None)
        if close is not None:
            await close()


async def _send_stream(chunks: AsyncIterator[bytes], receive: Receive, send: Send, *, endless: bool) -> None:
    """Streams until the end, the client's going away, or (if no length was promised) the server's draining, whichever is first."""

    async def pump() -> None:
        async for chunk in chunks:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
            # Once the client has gone, sending returns at once; a source that never waits would keep the event loop from noticing.
            await asyncio.sleep(0)

    async def gone() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    pumping, leaving = asyncio.ensure_future(pump()), asyncio.ensure_future(gone())
    tasks = [pumping, leaving, *([asyncio.ensure_future(draining.started())] if endless else [])]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    if not pumping.cancelled() and (failure := pumping.exception()) is not None:
        if leaving.cancelled():
            raise failure
        return  # Nobody is there to be told.
    if leaving.cancelled():
        await send({"type": "http.response.body", "body": b"", "more_body": False})
