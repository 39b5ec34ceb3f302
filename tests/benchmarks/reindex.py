"""Indexing anew: documents a second, with the processor time that a document takes of Python and of PostgreSQL.

REINDEX_DOCUMENTS says how many (6,000), of one owner, of some 345 different words each, all merged into the postings before.
"""

import asyncio
import os
import resource
import time
from pathlib import Path

from tests.benchmarks import search_vault
from tests.benchmarks.own_database import own_database

DOCUMENTS = int(os.environ.get("REINDEX_DOCUMENTS", "6000"))
_TICKS = os.sysconf("SC_CLK_TCK")


def run() -> None:
    asyncio.run(_run())


async def _run() -> None:
    async with own_database() as postgres:
        from shared.documents.reindexing import Progress, reindex

        search_vault.generate(postgres.url("postgres"), DOCUMENTS, 1)
        before, began = _postgres_seconds(), time.perf_counter()
        ours = time.process_time()

        def show(progress: Progress) -> None:
            if progress.done % 1_000 == 0:
                print(f"{progress.done} done, {progress.done / (time.perf_counter() - began):.0f} documents/s", flush=True)

        done = (await reindex(everything=True, progress=show)).done
        seconds = time.perf_counter() - began
        print(
            f"{done} documents in {seconds:.1f} s: {done / seconds:.0f} documents/s on {os.cpu_count()} cores;"
            f" a document takes {(time.process_time() - ours) / done * 1000:.1f} ms of Python and"
            f" {(_postgres_seconds() - before) / done * 1000:.1f} ms of PostgreSQL;"
            f" {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB at most"
        )


def _postgres_seconds() -> float:
    """Processor seconds of every PostgreSQL process below this one, with those that ended."""
    own = os.getpid()
    parents: dict[int, int] = {}
    spent: dict[int, float] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, _, rest = stat.read_text().rpartition(")")
        except OSError:
            continue
        fields = rest.split()
        pid = int(stat.parent.name)
        parents[pid] = int(fields[1])
        if name.endswith("(postgres"):
            spent[pid] = sum(map(int, fields[11:15])) / _TICKS

    def is_ours(pid: int) -> bool:
        while pid > 1 and pid != own:
            pid = parents.get(pid, 0)
        return pid == own

    return sum(seconds for pid, seconds in spent.items() if is_ours(pid))
