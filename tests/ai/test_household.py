"""The labelled set, and how the local provider does on the third of it that was kept aside."""

import asyncio
from collections import Counter
from collections.abc import Sequence

from shared.ai.excerpt import MAX_AI_CHARS
from shared.ai.local import LocalProvider
from tests.ai.household import (
    AT_HAND,
    EXAMPLES,
    IDS,
    KEPT_ASIDE,
    LETTERS,
    LETTERS_KEPT_ASIDE,
    LONG,
    NAMES,
    OTHER_STYLES,
    PAPERS,
    SCANNED,
    HouseholdPaper,
    Taught,
    lessons,
)
from tests.ai.scores import Answer, Scores, scores
from tests.ai.surroundings import PAGES_OF_TERMS


def _scores(papers: Sequence[HouseholdPaper], examples: int) -> Scores:
    taught = Taught(lessons(examples))
    provider = LocalProvider(taught.term_counts)

    async def answers() -> list[Answer]:
        given = []
        for paper in papers:
            matches = (await provider.classify(paper.document(), taught.options())).matches
            best = matches[0] if matches else None
            given.append(
                Answer(IDS[paper.topic], best.topic_id, best.confidence, best.quote is not None) if best else Answer(IDS[paper.topic], None)
            )
        return given

    return scores(asyncio.run(answers()))


def test_the_set_is_what_it_says() -> None:
    assert len(PAPERS) == 240
    assert len({paper.text for paper in PAPERS}) == 240
    assert len(KEPT_ASIDE) == 80
    assert {paper.language for paper in PAPERS} == {"en", "de", "fr"}
    assert set(Counter(paper.topic for paper in PAPERS).values()) == {20}
    assert set(Counter(paper.topic for paper in lessons()).values()) == {EXAMPLES}
    assert not set(lessons()) & set(KEPT_ASIDE)
    assert {paper.topic for paper in AT_HAND} == set(NAMES)


def test_the_harder_sets_are_what_they_say() -> None:
    assert len(OTHER_STYLES) == 36
    assert set(Counter((paper.topic, paper.language) for paper in OTHER_STYLES).values()) == {1}
    assert not {paper.text for paper in OTHER_STYLES} & {paper.text for paper in PAPERS}
    for clean, scanned in zip(KEPT_ASIDE, SCANNED, strict=True):
        assert (clean.topic, clean.language) == (scanned.topic, scanned.language)
        assert clean.text not in scanned.text
        assert scanned.text == SCANNED[KEPT_ASIDE.index(clean)].text


def test_the_whole_papers_are_what_they_say() -> None:
    assert len(LETTERS) == 72
    assert set(Counter((paper.topic, paper.language) for paper in LETTERS).values()) == {2}
    assert set(Counter((paper.topic, paper.language) for paper in LETTERS_KEPT_ASIDE).values()) == {1}
    assert len({paper.id for paper in (*PAPERS, *OTHER_STYLES, *LETTERS)}) == 240 + 36 + 72
    for letter, long in zip(LETTERS_KEPT_ASIDE, LONG, strict=True):
        assert 500 <= len(letter.text) <= 1_500
        assert len(long.text) >= 2 * MAX_AI_CHARS
        assert len(long.document().pages) == PAGES_OF_TERMS
        assert all(line.strip("\f") in long.text for line in letter.text.split("\n"))


def test_whole_papers_that_mention_much_else_are_seldom_misfiled() -> None:
    found = _scores(LETTERS_KEPT_ASIDE, EXAMPLES)
    print(found)
    assert found.macro_f1 >= 0.70
    assert found.filed_precision >= 0.94
    assert found.calibration_error <= 0.15


def test_long_papers_are_found_and_not_filed_for_what_their_terms_and_advertisements_say() -> None:
    found = _scores(LONG, EXAMPLES)
    print(found)
    assert found.macro_f1 >= 0.60
    assert found.filed >= 0.3
    assert found.filed_precision >= 0.97
    assert found.calibration_error <= 0.20


def test_after_ten_examples_a_topic_most_papers_are_found() -> None:
    found = _scores(KEPT_ASIDE, EXAMPLES)
    print(found)
    assert found.macro_f1 >= 0.90
    assert found.evidence >= 0.95
    assert found.calibration_error <= 0.15


def test_papers_in_other_styles_by_another_hand_are_found_as_well() -> None:
    found = _scores(OTHER_STYLES, EXAMPLES)
    print(found)
    assert found.macro_f1 >= 0.90
    assert found.filed_precision >= 0.97


def test_bad_scans_are_found_nearly_as_well_and_not_filed_wrongly() -> None:
    found = _scores(SCANNED, EXAMPLES)
    print(found)
    assert found.macro_f1 >= 0.90
    assert found.filed_precision >= 0.97


def test_what_it_files_by_itself_is_right_here_too() -> None:
    for examples in (0, EXAMPLES):
        found = _scores(KEPT_ASIDE, examples)
        assert found.filed >= 0.35
        assert found.filed_precision >= 0.97


def test_examples_help_with_papers_that_are_not_the_lexicons_own() -> None:
    for papers in (LETTERS_KEPT_ASIDE, OTHER_STYLES, LONG):
        assert _scores(papers, EXAMPLES).macro_f1 > _scores(papers, 0).macro_f1
