"""Handing a request on to a function's own service, streaming both ways.

The service responds with everything (problems, CORS, security headers); the gateway adds the client's address and the origin it called,
signed, and the request id. A service that cannot be reached is 503 `unavailable`; one that dies in the middle of a response ends the
connection.
"""

from collections.abc import AsyncIterator, Collection, Iterable
from typing import TYPE_CHECKING

from shared.api.response import Response
from shared.config import settings
from shared.errors import Unavailable
from shared.faas import requests
from shared.faas.asgi import AsgiScope, Receive
from shared.faas.client_addresses import SIGNED_CLIENT_HEADER, called_origin, client_address, signed_client
from shared.faas.declarations import EndpointDeclaration
from shared.faas.responses import RawHeaders

if TYPE_CHECKING:
    import httpx

CONNECT_TIMEOUT_SECONDS = 5.0
ANSWER_TIMEOUT_SECONDS = 60.0
"""How long a service may say nothing; longer than streams are silent, shorter than people wait."""
CONNECTIONS = 500
"""To the services, for what is quick."""
LASTING_SHARE = 4
"""One of so many of the gateway's own connections may be handed on at once for what lasts (event streams, uploads), over connections of
its own: however many accounts listen, they take none from those who ask."""
LASTING_WAIT_SECONDS = 1.0
KEEP_ALIVE_SECONDS = 1.0
"""Shorter than the services' own (functions-framework: 2 s), so that they never close a connection just as it is used again."""

# RFC 9110, section 7.6.1; `expect` was answered by the gateway's own server, `host` names the service.
_HOP_BY_HOP = {
    b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"proxy-connection", b"te", b"trailer",
    b"transfer-encoding", b"upgrade",
}  # fmt: skip
_NOT_HANDED_ON = _HOP_BY_HOP | {b"host", b"expect", b"x-forwarded-for", b"forwarded", SIGNED_CLIENT_HEADER.encode(), b"x-request-id"}


class RemoteFunctions:
    """Calls services by `template`, e.g. `http://{service}.docuvault.svc.cluster.local`: all functions, or those of `names`."""

    def __init__(self, template: str, names: Collection[str] = ()) -> None:
        self._template = template.rstrip("/")
        self._names = frozenset(names)
        self._clients: dict[bool, httpx.AsyncClient] = {}
        """By whether their requests last."""

    def serves(self, declaration: EndpointDeclaration) -> bool:
        """Whether the function is a service of its own."""
        return not self._names or declaration.name in self._names

    async def __call__(self, scope: AsgiScope, receive: Receive, declaration: EndpointDeclaration, request_id: str) -> Response:
        """The service's response, its body still to come. Raises Unavailable, BodyTooLarge, MalformedBody."""
        import httpx

        client = self._http(lasting=declaration.at_once is not None)
        request = self._request(scope, receive, declaration, request_id)
        try:
            from_service = await client.send(request, stream=True)
        except httpx.TransportError as lost:
            raise Unavailable("The function behind this address cannot be reached just now.", retry_after=2) from lost
        raw = [(name.lower(), value) for name, value in from_service.headers.raw]
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in _end_to_end(raw, _HOP_BY_HOP)]
        response = Response(from_service.status_code, _ServiceBody(from_service), headers)
        response.ready_made = True
        return response

    async def close(self) -> None:
        """Closes the connections to the services."""
        while self._clients:
            await self._clients.popitem()[1].aclose()

    def _request(self, scope: AsgiScope, receive: Receive, declaration: EndpointDeclaration, request_id: str) -> "httpx.Request":
        import httpx

        by_name, _ = requests.headers_of(scope)
        requests.refuse_length(by_name, declaration.max_body)
        headers = _end_to_end(scope["headers"], _NOT_HANDED_ON)
        headers.append(
            (
                SIGNED_CLIENT_HEADER.encode(),
                signed_client(client_address(scope, by_name), called_origin(scope, by_name)).encode("latin-1"),
            )
        )
        headers.append((b"x-request-id", request_id.encode()))
        path = (scope.get("raw_path") or scope["path"].encode()).decode("latin-1").partition("?")[0]
        query = f"?{scope['query_string'].decode('latin-1')}" if scope["query_string"] else ""
        url = self._template.replace("{service}", declaration.service) + path + query
        has_body = "transfer-encoding" in by_name or by_name.get("content-length", "0") != "0"
        content = requests.stream(receive, declaration.max_body) if has_body else None
        # Not by the client's build_request: that adds headers which the caller has not sent (an Accept-Encoding it does not understand).
        return httpx.Request(scope["method"], url, headers=headers, content=content)

    def _http(self, *, lasting: bool) -> "httpx.AsyncClient":
        client = self._clients.get(lasting)
        if client is None:
            from http.cookiejar import CookieJar, DefaultCookiePolicy

            import httpx

            connections = max(1, settings().max_connections // LASTING_SHARE) if lasting else CONNECTIONS
            wait = LASTING_WAIT_SECONDS if lasting else ANSWER_TIMEOUT_SECONDS
            client = self._clients[lasting] = httpx.AsyncClient(
                # One client serves everybody: a cookie that it kept of one caller's response would go out with the next one's request.
                cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
                timeout=httpx.Timeout(ANSWER_TIMEOUT_SECONDS, connect=CONNECT_TIMEOUT_SECONDS, pool=wait),
                limits=httpx.Limits(max_connections=connections, max_keepalive_connections=100, keepalive_expiry=KEEP_ALIVE_SECONDS),
                trust_env=False,
            )
        return client


class _ServiceBody:
    """A service's response as it comes; `aclose()` lets the connection go even if nothing was read."""

    def __init__(self, response: "httpx.Response") -> None:
        self._response = response
        self._chunks = response.aiter_raw()

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        return await anext(self._chunks)

    async def aclose(self) -> None:
        await self._response.aclose()


def _end_to_end(headers: Iterable[tuple[bytes, bytes]], dropped: set[bytes]) -> RawHeaders:
    """The headers that are meant for whoever is at the other end, those that `Connection` names left out."""
    pairs = list(headers)
    named = {token.strip().lower() for name, value in pairs if name == b"connection" for token in value.split(b",")}
    return [(name, value) for name, value in pairs if name not in dropped and name not in named]
