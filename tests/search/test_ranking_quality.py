"""Ranking is no worse than BM25 over every document, on judged collections."""

import pytest

from shared.db import Database
from tests.benchmarks import judged, ranking


async def test_papers_at_home_are_ranked_no_worse_than_by_plain_bm25(db: Database) -> None:
    collection = judged.collection()
    assert (len(collection.documents), len(collection.questions)) == (300, 60)
    ours = await ranking.score(collection, await ranking.docuvault(collection))
    plain = await ranking.score(collection, ranking.plain_bm25(collection))
    assert ours[0] >= plain[0]
    assert ours[1] >= plain[1]


@pytest.mark.skipif(not ranking.SHARED.is_dir(), reason=f"there is no {ranking.SHARED}")
async def test_cisi_is_ranked_as_well_as_the_aim_says(db: Database) -> None:
    collection = ranking.cisi(ranking.SHARED)
    ndcg, recall = await ranking.score(collection, await ranking.docuvault(collection))
    assert ndcg >= 0.41
    assert recall >= 0.46
