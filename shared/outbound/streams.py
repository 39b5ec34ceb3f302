"""Connections as httpcore (or httpcore2) wants them, straight on asyncio's transports.

httpcore's own go through anyio, which stops reading after each read and gives up its turn at each write: with small requests that is most
of what they cost, with long bodies each read waits for a turn of its own. Here bytes are read while earlier ones are worked on, to
READ_AHEAD_BYTES, and written without waiting, to WRITE_AHEAD_BYTES; what is beyond waits for the other side.
"""

import asyncio
import select
from collections import deque
from collections.abc import Iterable
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    import ssl

READ_AHEAD_BYTES = 2**20
WRITE_AHEAD_BYTES = 512 * 1024


class _Signal:
    """What a transport tells the one coroutine that waits for it, if one does."""

    def __init__(self) -> None:
        self._waiter: asyncio.Future[None] | None = None

    async def wait(self, seconds: float | None, late: Exception) -> None:
        """Returns at the next `wake`. Raises `late` after so many seconds."""
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(seconds):
                await self._waiter
        except TimeoutError as silent:
            raise late from silent
        finally:
            self._waiter = None

    def wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class SocketStream(asyncio.Protocol):
    """One connection; `core` is the library whose exceptions it raises."""

    def __init__(self, core: ModuleType) -> None:
        self._core = core
        self._transport: asyncio.Transport
        self._received: deque[bytes] = deque()
        self._held = 0
        self._stopped = False
        """Whether reading is stopped until what came has been taken."""
        self._ended = False
        self._lost: Exception | None = None
        self._full = False
        self._readable = _Signal()
        self._writable = _Signal()
        self._encrypted = False
        self.has_read = False
        """Since it was last written to."""

    # What httpcore calls

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109  httpcore's interface
        """What has come, however much it is: it is there already. Nothing at the end."""
        self.has_read = True
        if not self._received and not self._ended:
            await self._readable.wait(timeout, self._core.ReadTimeout("The other side is silent."))
        if not self._received:
            if self._lost is not None:
                raise self._core.ReadError(str(self._lost)) from self._lost
            return b""
        chunk = self._received.popleft()
        self._held -= len(chunk)
        if self._stopped and self._held < READ_AHEAD_BYTES // 2:
            self._stopped = False
            self._transport.resume_reading()
        return chunk

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109  httpcore's interface
        self.has_read = False
        if not buffer:
            return
        self._raise_if_lost()
        self._transport.write(buffer)
        if self._full:
            await self._writable.wait(timeout, self._core.WriteTimeout("The other side takes nothing."))
            self._raise_if_lost()

    async def aclose(self) -> None:
        self._transport.abort()

    async def start_tls(
        self,
        ssl_context: "ssl.SSLContext",
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109  httpcore's interface
    ) -> "SocketStream":
        """Verifies the certificate for that name. Raises ConnectError, ConnectTimeout."""
        self._encrypted = True
        try:
            async with asyncio.timeout(timeout):
                started = await asyncio.get_running_loop().start_tls(self._transport, self, ssl_context, server_hostname=server_hostname)
        except TimeoutError as silent:
            self._transport.abort()
            raise self._core.ConnectTimeout("The other side agrees on no keys.") from silent
        except OSError as refused:  # what goes wrong with TLS is one, too
            self._transport.abort()
            raise self._core.ConnectError(str(refused)) from refused
        except BaseException:
            self._transport.abort()
            raise
        if started is None:
            raise self._core.ConnectError("The connection ended before keys were agreed on.")
        self.connection_made(started)
        return self

    def get_extra_info(self, info: str) -> Any:
        if info == "is_readable":
            return bool(self._received) or self._ended or self._transport.is_closing() or _has_bytes(self._transport)
        return self._transport.get_extra_info({"client_addr": "sockname", "server_addr": "peername"}.get(info, info))

    # What the transport calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's do not inherit from it
        self._transport.set_write_buffer_limits(WRITE_AHEAD_BYTES)

    def data_received(self, data: bytes) -> None:
        self._received.append(data)
        self._held += len(data)
        if self._held >= READ_AHEAD_BYTES and not self._stopped:
            self._stopped = True
            self._transport.pause_reading()
        self._readable.wake()

    def eof_received(self) -> bool:
        self._ended = True
        self._readable.wake()
        return not self._encrypted  # asyncio does not keep one half of a connection with TLS

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended, self._lost = True, exc or self._lost
        self._readable.wake()
        self._writable.wake()

    def pause_writing(self) -> None:
        self._full = True

    def resume_writing(self) -> None:
        self._full = False
        self._writable.wake()

    def _raise_if_lost(self) -> None:
        if self._transport.is_closing():
            raise self._core.WriteError(str(self._lost or "The connection is closed.")) from self._lost


async def connect(
    core: ModuleType, host: str, port: int, *, seconds: float | None, socket_options: Iterable[Any] | None = None
) -> SocketStream:
    """A connection to an address (not a name). Raises `core`'s ConnectError, ConnectTimeout."""
    try:
        async with asyncio.timeout(seconds):
            transport, stream = await asyncio.get_running_loop().create_connection(lambda: SocketStream(core), host, port)
    except TimeoutError as silent:
        raise core.ConnectTimeout("The other side does not respond.") from silent
    except OSError as refused:
        raise core.ConnectError(str(refused)) from refused
    for option in socket_options or ():
        transport.get_extra_info("socket").setsockopt(*option)
    return stream


def _has_bytes(transport: asyncio.Transport) -> bool:
    """Whether something has come that the event loop has not read yet, if only that the other side has closed."""
    number = transport.get_extra_info("socket").fileno()
    if number < 0:
        return True
    poll = select.poll()
    poll.register(number, select.POLLIN)
    return bool(poll.poll(0))
