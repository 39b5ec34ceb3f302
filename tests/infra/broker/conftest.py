"""Brokers under test: a PostgreSQL of their own (brokers claim whatever is ready), and functions that do as they are told."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from aiohttp import web

from infra.broker.deliveries import DeliveryLease
from infra.broker.dispatcher import Dispatcher, QueueLimit
from infra.broker.targets import Targets
from infra.local.ports import free_port_block
from infra.local.postgres import Postgres
from shared.config import settings
from shared.db import Database, Transaction
from shared.events import publish
from shared.events.subscriptions import SCHEDULES, Subscription
from tests.infra.broker.events import Happened
from tests.infra.broker.waiting import until

Handler = Callable[[Mapping[str, str], Any], Awaitable[web.Response]]


@pytest.fixture(scope="session")
async def postgres(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Postgres]:
    """A PostgreSQL for the broker's tests alone."""
    folder: Path = tmp_path_factory.mktemp("broker-postgres")
    own = Postgres(folder / "postgres", folder, durable=False)
    await own.start()
    await own.prepare()
    yield own
    await own.stop()


@pytest.fixture
async def outbox(postgres: Postgres) -> "AsyncIterator[Outbox]":
    """Empty tables of events and deliveries."""
    database = Database(postgres.url())
    opened = Outbox(database, postgres.url())
    await opened.empty()
    yield opened
    await database.close()


@dataclass
class Outbox:
    """Events and deliveries, as a test writes and reads them.

    Brokers that run as processes publish the project's own ticks as well, whenever a minute begins: those are passed over.
    """

    database: Database
    url: str

    async def empty(self) -> None:
        async with self.database.system() as tx:
            await tx.execute("DELETE FROM events")
            await tx.execute("DELETE FROM bucket_event_rejects")
            await tx.execute("DELETE FROM schedule_ticks")

    async def publish(
        self,
        function: str = "work",
        *,
        owner: UUID | None = None,
        queue: str = "documents",
        times: int = 1,
        data: Mapping[str, Any] | None = None,
        cost: int = 0,
    ) -> None:
        async with self.database.system() as tx:
            for number in range(times):
                event = Happened.received(owner_id=owner, subject="subject", data=data or {"number": number})
                await publish(tx, event, cost=cost, subscriptions={event.type: (Subscription(function, queue),)})

    async def states(self) -> dict[str, int]:
        """How many deliveries are in each state."""
        async with self.database.system() as tx:
            rows = await tx.fetch_all(
                "SELECT state, count(*)::integer AS number FROM deliveries WHERE function <> ALL (%(ticks)s) GROUP BY state",
                {"ticks": list(SCHEDULES)},
                row=dict,
            )
        return {row["state"]: row["number"] for row in rows}

    async def one(self) -> dict[str, Any]:
        """The only delivery."""
        async with self.database.system() as tx:
            rows = await tx.fetch_all(
                "SELECT *, available_at - now() AS due_in FROM deliveries WHERE function <> ALL (%(ticks)s)",
                {"ticks": list(SCHEDULES)},
                row=dict,
            )
        (row,) = rows
        return row

    async def execute(self, sql: str, **params: Any) -> int:
        async with self.database.system() as tx:
            return await tx.execute(sql, params)

    async def value(self, sql: str, **params: Any) -> Any:
        async with self.database.system() as tx:
            return await tx.fetch_value(sql, params)

    async def fill(self, number: int, state: str, *, owner: UUID | None = None) -> None:
        """So many events of `owner`, each with a delivery in `state`."""
        await self.execute(
            """
            WITH event AS (
                INSERT INTO events (id, type, owner_id, subject, data)
                SELECT gen_random_uuid(), 'test.happened', %(owner)s, '', '{}' FROM generate_series(1, %(number)s) RETURNING id
            )
            INSERT INTO deliveries (id, event_id, function, queue, owner_id, state, finished_at)
            SELECT gen_random_uuid(), id, 'work', 'documents', %(owner)s, %(state)s, CASE WHEN %(state)s = 'done' THEN now() END FROM event
            """,
            number=number,
            state=state,
            owner=owner,
        )

    async def until_all_are(self, state: str, *, seconds: float = 60) -> None:
        async def all_are() -> bool:
            states = await self.states()
            return bool(states) and set(states) == {state}

        await until(all_are, seconds=seconds)


async def rows_read(tx: Transaction) -> int:
    """Rows of events and deliveries that the connection has read, whether they fitted or not: compare two of one transaction."""
    read: int = await tx.fetch_value(
        """
        SELECT sum(coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0))::integer
        FROM pg_stat_xact_user_tables WHERE relname IN ('events', 'deliveries')
        """
    )
    return read


@dataclass
class Functions:
    """An HTTP server in place of functions: answers 200 unless told otherwise, and remembers what was asked of it.

    Stopped and started again it is at the same port, which the system gives to nobody else meanwhile.
    """

    url: str = ""
    calls: list[tuple[str, dict[str, str], Any]] = field(default_factory=list)
    handlers: dict[str, Handler] = field(default_factory=dict)
    _runner: web.AppRunner | None = None
    _port: int = field(default_factory=lambda: free_port_block(1))

    async def start(self) -> None:
        app = web.Application()
        app.router.add_post("/{service}", self._answer)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port, reuse_address=True)
        await site.start()
        self.url = f"http://127.0.0.1:{self._port}"

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _answer(self, request: web.Request) -> web.Response:
        service = request.match_info["service"]
        if service.replace("-", "_") in SCHEDULES:
            return web.Response(text="OK")
        headers = {name.lower(): value for name, value in request.headers.items()}
        body = json.loads(await request.read())
        self.calls.append((service, headers, body))
        handler = self.handlers.get(service)
        return web.Response(text="OK") if handler is None else await handler(headers, body)

    def answer(self, service: str, *answers: web.Response | tuple[int, str]) -> None:
        """`service` gives these answers (status, text) in turn, then 200."""
        left = list(answers)

        async def handler(headers: Mapping[str, str], body: Any) -> web.Response:
            given = left.pop(0) if left else (200, "OK")
            return given if isinstance(given, web.Response) else web.Response(status=given[0], text=given[1])

        self.handlers[service] = handler

    def hold(self, service: str) -> asyncio.Event:
        """`service` answers only once the event is set."""
        release = asyncio.Event()

        async def handler(headers: Mapping[str, str], body: Any) -> web.Response:
            await release.wait()
            return web.Response(text="OK")

        self.handlers[service] = handler
        return release


@pytest.fixture
async def functions() -> AsyncIterator[Functions]:
    served = Functions()
    await served.start()
    yield served
    await served.stop()


@dataclass
class Running:
    """A dispatcher at work, and how long ago it began (seconds)."""

    dispatcher: Dispatcher
    began: float = field(default_factory=time.monotonic)


StartDispatcher = Callable[..., AbstractAsyncContextManager[Running]]


@pytest.fixture
def dispatching(outbox: Outbox, functions: Functions) -> StartDispatcher:
    """`async with dispatching(concurrency=4, shared=False, lease=Lease(...), template="", name="a") as running:`."""

    @asynccontextmanager
    async def start(
        *,
        concurrency: int = 4,
        seconds: float = 30,
        shared: bool = False,
        lease: DeliveryLease | None = None,
        template: str = "",
        name: str = "a",
        database: Database | None = None,
    ) -> AsyncIterator[Running]:
        targets = Targets(template, functions.url, settings().secret_key)
        limits = {queue: QueueLimit(concurrency, seconds, shared) for queue in ("documents", "email", "system")}
        own = database or Database(outbox.url)
        dispatcher = Dispatcher(own, targets, name, limits, lease=lease)
        task = asyncio.create_task(dispatcher.run())
        try:
            yield Running(dispatcher)
        finally:
            await dispatcher.drain(seconds=0.2)
            await asyncio.wait_for(task, 10)
            await targets.close()
            if database is None:
                await own.close()

    return start


async def analyse(postgres: Postgres, *, vacuum: bool = True) -> None:
    """The planner's statistics become those of this moment."""
    async with await psycopg.AsyncConnection.connect(postgres.url("postgres"), autocommit=True) as superuser:
        await superuser.execute("VACUUM ANALYZE deliveries, events" if vacuum else "ANALYZE deliveries, events")
