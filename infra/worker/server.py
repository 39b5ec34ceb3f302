"""Serving the worker's application with granian, in this very process: one process, no parent to forward signals."""

import asyncio
import logging
import signal
import socket
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from granian.constants import HTTPModes, Interfaces
from granian.server.embed import Server

from infra.worker.app import Worker
from infra.worker.discovery import load_event_functions
from shared.time_budgets import DRAIN_SECONDS

log = logging.getLogger("docuvault.worker")

CONNECTIONS = 1024
"""How many events the worker takes at once; brokers decide how many it gets."""
CLOSE_SECONDS = 2.0
"""How long the last answers may take to be sent after that."""


class CannotServe(Exception):
    """The address cannot be listened on."""


async def serve(folders: Iterable[Path], host: str, port: int) -> bool:
    """Serves until SIGTERM or SIGINT, then waits for running functions; whether all had ended. Raises CannotServe."""
    _check_free(host, port)
    worker = Worker(load_event_functions(folders))
    # Its own words are about its children and being embedded; failures still come through.
    logging.getLogger("_granian").setLevel(logging.ERROR)
    server = Server(
        worker,
        backlog=CONNECTIONS,
        backpressure=CONNECTIONS,
        address=host,
        port=port,
        interface=Interfaces.ASGINL,
        http=HTTPModes.http1,
        websockets=False,
        log_enabled=False,
    )
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    serving = asyncio.ensure_future(server.serve())
    stopping = asyncio.ensure_future(stop.wait())
    log.info("worker serves", extra={"fields": {"host": host, "port": port, "functions": len(worker.services)}})
    await asyncio.wait((serving, stopping), return_when=asyncio.FIRST_COMPLETED)
    if serving.done():
        serving.result()
        raise CannotServe(f"The worker's server on {host}:{port} ended by itself.")
    try:
        async with asyncio.timeout(DRAIN_SECONDS):
            await worker.drain()
    except TimeoutError:
        log.warning("functions were cut off by the stop", extra={"fields": {"running": worker.running}})
    server.stop()  # type: ignore[no-untyped-call]
    with suppress(TimeoutError):
        async with asyncio.timeout(CLOSE_SECONDS):
            await asyncio.shield(serving)
    return serving.done()


def _check_free(host: str, port: int) -> None:
    """granian says why it could not bind only by a panic."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as taken:
            raise CannotServe(f"The worker cannot listen on {host}:{port} (WORKER_HOST, WORKER_PORT): {taken.strerror}.") from None
