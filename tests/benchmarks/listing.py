"""Lists at 50,000 documents of one owner (LISTING_DOCUMENTS says how many otherwise), each filter with each sort: p50 and p95.

In the database and in Python, without HTTP: the first page and the one after it, 50 documents each; then senders and topics with their
counts, facets, and views with theirs. What a page reads is said, too: the sequential scans of `documents` that PostgreSQL has counted
meanwhile.
"""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from itertools import pairwise
from statistics import quantiles
from typing import Any
from uuid import UUID

from shared.api.models import PageQuery
from shared.db import TenantDatabase, database
from shared.documents import facets, listing, topics, views
from shared.documents.senders import list_page as list_senders
from shared.documents.view_models import NewView, ViewsQuery
from tests.benchmarks.own_database import own_database
from tests.documents.test_list_plans import SORTS, every_filter, fill, sequential_scans

DOCUMENTS = int(os.environ.get("LISTING_DOCUMENTS", "50000"))
ROUNDS = 20


def run() -> None:
    asyncio.run(_run())


async def _run() -> None:
    async with own_database(durable=False) as postgres:
        began = time.perf_counter()
        owner, senders, topic = await fill(postgres.url("postgres"), DOCUMENTS, DOCUMENTS // 10)
        print(f"{DOCUMENTS} documents made in {time.perf_counter() - began:.0f} s", flush=True)
        superuser = postgres.url("postgres")
        before = sequential_scans(superuser)
        vault = TenantDatabase(database(), owner)
        await _measure(vault, every_filter(senders, topic))
        await _measure_counts(vault, topic)
        print(f"sequential scans of documents: {sequential_scans(superuser) - before}")


async def _measure(vault: TenantDatabase, filters: dict[str, listing.Filters]) -> None:
    print(f"{'milliseconds, p50 / p95':12}" + "".join(f"{sort:>16}" for sort in SORTS))
    for name, chosen in filters.items():
        figures = []
        for sort in SORTS:
            times: list[float] = []
            for _ in range(ROUNDS):
                moments = [time.perf_counter()]
                first = await listing.list_documents(vault, chosen, sort, 50)
                moments.append(time.perf_counter())
                if first.next_cursor is not None:
                    await listing.list_documents(vault, chosen, sort, 50, first.next_cursor)
                    moments.append(time.perf_counter())
                times += [(end - start) * 1000 for start, end in pairwise(moments)]
            cuts = quantiles(times, n=20)
            figures.append(f"{cuts[9]:6.1f} /{cuts[18]:7.1f}")
        print(f"{name:23}" + "".join(f"{figure:>16}" for figure in figures), flush=True)


async def _measure_counts(vault: TenantDatabase, topic: UUID) -> None:
    source = listing.source(vault, listing.Filters())
    queries: list[dict[str, Any]] = [{}, {"status": ["failed"]}, {"topic_id": [topic]}, {"trashed": True}]
    for query in queries:
        await views.create(vault, NewView.model_validate({"name": f"{query}"[:60], "query": query}))
    counts: dict[str, Callable[[], Awaitable[Any]]] = {
        "senders": lambda: list_senders(vault, PageQuery()),
        "topics": lambda: topics.list_page(vault, limit=50, cursor=None),
        "facets": lambda: facets.of_list(vault, " AND ".join(source.conditions), source.parameters),
        "views": lambda: views.list_page(vault, ViewsQuery(counts=True)),
    }
    for name, measured in counts.items():
        times = []
        for _ in range(ROUNDS):
            began = time.perf_counter()
            await measured()
            times.append((time.perf_counter() - began) * 1000)
        cuts = quantiles(times, n=20)
        print(f"{name:23}{cuts[9]:6.1f} /{cuts[18]:7.1f}", flush=True)
