"""How well the local provider files, against the plain way: a topic fits where its name stands in the document.

Both are measured in the same run on the same papers (tests/ai/labelled.py). "Filed" is what reaches `FILED_FROM`, "found" what is at
least suggested.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from uuid import UUID

import pytest

from shared.ai.local import LocalProvider, TopicCounts, salient_terms
from shared.ai.provider import DocumentText, PageText, TopicOption
from shared.ai.terms import terms
from shared.documents.classify_step import FILED_FROM, SUGGESTED_FROM
from tests.ai.labelled import AT_HAND, HABITS, KEPT_ASIDE, TOPICS_ENGLISH, TOPICS_GERMAN, Paper

Judge = Callable[[DocumentText, Sequence[TopicOption]], dict[UUID, float]]


def _document(paper: Paper) -> DocumentText:
    return DocumentText(paper.filename.rpartition(".")[0], paper.filename, paper.language, (PageText(1, paper.text),))


def _local(document: DocumentText, topics: Sequence[TopicOption]) -> dict[UUID, float]:
    return {match.topic_id: match.confidence for match in asyncio.run(LocalProvider().classify(document, topics)).matches}


def _name_match(document: DocumentText, topics: Sequence[TopicOption]) -> dict[UUID, float]:
    present = set(terms(" ".join([document.title, document.filename, *(page.text for page in document.pages)])))
    return {topic.id: 1.0 for topic in topics if any(word in present for word in terms(topic.name))}


def _precision_and_recall(judge: Judge, papers: Iterable[Paper], names: dict[str, str], at_least: float) -> tuple[float, float]:
    options = {key: TopicOption(UUID(int=number + 1), name) for number, (key, name) in enumerate(names.items())}
    key_of = {option.id: key for key, option in options.items()}
    right = wrong = wanted = 0
    for paper in papers:
        found = {key_of[topic] for topic, confidence in judge(_document(paper), list(options.values())).items() if confidence >= at_least}
        right += len(found & paper.labels)
        wrong += len(found - paper.labels - paper.also)
        wanted += len(paper.labels)
    return right / max(1, right + wrong), right / wanted


@pytest.mark.parametrize("names", [TOPICS_ENGLISH, TOPICS_GERMAN], ids=["English topics", "German topics"])
def test_it_finds_far_more_than_names_do_and_errs_less(names: dict[str, str]) -> None:
    plain_precision, plain_recall = _precision_and_recall(_name_match, KEPT_ASIDE, names, 0.5)
    precision, recall = _precision_and_recall(_local, KEPT_ASIDE, names, SUGGESTED_FROM)
    print(f"found: precision {precision:.2f}, recall {recall:.2f}; name match: precision {plain_precision:.2f}, recall {plain_recall:.2f}")
    assert recall >= 0.9
    assert recall >= plain_recall + 0.4
    assert precision >= max(0.9, plain_precision)


@pytest.mark.parametrize("names", [TOPICS_ENGLISH, TOPICS_GERMAN], ids=["English topics", "German topics"])
def test_what_it_files_by_itself_is_right(names: dict[str, str]) -> None:
    precision, recall = _precision_and_recall(_local, [*AT_HAND, *KEPT_ASIDE], names, FILED_FROM)
    print(f"filed: precision {precision:.2f}, recall {recall:.2f}")
    assert precision >= 0.97
    assert recall >= 0.7


@pytest.mark.parametrize("paper", [paper for paper in (*AT_HAND, *KEPT_ASIDE) if not paper.labels], ids=lambda paper: paper.filename)
def test_what_fits_no_topic_gets_none(paper: Paper) -> None:
    topics = [TopicOption(UUID(int=number + 1), name) for number, name in enumerate([*TOPICS_ENGLISH.values(), *TOPICS_GERMAN.values()])]
    assert not [match for match in _local(_document(paper), topics).values() if match >= SUGGESTED_FROM]


class _Taught:
    """An owner's decisions, kept in memory as the database keeps them."""

    def __init__(self, names: Sequence[str]) -> None:
        self.ids = {name: UUID(int=number + 1) for number, name in enumerate(names)}
        self.accepted: dict[str, list[list[str]]] = {name: [] for name in names}
        self.refused: dict[str, list[list[str]]] = {name: [] for name in names}

    def options(self) -> list[TopicOption]:
        return [TopicOption(topic_id, name, "", len(self.accepted[name]), len(self.refused[name])) for name, topic_id in self.ids.items()]

    async def counts(self, wanted: Sequence[str]) -> list[TopicCounts]:
        found = []
        for name, topic_id in self.ids.items():
            for_it = Counter(term for example in self.accepted[name] for term in example)
            against = Counter(term for example in self.refused[name] for term in example)
            known = [term for term in wanted if for_it[term] or against[term]]
            found.append(TopicCounts(topic_id, known, [for_it[term] for term in known], [against[term] for term in known]))
        return found

    def judge(self, text: str) -> dict[str, float]:
        document = DocumentText("scan", "scan.pdf", None, (PageText(1, text),))
        answer = asyncio.run(LocalProvider(self.counts).classify(document, self.options()))
        found = {match.topic_id: match.confidence for match in answer.matches}
        return {name: found.get(topic_id, 0.0) for name, topic_id in self.ids.items()}


def _terms(text: str) -> list[str]:
    return salient_terms(DocumentText("scan", "scan.pdf", None, (PageText(1, text),)))


# Names that say nothing, so that all there is was learned.
OPAQUE = {"Projekt Falke": "Ordner A", "Oakfield": "Box 7"}


@pytest.mark.parametrize("topic", list(HABITS))
def test_three_examples_teach_a_topic_whose_name_says_nothing(topic: str) -> None:
    taught = _Taught([*OPAQUE.values(), "Rechnungen"])
    *_, last = HABITS[topic]
    assert taught.judge(last)[OPAQUE[topic]] == 0.0
    for name, texts in HABITS.items():
        taught.accepted[OPAQUE[name]] = [_terms(text) for text in texts[:3]]
    found = taught.judge(last)
    print(f"learned: {found}")
    assert found[OPAQUE[topic]] >= SUGGESTED_FROM
    assert all(confidence < SUGGESTED_FROM for name, confidence in found.items() if name != OPAQUE[topic])


def test_what_was_learned_does_not_claim_other_papers() -> None:
    taught = _Taught(list(OPAQUE.values()))
    for name, texts in HABITS.items():
        taught.accepted[OPAQUE[name]] = [_terms(text) for text in texts]
    for paper in (*AT_HAND, *KEPT_ASIDE):
        assert max(taught.judge(paper.text).values()) < SUGGESTED_FROM, paper.filename


def test_each_example_makes_it_surer() -> None:
    taught = _Taught(list(OPAQUE.values()))
    *lessons, last = HABITS["Oakfield"]
    seen = [0.0]
    for lesson in lessons:
        taught.accepted["Box 7"].append(_terms(lesson))
        seen.append(taught.judge(last)["Box 7"])
    assert seen == sorted(seen)
    assert seen[-1] > seen[0]


def test_refusals_lower_what_looks_like_them_and_nothing_else() -> None:
    taught = _Taught(["Rechnungen"])
    phone, plumber = (next(p.text for p in KEPT_ASIDE if p.filename == name) for name in ("document(3).pdf", "plumbing.pdf"))
    before = {text: taught.judge(text)["Rechnungen"] for text in (phone, plumber)}
    next_month = phone.replace("5529018837", "5530112201").replace("05.04.2024", "05.05.2024").replace("März", "April")
    taught.refused["Rechnungen"] = [_terms(phone)] * 2
    assert taught.judge(next_month)["Rechnungen"] < before[phone] - 0.2
    assert taught.judge(plumber)["Rechnungen"] >= FILED_FROM
    assert abs(taught.judge(plumber)["Rechnungen"] - before[plumber]) < 0.05
