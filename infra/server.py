"""Runs an ASGI application with granian in this very process, until SIGTERM or SIGINT; requests under way are finished first."""

import asyncio
import importlib
import logging
import os
import signal
import sys
from typing import Any

from shared.config import SettingsError, settings
from shared.observability import logs

DRAIN_SECONDS = 20
"""What requests under way are given to end."""

log = logging.getLogger("docuvault.server")


def run(factory: str, *, host_variable: str, port_variable: str, port: int) -> None:
    """Serves what `module:function` makes, at the address the two variables name; exits 2 with a sentence where it cannot."""
    try:
        logs.configure(settings().log_level, settings().log_format)
    except SettingsError as wrong:
        sys.exit(f"DocuVault cannot start; these settings are wrong:\n{wrong}")
    host = os.environ.get(host_variable, "127.0.0.1")
    number = int(os.environ.get(port_variable, str(port)))
    module, _, name = factory.partition(":")
    application = getattr(importlib.import_module(module), name)()
    try:
        import uvloop

        runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
    except ImportError:
        runner = asyncio.Runner()
    with runner:
        runner.run(_serve(application, host, number))


async def _serve(application: Any, host: str, port: int) -> None:
    from granian.constants import Interfaces
    from granian.server.embed import Server

    from shared.faas import draining

    server: Any = Server(application, address=host, port=port, interface=Interfaces.ASGI, log_enabled=False, backlog=1024, websockets=False)
    loop = asyncio.get_running_loop()

    def stop() -> None:
        draining.start()
        server.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    await server.serve()
