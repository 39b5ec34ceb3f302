"""The worker's ASGI application: what functions-framework does for one event function, for all of them by path."""

import asyncio
import logging
from collections.abc import Mapping

from cloudevents.http import from_http
from starlette.exceptions import HTTPException

from shared.errors import Unauthenticated
from shared.events.signing import NOT_BEGUN_HEADER
from shared.faas.asgi import AsgiScope, Receive, Send
from shared.faas.call import bearer_token
from shared.faas.event_functions import CloudEventFunction
from shared.observability import measurements

log = logging.getLogger("docuvault.worker")

MAX_BODY_BYTES = 4 * 2**20
HEALTH_PATH = "/health"
METRICS_PATH = "/metrics"


class Worker:
    """POST `/{service-name}` with a CloudEvent: 200 once the function has returned, or what it raised. `GET /health` is 200, `GET /metrics`
    what this process has counted.

    While it drains, the first two respond with 503 and a header that tells brokers that nothing was begun.
    """

    def __init__(self, functions: Mapping[str, CloudEventFunction]) -> None:
        self._functions = {f"/{service}": function for service, function in functions.items()}
        self.services = tuple(functions)
        self.running = 0
        """Functions at work just now."""
        self._draining = False
        self._idle = asyncio.Event()
        self._idle.set()

    async def drain(self) -> None:
        """Takes no further event (503) and returns once those that run are done."""
        self._draining = True
        await self._idle.wait()

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        if scope["type"] != "http":
            return
        try:
            if scope["path"] == METRICS_PATH:
                await _respond(send, 200, _metrics(scope), [(b"content-type", measurements.CONTENT_TYPE.encode())])
                return
            await self._run(scope, receive)
            await _respond(send, 200, b"OK")
        except HTTPException as refused:
            headers = [(name.lower().encode(), value.encode("latin-1", "replace")) for name, value in (refused.headers or {}).items()]
            await _respond(send, refused.status_code, str(refused.detail).encode(), headers)
        except Exception:
            log.exception("a function crashed outside its handler", extra={"fields": {"path": scope["path"]}})
            await _respond(send, 500, b"Internal Server Error", [(b"x-google-status", b"crash")])

    async def _run(self, scope: AsgiScope, receive: Receive) -> None:
        function = self._functions.get(scope["path"])
        if function is None:
            if scope["path"] == HEALTH_PATH:
                self._refuse_while_draining()
                return
            raise HTTPException(404, detail="Not Found")
        if scope["method"] != "POST":
            raise HTTPException(405, detail="Method Not Allowed", headers={"Allow": "POST"})
        body = await _body(receive)
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        try:
            event = from_http(headers, body)
        except Exception as broken:
            raise HTTPException(400, detail=f"Bad Request: Got CloudEvent exception: {broken!r}") from None
        self._refuse_while_draining()
        self.running += 1
        self._idle.clear()
        try:
            await function(event)
        finally:
            self.running -= 1
            if not self.running:
                self._idle.set()

    def _refuse_while_draining(self) -> None:
        if self._draining:
            raise HTTPException(503, detail="the worker is stopping", headers={NOT_BEGUN_HEADER: "1", "Connection": "close"})


def _metrics(scope: AsgiScope) -> bytes:
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    try:
        measurements.require_token(bearer_token(headers))
    except Unauthenticated as refused:
        raise HTTPException(401, detail=refused.detail, headers=refused.headers) from None
    return measurements.render().encode()


async def _body(receive: Receive) -> bytes:
    body = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise HTTPException(400, detail="the client went away")
        body += bytes(message.get("body", b""))
        if len(body) > MAX_BODY_BYTES:
            raise HTTPException(413, detail=f"an event has at most {MAX_BODY_BYTES} bytes")
        if not message.get("more_body", False):
            return body


async def _respond(send: Send, status: int, body: bytes, headers: list[tuple[bytes, bytes]] | None = None) -> None:
    given = [(b"content-length", str(len(body)).encode()), *(headers or [])]
    if all(name != b"content-type" for name, _ in given):
        given.append((b"content-type", b"text/plain; charset=utf-8"))
    await send({"type": "http.response.start", "status": status, "headers": given})
    await send({"type": "http.response.body", "body": body})


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        elif message["type"] == "lifespan.shutdown":
            await send({"type": "lifespan.shutdown.complete"})
            return
