"""Handing a request on to a function's own service, streaming both ways.

The service answers with everything (problems, CORS, security headers); the gateway adds the client's address, signed, and the request
id. A service that cannot be reached is 503 `unavailable`; one that dies in the middle of an answer ends the connection.
"""

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from shared.errors import BodyTooLarge, Unavailable
from shared.faas.addresses import SIGNED_ADDRESS_HEADER, client_address, signed_address
from shared.faas.answers import Answer
from shared.faas.asgi import AsgiScope, Receive
from shared.faas.declarations import EndpointDeclaration

if TYPE_CHECKING:
    import httpx

CONNECT_TIMEOUT_SECONDS = 5.0
ANSWER_TIMEOUT_SECONDS = 60.0
_HOP_BY_HOP = {
    b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"te", b"trailer", b"transfer-encoding", b"upgrade",
}  # fmt: skip
_NOT_HANDED_ON = _HOP_BY_HOP | {b"x-forwarded-for", b"forwarded", SIGNED_ADDRESS_HEADER.encode(), b"x-request-id"}


class RemoteFunctions:
    """Calls services by `template`, e.g. `http://{service}.docuvault.svc.cluster.local`."""

    def __init__(self, template: str) -> None:
        self._template = template.rstrip("/")
        self._client: httpx.AsyncClient | None = None

    async def __call__(self, scope: AsgiScope, receive: Receive, declaration: EndpointDeclaration, request_id: str) -> Answer:
        """The service's answer, its body still to come. Raises Unavailable, BodyTooLarge."""
        import httpx

        request = self._request(scope, receive, declaration, request_id)
        try:
            answer = await self._http().send(request, stream=True)
        except httpx.TransportError as lost:
            raise Unavailable("The function behind this address cannot be reached just now.", retry_after=2) from lost
        headers = [
            (name.lower().decode("latin-1"), value.decode("latin-1"))
            for name, value in answer.headers.raw
            if name.lower() not in _HOP_BY_HOP
        ]
        return Answer(answer.status_code, _body_of(answer), headers)

    def _request(self, scope: AsgiScope, receive: Receive, declaration: EndpointDeclaration, request_id: str) -> "httpx.Request":
        headers = [(name, value) for name, value in scope["headers"] if name not in _NOT_HANDED_ON]
        text_headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        length = text_headers.get("content-length", "")
        if length.isdecimal() and int(length) > declaration.max_body:
            raise BodyTooLarge(f"The body may have {declaration.max_body} bytes.")
        headers.append((SIGNED_ADDRESS_HEADER.encode(), signed_address(client_address(scope, text_headers)).encode()))
        headers.append((b"x-request-id", request_id.encode()))
        raw_path = scope.get("raw_path") or scope["path"].encode()
        query = f"?{scope['query_string'].decode('latin-1')}" if scope["query_string"] else ""
        url = self._template.replace("{service}", declaration.service) + raw_path.decode("latin-1").partition("?")[0] + query
        has_body = b"transfer-encoding" in dict(scope["headers"]) or length not in ("", "0")
        content = _chunks(receive, declaration.max_body) if has_body else None
        return self._http().build_request(scope["method"], url, headers=headers, content=content)

    def _http(self) -> "httpx.AsyncClient":
        if self._client is None:
            import httpx

            timeout = httpx.Timeout(ANSWER_TIMEOUT_SECONDS, connect=CONNECT_TIMEOUT_SECONDS)
            self._client = httpx.AsyncClient(timeout=timeout, trust_env=False, limits=httpx.Limits(max_connections=500))
        return self._client


async def _body_of(answer: "httpx.Response") -> AsyncIterator[bytes]:
    try:
        async for chunk in answer.aiter_raw():
            yield chunk
    finally:
        await answer.aclose()


async def _chunks(receive: Receive, limit: int) -> AsyncIterator[bytes]:
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        chunk: bytes = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise BodyTooLarge(f"The body may have {limit} bytes.")
        yield chunk
        if not message.get("more_body", False):
            return
