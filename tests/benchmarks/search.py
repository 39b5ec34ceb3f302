"""Search and lists at 50,000 documents of one owner among 200,000, against `ts_rank_cd` over every match.

For each kind of query: p50 and p95 in the database (all statements of the call, over a unix socket) and at the client (HTTP as the
gateway speaks it: token, limits, validation, JSON and all). The baseline runs in the same PostgreSQL, without the row-level security
that would keep it from its index: `ts_rank_cd` over all matches, as in the manual's example.
"""

import asyncio
import os
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from statistics import median
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import psycopg

from infra.local.services import Postgres, Valkey, free_port_block, random_keys
from shared.ids import new_id
from tests.benchmarks import vocabulary

DOCUMENTS, OWNERS = 200_000, 4
ROUNDS = 60
WORKERS = 2


def run() -> None:
    with tempfile.TemporaryDirectory(prefix="docuvault-benchmark-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        asyncio.run(_run(Path(folder)))


async def _run(folder: Path) -> None:
    postgres = Postgres(folder / "postgres", folder)
    valkey = Valkey(folder / "valkey", folder, free_port_block(1), "benchmark")
    await asyncio.gather(postgres.start(), valkey.start())
    try:
        await postgres.prepare()
        os.environ.update(random_keys() | {"DATABASE_URL": postgres.url(), "REDIS_URL": valkey.url, "LOG_LEVEL": "warning"})
        os.environ.update({name: "http://127.0.0.1:1" for name in ("MINIO_ENDPOINT",)})
        os.environ.update({name: "unused" for name in ("MINIO_ACCESS_KEY", "MINIO_SECRET_KEY", "MINIO_BUCKET")})
        began = time.perf_counter()
        owners = generate(postgres.url("postgres"))
        print(f"{DOCUMENTS} documents of {OWNERS} owners made in {time.perf_counter() - began:.0f} s")
        await measure(postgres.url("postgres"), owners[0])
    finally:
        await asyncio.gather(postgres.stop(), valkey.stop())


# The documents


def generate(url: str) -> list[UUID]:
    """Fills an empty database; the owners' ids. Every owner has the same texts, mixed with the others' as they come in.

    `url` is a superuser's: triggers and foreign keys are passed over, and the index is made at the end.
    """
    owners = [new_id() for _ in range(OWNERS)]
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        for owner in owners:
            connection.execute("INSERT INTO users (id, email, password_hash) VALUES (%s, %s, '!')", [owner, f"{owner.hex}@example.org"])
        connection.execute("CREATE UNLOGGED TABLE made (number integer PRIMARY KEY, text text, contents tsvector, name tsvector)")
        (definition,) = connection.execute("SELECT pg_get_indexdef('document_search_contents'::regclass)").fetchone() or ("",)
        connection.execute("DROP INDEX document_search_contents")
        with ProcessPoolExecutor(WORKERS) as pool:
            list(pool.map(_fill, range(WORKERS), [url] * WORKERS, [owners] * WORKERS))
        connection.execute("SET maintenance_work_mem = '512MB'")
        connection.execute(definition)
        _count(connection, owners[0])
        connection.execute("DROP TABLE made")
        connection.execute("VACUUM (ANALYZE) documents, document_search, document_passages, document_pages, search_terms, search_words")
    return owners


def _fill(worker: int, url: str, owners: Sequence[UUID]) -> None:
    numbers = range(worker, DOCUMENTS // OWNERS, WORKERS)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica; SET synchronous_commit = off")
        with connection.cursor().copy("COPY made (number, text) FROM STDIN") as copy:
            for number, text in zip(numbers, vocabulary.texts(len(numbers), seed=worker), strict=True):
                copy.write_row((number, text))
        connection.execute(
            """
            UPDATE made
            SET contents = to_tsvector('search_english', text),
                name = setweight(to_tsvector('search_english', 'scan ' || number || ' pdf ' || split_part(text, ' ', 1)), 'A')
            WHERE number %% %s = %s
            """,
            [WORKERS, worker],
        )
        with connection.cursor().copy(
            """
            COPY documents (id, owner_id, filename, title, size, content_type, status, language, page_count, object_key, created_at)
            FROM STDIN
            """
        ) as copy:
            for number in numbers:
                for owner in owners:
                    document_id, kind = new_id(), "image/png" if number % 5 == 0 else "application/pdf"
                    created_at = datetime(2020, 1, 1, tzinfo=UTC) + timedelta(minutes=number)
                    copy.write_row(
                        (
                            *(document_id, owner, f"scan {number}.pdf", f"scan {number}", 1000 + number % 9000, kind),
                            *("ready", "en", 1, f"{number}/{document_id}", created_at),
                        )
                    )
        mine = (
            f"FROM documents JOIN made ON number = split_part(object_key, '/', 1)::integer WHERE number % {WORKERS} = {worker} ORDER BY id"
        )
        connection.execute(f"INSERT INTO document_pages (document_id, owner_id, number, text) SELECT id, owner_id, 1, text {mine}")
        connection.execute(f"INSERT INTO document_passages SELECT id, owner_id, '{{1}}', '{{1}}', '{{0}}' {mine}")
        connection.execute(
            f"""
            INSERT INTO document_search (document_id, owner_id, language, contents, name, words)
            SELECT id, owner_id, 'english', contents || name, name, array_length(string_to_array(text, ' '), 1) {mine}
            """
        )


def _count(connection: psycopg.Connection[Any], owner: UUID) -> None:
    """What the index's triggers would have counted."""
    connection.execute(
        f"""
        INSERT INTO search_terms (owner_id, lexeme, documents)
        SELECT '{owner}', word, ndoc FROM ts_stat($$SELECT contents FROM document_search WHERE owner_id = '{owner}'$$)
        WHERE length(word) <= 4 OR word !~ '[0-9]'
        """
    )
    connection.execute(
        "INSERT INTO search_totals SELECT owner_id, language, count(*), sum(words) FROM document_search WHERE owner_id = %s GROUP BY 1, 2",
        [owner],
    )
    connection.cursor().executemany(
        """
        INSERT INTO search_words (owner_id, lexeme, word)
        SELECT %(owner)s, lexeme, %(word)s FROM unnest(tsvector_to_array(to_tsvector('search_english', %(word)s))) AS lexeme
        ON CONFLICT DO NOTHING
        """,
        [{"owner": owner, "word": word} for word in vocabulary.vocabulary()],
    )


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


async def measure(superuser_url: str, owner: UUID) -> None:
    """Prints the figures."""
    from functions.documents.list_documents import list_documents
    from shared.db import Transaction, database
    from shared.faas.declarations import ENDPOINTS
    from shared.identity import tokens
    from shared.identity.client import Client
    from tests.faas.asgi import ask, serving

    watch = Stopwatch()
    for name in ("fetch_one", "fetch_all", "fetch_value"):
        setattr(Transaction, name, watch.wrap(getattr(Transaction, name)))
    app = serving(ENDPOINTS[list_documents.__name__])
    browser = Client("192.0.2.1", "benchmark", "en")
    token, _ = tokens.issue(owner, "user", new_id(), browser)
    headers = {"authorization": f"Bearer {token}", "user-agent": browser.user_agent, "accept-language": browser.accept_language}

    async def call(parameters: dict[str, str]) -> tuple[float, float, int]:
        watch.seconds, began = 0.0, time.perf_counter()
        answer = await ask(app, "GET", "/api/documents?" + urlencode(parameters), headers=headers)
        spent = time.perf_counter() - began
        assert answer.status == 200, answer.body
        return watch.seconds, spent, len(answer.json()["items"])

    with psycopg.connect(superuser_url, autocommit=True) as baseline:
        kinds = _queries(baseline, owner)
        print(f"{'':34}{'in the database':>22}{'at the client':>22}{'ts_rank_cd, all':>22}")
        for kind, parameters in kinds.items():
            for one in parameters[:5]:
                await call(one)
            spent = [await call(one) for one in parameters]
            ranked = [_ts_rank_cd(baseline, owner, one["q"]) for one in parameters[:20]] if "q" in parameters[0] else []
            found = sum(items for _, _, items in spent) / len(spent)
            columns = [_figures([a for a, _, _ in spent]), _figures([b for _, b, _ in spent]), _figures(ranked) if ranked else ""]
            print(f"{kind:34}" + "".join(f"{column:>22}" for column in columns) + f"   ({found:.0f} a page)", flush=True)
    await database().close()


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
        "phrases": times(lambda: f'"{chance.choice(most)} {chance.choice(fifth)}"'),
        "exclusions": times(lambda: f"{chance.choice(fifth)} -{chance.choice(most)}"),
        "typos": times(mistyped),
        "a list": [{"limit": "50"} for _ in range(ROUNDS)],
        "a list by name, one type": [{"sort": "filename", "content_type": "image/png"} for _ in range(ROUNDS)],
        "words in a fifth, by name": [{"q": chance.choice(fifth), "sort": "filename"} for _ in range(ROUNDS)],
        "words in nearly all, by size": [{"q": chance.choice(most), "sort": "-size"} for _ in range(ROUNDS)],
        "words in a fifth, one type": [{"q": chance.choice(fifth), "content_type": "image/png"} for _ in range(ROUNDS)],
    }


def _ts_rank_cd(connection: psycopg.Connection[Any], owner: UUID, query: str) -> float:
    began = time.perf_counter()
    connection.execute(
        """
        SELECT d.id, d.title, ts_rank_cd(s.contents, query) AS rank
        FROM websearch_to_tsquery('search_english', %(query)s) AS query, document_search AS s JOIN documents AS d ON d.id = s.document_id
        WHERE s.owner_id = %(owner)s AND s.contents @@ query AND d.trashed_at IS NULL
        ORDER BY rank DESC, d.id DESC LIMIT 50
        """,
        {"owner": owner, "query": query},
    ).fetchall()
    return time.perf_counter() - began


def _figures(seconds: Sequence[float]) -> str:
    ordered = sorted(seconds)
    return f"{median(ordered) * 1000:7.1f} {ordered[int(len(ordered) * 0.95)] * 1000:7.1f} ms"


if __name__ == "__main__":
    run()
