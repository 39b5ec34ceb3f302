"""500 people's event streams on one gateway: how soon each hears of a change, and what they cost while nothing changes.

    python -m tests.benchmarks listeners

250 people with two streams each, a laptop's and a phone's, from several addresses of the loopback network: one address may have 128. A
change is a new title, each another person's; its time runs from before the request until the event is read, for each of the two.
"""

import asyncio
import json
import os
import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import aiohttp

from shared import temporary
from shared.db import Database, TenantDatabase
from shared.identity import tokens
from shared.identity.client import Client
from shared.ids import new_id
from tests.benchmarks.pipeline import services_in
from tests.documents.test_bulk import rows
from tests.system.stack import Stack

PEOPLE, EACH = 250, 2
PEOPLE_OF_AN_ADDRESS = 50
CHANGES = 200
TOGETHER_A_SECOND = 20
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
            os.environ.update(stack.environ)  # whose keys sign the tokens
            await stack.start("gateway")
            await _measure(stack)
        finally:
            await stack.stop()
            await services.kill()


@dataclass
class Listening:
    """Somebody with a document, and what the two streams hear."""

    session: aiohttp.ClientSession
    document_id: UUID
    listeners: list[Listener]


async def _measure(stack: Stack) -> None:
    async with stack.database() as database:
        people = [await _person(stack, database, number) for number in range(PEOPLE)]
    before = _memory(stack)
    began = time.perf_counter()
    tasks = [asyncio.create_task(listener.listen(person.session)) for person in people for listener in person.listeners]
    try:
        async with asyncio.timeout(120):
            await asyncio.gather(*(listener.connected.wait() for person in people for listener in person.listeners))
        print(f"{len(tasks)} streams open after {time.perf_counter() - began:.1f} s: {(_memory(stack) - before) / len(tasks):.0f} kB each")
        spent, began = _processor_seconds(stack), time.perf_counter()
        await asyncio.sleep(IDLE_SECONDS)
        share = (_processor_seconds(stack) - spent) / (time.perf_counter() - began)
        print(f"while nothing changes: {100 * share:.1f} % of a core ({os.cpu_count()} cores)", flush=True)
        await _told("one change at a time", people, [await _change(people[number], f"one {number}") for number in range(CHANGES)])
        together = [_change(people[number], f"together {number}", number / TOGETHER_A_SECOND) for number in range(CHANGES)]
        await _told(f"{TOGETHER_A_SECOND} changes a second", people, await asyncio.gather(*together))
        print(f"at the end the gateway has {_memory(stack) / 1000:.0f} MB")
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for person in people:
            await person.session.close()


async def _person(stack: Stack, database: Database, number: int) -> Listening:
    owner, address = new_id(), f"127.0.0.{2 + number // PEOPLE_OF_AN_ADDRESS}"
    async with database.system() as tx:
        await tx.execute("INSERT INTO users (id, email, password_hash) VALUES (%s, %s, '!')", (owner, f"{owner.hex}@example.org"))
    [document_id] = await rows(TenantDatabase(database, owner), 1)
    client = Client(address, "docuvault-tests", "en")
    token, _ = tokens.issue(owner, "user", new_id(), client)
    headers = {"authorization": f"Bearer {token}", "user-agent": client.user_agent, "accept-language": client.accept_language}
    connector = aiohttp.TCPConnector(limit=0, local_addr=(address, 0))
    session = aiohttp.ClientSession(stack.url, headers=headers, timeout=LISTENING, connector=connector)
    return Listening(session, document_id, [Listener() for _ in range(EACH)])


async def _change(person: Listening, title: str, after: float = 0.0) -> tuple[str, float, float]:
    """The title, when the change was asked for, and when it was made."""
    await asyncio.sleep(after)
    began = time.perf_counter()
    async with person.session.patch(f"/api/documents/{person.document_id}", json={"title": title}) as answer:
        assert answer.status == 200, await answer.text()
    return title, began, time.perf_counter()


async def _told(what: str, people: list[Listening], changes: list[tuple[str, float, float]]) -> None:
    """Prints how long it took until each listener had heard of it."""
    seconds: list[float] = []
    async with asyncio.timeout(120):
        for person, (title, began, _) in zip(people, changes, strict=False):
            for listener in person.listeners:
                while title not in listener.heard:
                    await asyncio.sleep(0.01)
                seconds.append((listener.heard[title] - began) * 1000)
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
