"""Fingerprints tell the same paper scanned twice from the next letter of the same kind."""

import random
from itertools import combinations

from shared.search.likeness import FEWEST_WORDS, WORDS, Fingerprint, fingerprint, likeness

WORD_LIST = [f"{first}{second}{third}" for first in "bdfghklmnprst" for second in "aeiou" for third in ("lm", "rt", "nd", "st", "gen")]


def paper(seed: int, words: int = 250) -> list[str]:
    drawn = random.Random(seed)
    return [drawn.choice(WORD_LIST) for _ in range(words)]


def misread(words: list[str], share: float, seed: int) -> list[str]:
    """As text recognition reads a scan: so many words with a wrong letter."""
    drawn = random.Random(seed)
    return [word[:-1] + drawn.choice("xqz07") if drawn.random() < share else word for word in words]


def of(words: list[str]) -> Fingerprint:
    made = fingerprint([" ".join(words)])
    assert made is not None
    return made


def statement(month: int) -> list[str]:
    """A bank's letter of each month: the same words, other numbers."""
    drawn = random.Random(month)
    text = paper(7)
    for place in range(10, 240, 12):
        text[place] = str(drawn.randint(1000, 99999))
    return text


def test_the_same_paper_scanned_twice_is_alike_and_shares_a_band() -> None:
    for seed in range(30):
        text = paper(seed)
        first, second = of(misread(text, 0.04, seed)), of(misread(text, 0.04, seed + 1000))
        assert likeness(first, [second])[0] > 0.5
        assert set(first.bands) & set(second.bands)


def test_a_scan_with_numbers_is_alike_too() -> None:
    for month in range(12):
        first, second = of(misread(statement(month), 0.02, month)), of(misread(statement(month), 0.02, 99 - month))
        assert likeness(first, [second])[0] > 0.5


def test_letters_of_the_same_kind_with_other_numbers_are_not_alike() -> None:
    statements = [of(statement(month)) for month in range(12)]
    assert max(likeness(first, [second])[0] for first, second in combinations(statements, 2)) < 0.3


def test_different_papers_are_not_alike() -> None:
    papers = [of(paper(seed)) for seed in range(40)]
    assert max(likeness(first, [second])[0] for first, second in combinations(papers, 2)) < 0.3


def test_a_text_of_few_words_says_too_little() -> None:
    assert fingerprint([]) is None
    assert fingerprint([" ".join(["word"] * (FEWEST_WORDS - 1))]) is None
    assert fingerprint(["", "\ud800 \0 " * 50]) is None


def test_a_huge_text_costs_no_more_than_its_beginning() -> None:
    start = paper(1, WORDS)
    assert of(start) == fingerprint([" ".join(start), "x" * 10_000_000, *["more of it"] * 1000])


def test_it_is_the_same_in_every_process_and_for_ever() -> None:
    made = of(paper(3))
    assert (made.bands[:2], made.words[:8].hex(), made.numbers) == ([83413753856, 845646139137], "6df3c500d864a300", b"")


def test_each_of_many_is_compared_as_if_it_were_alone() -> None:
    texts = [of(statement(1)), of(statement(2)), of(misread(statement(1), 0.03, 5)), of(paper(7)), of(paper(8))]
    assert any(text.numbers for text in texts)
    assert not all(text.numbers for text in texts)
    for mine in texts:
        assert likeness(mine, texts) == [likeness(mine, [other])[0] for other in texts]
        assert likeness(mine, [mine]) == [1.0]
    assert likeness(texts[0], []) == []
