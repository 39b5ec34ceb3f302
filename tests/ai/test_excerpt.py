"""Which 8,000 characters of a document leave: bounded always, and better chosen than the first ones."""

import asyncio
import random
from collections.abc import Callable, Sequence

from hypothesis import given
from hypothesis import strategies as st

from shared.ai.excerpt import GAP, MAX_AI_CHARS, characters, choose
from shared.ai.local import LocalProvider
from shared.ai.provider import DocumentText, PageText, TopicOption
from tests.ai.household import IDS, KEPT_ASIDE, LETTERS_KEPT_ASIDE, LONG, NAMES, HouseholdPaper, Taught, first_characters

TOPICS = [TopicOption(IDS[topic], name) for topic, name in NAMES.items()]

FILLER = {
    "en": "We thank you for your trust and remain at your disposal for any question. This page was left for your notes. ",
    "de": "Wir danken für Ihr Vertrauen und stehen für Rückfragen gern zur Verfügung. Diese Seite ist für Ihre Notizen. ",
    "fr": "Nous vous remercions de votre confiance et restons à votre écoute. Cette page est réservée à vos remarques. ",
}


def _buried(paper: HouseholdPaper) -> DocumentText:
    """The paper somewhere in twenty pages that say nothing, its own sentences pages apart."""
    pages = [FILLER[paper.language] * 18 for _ in range(20)]
    draw = random.Random(paper.number)
    for sentence in paper.text.split(". "):
        page = draw.randrange(4, 20)
        pages[page] = f"{pages[page][:900]}\n{sentence}.\n{pages[page][900:]}"
    return DocumentText("scan", "scan.pdf", paper.language, tuple(PageText(number, text) for number, text in enumerate(pages, 1)))


def _coverage(papers: Sequence[HouseholdPaper], cut: Callable[[DocumentText], DocumentText]) -> float:
    """Which share of the papers' own sentences leaves."""
    there = total = 0
    for paper in papers:
        text = "\n".join(page.text for page in cut(_buried(paper)).pages)
        sentences = paper.text.split(". ")
        there += sum(sentence in text for sentence in sentences)
        total += len(sentences)
    return there / total


def _accuracy(papers: Sequence[HouseholdPaper], cut: Callable[[DocumentText], DocumentText]) -> float:
    """How often the local provider's surest answer is right, however sure."""

    async def right() -> int:
        total = 0
        for paper in papers:
            matches = (await LocalProvider(Taught(()).term_counts).classify(cut(paper.document()), TOPICS)).matches
            total += bool(matches) and matches[0].topic_id == IDS[paper.topic]
        return total

    return asyncio.run(right()) / len(papers)


def test_of_long_papers_most_of_what_matters_leaves_where_the_first_pages_have_none_of_it() -> None:
    first, chosen = _coverage(KEPT_ASIDE, first_characters), _coverage(KEPT_ASIDE, lambda document: choose(document, TOPICS))
    print(f"sentences that matter: first {MAX_AI_CHARS} characters {first:.2f}, chosen {chosen:.2f}")
    assert first <= 0.1
    assert chosen >= 0.75


def test_of_papers_among_terms_far_more_leaves_than_of_their_first_pages() -> None:
    def lines(cut: Callable[[DocumentText], DocumentText]) -> float:
        there = total = 0
        for paper, letter in zip(LONG, LETTERS_KEPT_ASIDE, strict=True):
            text = "\n".join(page.text for page in cut(paper.document()).pages)
            own = [line for line in letter.text.split("\n") if line.strip()]
            there += sum(line in text for line in own)
            total += len(own)
        return there / total

    def chosen(document: DocumentText) -> DocumentText:
        return choose(document, TOPICS)

    first, better = lines(first_characters), lines(chosen)
    found_first, found_better = _accuracy(LONG, first_characters), _accuracy(LONG, chosen)
    print(f"own lines: first {MAX_AI_CHARS} characters {first:.2f}, chosen {better:.2f}; topic found {found_first:.2f}, {found_better:.2f}")
    assert first <= 0.1
    assert better >= 0.75
    assert found_better >= found_first + 0.1


def test_a_short_document_is_sent_as_it_is() -> None:
    document = KEPT_ASIDE[0].document()
    assert choose(document, TOPICS) == document


def test_the_letterhead_and_what_speaks_of_the_topics_are_there_in_their_order() -> None:
    head = "Northwind Trust\n1 Harbour Lane\nYearly report"
    pages = [PageText(number, FILLER["en"] * 30) for number in range(1, 30)]
    pages[0] = PageText(1, head + "\n" + pages[0].text)
    pages[20] = PageText(21, pages[20].text + "\nTAX CERTIFICATE\nIncome tax withheld: 214.00, for your tax return.\n" + FILLER["en"])
    cut = choose(DocumentText("report", "report.pdf", "en", tuple(pages)), TOPICS)
    assert cut.pages[0].text.startswith(head)
    assert "Income tax withheld: 214.00" in next(page.text for page in cut.pages if page.number == 21)
    assert [page.number for page in cut.pages] == sorted(page.number for page in cut.pages)


texts = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=6_000)


@given(st.lists(texts, max_size=6), texts, st.integers(1_000, MAX_AI_CHARS))
def test_whatever_the_document_it_is_bounded_and_every_word_is_the_documents(pages: list[str], title: str, limit: int) -> None:
    document = DocumentText(title, title[:100], None, tuple(PageText(number, text) for number, text in enumerate(pages, 1)))
    cut = choose(document, TOPICS, limit)
    assert characters(cut) <= limit
    whole = {page.number: page.text for page in document.pages}
    for page in cut.pages:
        assert all(piece in whole[page.number] for piece in page.text.split(GAP)) or GAP in whole[page.number]
