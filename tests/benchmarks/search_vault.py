"""A large vault for benchmarks, made in bulk: so many documents of several owners, mixed as they come in, the first owner's with postings.

There are TEXTS different texts; where an owner has more documents, they come again under other numbers, which changes nothing about how
words are spread. Beyond WHOLE documents, the other owners' have rows without text: they stand beside the first owner's in every table and
index that is read by key.
"""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import islice
from typing import Any
from uuid import UUID

import numpy as np
import psycopg

from shared.ids import new_id
from shared.search.analysis import ANALYSIS, analyse, length_code
from tests.benchmarks import vocabulary

TEXTS = 50_000
WHOLE = 500_000
AT_ONCE = 50_000
WORKERS = 2
FULL = 256
"""Postings of a chunk, as merging leaves them (migration 0020)."""

_POSTING: Any = np.dtype([("number", ">i4"), ("frequency", "u1"), ("length", "u1")])
_STAGING = """
    CREATE UNLOGGED TABLE made (
        number integer PRIMARY KEY, text text, contents tsvector, name tsvector, words integer, lexemes text[], frequencies bytea,
        length_code smallint, neighbours bytea, passage_words integer[], passage_pages integer[], passage_offsets integer[], filename text,
        title text
    );
    CREATE UNLOGGED TABLE given (number integer, at integer, owner uuid, made integer, id uuid)
"""


def generate(url: str, documents: int, owners: int) -> list[UUID]:
    """Fills an empty database; the owners' ids. `url` is a superuser's: triggers and foreign keys are passed over."""
    ids = [new_id() for _ in range(owners)]
    each = documents // owners
    texts = min(TEXTS, each)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica; SET synchronous_commit = off; SET work_mem = '256MB'")
        for number, owner in enumerate(ids):
            connection.execute("INSERT INTO users (id, email, password_hash) VALUES (%s, %s, '!')", [owner, f"owner{number}@example.org"])
        connection.execute(_STAGING)
        began = time.perf_counter()
        with ProcessPoolExecutor(WORKERS) as pool:
            parts = list(pool.map(_analyse, range(WORKERS), [url] * WORKERS, [texts] * WORKERS))
        print(f"{texts} texts analysed in {time.perf_counter() - began:.0f} s", flush=True)
        for first in range(0, each, AT_ONCE):
            _fill(connection, ids, first, min(each, first + AT_ONCE), texts, whole=documents <= WHOLE)
            print(f"{min(each, first + AT_ONCE) * owners} documents after {time.perf_counter() - began:.0f} s", flush=True)
        _write_postings(connection, ids[0], owners, each, texts, [postings for postings, _ in parts])
        written = {word: lexeme for _, words in parts for word, lexeme in words.items()}
        _copy(connection, "search_words", ["uuid", "text", "text"], ((ids[0], lexeme, word) for word, lexeme in written.items()))
        connection.execute(
            """
            INSERT INTO search_totals
            SELECT owner_id, language, count(*), sum(words) FROM document_search WHERE owner_id = %s GROUP BY 1, 2
            """,
            [ids[0]],
        )
        connection.execute("DROP TABLE made, given; SELECT setval('search_numbers', %s)" % (each * owners + 1))
        connection.execute(
            """
            VACUUM (ANALYZE) documents, document_search, document_passages, document_pages, search_terms, search_words, search_postings
            """
        )
    return ids


def _analyse(worker: int, url: str, texts: int) -> tuple[dict[str, bytes], dict[str, str]]:
    """A share of the texts; their postings by text, and the words as they are written with their lexemes."""
    postings: dict[str, bytearray] = {}
    written: dict[str, str] = {}
    numbers = range(worker, texts, WORKERS)
    with psycopg.connect(url, autocommit=True) as connection:
        texts_made = zip(numbers, vocabulary.texts(len(numbers), seed=worker), strict=True)
        while batch := list(islice(texts_made, 500)):
            with connection.cursor().copy("COPY made FROM STDIN") as copy:
                for number, text in batch:
                    filename, title = f"scan {number}.pdf", f"scan {number} {text.partition(' ')[0]}"
                    made = analyse([text], language="english", filename=filename, title=title)
                    written |= dict(zip(made.new_words, made.new_lexemes, strict=True))
                    code = length_code(made.words)
                    head, tail = number.to_bytes(4, "big"), bytes((code,))
                    for lexeme, frequency in zip(made.lexemes, made.frequencies, strict=True):
                        postings.setdefault(lexeme, bytearray()).extend(head + frequency.to_bytes(1, "big") + tail)
                    copy.write_row(
                        (
                            *(number, text, made.contents, made.name, made.words, made.lexemes, made.frequencies, code, made.neighbours),
                            *(made.passage_words, made.passage_pages, made.passage_offsets, filename, title),
                        )
                    )
    return {lexeme: bytes(packed) for lexeme, packed in postings.items()}, written


def _fill(connection: psycopg.Connection[Any], owners: Sequence[UUID], first: int, end: int, texts: int, *, whole: bool) -> None:
    """The documents from `first` on of every owner."""
    connection.execute("TRUNCATE given")
    connection.execute(
        """
        INSERT INTO given
        SELECT n * %(owners)s + o.at, o.at - 1, o.owner, n %% %(texts)s, uuidv7()
        FROM generate_series(%(first)s, %(end)s - 1) AS n CROSS JOIN unnest(%(ids)s::uuid[]) WITH ORDINALITY AS o (owner, at)
        ORDER BY 1
        """,
        {"owners": len(owners), "ids": list(owners), "texts": texts, "first": first, "end": end},
    )
    connection.execute(
        """
        INSERT INTO documents (id, owner_id, filename, title, size, content_type, status, language, page_count, object_key, created_at)
        SELECT g.id, g.owner, m.filename, m.title, 1000 + g.number %% 9000,
            CASE WHEN g.made %% 5 = 0 THEN 'image/png' ELSE 'application/pdf' END, 'ready', 'en', 1, g.number || '/' || g.id,
            timestamptz '2020-01-01 00:00Z' + g.number * interval '1 minute'
        FROM given AS g JOIN made AS m ON m.number = g.made ORDER BY g.number
        """,
        [],
    )
    owners_with_text = "true" if whole else "g.at = 0"
    connection.execute(
        f"""
        INSERT INTO document_search (
            document_id, owner_id, language, contents, name, words, number, lexemes, frequencies, length_code, neighbours, analysis
        )
        SELECT g.id, g.owner, 'english', CASE WHEN {owners_with_text} THEN m.contents ELSE m.name END, m.name, m.words, g.number,
            CASE WHEN {owners_with_text} THEN m.lexemes ELSE '{{}}' END, CASE WHEN {owners_with_text} THEN m.frequencies ELSE '' END,
            m.length_code, m.neighbours, {ANALYSIS}
        FROM given AS g JOIN made AS m ON m.number = g.made ORDER BY g.number
        """
    )
    connection.execute(
        f"""
        INSERT INTO document_pages (document_id, owner_id, number, text)
        SELECT g.id, g.owner, 1, m.text FROM given AS g JOIN made AS m ON m.number = g.made WHERE {owners_with_text} ORDER BY g.number
        """
    )
    connection.execute(
        f"""
        INSERT INTO document_passages (document_id, owner_id, words, pages, offsets)
        SELECT g.id, g.owner, m.passage_words, m.passage_pages, m.passage_offsets
        FROM given AS g JOIN made AS m ON m.number = g.made WHERE {owners_with_text} ORDER BY g.number
        """
    )


def _write_postings(
    connection: psycopg.Connection[Any], owner: UUID, owners: int, each: int, texts: int, parts: Sequence[dict[str, bytes]]
) -> None:
    """What merging would have left for the first owner."""
    lexemes = sorted(set().union(*parts))

    def packed(lexeme: str) -> np.ndarray[Any, Any]:
        found = np.frombuffer(b"".join(part.get(lexeme, b"") for part in parts), _POSTING)
        found = found[np.argsort(found["number"])]
        made = np.tile(found, -(-each // texts))
        number = made["number"].astype(np.int64) + np.repeat(np.arange(0, each, texts), len(found))
        made = made[number < each]
        made["number"] = number[number < each] * owners + 1
        return made

    def chunks() -> Iterator[tuple[Any, ...]]:
        for lexeme in lexemes:
            made = packed(lexeme)
            for at in range(0, len(made) // FULL * FULL, FULL):
                part = made[at : at + FULL]
                yield owner, lexeme, int(part["number"][0]), int(part["number"][-1]), part.tobytes()

    def terms() -> Iterator[tuple[Any, ...]]:
        for lexeme in lexemes:
            made = packed(lexeme)
            yield owner, lexeme, len(made), made[len(made) // FULL * FULL :].tobytes()

    _copy(connection, "search_postings (owner_id, lexeme, lowest, highest, postings)", ["uuid", "text", "int4", "int4", "bytea"], chunks())
    _copy(connection, "search_terms (owner_id, lexeme, documents, tail)", ["uuid", "text", "int4", "bytea"], terms())


def _copy(connection: psycopg.Connection[Any], table: str, types: Sequence[str], rows: Any) -> None:
    with connection.cursor().copy(f"COPY {table} FROM STDIN (FORMAT BINARY)") as copy:
        copy.set_types(types)
        for row in rows:
            copy.write_row(row)
