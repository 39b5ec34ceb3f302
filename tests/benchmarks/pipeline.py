"""From upload to search hit: how long one takes on an idle system, and how many a minute the system takes in.

The bound is the extractor called in a plain loop on the same files, with as many processes as there are cores and nothing around it.
"""

import asyncio
import json
import multiprocessing
import os
import statistics
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import aiohttp
from yarl import URL

from infra.local.ports import free_port_block
from infra.local.postgres import Postgres
from infra.local.seaweedfs import SeaweedFS
from infra.local.valkey import Valkey
from shared import temporary
from tests.benchmarks import papers
from tests.services import Services
from tests.system.stack import Person, Stack

IDLE_DOCUMENTS = 60
MANY = 200
UPLOADS_AT_ONCE = 16
Paper = tuple[str, bytes, str]


def run() -> None:
    """Measures and prints."""
    asyncio.run(_run())


async def _run() -> None:
    with temporary.folder("benchmark") as folder:
        services = services_in(folder)
        stack = Stack(services, folder, {"LOG_LEVEL": "warning"})
        await services.start()
        os.environ.update(stack.environ)  # the plain loop's processes read their settings from it
        try:
            await stack.start()
            await _idle(stack)
            two_pages: list[Paper] = [(f"{n}.pdf", papers.text_pdf(n + 1000), "application/pdf") for n in range(MANY)]
            await _throughput(stack, f"{MANY} two-page text PDFs", two_pages)
            await _throughput(stack, f"{MANY} mixed documents", papers.mixed(MANY))
        finally:
            await stack.stop()
            await services.kill()


def services_in(folder: Path) -> Services:
    """As `scripts/serve` runs them: durable."""
    first = free_port_block(6)
    logs = folder / "logs"
    logs.mkdir()
    return Services(
        Postgres(folder / "postgresql", logs),
        Valkey(folder / "valkey", logs, first + 5, "benchmark-password"),
        SeaweedFS(folder / "seaweedfs", logs, first, "docuvault", "benchmark-secret-key"),
        notify=True,
    )


async def _idle(stack: Stack) -> None:
    person = await stack.person()
    totals: list[float] = []
    steps: dict[str, list[float]] = {}
    for number in range(-5, IDLE_DOCUMENTS):
        split, total = await _one(person, papers.text_pdf(number + 100))
        if number < 0:
            continue  # warming up
        totals.append(total)
        for step, taken in split.items():
            steps.setdefault(step, []).append(taken)
    print(f"upload to searchable, two-page text PDF, idle, {len(totals)} documents: {_spread(totals)}")
    for step, milliseconds in steps.items():
        print(f"    {step:28} {_spread(milliseconds)}")
    await person.close()


async def _one(person: Person, content: bytes) -> tuple[dict[str, float], float]:
    """One upload followed on the event stream: milliseconds of each step, and from the first request to `extracted` (found by search)."""
    moments: dict[str, float] = {}
    async with person.http.stream("GET", "/api/documents/events") as events:
        lines = events.aiter_lines()
        started = time.perf_counter()
        reserved = await person.reserve("paper.pdf", content, "application/pdf", allow_duplicate=True)
        created = time.perf_counter()
        stored = await person.put(reserved["upload"], content)
        assert stored.status_code == 200, stored.text
        put = time.perf_counter()
        async for line in lines:
            if line.startswith("data:") and reserved["document"]["id"] in line:
                status = json.loads(line[5:])["status"]
                moments.setdefault(status, time.perf_counter())
                if status in ("ready", "failed"):
                    assert status == "ready", line
                    break
    marks = [("create_upload", started, created), ("PUT", created, put)]
    previous = put
    for status, label in (("stored", "PUT to stored"), ("extracted", "stored to extracted"), ("ready", "extracted to ready")):
        if status in moments:
            marks.append((label, previous, moments[status]))
            previous = moments[status]
    searchable = moments.get("extracted", moments["ready"])
    return {label: (end - start) * 1000 for label, start, end in marks}, (searchable - started) * 1000


async def _throughput(stack: Stack, what: str, documents: Sequence[Paper]) -> None:
    person = await stack.person()
    started = time.perf_counter()
    await _upload(person, documents)
    uploaded = time.perf_counter()
    while await _unfinished(person):
        await asyncio.sleep(0.1)
    seconds = time.perf_counter() - started
    failed = (await person.http.get("/api/documents", params={"status": "failed"})).json()["items"]
    assert not failed, failed[0]["error"]
    bound = await asyncio.to_thread(_plain_loop, documents)
    print(
        f"{what} at once: {len(documents) / seconds * 60:,.0f} a minute ({seconds:.1f} s, of which uploading {uploaded - started:.1f} s); "
        f"extractor in a plain loop, {os.cpu_count()} processes: {len(documents) / bound * 60:,.0f} a minute; "
        f"ratio {bound / seconds:.2f}"
    )
    await person.close()


async def _upload(person: Person, documents: Sequence[Paper]) -> None:
    """All of them, by a client that costs little: it runs on the cores that are measured (httpx takes a sixth of the whole)."""
    waiting = list(reversed(documents))
    told = {name: person.http.headers[name] for name in ("authorization", "user-agent", "accept-language")}
    async with aiohttp.ClientSession(str(person.http.base_url), headers=told) as api, aiohttp.ClientSession() as store:

        async def work() -> None:
            while waiting:
                filename, content, content_type = waiting.pop()
                declared = {"filename": filename, "size": len(content), "content_type": content_type, "allow_duplicate": True}
                async with api.post("/api/documents", json=declared) as answer:
                    assert answer.status == 201, await answer.text()
                    upload = (await answer.json())["upload"]
                async with store.put(URL(upload["url"], encoded=True), data=content, headers=upload["headers"]) as stored:
                    assert stored.status == 200, await stored.text()

        await asyncio.gather(*(work() for _ in range(UPLOADS_AT_ONCE)))


async def _unfinished(person: Person) -> bool:
    for status in ("uploading", "stored", "extracted"):
        answer: dict[str, Any] = (await person.http.get("/api/documents", params={"status": status, "limit": 1})).json()
        if answer["items"]:
            return True
    return False


def _plain_loop(documents: Sequence[Paper]) -> float:
    """Seconds the extractor takes for all of them in as many processes as there are cores, started and warm."""
    with temporary.folder("benchmark") as folder, ProcessPoolExecutor(os.cpu_count(), multiprocessing.get_context("spawn")) as pool:
        jobs = []
        for filename, content, declared_type in documents:
            path = folder / filename
            path.write_bytes(content)
            jobs.append((str(path), filename, declared_type))
        list(pool.map(_extract, jobs[:4]))
        started = time.perf_counter()
        list(pool.map(_extract, jobs))
        return time.perf_counter() - started


def _extract(job: tuple[str, str, str]) -> int:
    from shared.extraction import extract_unsandboxed

    path, filename, declared_type = job
    return len(extract_unsandboxed(Path(path), filename=filename, declared_type=declared_type).pages)


def _spread(milliseconds: list[float]) -> str:
    ordered = sorted(milliseconds)
    return f"median {statistics.median(ordered):6.1f} ms, p95 {ordered[int(len(ordered) * 0.95)]:6.1f} ms"


if __name__ == "__main__":
    run()
