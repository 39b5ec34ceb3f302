"""Runs an ASGI application with granian in this very process, until SIGTERM or SIGINT; requests under way are finished first.

HTTP/1.1 only: HTTP/2 without TLS is spoken by no browser, and what is behind it is counted and limited by connection. What connections
may do is told in `infra.connection_limits`.
"""

import asyncio
import importlib
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Protocol

from infra.connection_limits import ConnectionLimits, Guarded, within_descriptors
from infra.port_probe import check_port
from shared.config import SettingsError, settings
from shared.observability import logs
from shared.time_budgets import DRAIN_SECONDS

CLOSE_SECONDS = 2.0
"""What the last responses are given to be sent, when all that time was used up."""
HEADER_BUFFER_BYTES = 64 * 1024
"""What the server reads of a connection at once. It refuses by itself (431) a header that is not whole by then."""
WAITING_CONNECTIONS = 4096
"""How many connections the kernel keeps for the moment when they can be accepted (it may allow fewer)."""

log = logging.getLogger("docuvault.server")


class Application(Protocol):
    """An ASGI application that can be told to end."""

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None: ...

    async def drain(self) -> None:
        """Called once, when the process is to stop; returns when nothing is at work that the server does not wait for by itself."""


class CannotListen(Exception):
    """The address cannot be listened on; the message says why."""


def run(factory: str, *, host_variable: str, port_variable: str, port: int, limits: ConnectionLimits | None = None) -> None:
    """Serves what `module:function` makes, at the address the two variables name; exits 1 with a sentence if it cannot."""
    try:
        logs.configure(settings().log_level, settings().log_format)
    except SettingsError as wrong:
        sys.exit(_sentence(wrong))
    host = os.environ.get(host_variable, "127.0.0.1")
    port_text = os.environ.get(port_variable, str(port))
    if not (port_text.isdecimal() and 0 < int(port_text) < 65536):
        sys.exit(f"DocuVault cannot start: {port_variable} is not a port. Example: {port_variable}=8080")
    module, _, name = factory.partition(":")
    try:
        serve_until_stopped(getattr(importlib.import_module(module), name), host, int(port_text), limits=limits)
    except SettingsError as wrong:
        sys.exit(_sentence(wrong))
    except CannotListen as reason:
        sys.exit(f"DocuVault cannot listen on {host}:{port_text} ({host_variable}, {port_variable}): {reason}.")


def _sentence(wrong: SettingsError) -> str:
    return f"DocuVault cannot start; these settings are wrong:\n{wrong}"


def serve_until_stopped(make: Callable[[], Application], host: str, port: int, *, limits: ConnectionLimits | None = None) -> None:
    """Serves what `make` makes until SIGTERM or SIGINT. Raises CannotListen; ends the process itself if requests do not end."""
    try:
        check_port(host, port)  # granian would say it by a panic
    except OSError as taken:
        raise CannotListen(taken.strerror) from None
    application = make()
    limits = within_descriptors(limits or ConnectionLimits(settings().max_connections))
    try:
        import uvloop

        runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
    except ImportError:
        runner = asyncio.Runner()
    with runner:
        drained = runner.run(_serve(application, host, port, limits))
        if not drained:
            # The server's own threads still hold the connections of requests that do not end; nothing would make them let go.
            log.warning("requests were cut off by the stop", extra={"fields": {"after_seconds": DRAIN_SECONDS}})
            logging.shutdown()
            os._exit(0)


async def _serve(application: Application, host: str, port: int, limits: ConnectionLimits) -> bool:
    """Whether all requests had ended when it was stopped."""
    from granian.constants import HTTPModes, Interfaces
    from granian.http import HTTP1Settings
    from granian.server.embed import Server

    # Its own words are about its children and being embedded; failures still come through.
    logging.getLogger("_granian").setLevel(logging.ERROR)
    guarded = Guarded(application, port, limits)
    server: Any = Server(
        guarded,
        address=host,
        port=port,
        interface=Interfaces.ASGI,
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(header_read_timeout=int(limits.idle_seconds * 1000), max_buffer_size=HEADER_BUFFER_BYTES),
        backlog=WAITING_CONNECTIONS,
        backpressure=limits.connections,
        websockets=False,
        log_enabled=False,
    )
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    serving, stopping = asyncio.ensure_future(server.serve()), asyncio.ensure_future(stop.wait())
    watching = asyncio.ensure_future(guarded.watch())
    log.info("server serves", extra={"fields": {"host": host, "port": port, "connections": limits.connections}})
    await asyncio.wait((serving, stopping, watching), return_when=asyncio.FIRST_COMPLETED)
    if not stopping.done():
        for ended in (watching, serving):
            if ended.done():
                ended.result()
        raise CannotListen("the server ended by itself")
    end = asyncio.get_running_loop().time() + DRAIN_SECONDS
    await _within(DRAIN_SECONDS, application.drain())
    server.stop()
    guarded.stop()
    await asyncio.wait((serving,), timeout=max(end - asyncio.get_running_loop().time(), CLOSE_SECONDS))
    watching.cancel()
    drained: bool = serving.done()
    if drained:
        serving.result()
    return drained


async def _within(seconds: float, work: Awaitable[None]) -> None:
    try:
        async with asyncio.timeout(seconds):
            await work
    except TimeoutError:
        pass
