"""Transactions on PostgreSQL.

`tenant()` sets `app.user` for the transaction, and row-level security shows that owner's rows only. `system()` takes the role
`docuvault_system`, which sees all rows: for work without a tenant. Both cost one round trip to open and one to commit.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar
from uuid import UUID
from weakref import WeakKeyDictionary

import psycopg
from psycopg.rows import class_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from shared.config import settings
from shared.db.liveness import LIVENESS
from shared.db.wake import Waker
from shared.errors import Unavailable

log = logging.getLogger("docuvault.db")

CONNECT_TIMEOUT_SECONDS = 5
POOL_WAIT_SECONDS = 10.0
"""How long a transaction waits for one of the pool's connections to be free."""
DOWN_WAIT_SECONDS = 3.0
"""How long it waits if PostgreSQL cannot be connected to: long enough for a restart."""
STATEMENT_TIMEOUT_SECONDS = 30

_UNREACHABLE = "The database cannot be reached just now; try again in a moment."
_NO_ROOM = "The database's disk is full, so nothing can be written; reading still works."
_DISK_FULL = "53100"

Params = Mapping[str, Any] | Sequence[Any]
Row = TypeVar("Row")


class Transaction:
    """One open transaction. SQL is written out; parameters are bound (`%(name)s` or `%s`)."""

    def __init__(self, connection: psycopg.AsyncConnection[Any]) -> None:
        self.connection = connection
        self.is_spoilt = False
        """Whether the connection is to be closed once the transaction has ended."""
        self._wakes: list[tuple[str, str]] = []
        self._callbacks: list[Callable[[], None]] = []

    async def execute(self, sql: str, params: Params = ()) -> int:
        """Runs a statement; the number of rows it touched."""
        return (await self.connection.execute(_text(sql), params or None)).rowcount

    async def fetch_all(self, sql: str, params: Params = (), *, row: type[Row], binary: bool = False) -> list[Row]:
        """All rows, each as `row(**columns)`. `binary` is for rows of many bytes: as text, each takes two characters."""
        async with self.connection.cursor(row_factory=class_row(row), binary=binary) as cursor:
            await cursor.execute(_text(sql), params or None)
            return await cursor.fetchall()

    async def fetch_one(self, sql: str, params: Params = (), *, row: type[Row], binary: bool = False) -> Row | None:
        """The first row as `row(**columns)`, or None; `binary` as in `fetch_all`."""
        async with self.connection.cursor(row_factory=class_row(row), binary=binary) as cursor:
            await cursor.execute(_text(sql), params or None)
            return await cursor.fetchone()

    async def fetch_value(self, sql: str, params: Params = ()) -> Any:
        """The first column of the first row, or None."""
        row = await (await self.connection.execute(_text(sql), params or None)).fetchone()
        return row[0] if row else None

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        """Undoes the statements of its block, and no others of the transaction, if one of them fails; the error goes on."""
        await self.connection.execute("SAVEPOINT part")
        try:
            yield
        except Exception:
            await self.connection.execute("ROLLBACK TO SAVEPOINT part")
            raise
        await self.connection.execute("RELEASE SAVEPOINT part")

    @asynccontextmanager
    async def pipeline(self) -> AsyncIterator[None]:
        """Sends the statements of its block together, where a round trip for each would cost more than they do; a response that is read
        within waits for all of them.

        If one fails, the server passes over those that follow, and psycopg takes for prepared what was to be prepared among them: later
        transactions would fail by that. So the connection is given up.
        """
        try:
            async with self.connection.pipeline():
                yield
        except BaseException:
            self.is_spoilt = True
            raise

    def wake(self, channel: str, payload: str = "") -> None:
        """NOTIFY after the commit, from another connection, coalesced (inside, it would serialise all committers)."""
        self._wakes.append((channel, payload))

    def after_commit(self, callback: Callable[[], None]) -> None:
        """Calls `callback` once the transaction is committed; never if it is not."""
        self._callbacks.append(callback)


def will_fail_again(error: BaseException) -> bool:
    """Whether PostgreSQL refuses what it was given, however often it is given: wrong data, or more than it can hold."""
    return isinstance(error, psycopg.DataError | psycopg.NotSupportedError | psycopg.errors.ProgramLimitExceeded)


class Database:
    """A lazily opened pool of connections to one PostgreSQL."""

    def __init__(self, url: str, *, pool_size: int = 8) -> None:
        self._pool: AsyncConnectionPool[psycopg.AsyncConnection[Any]] = AsyncConnectionPool(
            url,
            min_size=0,
            max_size=pool_size,
            open=False,
            max_idle=120,
            # Then the pool forgets about the connection, and the next transaction asks for one at once: the pool's own attempts become
            # so rare that it would find a PostgreSQL that is back only minutes later.
            reconnect_timeout=DOWN_WAIT_SECONDS - 1,
            kwargs={
                "autocommit": True,
                "connect_timeout": CONNECT_TIMEOUT_SECONDS,
                "prepare_threshold": 2,
                "options": f"-c statement_timeout={STATEMENT_TIMEOUT_SECONDS}s -c idle_in_transaction_session_timeout=60s "
                "-c jit=off -c timezone=UTC",
                "application_name": "docuvault",
                **LIVENESS,
            },
        )
        self._opening = asyncio.Lock()
        self._open = False
        self.waker = Waker(url)

    @asynccontextmanager
    async def tenant(self, owner_id: UUID) -> AsyncIterator[Transaction]:
        """A transaction that sees `owner_id`'s rows only. Raises Unavailable if PostgreSQL cannot be reached."""
        async with self._transaction(f"BEGIN; SET LOCAL app.\"user\" = '{UUID(str(owner_id))}'") as transaction:
            yield transaction

    @asynccontextmanager
    async def system(self, settings: str = "") -> AsyncIterator[Transaction]:
        """A transaction that sees all rows: sign-in by address, look-up of tokens, broker, schedules, admin.

        `settings` are SET LOCAL statements that hold in it. A test lists the modules that may call this. Raises Unavailable if PostgreSQL
        cannot be reached.
        """
        async with self._transaction(f"BEGIN; SET LOCAL ROLE docuvault_system; {settings}") as transaction:
            yield transaction

    async def ping(self) -> None:
        """Returns if PostgreSQL responds. Raises Unavailable if it does not."""
        async with self._transaction("BEGIN READ ONLY"):
            pass

    async def close(self) -> None:
        """Closes the pool; what is still running is given two seconds."""
        await self.waker.close()
        if self._open:
            self._open = False
            await self._pool.close(timeout=2)

    @asynccontextmanager
    async def _transaction(self, begin: str) -> AsyncIterator[Transaction]:
        connection = await self._begun(begin)
        transaction = Transaction(connection)
        try:
            try:
                yield transaction
                if (await connection.execute("COMMIT")).statusmessage == "ROLLBACK":
                    # A statement failed and somebody caught that: PostgreSQL has undone all the others with it.
                    raise psycopg.errors.InFailedSqlTransaction("a statement of this transaction failed, so none of it was kept")
            except BaseException:
                if not connection.closed:
                    await _rollback(connection)
                raise
        except psycopg.OperationalError as lost:
            if _is_outage(connection, lost):
                raise Unavailable(_NO_ROOM if lost.sqlstate == _DISK_FULL else _UNREACHABLE) from lost
            raise
        finally:
            if transaction.is_spoilt:
                await connection.close()
            await self._pool.putconn(connection)
        for callback in transaction._callbacks:
            callback()
        if transaction._wakes:
            self.waker.wake(transaction._wakes)

    async def _begun(self, begin: str) -> psycopg.AsyncConnection[Any]:
        """A connection with a transaction open on it."""
        connection = await self._connection()
        try:
            await _begin(connection, begin)
        except psycopg.OperationalError as lost:
            await self._pool.putconn(connection)
            if not _is_outage(connection, lost):
                raise
        except BaseException:
            await self._pool.putconn(connection)
            raise
        else:
            return connection
        # A connection that the server closed since its last use (a restart), so the others are no better: once more on a fresh one.
        # Shielded: the pool would take our cancellation for one more lost connection, and we would never hear of it.
        await asyncio.shield(self._pool.check())
        connection = await self._connection()
        try:
            await _begin(connection, begin)
        except BaseException as lost:
            await self._pool.putconn(connection)
            if isinstance(lost, psycopg.OperationalError) and _is_outage(connection, lost):
                raise Unavailable(_UNREACHABLE) from lost
            raise
        return connection

    async def _connection(self) -> psycopg.AsyncConnection[Any]:
        if not self._open:
            async with self._opening:
                if not self._open:
                    await self._pool.open()
                    self._open = True
        failures = self._failures()
        try:
            try:
                return await self._pool.getconn(DOWN_WAIT_SECONDS)
            except PoolTimeout:
                if self._failures() > failures:
                    raise
                # All connections are at work: that is worth waiting for.
                return await self._pool.getconn(POOL_WAIT_SECONDS - DOWN_WAIT_SECONDS)
        except (PoolTimeout, psycopg.OperationalError) as lost:
            raise Unavailable(_UNREACHABLE) from lost

    def _failures(self) -> int:
        """Attempts to connect that failed so far."""
        return self._pool.get_stats().get("connections_errors", 0)


class TenantDatabase:
    """What an HTTP function gets as `call.db`: transactions of one owner."""

    def __init__(self, database: Database, owner_id: UUID) -> None:
        self._database = database
        self.owner_id = owner_id

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        async with self._database.tenant(self.owner_id) as transaction:
            yield transaction


_databases: WeakKeyDictionary[asyncio.AbstractEventLoop, Database] = WeakKeyDictionary()


def database() -> Database:
    """The running event loop's database, by DATABASE_URL."""
    loop = asyncio.get_running_loop()
    opened = _databases.get(loop)
    if opened is None:
        opened = _databases[loop] = Database(settings().database_url, pool_size=settings().database_pool_size)
    return opened


async def _begin(connection: psycopg.AsyncConnection[Any], begin: str) -> None:
    try:
        # Two statements in one message cannot be prepared.
        await connection.execute(_text(begin), prepare=False)
    except BaseException:
        if not connection.closed:
            await _rollback(connection)
        raise


async def _rollback(connection: psycopg.AsyncConnection[Any]) -> None:
    """Ends the transaction whatever state it is in; a connection that cannot even do that is closed, not reused."""
    try:
        await asyncio.shield(connection.execute("ROLLBACK"))
    except BaseException:
        await connection.close()
        raise


def _is_outage(connection: psycopg.AsyncConnection[Any], error: psycopg.OperationalError) -> bool:
    # 57P01-57P03: shutting down or starting up; 53300: too many connections.
    return connection.closed or error.sqlstate in (None, "57P01", "57P02", "57P03", "53300", _DISK_FULL)


def _text(sql: str) -> Any:
    """psycopg types its queries as LiteralString; ours are constants of the modules they stand in."""
    return sql
