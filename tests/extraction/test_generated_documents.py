"""What a person sees on three hundred papers of all kinds is found, and nothing else."""

import pytest

from tests.extraction import generated_documents
from tests.extraction.conftest import Read
from tests.extraction.generated_documents import Paper

PAPERS = list(generated_documents.papers())
KINDS = sorted({paper.kind for paper in PAPERS})


def test_there_are_three_hundred_of_all_kinds() -> None:
    assert len(PAPERS) >= 300
    assert len({paper.filename.rpartition(".")[2] for paper in PAPERS}) >= 20
    assert [paper.wanted for paper in generated_documents.papers()] == [paper.wanted for paper in PAPERS], "the same each time"


@pytest.mark.parametrize("kind", KINDS)
async def test_every_word_on_a_paper_is_found_and_none_that_was_deleted(read: Read, kind: str) -> None:
    papers = [paper for paper in PAPERS if paper.kind == kind]
    for paper in papers[: 3 if kind.startswith(("A ", "E scan")) else 20]:
        found = await read(paper.content, paper.filename)
        assert _wrong(paper, found.pages) == [], paper.filename


def _wrong(paper: Paper, pages: list[str]) -> list[str]:
    text = "".join("\n".join(pages).split()).casefold()
    missing = [word for word in paper.wanted if word.casefold() not in text]
    return missing + [word for word in paper.unwanted if word.casefold() in text]
