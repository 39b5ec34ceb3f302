"""Calling functions over the network."""

import asyncio
import os
import socket
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import uvicorn
from gunicorn.config import Keepalive  # type: ignore[import-untyped]

from infra.broker import targets as broker_targets
from infra.broker.deliveries import Delivery
from infra.broker.targets import Done, Targets
from infra.functions import ROOT
from infra.gateway import remote
from infra.local.ports import free_port_block
from shared.clock import now
from shared.config import settings
from shared.ids import new_id
from tests.infra.broker.conftest import Functions
from tests.infra.broker.waiting import until
from tests.infra.worker.process import FUNCTIONS


@pytest.fixture
async def service(services: None) -> AsyncIterator[Targets]:
    """A function that is a service of its own, served by functions-framework."""
    port = free_port_block(1)
    program = Path(sys.executable).with_name("functions-framework")
    options = ["--asgi", "--source", str(FUNCTIONS / "take_note.py"), "--target", "take_note", "--host", "127.0.0.1", "--port", str(port)]
    process = await asyncio.create_subprocess_exec(program, *options, env=os.environ | {"PYTHONPATH": str(ROOT)})
    targets = Targets(f"http://127.0.0.1:{port}/{{service}}", "", settings().secret_key)
    try:
        await until(targets.reachable)
        yield targets
    finally:
        await targets.close()
        process.terminate()
        await process.wait()


def _delivery() -> Delivery:
    return Delivery(
        id=new_id(), function="take_note", queue="documents", attempt=1, lane=new_id(), cost=0, turn=1, event_id=new_id(),
        type="test.happened", owner_id=None, subject="s", data={}, created_at=now(),
    )  # fmt: skip


async def test_a_broker_that_stood_still_does_not_use_a_connection_that_was_closed_meanwhile(service: Targets) -> None:
    assert await service.call(_delivery(), 10) == Done()
    # Nothing else runs in this process: as with a busy machine, or one that was suspended.
    time.sleep(Keepalive.default + 0.5)  # noqa: ASYNC251
    assert await service.call(_delivery(), 10) == Done()


def test_functions_that_are_services_of_their_own_are_called_there_and_all_others_in_the_worker() -> None:
    some = Targets("http://{service}:8080", "http://worker:8081", (), remote=["send_email"])
    assert [some.url(name) for name in ("send_email", "extract_document")] == [
        "http://send-email:8080",
        "http://worker:8081/extract-document",
    ]
    assert not some.shared
    everything = Targets("http://{service}:8080", "http://worker:8081", ())
    assert everything.url("extract_document") == "http://extract-document:8080"
    assert not everything.shared
    nothing = Targets("", "http://worker:8081", (), remote=["send_email"])
    assert nothing.url("send_email") == "http://worker:8081/send-email"
    assert nothing.shared


def test_no_connection_is_kept_for_as_long_as_the_services_of_functions_keep_it() -> None:
    theirs = min(Keepalive.default, uvicorn.Config("").timeout_keep_alive)
    assert max(broker_targets.KEPT_ALIVE_SECONDS, remote.KEEP_ALIVE_SECONDS) < theirs


async def test_a_machine_that_vanishes_is_noticed_long_before_a_slow_function_s_time_is_up(functions: Functions) -> None:
    targets = Targets("", functions.url, settings().secret_key)
    assert await targets.reachable()
    session = targets._session
    assert session is not None
    assert session.connector is not None
    (kept,) = [protocol for pool in session.connector._conns.values() for protocol, _ in pool]
    assert kept.transport is not None
    connection: socket.socket = kept.transport.get_extra_info("socket")
    assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
    assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) <= 10
    await targets.close()
