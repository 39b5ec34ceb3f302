"""Calling functions over the network."""

import socket

from infra.broker.targets import Targets
from shared.config import settings
from tests.infra.broker.conftest import Functions


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
