"""Runs an ASGI application with granian in this very process, until SIGTERM or SIGINT; requests under way are finished first."""

import asyncio
import importlib
import logging
import os
import signal
import socket
import sys
from typing import Any

from shared.config import SettingsError, settings
from shared.observability import logs

DRAIN_SECONDS = 20.0
"""What requests under way are given to end."""

log = logging.getLogger("docuvault.server")


def run(factory: str, *, host_variable: str, port_variable: str, port: int) -> None:
    """Serves what `module:function` makes, at the address the two variables name; exits 1 with a sentence where it cannot."""
    try:
        logs.configure(settings().log_level, settings().log_format)
    except SettingsError as wrong:
        sys.exit(f"DocuVault cannot start; these settings are wrong:\n{wrong}")
    host = os.environ.get(host_variable, "127.0.0.1")
    given = os.environ.get(port_variable, str(port))
    if not (given.isdecimal() and 0 < int(given) < 65536):
        sys.exit(f"DocuVault cannot start: {port_variable} is not a port. Example: {port_variable}=8080")
    try:
        _refuse_taken(host, int(given))
    except OSError as taken:
        sys.exit(f"DocuVault cannot listen on {host}:{given} ({host_variable}, {port_variable}): {taken.strerror}.")
    module, _, name = factory.partition(":")
    application = getattr(importlib.import_module(module), name)()
    try:
        import uvloop

        runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
    except ImportError:
        runner = asyncio.Runner()
    with runner:
        drained = runner.run(_serve(application, host, int(given)))
        if not drained:
            # The server's own threads still hold the connections of requests that do not end; nothing would make them let go.
            log.warning("requests were cut off by the stop", extra={"fields": {"after_seconds": DRAIN_SECONDS}})
            logging.shutdown()
            os._exit(0)


async def _serve(application: Any, host: str, port: int) -> bool:
    """Whether all requests had ended when it was stopped."""
    from granian.constants import Interfaces
    from granian.server.embed import Server

    from shared.faas import draining

    # Its own words are about its children and being embedded; failures still come through.
    logging.getLogger("_granian").setLevel(logging.ERROR)
    server: Any = Server(application, address=host, port=port, interface=Interfaces.ASGI, log_enabled=False, backlog=1024, websockets=False)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    serving, stopping = asyncio.ensure_future(server.serve()), asyncio.ensure_future(stop.wait())
    await asyncio.wait((serving, stopping), return_when=asyncio.FIRST_COMPLETED)
    if not serving.done():
        draining.start()
        server.stop()
        await asyncio.wait((serving,), timeout=DRAIN_SECONDS)
    stopping.cancel()
    drained: bool = serving.done()
    if drained:
        serving.result()
    return drained


def _refuse_taken(host: str, port: int) -> None:
    """Raises OSError where the address cannot be listened on: granian would say so by a panic."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, port))
