"""Speaks ASGI to an application as a server would: whole requests, bodies in pieces, clients that go away."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from infra.gateway.app import Gateway
from shared.faas import endpoint
from shared.faas.declarations import ENDPOINTS, EndpointDeclaration
from shared.faas.routing import Router

Message = dict[str, Any]
App = Callable[..., Awaitable[None]]


@dataclass
class Heard:
    """What the client got."""

    status: int = 0
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""
    complete: bool = False

    def header(self, name: str) -> str | None:
        """The header's value, joined by a comma where it came several times."""
        found = [value for header, value in self.headers if header == name]
        return ", ".join(found) if found else None

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The problem's code."""
        assert self.header("content-type") == "application/problem+json"
        return str(self.json()["code"])


class Exchange:
    """One request under way. `send()` more of the body, `leave()` as clients do, `answer` grows."""

    def __init__(self, app: App, scope: Message) -> None:
        self.answer = Heard()
        self._incoming: asyncio.Queue[Message] = asyncio.Queue()
        self._heard = asyncio.Condition()
        self.task = asyncio.ensure_future(app(scope, self._incoming.get, self._take))

    async def _take(self, message: Message) -> None:
        async with self._heard:
            if message["type"] == "http.response.start":
                assert not self.answer.status, "the answer started twice"
                self.answer.status = message["status"]
                self.answer.headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in message["headers"]]
            else:
                assert self.answer.status, "a body before its headers"
                assert not self.answer.complete, "a body after its end"
                self.answer.body += message.get("body", b"")
                self.answer.complete = not message.get("more_body", False)
            self._heard.notify_all()

    def send(self, chunk: bytes, *, more: bool = False) -> None:
        self._incoming.put_nowait({"type": "http.request", "body": chunk, "more_body": more})

    def leave(self) -> None:
        self._incoming.put_nowait({"type": "http.disconnect"})

    @property
    def unread(self) -> int:
        """How many pieces of what was sent nobody has taken."""
        return self._incoming.qsize()

    async def until(self, condition: Callable[[Heard], bool]) -> None:
        """Waits until the answer so far is as `condition` says."""
        async with asyncio.timeout(60), self._heard:
            await self._heard.wait_for(lambda: condition(self.answer))

    async def end(self) -> Heard:
        """Waits until the application has nothing more to say."""
        async with asyncio.timeout(60):
            await self.task
        return self.answer


def scope(
    method: str,
    path: str,
    *,
    headers: Mapping[str, str] | Iterable[tuple[str, str]] = (),
    client: tuple[str, int] | None = ("192.0.2.1", 40000),
    scheme: str = "http",
) -> Message:
    """An HTTP scope as granian makes it."""
    raw_path, _, query = path.partition("?")
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    return {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "scheme": scheme,
        "path": unquote(raw_path),
        "raw_path": raw_path.encode(),
        "query_string": query.encode("latin-1"),
        "headers": [(b"host", b"vault.test"), *((name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in pairs)],
        "client": client,
        "server": ("127.0.0.1", 8080),
    }


async def ask(app: App, method: str, path: str, *, body: bytes | Iterable[bytes] = b"", json: Any = None, **more: Any) -> Heard:
    """Sends a whole request and hears the whole answer."""
    pieces = [body] if isinstance(body, bytes) else list(body)
    if json is not None:
        pieces = [_dumped(json)]
    exchange = Exchange(app, scope(method, path, **more))
    for piece in pieces:
        exchange.send(piece, more=True)
    exchange.send(b"")
    return await exchange.end()


def _dumped(value: Any) -> bytes:
    return json.dumps(value).encode()


def declared(method: Any, path: str, handler: Callable[[Any], Awaitable[Any]], **options: Any) -> EndpointDeclaration:
    """The declaration `@endpoint(method, path, **options)` makes of `handler`, kept out of the project's own."""
    known = ENDPOINTS.pop(handler.__name__, None)
    endpoint(method, path, **{"auth": "none", **options})(handler)
    declaration = ENDPOINTS.pop(handler.__name__)
    if known is not None:
        ENDPOINTS[handler.__name__] = known
    return declaration


def serving(*declarations: EndpointDeclaration) -> Gateway:
    """A gateway over these functions, in this process."""
    return Gateway(Router(declarations))


async def chunks(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece
