"""AI: what our code adds to a provider that answers at once, and how near a queue of documents comes to what its concurrency allows.

The bound of the queue: documents times the provider's seconds, divided by the calls that may run at once.
"""

import asyncio
import os
import resource
import statistics
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from uuid import UUID

from infra.local.ports import free_port_block
from infra.local.postgres import Postgres
from infra.local.seaweedfs import SeaweedFS
from infra.local.valkey import Valkey
from shared import temporary
from shared.ids import new_id
from tests.ai.household import KEPT_ASIDE, NAMES, Taught, lessons
from tests.ai.servers import openai_server as openai_api
from tests.ai.servers.models import saying
from tests.ai.servers.openai_server import OpenAIServer, openai_server
from tests.services import Services
from tests.system.stack import Stack, until

CALLS = 200
DOCUMENTS = 1000
OWNERS = 8
PROVIDER_SECONDS = 1.0


def run() -> None:
    """Measures and prints."""
    asyncio.run(_run())


async def _run() -> None:
    with temporary.folder("benchmark") as folder:
        services = _services(folder)
        await services.start()
        try:
            async with openai_server(OpenAIServer(model=saying('{"topics": []}'), seconds=0)) as server:
                settings = {"DEFAULT_AI_PROVIDER": "openai", "DEFAULT_AI_MODEL": "gpt-4o", "LOG_LEVEL": "warning"}
                settings |= {"OPENAI_BASE_URL": f"{server.url}/v1", "OPENAI_API_KEY": openai_api.KEY}
                stack = Stack(services, folder, settings)
                os.environ.update(stack.environ)
                await _local()
                await _overhead(server)
                server.seconds = PROVIDER_SECONDS
                server.requests.clear()
                await stack.start()
                try:
                    await _queue(stack, server)
                finally:
                    await stack.stop()
        finally:
            await services.kill()


async def _local() -> None:
    from shared.ai.local import LocalProvider

    taught = Taught(lessons())
    provider, options = LocalProvider(taught.term_counts), taught.options()
    documents = [paper.document() for paper in KEPT_ASIDE]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()
    for document in documents * 5:
        await provider.classify(document, options)
    seconds = time.perf_counter() - started
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(f"local: {len(documents) * 5 / seconds:.0f} documents/s against {len(NAMES)} topics; memory grew by {grown / 1024:.0f} MiB")


async def _overhead(server: OpenAIServer) -> None:
    """The same bytes to the same server: by httpx2 alone, through provider and SDK, and through the gate as well."""
    from shared.ai import registry
    from shared.ai.remote_provider import open_gate
    from shared.assistant.outgoing import CallSubject, gate_for
    from shared.config import settings
    from shared.db import database
    from shared.outbound import UrlGuard
    from shared.outbound.clients import sdk_client

    choice = registry.system_choice(settings())
    taught = Taught(())
    document, options = KEPT_ASIDE[0].document(), taught.options()
    owner = new_id()
    async with database().system() as tx:
        await tx.execute("INSERT INTO users (id, email, password_hash) VALUES (%s, %s, '!')", (owner, f"{owner.hex}@example.org"))
    provider = registry.open_provider(choice, open_gate)
    await provider.classify(document, options)
    body = server.requests[-1].body
    client = sdk_client(UrlGuard(trusted=True))
    headers = {"authorization": f"Bearer {openai_api.KEY}", "content-type": "application/json"}

    async def plain() -> object:
        return (await client.post(f"{choice.base_url}/chat/completions", content=body, headers=headers)).json()

    gated = registry.open_provider(choice, gate_for(CallSubject(owner), choice))
    base = await _median(plain)
    through = await _median(lambda: provider.classify(document, options))
    whole = await _median(lambda: gated.classify(document, options))
    print(
        f"a call to a provider that answers at once: HTTP alone {base:.1f} ms, provider and SDK {through:.1f} ms (+{through - base:.1f}), "
    )
    print(f"  with policies, budgets, record and circuit {whole:.1f} ms (+{whole - base:.1f})")


async def _median(call: Callable[[], Awaitable[object]]) -> float:
    taken = []
    for _ in range(CALLS):
        started = time.perf_counter()
        await call()
        taken.append((time.perf_counter() - started) * 1000)
    return statistics.median(taken)


async def _queue(stack: Stack, server: OpenAIServer) -> None:
    from shared.ai.registry import PROVIDERS
    from shared.db import database

    owners = [new_id() for _ in range(OWNERS)]
    for owner in owners:
        await _documents(owner, DOCUMENTS // OWNERS)
    at_once = min(OWNERS * PROVIDERS["openai"].at_once, 32)
    bound = DOCUMENTS * PROVIDER_SECONDS / at_once
    await until(lambda: len(server.requests) >= 1, "the first call")
    started, worked = time.perf_counter(), {name: _cpu_seconds(process.pid) for name, process in stack.running.items()}

    async def left() -> bool:
        async with database().system() as tx:
            return not await tx.fetch_value("SELECT count(*) FROM documents WHERE status <> 'ready'") and not await tx.fetch_value(
                "SELECT count(*) FROM ai_tasks WHERE state <> 'done'"
            )

    while not await left():
        await asyncio.sleep(0.1)
    taken = time.perf_counter() - started
    cpu = {name: _cpu_seconds(process.pid) - worked[name] for name, process in stack.running.items()}
    print(f"{DOCUMENTS} documents of {OWNERS} owners, {at_once} calls at once of {PROVIDER_SECONDS:g} s:")
    print(f"  {taken:.1f} s, bound {bound:.1f} s: {bound / taken:.0%} of what the concurrency allows; {len(server.requests)} calls")
    print(
        "  processor time for each document: " + ", ".join(f"{name} {seconds / DOCUMENTS * 1000:.1f} ms" for name, seconds in cpu.items())
    )
    await database().close()


def _cpu_seconds(pid: int) -> float:
    """What a process has worked so far (proc(5): utime and stime), which other load does not change."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def _documents(owner: UUID, count: int) -> None:
    """Documents of a new owner, just read, and the news of it."""
    from shared.db import TenantDatabase, database
    from shared.documents import topics
    from shared.documents.topic_models import NewTopic
    from shared.events import publish
    from shared.events.catalogue import DocumentExtracted

    async with database().system() as tx:
        await tx.execute("INSERT INTO users (id, email, password_hash) VALUES (%s, %s, '!')", (owner, f"{owner.hex}@example.org"))
    for name in NAMES.values():
        await topics.create(TenantDatabase(database(), owner), NewTopic(name=name))
    async with database().tenant(owner) as tx:
        for number in range(count):
            document = new_id()
            await tx.execute(
                """
                INSERT INTO documents (id, owner_id, filename, title, size, content_type, status, language, object_key)
                VALUES (%s, %s, 'scan.pdf', 'scan', 1, 'application/pdf', 'extracted', 'en', %s)
                """,
                (document, owner, f"{owner}/{document}/x"),
            )
            text = KEPT_ASIDE[number % len(KEPT_ASIDE)].text
            await tx.execute(
                "INSERT INTO document_pages (document_id, owner_id, number, text) VALUES (%s, %s, 1, %s)", (document, owner, text)
            )
            await publish(tx, DocumentExtracted(owner_id=owner, document_id=document, revision=1))


def _services(folder: Path) -> Services:
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
