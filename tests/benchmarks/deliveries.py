"""Deliveries/s through broker and worker with an empty function, against procrastinate with an empty async task.

Both at concurrency 20, on the same PostgreSQL (durable, as in production), in turns, the median of three rounds; all jobs wait before the
clock starts. Ours go over HTTP to a second process and are signed; procrastinate runs its tasks in the worker itself. Then, on the idle
system, the time from before `publish` to the function's first line.
"""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median
from typing import Any

from infra.local.ports import free_port_block
from infra.local.postgres import Postgres
from infra.local.valkey import Valkey
from shared import temporary
from shared.db import Database
from shared.events import publish
from shared.events.subscriptions import Subscription
from tests.benchmarks.events import Latency, Nothing
from tests.infra.broker.waiting import until
from tests.services import random_keys

JOBS = 4000
ROUNDS = 3
CONCURRENCY = 20
CALLS = 100
FUNCTIONS = Path(__file__).parent / "functions"


def run() -> None:
    with temporary.folder("benchmark") as folder:
        folder.chmod(0o755)
        asyncio.run(_run(folder))


async def _run(folder: Path) -> None:
    postgres = Postgres(folder / "postgres", folder)
    valkey = Valkey(folder / "valkey", folder, free_port_block(1), "benchmark")
    await asyncio.gather(postgres.start(), valkey.start())
    try:
        await postgres.prepare()
        _procrastinate("prepare", postgres)
        await _measure(postgres, valkey, folder)
    finally:
        await asyncio.gather(postgres.stop(), valkey.stop())


async def _measure(postgres: Postgres, valkey: Valkey, folder: Path) -> None:
    database = Database(postgres.url())
    ours, theirs = [], []
    for _ in range(ROUNDS):
        ours.append(await _our_rate(database, postgres, valkey))
        theirs.append(float(_procrastinate("run", postgres)))
    rate, baseline = median(ours), median(theirs)
    print(f"docuvault          {rate:8.0f} deliveries/s")
    print(f"procrastinate      {baseline:8.0f} jobs/s        docuvault is {rate / baseline:4.2f} times that")
    spent = sorted(await _latencies(database, postgres, valkey, folder / "latencies"))
    print(f"publish to called  p50 {median(spent):6.1f} ms   p95 {spent[int(len(spent) * 0.95)]:6.1f} ms")
    await database.close()


async def _our_rate(database: Database, postgres: Postgres, valkey: Valkey) -> float:
    async with database.system() as tx:
        await tx.execute("DELETE FROM events")
        for _ in range(JOBS):
            await publish(tx, Nothing(), subscriptions={Nothing.TYPE: (Subscription("do_nothing", "documents"),)})
    async with _processes(postgres, valkey):
        await _until_done(database, 1)
        began, first = time.perf_counter(), await _done(database)
        await _until_done(database, JOBS)
        return (JOBS - first) / (time.perf_counter() - began)


async def _latencies(database: Database, postgres: Postgres, valkey: Valkey, file: Path) -> list[float]:
    async with _processes(postgres, valkey):
        for number in range(CALLS + 1):
            async with database.system() as tx:
                event = Latency(at=time.monotonic_ns(), file=str(file))
                await publish(tx, event, subscriptions={event.type: (Subscription("tell_latency", "documents"),)})
            await until(lambda: len(_lines(file)) > number)  # noqa: B023  awaited at once
            await asyncio.sleep(0.03)
    return [int(line) / 1e6 for line in _lines(file)[1:]]  # the first waited for the processes to start


def _lines(file: Path) -> list[str]:
    return file.read_text().splitlines() if file.exists() else []


async def _done(database: Database) -> int:
    async with database.system() as tx:
        return int(await tx.fetch_value("SELECT count(*) FROM deliveries WHERE state = 'done'"))


async def _until_done(database: Database, number: int) -> None:
    async def are_done() -> bool:
        return await _done(database) >= number

    await until(are_done, seconds=120, every=0.05)


@asynccontextmanager
async def _processes(postgres: Postgres, valkey: Valkey) -> AsyncIterator[None]:
    port = free_port_block(1)
    env = os.environ | random_keys()
    env |= {"DATABASE_URL": postgres.url(), "REDIS_URL": valkey.url, "LOG_LEVEL": "error"}
    env |= {"MINIO_ENDPOINT": "http://127.0.0.1:9", "MINIO_ACCESS_KEY": "none", "MINIO_SECRET_KEY": "none", "MINIO_BUCKET": "none"}
    env |= {"WORKER_PORT": str(port), "WORKER_URL": f"http://127.0.0.1:{port}", "BROKER_DOCUMENTS_CONCURRENCY": str(CONCURRENCY)}
    commands = (["infra.worker", "--functions", str(FUNCTIONS)], ["infra.broker"])
    started = [await asyncio.create_subprocess_exec(sys.executable, "-m", *command, env=env) for command in commands]
    try:
        yield
    finally:
        for process in started:
            process.terminate()
        await asyncio.gather(*[process.wait() for process in started])


def _procrastinate(what: str, postgres: Postgres) -> str:
    command = [sys.executable, "-m", "tests.benchmarks.deliveries", what, postgres.url("postgres", "postgres")]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def _in_procrastinate(what: str, url: str) -> None:
    """The baseline, in a process of its own."""
    from procrastinate import App, PsycopgConnector

    app = App(connector=PsycopgConnector(conninfo=url))

    @app.task(name="nothing")
    async def nothing(number: int) -> None:
        return None

    async def prepare() -> None:
        async with app.open_async():
            await app.schema_manager.apply_schema_async()

    async def work() -> None:
        async with app.open_async():
            jobs: list[dict[str, Any]] = [{"number": 1} for _ in range(JOBS)]
            await nothing.batch_defer_async(*jobs)
            began = time.perf_counter()
            await app.run_worker_async(concurrency=CONCURRENCY, wait=False, install_signal_handlers=False)
            print(JOBS / (time.perf_counter() - began))

    asyncio.run(prepare() if what == "prepare" else work())


if __name__ == "__main__":
    _in_procrastinate(sys.argv[1], sys.argv[2])
