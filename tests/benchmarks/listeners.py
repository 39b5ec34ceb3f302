"""500 people's event streams on one gateway: how soon each hears of a change, and what they cost while nothing changes.

    python -m tests.benchmarks listeners

Ten listeners each for fifty accounts, from addresses of the loopback network of their own, for an account may have 12 and an address 128. A
change is a new title; its time runs from before the request until the event is read, for each listener of that account.
"""

import asyncio
import json
import os
import statistics
import time
from pathlib import Path

import aiohttp
import httpx

from shared import temporary
from tests.benchmarks.pipeline import services_in
from tests.system.stack import Person, Stack

ACCOUNTS, EACH = 50, 10
ACCOUNTS_OF_AN_ADDRESS = 10
CHANGES = 200
AT_ONCE_EVERY_SECONDS = 0.05
IDLE_SECONDS = 10
LISTENING = aiohttp.ClientTimeout(total=None, sock_read=60)


class Listener:
    """One open stream; `heard` has the moment in which each title was first told."""

    def __init__(self) -> None:
        self.connected = asyncio.Event()
        self.heard: dict[str, float] = {}

    async def listen(self, session: aiohttp.ClientSession) -> None:
        async with session.get("/api/documents/events") as answer:
            assert answer.status == 200, await answer.text()
            async for line in answer.content:
                if line.startswith(b": connected"):
                    self.connected.set()
                elif line.startswith(b"data: {") and b'"title"' in line:
                    self.heard.setdefault(json.loads(line[6:])["title"], time.perf_counter())


def run() -> None:
    """Measures and prints."""
    asyncio.run(_run())


async def _run() -> None:
    with temporary.folder("benchmark") as folder:
        services = services_in(folder)
        stack = Stack(services, folder, {"LOG_LEVEL": "warning"})
        await services.start()
        try:
            await stack.start("gateway")
            await _measure(stack)
        finally:
            await stack.stop()
            await services.kill()


async def _measure(stack: Stack) -> None:
    people = [await _person(stack, number) for number in range(ACCOUNTS)]
    documents = [await _document(person) for person in people]
    before = _memory(stack)
    listeners = [[Listener() for _ in range(EACH)] for _ in people]
    sessions = [_session(stack, person, number) for number, person in enumerate(people)]
    began = time.perf_counter()
    tasks = [
        asyncio.create_task(listener.listen(session)) for session, group in zip(sessions, listeners, strict=True) for listener in group
    ]
    try:
        async with asyncio.timeout(120):
            await asyncio.gather(*(listener.connected.wait() for group in listeners for listener in group))
        print(f"{len(tasks)} streams open after {time.perf_counter() - began:.1f} s: {(_memory(stack) - before) / len(tasks):.0f} kB each")
        spent, began = _processor_seconds(stack), time.perf_counter()
        await asyncio.sleep(IDLE_SECONDS)
        share = (_processor_seconds(stack) - spent) / (time.perf_counter() - began)
        print(f"while nothing changes: {100 * share:.1f} % of a core ({os.cpu_count()} cores)")
        one_by_one = [await _change(people[n % ACCOUNTS], documents[n % ACCOUNTS], f"one {n}", 0.0) for n in range(CHANGES)]
        await _told("a change at a time", one_by_one, listeners)
        many = await asyncio.gather(
            *(_change(people[n % ACCOUNTS], documents[n % ACCOUNTS], f"many {n}", n * AT_ONCE_EVERY_SECONDS) for n in range(CHANGES))
        )
        await _told(f"{1 / AT_ONCE_EVERY_SECONDS:.0f} changes a second", many, listeners)
        print(f"at the end the gateway has {_memory(stack) / 1000:.0f} MB")
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for session in sessions:
            await session.close()
        for person in people:
            await person.close()


async def _person(stack: Stack, number: int) -> Person:
    transport = httpx.AsyncHTTPTransport(local_address=_address(number))
    headers = {"user-agent": "docuvault-tests", "accept-language": "en"}
    person = Person(httpx.AsyncClient(base_url=stack.url, timeout=60, headers=headers, transport=transport))
    await person.sign_in()
    return person


async def _document(person: Person) -> str:
    content = os.urandom(100)
    document_id = await person.upload("paper.pdf", content, "application/pdf", complete=True)
    return document_id


def _session(stack: Stack, person: Person, number: int) -> aiohttp.ClientSession:
    told = {name: person.http.headers[name] for name in ("authorization", "user-agent", "accept-language")}
    connector = aiohttp.TCPConnector(limit=0, local_addr=(_address(number), 0))
    return aiohttp.ClientSession(stack.url, headers=told, timeout=LISTENING, connector=connector)


def _address(number: int) -> str:
    return f"127.0.0.{2 + number // ACCOUNTS_OF_AN_ADDRESS}"


async def _change(person: Person, document_id: str, title: str, after: float) -> tuple[str, float, float]:
    """The title, when the change was asked for, and when it was made."""
    await asyncio.sleep(after)
    began = time.perf_counter()
    answer = await person.http.patch(f"/api/documents/{document_id}", json={"title": title})
    assert answer.status_code == 200, answer.text
    return title, began, time.perf_counter()


async def _told(what: str, changes: list[tuple[str, float, float]], listeners: list[list[Listener]]) -> None:
    """Prints how long it took until each listener had heard of it. Of changes that came together the last one alone is told: it counts
    for those before it."""
    seconds: list[float] = []
    for number, (title, began, _) in enumerate(changes):
        later = [later for later, _, _ in changes[number::ACCOUNTS]]
        for listener in listeners[number % ACCOUNTS]:
            async with asyncio.timeout(30):
                while not (moments := [listener.heard[each] for each in later if each in listener.heard]):
                    await asyncio.sleep(0.01)
            seconds.append((min(moments) - began) * 1000)
        assert title
    made = sorted((made - began) * 1000 for _, began, made in changes)
    seconds.sort()
    print(
        f"{what}: the request takes {statistics.median(made):.0f} ms, p95 {made[int(len(made) * 0.95)]:.0f}; heard after "
        f"{statistics.median(seconds):.0f} ms, p95 {seconds[int(len(seconds) * 0.95)]:.0f}, longest {seconds[-1]:.0f} "
        f"({len(seconds)} times)",
        flush=True,
    )


def _memory(stack: Stack) -> int:
    """The gateway's resident memory in kB."""
    status = Path(f"/proc/{stack.running['gateway'].pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])


def _processor_seconds(stack: Stack) -> float:
    fields = Path(f"/proc/{stack.running['gateway'].pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    run()
