"""Connections that requests take one after the other.

httpcore's own pool looks at each of its connections, whether its server has closed it, whenever a request begins and ends; with eight
requests at once that took a third of their time. Here a request takes the connection that was given back last, and looks at that one.
"""

from collections import deque
from collections.abc import AsyncIterator, Callable
from types import ModuleType
from typing import Any


class ConnectionPool:
    """As `AsyncConnectionPool` of httpcore (or httpcore2), in what httpx needs of it. At most `kept` connections wait for a request."""

    def __init__(self, core: ModuleType, *, kept: int, **settings: Any) -> None:
        self._core = core
        self._kept = kept
        self._settings = settings
        self._idle: deque[Any] = deque()
        """Those given back last stand last."""
        self._busy: set[Any] = set()

    async def handle_async_request(self, request: Any) -> Any:
        """The response; its connection is free again when its body is closed. Raises what the connection raises."""
        connection = await self._taken(request.url.origin)
        self._busy.add(connection)
        try:
            response = await connection.handle_async_request(request)
        except BaseException:
            await self._give_back(connection)
            raise

        async def free() -> None:
            await self._give_back(connection)

        return self._core.Response(
            status=response.status, headers=response.headers, content=_PooledBody(response.stream, free), extensions=response.extensions
        )

    async def aclose(self) -> None:
        connections, self._busy = [*self._idle, *self._busy], set()
        self._idle.clear()
        for connection in connections:
            await connection.aclose()

    async def __aenter__(self) -> "ConnectionPool":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def _taken(self, origin: Any) -> Any:
        for connection in [each for each in reversed(self._idle) if each.can_handle_request(origin)]:
            self._idle.remove(connection)
            if not connection.has_expired():
                return connection
            await connection.aclose()
        return self._core.AsyncHTTPConnection(origin, **self._settings)

    async def _give_back(self, connection: Any) -> None:
        """Keeps the connection if another request can use it. Nothing waits here, so it is done also for who was cancelled."""
        if connection not in self._busy:
            return  # the pool was closed meanwhile
        self._busy.remove(connection)
        if connection.is_available():
            self._idle.append(connection)
        else:
            await connection.aclose()
        while self._idle and (len(self._idle) > self._kept or self._idle[0].has_expired()):
            await self._idle.popleft().aclose()


class _PooledBody:
    def __init__(self, stream: Any, free: Callable[[], Any]) -> None:
        self._stream = stream
        self._free = free
        self._closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for part in self._stream:
                yield part
        except BaseException:
            await self.aclose()
            raise

    async def aclose(self) -> None:
        if not self._closed:
            self._closed = True
            try:
                await self._stream.aclose()
            finally:
                await self._free()
