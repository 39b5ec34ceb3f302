"""What search is built on, beside what it could be built on: quality, speed, bytes and the cost of writing, in one run.

- `postings, all` is the product: postings of our own, all of the query's added up.
- `postings, MaxScore` reads the same postings one word after another, what can add most first, and stops when what is left cannot bring a
  document among the best that is not nearly there; what the left out words add to those is read from the documents' rows.
- `GIN + ts_rank` is PostgreSQL's own: an index that names the documents with any of the words, each of which is read to be ranked.
- `GIN + ts_rank, 250` is the same, bounded as search was before migration 0020: the newest 250 matches are ranked.

Quality is measured on the collections of `ranking`, the rest on DESIGNS_DOCUMENTS made-up documents (5,000 if it is not set) with questions
of six words, half of which stand in many documents. Each design is asked through one connection, in the process.
"""

import asyncio
import os
import time
from collections.abc import Sequence
from random import Random
from statistics import median
from typing import Any

import numpy as np
import psycopg

from shared.db import Transaction
from shared.search import ranking as bm25
from shared.search.query import Query, parse
from shared.search.ranking import Numbers, Postings, Scores
from tests.benchmarks import ranking, vocabulary
from tests.benchmarks.own_database import own_database
from tests.benchmarks.ranking import DEPTH, Collection, Filled, Paper, Search

DOCUMENTS = int(os.environ.get("DESIGNS_DOCUMENTS", "5000"))
QUESTIONS = 60
NEARLY_THERE = 1_000
"""Documents whose rows MaxScore reads at most for the words that it leaves out."""

_OURS = ("document_search", "document_passages", "search_terms", "search_postings", "search_words", "search_totals", "search_changes")
_GIN = """
    CREATE TABLE gin_documents (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, key text NOT NULL, contents tsvector NOT NULL);
    CREATE INDEX gin_documents_contents ON gin_documents USING gin (contents);
"""


def run() -> None:
    """Measures and prints."""
    asyncio.run(_run())


async def _run() -> None:
    async with own_database() as postgres:
        with psycopg.connect(postgres.url("postgres"), autocommit=True) as superuser:
            for collection in ranking.collections():
                print(f"\n{collection.name}: {len(collection.documents)} documents, {len(collection.relevant)} judged questions")
                filled = await ranking.fill(collection)
                _fill_gin(superuser, collection)
                for name, search in _designs(filled, superuser).items():
                    ndcg, recall = await ranking.score(collection, search)
                    print(f"    {name:22} nDCG@10 {ndcg:.3f}   recall@{DEPTH} {recall:.3f}", flush=True)
            await _measure(superuser)


def _designs(filled: Filled, superuser: psycopg.Connection[Any]) -> dict[str, Search]:
    return {
        "postings, all": Ours(filled, leave_out=False).search,
        "postings, MaxScore": Ours(filled, leave_out=True).search,
        "GIN + ts_rank": Gin(superuser).search,
        "GIN + ts_rank, 250": Gin(superuser, newest=250).search,
    }


async def _measure(superuser: psycopg.Connection[Any]) -> None:
    texts = list(vocabulary.texts(DOCUMENTS, seed=5))
    collection = Collection("made up", {str(number): Paper(f"paper {number}", text) for number, text in enumerate(texts)}, {}, {})
    # One owner's alone, so that bytes are this collection's.
    superuser.execute("TRUNCATE users, search_terms, search_postings, search_words CASCADE")
    began = time.perf_counter()
    filled = await ranking.fill(collection)
    ours = (time.perf_counter() - began - filled.beside) / DOCUMENTS
    gin = _fill_gin(superuser, collection) / DOCUMENTS
    superuser.execute("VACUUM (ANALYZE)")
    bytes_of_ours = sum(_size(superuser, table) for table in _OURS) / DOCUMENTS
    bytes_of_gin = _size(superuser, "gin_documents") / DOCUMENTS
    print(f"\n{DOCUMENTS} made-up documents       {'p50':>7} {'p95':>7} ms    bytes a document   writing, ms a document")
    questions = _questions(texts)
    for name, search in _designs(filled, superuser).items():
        for question in questions[:5]:
            await search(question)
        spent = []
        for question in questions:
            began = time.perf_counter()
            await search(question)
            spent.append(time.perf_counter() - began)
        spent.sort()
        size, writing = (bytes_of_ours, ours) if name.startswith("postings") else (bytes_of_gin, gin)
        p95 = spent[int(len(spent) * 0.95)]
        print(f"    {name:22} {median(spent) * 1000:7.1f} {p95 * 1000:7.1f}       {size:8.0f}          {writing * 1000:8.2f}", flush=True)
    asked = [Ours(filled, leave_out=True) for _ in questions]
    for one, question in zip(asked, questions, strict=True):
        await one.search(question)
    read, of_all, rows = (sum(getattr(one, name) for one in asked) for name in ("read", "of_all", "rows"))
    print(f"MaxScore read {read / of_all:.0%} of the postings, and {rows / len(asked):.0f} documents' rows a question")


def _questions(texts: Sequence[str]) -> list[str]:
    """Three words of the hundred commonest, and three of those after the five hundred commonest."""
    chance, words = Random(11), vocabulary.vocabulary()
    return [" ".join([*chance.sample(words[:100], 3), *chance.sample(words[500:5000], 3)]) for _ in range(QUESTIONS)]


def _size(superuser: psycopg.Connection[Any], table: str) -> int:
    (size,) = superuser.execute(f"SELECT pg_total_relation_size('{table}')").fetchone() or (0,)
    return int(size)


class Ours:
    """The product's postings of an owner, added up without what the product does besides (added words, whole matches, snippets).

    `read`, `of_all` and `rows` count the postings read, those that the words have, and the documents whose rows were read.
    """

    def __init__(self, filled: Filled, *, leave_out: bool) -> None:
        self.filled, self.leave_out = filled, leave_out
        self.read = self.of_all = self.rows = 0

    async def search(self, question: str) -> list[str]:
        query = parse(question)
        async with self.filled.vault.transaction() as tx:
            counts = await self._counts(tx, query)
            words = sorted(counts, key=lambda word: -self._most(word, counts))
            numbers, scores = await self._ranked(tx, words, counts)
            best, _ = bm25.best(numbers, scores, DEPTH)
            found: dict[int, str] = dict(
                await (
                    await tx.connection.execute(
                        "SELECT number, document_id::text FROM document_search WHERE owner_id = %s AND number = ANY (%s)",
                        [self.filled.vault.owner_id, best.tolist()],
                    )
                ).fetchall()
            )
        return [self.filled.keys[found[number]] for number in best.tolist()]

    async def _counts(self, tx: Transaction, query: Query) -> dict[str, int]:
        """The words' lexemes that some document has, and how many have them."""
        from shared.search import stems

        lexemes = {
            lexeme
            for unit in query.units()
            for said in unit.spoken
            for language in self.filled.languages
            if not self._is_small(said)
            for lexeme in stems.stems(said, language)
        }
        rows = await tx.connection.execute(
            """
            SELECT lexeme, documents, (SELECT sum(documents) FROM search_totals WHERE owner_id = %(owner)s),
                (SELECT sum(words) FROM search_totals WHERE owner_id = %(owner)s)
            FROM search_terms WHERE owner_id = %(owner)s AND lexeme = ANY (%(lexemes)s)
            """,
            {"owner": self.filled.vault.owner_id, "lexemes": list(lexemes)},
        )
        counts: dict[str, int] = {}
        for lexeme, documents, self.documents, words in await rows.fetchall():
            counts[lexeme] = documents
            self.average = float(words) / float(self.documents)
        self.of_all += sum(counts.values())
        return counts

    def _is_small(self, word: str) -> bool:
        from shared.search.stems import small_words

        return any(word in small_words(language) for language in self.filled.languages)

    def _weight(self, word: str, counts: dict[str, int]) -> float:
        return bm25.weight(counts[word], int(self.documents))

    def _most(self, word: str, counts: dict[str, int]) -> float:
        """What the word can add to a score: its weight times what a frequency without end gives."""
        return self._weight(word, counts) * (bm25.K1 + 1)

    async def _ranked(self, tx: Transaction, words: Sequence[str], counts: dict[str, int]) -> tuple[Numbers, Scores]:
        if not self.leave_out:
            postings = await self._postings(tx, words)
            return bm25.total([self._impacts(postings[word], word, counts) for word in words if word in postings])
        numbers, scores = bm25.total([])
        for at, word in enumerate(words):
            postings = await self._postings(tx, [word])
            numbers, scores = bm25.total([(numbers, scores), self._impacts(postings[word], word, counts)])
            left = words[at + 1 :]
            could_add = sum(self._most(word, counts) for word in left)
            if left and len(numbers) > DEPTH:
                least = np.partition(scores, len(scores) - DEPTH)[len(scores) - DEPTH]
                near = scores + could_add > least
                # What no word so far is in cannot come in either, once the rest add less than the least of the best.
                if could_add < least and np.count_nonzero(near) <= NEARLY_THERE:
                    return await self._completed(tx, numbers[near], scores[near], left, counts)
        return numbers, scores

    async def _postings(self, tx: Transaction, words: Sequence[str]) -> dict[str, Postings]:
        rows = await (
            await tx.connection.execute(
                "SELECT lexeme, postings FROM search_postings_of(%s, %s)", [self.filled.vault.owner_id, list(words)], binary=True
            )
        ).fetchall()
        found = {lexeme: bm25.read(packed) for lexeme, packed in rows}
        self.read += sum(map(len, found.values()))
        return found

    def _impacts(self, postings: Postings, word: str, counts: dict[str, int]) -> tuple[Numbers, Scores]:
        return postings.numbers, bm25.impacts(postings, self.average, self._weight(word, counts))

    async def _completed(
        self, tx: Transaction, numbers: Numbers, scores: Scores, left: Sequence[str], counts: dict[str, int]
    ) -> tuple[Numbers, Scores]:
        """The scores of these with what the words add that were left out, from the documents' rows."""
        self.rows += len(numbers)
        rows = await (
            await tx.connection.execute(
                """
                SELECT l.lexeme, s.number, get_byte(s.frequencies, l.place::integer - 1), s.length_code
                FROM document_search AS s CROSS JOIN LATERAL unnest(s.lexemes) WITH ORDINALITY AS l (lexeme, place)
                WHERE s.owner_id = %s AND s.number = ANY (%s) AND l.lexeme = ANY (%s)
                """,
                [self.filled.vault.owner_id, numbers.tolist(), list(left)],
            )
        ).fetchall()
        parts = [(numbers, scores)]
        for word in left:
            having = sorted((number, times, length) for lexeme, number, times, length in rows if lexeme == word)
            if having:
                columns = np.array(having, np.int64).T
                postings = Postings(columns[0].astype(np.int32), columns[1].astype(np.uint8), columns[2].astype(np.uint8))
                parts.append(self._impacts(postings, word, counts))
        return bm25.total(parts)


class Gin:
    """PostgreSQL's text search; of all matches, or the `newest`."""

    def __init__(self, connection: psycopg.Connection[Any], newest: int | None = None) -> None:
        self.connection, self.newest = connection, newest

    async def search(self, question: str) -> list[str]:
        words = " ".join(ranking.words(question))
        rows = self.connection.execute(
            """
            WITH asked AS MATERIALIZED (
                SELECT string_agg(quote_literal(lexeme), ' | ')::tsquery AS query
                FROM unnest(tsvector_to_array(to_tsvector('english', %(words)s))) AS lexeme
            ), matching AS MATERIALIZED (
                SELECT g.key, g.contents FROM gin_documents AS g, asked WHERE g.contents @@ asked.query ORDER BY g.id DESC LIMIT %(newest)s
            )
            SELECT key FROM matching, asked ORDER BY ts_rank('{0.1,0.1,0.1,0.3}', contents, asked.query, 1) DESC LIMIT %(depth)s
            """,
            {"words": words, "newest": self.newest, "depth": DEPTH},
        )
        return [key for (key,) in rows.fetchall()]


def _fill_gin(connection: psycopg.Connection[Any], collection: Collection) -> float:
    """Indexes the collection; how many seconds that took."""
    connection.execute("DROP TABLE IF EXISTS gin_documents")
    connection.execute(_GIN)
    began = time.perf_counter()
    for key, paper in collection.documents.items():
        connection.execute(
            """
            INSERT INTO gin_documents (key, contents)
            VALUES (%s, setweight(to_tsvector('english', %s), 'A') || to_tsvector('english', %s))
            """,
            [key, paper.title, paper.text],
        )
    return time.perf_counter() - began


if __name__ == "__main__":
    run()
