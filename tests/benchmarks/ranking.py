"""Search quality on judged collections: nDCG@10 and recall@100 of the product's own search beside SQLite FTS5, Tantivy and plain BM25.

Documents go through the product's index into a real PostgreSQL (as ready ones, without the rest of the pipeline), questions through the
function that answers `GET /api/documents?q=`. Collections: CISI from `../shared/judged`, where that folder is, and one of our own
(`tests/benchmarks/judged.py`: 300 papers as people keep them, 60 queries, three languages).

Baselines, all by any of the words: FTS5 (porter, title three times), Tantivy (`en_stem`, title twice) if it is installed, and plain BM25
over every document (stop words out, Snowball stems, the title's words counted twice more, k1 1.6, b 0.75) in memory.
"""

import asyncio
import math
import os
import re
import sqlite3
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from infra.programs import postgres_programs
from shared.db import TenantDatabase
from shared.ids import new_id
from shared.search import page, ranking
from tests.benchmarks import judged
from tests.benchmarks.own_database import own_database

SHARED = Path(os.environ.get("JUDGED_COLLECTIONS") or Path(__file__).resolve().parents[2].parent / "shared" / "judged")
DEPTH = 100


@dataclass(frozen=True)
class Paper:
    """A document of a collection; `language` is ISO 639-1."""

    title: str
    text: str
    language: str = "en"


@dataclass(frozen=True)
class Collection:
    """Documents by key, questions by key, and which documents are relevant to which question (with a gain)."""

    name: str
    documents: Mapping[str, Paper]
    questions: Mapping[str, str]
    relevant: Mapping[str, Mapping[str, float]]


Search = Callable[[str], Awaitable[list[str]]]


def run() -> None:
    """Measures and prints."""
    asyncio.run(_run())


async def _run() -> None:
    async with own_database():
        for collection in collections():
            await _measure(collection)


def collections() -> Iterable[Collection]:
    """Those that are there."""
    if SHARED.is_dir():
        yield cisi(SHARED)
    else:
        print(f"CISI is skipped: there is no {SHARED}.")
    yield judged.collection()


async def _measure(collection: Collection) -> None:
    print(f"\n{collection.name}: {len(collection.documents)} documents, {len(collection.relevant)} judged questions")
    searches = {"DocuVault": await docuvault(collection), "SQLite FTS5": fts5(collection), "plain BM25": plain_bm25(collection)}
    try:
        searches["Tantivy"] = tantivy(collection)
    except ImportError:
        print("Tantivy is skipped: it is not installed (pip install tantivy).")
    for name, search in searches.items():
        ndcg, recall = await score(collection, search)
        print(f"    {name:14} nDCG@10 {ndcg:.3f}   recall@{DEPTH} {recall:.3f}", flush=True)
    await held_out(collection, searches["DocuVault"])


async def judge(collection: Collection, search: Search) -> dict[str, tuple[float, float]]:
    """nDCG@10 (Järvelin and Kekäläinen, 2002) and recall@100 of each judged question."""
    judged_questions = {}
    for key, relevant in collection.relevant.items():
        found = (await search(collection.questions[key]))[:DEPTH]
        best = sorted(relevant.values(), reverse=True)[:10]
        ideal = sum(gain / math.log2(place + 2) for place, gain in enumerate(best))
        gain = sum(relevant.get(one, 0) / math.log2(place + 2) for place, one in enumerate(found[:10])) / ideal
        judged_questions[key] = gain, len(set(found) & set(relevant)) / len(relevant)
    return judged_questions


async def score(collection: Collection, search: Search) -> tuple[float, float]:
    """Both figures, each the mean over the judged questions."""
    return _means((await judge(collection, search)).values())


def _means(figures: Iterable[tuple[float, float]]) -> tuple[float, float]:
    ndcg, recall = zip(*figures, strict=True)
    return sum(ndcg) / len(ndcg), sum(recall) / len(recall)


async def held_out(collection: Collection, search: Search) -> None:
    """Chooses the constants (BM25's and the added words' weight) on every second question and prints what they give on the others, beside
    those that the product has: they are fitted to no file if they are no better where they were not chosen.
    """
    shipped = ranking.K1, ranking.B, page.ADDED_WEIGHT
    figures = {}
    try:
        for constants in {shipped, *product((1.2, 1.6, 2.0), (0.6, 0.75), (0.3, 0.4))}:
            _set(*constants)
            figures[constants] = await judge(collection, search)
    finally:
        _set(*shipped)
    keys = sorted(collection.relevant, key=lambda key: (len(key), key))
    for name, chosen_on, reported_on in (("odd", keys[::2], keys[1::2]), ("even", keys[1::2], keys[::2])):
        best = max(figures, key=lambda constants: _means(figures[constants][key] for key in chosen_on))
        for what, constants in ((f"chosen on the {name} ones", best), ("as shipped", shipped)):
            ndcg, recall = _means(figures[constants][key] for key in reported_on)
            print(f"    k1, b, weight {constants} {what}: on the other half nDCG@10 {ndcg:.3f}   recall@{DEPTH} {recall:.3f}")


def _set(k1: float, b: float, added_weight: float) -> None:
    ranking.K1, ranking.B, page.ADDED_WEIGHT = k1, b, added_weight
    ranking._saturation.cache_clear()


# The product


@dataclass(frozen=True)
class Filled:
    """An owner's vault with a collection's documents: their keys by id, their stemmers, and the seconds spent beside indexing them."""

    vault: TenantDatabase
    keys: Mapping[str, str]
    languages: Sequence[str]
    beside: float


async def docuvault(collection: Collection) -> Search:
    """Indexes the collection for an owner of its own."""
    from shared.documents import listing

    filled = await fill(collection)

    async def search(question: str) -> list[str]:
        page = await listing.search_documents(filled.vault, question, listing.Filters(), "-relevance", DEPTH)
        return [filled.keys[str(hit.id)] for hit in page.items]

    return search


async def fill(collection: Collection) -> Filled:
    """Stores and indexes the collection for an owner of its own, and merges what waits."""
    from shared.db import database
    from shared.search import index, stems

    owner = new_id()
    async with database().system() as tx:
        await tx.execute("INSERT INTO users (id, email, password_hash) VALUES (%s, %s, '!')", [owner, f"{owner.hex}@example.org"])
    vault = TenantDatabase(database(), owner)
    keys: dict[str, str] = {}
    beside = 0.0
    for key, paper in collection.documents.items():
        document_id = new_id()
        keys[str(document_id)] = key
        text = f"{paper.title}\n\n{paper.text}"
        began = time.perf_counter()
        async with vault.transaction() as tx:
            await tx.execute(
                """
                INSERT INTO documents (id, owner_id, filename, title, size, content_type, status, language, object_key)
                VALUES (%(id)s, %(owner)s, %(filename)s, %(filename)s, 1, 'text/plain', 'ready', %(language)s, %(id)s)
                """,
                {"id": document_id, "owner": owner, "filename": f"{key}.txt", "language": paper.language},
            )
            await tx.execute(
                "INSERT INTO document_pages (document_id, owner_id, number, text) VALUES (%s, %s, 1, %s)", [document_id, owner, text]
            )
        beside += time.perf_counter() - began
        async with vault.transaction() as tx:
            await index.index(
                tx, owner_id=owner, document_id=document_id, language=paper.language, filename=f"{key}.txt", title=key, pages=[text]
            )
    async with vault.transaction() as tx:
        while await tx.fetch_value("SELECT merge_search_changes(%s, 1)", [owner]):
            pass
    return Filled(vault, keys, sorted({stems.stemmer(paper.language) for paper in collection.documents.values()}), beside)


# What it is measured against


def words(text: str) -> list[str]:
    """Runs of letters and digits."""
    return re.findall(r"[^\W_]+", text.lower())


def fts5(collection: Collection) -> Search:
    """SQLite's full text search with its own BM25, the title three times."""
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE VIRTUAL TABLE papers USING fts5(key UNINDEXED, title, text, tokenize='porter unicode61')")
    rows = [(key, paper.title, paper.text) for key, paper in collection.documents.items()]
    connection.executemany("INSERT INTO papers VALUES (?, ?, ?)", rows)

    async def search(question: str) -> list[str]:
        query = " OR ".join(f'"{word}"' for word in words(question))
        ranked = connection.execute(
            "SELECT key FROM papers WHERE papers MATCH ? ORDER BY bm25(papers, 0, 3, 1) LIMIT ?", [query or '""', DEPTH]
        )
        return [key for (key,) in ranked]

    return search


def tantivy(collection: Collection) -> Search:
    """Tantivy's BM25, the title twice. Raises ImportError where it is not installed."""
    import tantivy as engine

    builder = engine.SchemaBuilder()
    builder.add_text_field("key", stored=True, tokenizer_name="raw")
    builder.add_text_field("title", tokenizer_name="en_stem")
    builder.add_text_field("text", tokenizer_name="en_stem")
    index = engine.Index(builder.build())
    writer = index.writer(num_threads=1)
    for key, paper in collection.documents.items():
        writer.add_document(engine.Document(key=key, title=paper.title, text=paper.text))
    writer.commit()
    writer.wait_merging_threads()
    index.reload()
    searcher = index.searcher()

    async def search(question: str) -> list[str]:
        query, _ = index.parse_query_lenient(" ".join(words(question)), ["title", "text"], field_boosts={"title": 2.0, "text": 1.0})
        return [searcher.doc(address)["key"][0] for _, address in searcher.search(query, DEPTH).hits]

    return search


def plain_bm25(collection: Collection, k1: float = 1.6, b: float = 0.75) -> Search:
    """BM25 over every document, in memory; each document is stemmed in its language, a question in all of the collection's."""
    from shared.search import stems

    languages = sorted({stems.stemmer(paper.language) for paper in collection.documents.values()})
    stop_words = _stop_words(languages)
    frequencies: dict[str, Counter[str]] = {}
    lengths: dict[str, int] = {}
    having: dict[str, set[str]] = defaultdict(set)
    for key, paper in collection.documents.items():
        counted: Counter[str] = Counter()
        for text, weight in ((paper.title, 3), (paper.text, 1)):
            for word in words(text):
                if word not in stop_words:
                    counted[stems.stems(word, stems.stemmer(paper.language))[0]] += weight
        frequencies[key], lengths[key] = counted, sum(counted.values())
        for word in counted:
            having[word].add(key)
    average = sum(lengths.values()) / len(lengths)

    async def search(question: str) -> list[str]:
        scores: dict[str, float] = defaultdict(float)
        for word in words(question):
            if word in stop_words:
                continue
            for stem in {stems.stems(word, language)[0] for language in languages}:
                documents = having.get(stem, set())
                weight = math.log(1 + (len(frequencies) - len(documents) + 0.5) / (len(documents) + 0.5))
                for key in documents:
                    times = frequencies[key][stem]
                    scores[key] += weight * times * (k1 + 1) / (times + k1 * (1 - b + b * lengths[key] / average))
        return sorted(scores, key=lambda key: scores[key], reverse=True)[:DEPTH]

    return search


def _stop_words(languages: Sequence[str]) -> set[str]:
    """PostgreSQL's lists."""
    folder = postgres_programs().parent / "share" / "tsearch_data"
    lists = [folder / f"{language}.stop" for language in languages]
    return {word for path in lists if path.exists() for word in path.read_text().split()}


def cisi(folder: Path) -> Collection:
    """The CISI collection from its three files."""
    documents = {}
    for key, fields in _records(folder / "CISI.ALL").items():
        documents[key] = Paper(" ".join(fields.get("T", "").split()), fields.get("W", ""))
    questions = {key: fields.get("W", "") for key, fields in _records(folder / "CISI.QRY").items()}
    relevant: dict[str, dict[str, float]] = defaultdict(dict)
    for line in (folder / "CISI.REL").read_text().splitlines():
        question, document = line.split()[:2]
        relevant[question][document] = 1.0
    return Collection("CISI", documents, questions, relevant)


def _records(path: Path) -> dict[str, dict[str, str]]:
    records: dict[str, dict[str, str]] = {}
    current: dict[str, str] = {}
    name = ""
    for line in path.read_text(encoding="latin-1").splitlines():
        if line.startswith(".I "):
            current = records.setdefault(line[3:].strip(), {})
        elif re.fullmatch(r"\.[TAWXB]\s*", line):
            name = line[1]
        else:
            current[name] = current.get(name, "") + line + "\n"
    return records


if __name__ == "__main__":
    run()
