"""Search and lists at 50,000 documents of one owner among 200,000.

SEARCH_DOCUMENTS and SEARCH_OWNERS say how many otherwise (`SEARCH_DOCUMENTS=2000000 SEARCH_OWNERS=2`); SEARCH_CACHE names a folder that
keeps the documents for the next run; SEARCH_KINDS names the kinds to measure, if not all (`SEARCH_KINDS="phrases; typos"`).

For each kind of query: p50 and p95 in the database (all statements of the call, over a unix socket) and at the client (HTTP as the
gateway speaks it: token, limits, validation, JSON and all); then what the index takes on disk.
"""

import asyncio
import os
import shutil
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from random import Random
from statistics import median
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import psycopg

from infra.local.ports import free_port_block
from infra.local.postgres import Postgres
from infra.local.valkey import Valkey
from shared import temporary
from shared.ids import new_id
from tests.benchmarks import search_vault
from tests.services import random_keys

DOCUMENTS, OWNERS = int(os.environ.get("SEARCH_DOCUMENTS", "200000")), int(os.environ.get("SEARCH_OWNERS", "4"))
ROUNDS = 60
KINDS = [kind.strip() for kind in os.environ.get("SEARCH_KINDS", "").split(";") if kind.strip()]


def run() -> None:
    name = os.environ.get("SEARCH_CACHE")
    if name is None:
        with temporary.folder("benchmark") as folder:
            folder.chmod(0o755)
            asyncio.run(_run(folder))
    else:
        kept = Path(name).absolute() / f"{DOCUMENTS}-of-{OWNERS}"
        kept.mkdir(parents=True, exist_ok=True, mode=0o755)
        asyncio.run(_run(kept))


async def _run(folder: Path) -> None:
    whole = folder / "whole"
    if not whole.exists():
        shutil.rmtree(folder / "postgres", ignore_errors=True)
    postgres = Postgres(folder / "postgres", folder, durable=False)
    valkey = Valkey(folder / "valkey", folder, free_port_block(1), "benchmark")
    await asyncio.gather(postgres.start(), valkey.start())
    try:
        await postgres.prepare()
        os.environ.update(random_keys() | {"DATABASE_URL": postgres.url(), "REDIS_URL": valkey.url, "LOG_LEVEL": "warning"})
        os.environ.update({name: "http://127.0.0.1:1" for name in ("MINIO_ENDPOINT",)})
        os.environ.update({name: "unused" for name in ("MINIO_ACCESS_KEY", "MINIO_SECRET_KEY", "MINIO_BUCKET")})
        if not whole.exists():
            began = time.perf_counter()
            search_vault.generate(postgres.url("postgres"), DOCUMENTS, OWNERS)
            print(f"{DOCUMENTS} documents of {OWNERS} owners made in {time.perf_counter() - began:.0f} s")
            whole.touch()
        if os.environ.get("SEARCH_ONLY_MAKE") is None:
            await measure(postgres.url("postgres"))
    finally:
        await asyncio.gather(postgres.stop(), valkey.stop())


# The measurements


class Stopwatch:
    """Adds up what the statements of a call take."""

    seconds = 0.0

    def wrap(self, real: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def timed(*arguments: Any, **named: Any) -> Any:
            began = time.perf_counter()
            try:
                return await real(*arguments, **named)
            finally:
                self.seconds += time.perf_counter() - began

        return timed


async def measure(superuser_url: str) -> None:
    """Prints the figures, of the first owner."""
    from functions.documents.list_documents import list_documents
    from functions.documents.suggest_search import suggest_search
    from shared.db import Transaction, database
    from shared.faas.declarations import ENDPOINTS
    from shared.identity import tokens
    from shared.identity.client import Client
    from tests.faas.asgi import ask, serving

    watch = Stopwatch()
    for name in ("fetch_one", "fetch_all", "fetch_value"):
        setattr(Transaction, name, watch.wrap(getattr(Transaction, name)))
    app = serving(ENDPOINTS[list_documents.__name__], ENDPOINTS[suggest_search.__name__])
    browser = Client("192.0.2.1", "benchmark", "en")
    headers: dict[str, str] = {}

    async def call(parameters: dict[str, str], path: str) -> tuple[float, float, int]:
        watch.seconds, began = 0.0, time.perf_counter()
        answer = await ask(app, "GET", f"{path}?{urlencode(parameters)}", headers=headers)
        spent = time.perf_counter() - began
        assert answer.status == 200, answer.body
        return watch.seconds, spent, len(answer.json()["items"])

    with psycopg.connect(superuser_url, autocommit=True) as baseline:
        (owner,) = baseline.execute("SELECT id FROM users ORDER BY email LIMIT 1").fetchone() or (None,)
        assert owner is not None
        token, _ = tokens.issue(owner, "user", new_id(), browser)
        headers |= {"authorization": f"Bearer {token}", "user-agent": browser.user_agent, "accept-language": browser.accept_language}
        kinds = _queries(baseline, owner)
        print(f"{'':34}{'in the database':>22}{'at the client':>22}")
        for kind, parameters in kinds.items():
            if KINDS and kind not in KINDS:
                continue
            path = "/api/documents/suggest" if kind == "suggestions" else "/api/documents"
            for one in parameters[:5]:
                await call(one, path)
            spent = [await call(one, path) for one in parameters]
            found = sum(items for _, _, items in spent) / len(spent)
            columns = [_figures([a for a, _, _ in spent]), _figures([b for _, b, _ in spent])]
            print(f"{kind:34}" + "".join(f"{column:>22}" for column in columns) + f"   ({found:.0f} a page)", flush=True)
        _print_sizes(baseline)
    await database().close()


def _print_sizes(connection: psycopg.Connection[Any]) -> None:
    """Bytes on disk, with indexes and what is stored out of line: of what all owners have, and of what the first has."""
    for count, tables in (
        (DOCUMENTS, ("document_search", "document_passages", "document_pages")),
        (DOCUMENTS // OWNERS, ("search_terms", "search_postings", "search_words")),
    ):
        for table in tables:
            (size,) = connection.execute(f"SELECT pg_total_relation_size('{table}')").fetchone() or (0,)
            print(f"{table:20} {size / count:8.0f} bytes a document")


def _queries(connection: psycopg.Connection[Any], owner: UUID) -> dict[str, list[dict[str, str]]]:
    """What is asked, by kind; words are chosen by how many of the owner's documents they stand in."""
    chance = Random(7)
    stems = dict(connection.execute("SELECT lexeme, min(word) FROM search_words WHERE owner_id = %s GROUP BY lexeme", [owner]).fetchall())
    counts = connection.execute("SELECT lexeme, documents FROM search_terms WHERE owner_id = %s", [owner]).fetchall()
    total = DOCUMENTS // OWNERS

    def standing_in(low: float, high: float) -> list[str]:
        return [
            stems[lexeme] for lexeme, documents in counts if low <= documents / total <= high and lexeme in stems and len(stems[lexeme]) > 2
        ]

    rare, fifth, most = standing_in(0.0002, 0.002), standing_in(0.15, 0.25), standing_in(0.8, 1)
    middling = standing_in(0.002, 0.1)

    def times(make: Callable[[], str]) -> list[dict[str, str]]:
        return [{"q": make()} for _ in range(ROUNDS)]

    def mistyped() -> str:
        word = chance.choice([word for word in middling if len(word) > 6])
        at = chance.randrange(1, len(word) - 2)
        return word[:at] + word[at + 1] + word[at] + word[at + 2 :]

    print(f"words to choose from: {len(rare)} rare, {len(fifth)} in a fifth, {len(most)} in nearly all of the documents")
    return {
        "rare words": times(lambda: chance.choice(rare)),
        "words in a fifth": times(lambda: chance.choice(fifth)),
        "words in nearly all": times(lambda: chance.choice(most)),
        "two words in a fifth": times(lambda: " ".join(chance.sample(fifth, 2))),
        "common and rare": times(lambda: f"{chance.choice(most)} {chance.choice(rare)}"),
        "questions of 6 words": times(lambda: " ".join([*chance.sample(middling, 3), *chance.sample(fifth, 2), chance.choice(most)])),
        "questions of 12 words": times(lambda: " ".join([*chance.sample(middling, 6), *chance.sample(fifth, 4), *chance.sample(most, 2)])),
        "a prefix": times(lambda: chance.choice(middling)[:4] + "*"),
        "phrases": times(lambda: f'"{chance.choice(most)} {chance.choice(fifth)}"'),
        "exclusions": times(lambda: f"{chance.choice(fifth)} -{chance.choice(most)}"),
        "typos": times(mistyped),
        "a list": [{"limit": "50"} for _ in range(ROUNDS)],
        "a list by name, one type": [{"sort": "filename", "content_type": "image/png"} for _ in range(ROUNDS)],
        "words in a fifth, by name": [{"q": chance.choice(fifth), "sort": "filename"} for _ in range(ROUNDS)],
        "words in nearly all, by size": [{"q": chance.choice(most), "sort": "-size"} for _ in range(ROUNDS)],
        "words in a fifth, one type": [{"q": chance.choice(fifth), "content_type": "image/png"} for _ in range(ROUNDS)],
        "words in a fifth, facets": [{"q": chance.choice(fifth), "facets": "true"} for _ in range(ROUNDS)],
        "suggestions": times(lambda: (word := chance.choice(middling))[: chance.randint(2, len(word))]),
    }


def _figures(seconds: Sequence[float]) -> str:
    ordered = sorted(seconds)
    return f"{median(ordered) * 1000:7.1f} {ordered[int(len(ordered) * 0.95)] * 1000:7.1f} ms"


if __name__ == "__main__":
    run()
