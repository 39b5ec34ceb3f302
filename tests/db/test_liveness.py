"""A server that vanished without a word is noticed."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from urllib.parse import parse_qs, urlsplit, urlunsplit

import pytest

from shared.config import settings
from shared.db import Database


@pytest.fixture
async def over_tcp(services: None) -> AsyncIterator[str]:
    """The URL of the run's PostgreSQL behind a TCP port: it listens on a unix socket itself."""
    parts = urlsplit(settings().database_url)
    folder = parse_qs(parts.query)["host"][0]

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_server, to_server = await asyncio.open_unix_connection(f"{folder}/.s.PGSQL.5432")

        async def pass_on(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
            while received := await source.read(65_536):
                target.write(received)
            target.close()

        await asyncio.gather(pass_on(reader, to_server), pass_on(from_server, writer), return_exceptions=True)

    server = await asyncio.start_server(relay, "127.0.0.1")
    port = server.sockets[0].getsockname()[1]
    yield urlunsplit(parts._replace(netloc=f"{parts.username}@127.0.0.1:{port}", query=""))
    server.close()


async def test_connections_of_the_pool_are_given_up_after_half_a_minute_of_silence(over_tcp: str) -> None:
    database = Database(over_tcp, pool_size=1)
    async with database.system() as tx:
        with socket.socket(fileno=os.dup(tx.connection.fileno())) as connection:
            assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) <= 10
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) <= 30_000
    await database.close()
