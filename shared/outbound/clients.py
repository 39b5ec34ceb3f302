"""The one place that makes HTTP clients for addresses outside: guarded, bounded, and without a mind of their own.

Each connection goes to an address that the guard has just checked, TLS still verifies the host's name. Redirects are not followed and
proxies of the environment not used: both would lead around the guard. A response has a greatest length, and comes unpacked, so that a
small one cannot unfold into a large one. `client` speaks httpx; `sdk_client` speaks httpx2, which the SDKs of AI providers insist on;
`requests_session` is for libraries that insist on requests, called on a thread.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import aclosing, suppress
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast
from weakref import WeakKeyDictionary

from shared.outbound.guard import HostNotAllowed, UrlGuard
from shared.outbound.pool import ConnectionPool
from shared.outbound.streams import SocketStream, connect

if TYPE_CHECKING:
    import httpx
    import httpx2
    import requests

RESPONSE_BYTES = 4 * 2**20
READ_BYTES = 256 * 1024
"""What asyncio reads from a socket at once (`_SelectorSocketTransport.max_size`)."""
CONNECT_SECONDS = 5.0
CONNECTIONS_KEPT = 20
KEPT_SECONDS = 30.0
DIRECT_BYTES = 2**20
"""What is left of a body at least, if it is not to go through the parser."""
REST_BYTES = 64 * 1024
REST_SECONDS = 1.0


class ResponseTooLarge(Exception):
    """The response is longer than the client takes, or packed although that was not asked for."""


class _CheckedConnections:
    """A network backend of httpcore (or httpcore2) that connects to checked addresses only."""

    def __init__(self, guard: UrlGuard, core: ModuleType) -> None:
        self._guard = guard
        self._core = core

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  httpcore's interface
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> Any:
        failed: Exception | None = None
        for address in await self._guard.addresses(host, port):
            try:
                return await connect(self._core, str(address), port, seconds=timeout, socket_options=socket_options)
            except (self._core.ConnectError, self._core.ConnectTimeout) as refused:
                failed = refused
        raise failed or HostNotAllowed(f"There is no host “{host}”.")

    async def connect_unix_socket(self, *_: Any, **__: Any) -> Any:
        raise HostNotAllowed("Requests do not go to sockets of this machine.")

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def _transport(library: ModuleType, core: ModuleType, guard: UrlGuard, response_bytes: int, idle_seconds: float = KEPT_SECONDS) -> Any:
    class Bounded(library.AsyncByteStream):  # type: ignore[name-defined,misc]
        """A response's body, cut off with ResponseTooLarge.

        The parser (h11) copies each byte three times. So of a long body of known length it gets the first part, with which it hands out
        all that it holds; the rest comes straight from the connection, which is closed afterwards.
        """

        def __init__(self, response: Any, seconds: float | None) -> None:
            self._stream = response.stream
            self._network = response.extensions.get("network_stream")
            self._seconds = seconds
            length = response.headers.get("Content-Length", "")
            plain = length.isascii() and length.isdecimal() and "Transfer-Encoding" not in response.headers
            self._length = int(length) if plain and isinstance(self._network, SocketStream) else 0

        async def __aiter__(self) -> AsyncIterator[bytes]:
            received = 0
            async with aclosing(self._parts()) as parts:
                async for part in parts:
                    received += len(part)
                    if received > response_bytes:
                        raise ResponseTooLarge(f"The response is longer than {response_bytes} bytes.")
                    yield part

        async def _parts(self) -> AsyncGenerator[bytes, None]:
            left = self._length
            async with aclosing(aiter(self._stream)) as parsed:
                async for part in parsed:
                    yield part
                    left -= len(part)
                    if left > DIRECT_BYTES:
                        break
                else:
                    return
                while left:
                    part = (await self._read())[:left]
                    yield part
                    left -= len(part)

        async def _read(self) -> bytes:
            try:
                part: bytes = await self._network.read(READ_BYTES, timeout=self._seconds)
            except core.TimeoutException as silent:
                raise library.ReadTimeout(str(silent)) from silent
            except core.NetworkError as lost:
                raise library.ReadError(str(lost)) from lost
            if not part:
                raise library.RemoteProtocolError("The connection ended before the body did.")
            return part

        async def aclose(self) -> None:
            await self._stream.aclose()

    class Guarded(library.AsyncHTTPTransport):  # type: ignore[name-defined,misc]
        def __init__(self) -> None:
            trust = library.create_ssl_context()  # SSL_CERT_FILE and SSL_CERT_DIR count, for those with an authority of their own
            super().__init__(verify=trust, trust_env=False)
            # The transport takes no network backend, its pool does.
            self._pool = ConnectionPool(
                core,
                kept=CONNECTIONS_KEPT,
                ssl_context=trust,
                keepalive_expiry=idle_seconds,
                network_backend=_CheckedConnections(guard, core),
            )

        async def handle_async_request(self, request: Any) -> Any:
            request.headers["Accept-Encoding"] = "identity"
            response = await super().handle_async_request(request)
            network = response.extensions.get("network_stream")
            if isinstance(network, SocketStream) and not network.has_read:
                await response.aclose()
                raise library.RemoteProtocolError("The response was there before its request: it is the rest of an earlier one.")
            if response.headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity"):
                await response.aclose()
                raise ResponseTooLarge("The response is packed although that was not asked for.")
            response.stream = Bounded(response, request.extensions.get("timeout", {}).get("read"))
            return response

    return Guarded()


def client(
    guard: UrlGuard, *, seconds: float, response_bytes: int = RESPONSE_BYTES, idle_seconds: float = KEPT_SECONDS
) -> "httpx.AsyncClient":
    """A client of httpx; `seconds` is the longest silence it bears, a connection is kept for a next request for `idle_seconds`.

    To be closed by the caller.
    """
    import httpcore
    import httpx

    return httpx.AsyncClient(
        transport=_transport(httpx, httpcore, guard, response_bytes, idle_seconds),
        timeout=httpx.Timeout(seconds, connect=min(seconds, CONNECT_SECONDS)),
        follow_redirects=False,
        trust_env=False,
    )


async def finish(response: "httpx.Response") -> None:
    """Closes a response of whose body nothing was read, or all.

    If there is a rest, and it is short and comes at once, it is read before: else the connection could not be used for the next request,
    which would have to open one (and, with TLS, to agree on keys) anew.
    """
    import httpx

    with suppress(httpx.HTTPError, httpx.StreamError, ResponseTooLarge, TimeoutError):
        received = 0
        async with asyncio.timeout(REST_SECONDS):
            async for part in response.aiter_raw():
                received += len(part)
                if received > REST_BYTES:
                    break
    await release(response)


async def release(response: "httpx.Response") -> None:
    """Closes a response, and lets go of it.

    httpx has it and its stream name one another, so what its request sent would stay in memory until the garbage collector comes by.
    """
    import httpx

    await response.aclose()
    response.stream = httpx.ByteStream(b"")


_sdk_clients: "WeakKeyDictionary[asyncio.AbstractEventLoop, dict[UrlGuard, httpx2.AsyncClient]]" = WeakKeyDictionary()


def sdk_client(guard: UrlGuard) -> "httpx2.AsyncClient":
    """The running event loop's client of httpx2 for this guard, connections and all: shared, so not to be closed by who uses it."""
    import httpcore2
    import httpx2

    clients = _sdk_clients.setdefault(asyncio.get_running_loop(), {})
    if guard not in clients:
        clients[guard] = httpx2.AsyncClient(
            transport=cast("httpx2.AsyncBaseTransport", _transport(httpx2, httpcore2, guard, RESPONSE_BYTES)),
            timeout=httpx2.Timeout(60, connect=CONNECT_SECONDS),
            follow_redirects=False,
            trust_env=False,
        )
    return clients[guard]


def requests_session(guard: UrlGuard, *, seconds: float, response_bytes: int = 64 * 1024) -> "requests.Session":
    """A session of requests, for a thread that has no event loop; of a body, `response_bytes` are read at most. To be closed by the caller.

    Raises, within requests' own exceptions, on a redirect and on a host that the guard does not allow.
    """
    import io
    import os

    import requests
    import urllib3
    from requests.adapters import HTTPAdapter
    from urllib3.util.connection import create_connection

    trust = os.environ.get("SSL_CERT_FILE") or True

    def connect(connection: Any) -> Any:
        failed: Exception | None = None
        try:
            addresses = asyncio.run(guard.addresses(connection.host, connection.port))
        except HostNotAllowed as refused:
            raise urllib3.exceptions.NewConnectionError(connection, str(refused)) from None
        for address in addresses:
            try:
                return create_connection((str(address), connection.port), CONNECT_SECONDS, socket_options=connection.socket_options)
            except OSError as unreachable:
                failed = unreachable
        raise urllib3.exceptions.NewConnectionError(connection, f"cannot be reached: {failed}")

    class Plain(urllib3.connection.HTTPConnection):
        _new_conn = connect

    class Secure(urllib3.connection.HTTPSConnection):
        _new_conn = connect

    class PlainPool(urllib3.HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(urllib3.HTTPSConnectionPool):
        ConnectionCls = Secure

    class Guarded(HTTPAdapter):
        def init_poolmanager(self, *arguments: Any, **named: Any) -> None:
            super().init_poolmanager(*arguments, **named)
            self.poolmanager.pool_classes_by_scheme = {"http": PlainPool, "https": SecurePool}

        def send(self, request: Any, *_: Any, **__: Any) -> Any:
            response = super().send(request, stream=True, timeout=(CONNECT_SECONDS, seconds), verify=trust)
            content = response.raw.read(response_bytes, decode_content=False)
            response.close()
            response.raw = urllib3.HTTPResponse(io.BytesIO(content), status=response.status_code, preload_content=False)
            if response.is_redirect:
                raise requests.TooManyRedirects("The server sends us elsewhere.", response=response)
            return response

    session = requests.Session()
    session.trust_env = False
    session.headers["Accept-Encoding"] = "identity"
    for scheme in ("http://", "https://"):
        session.mount(scheme, Guarded(max_retries=0))
    return session
