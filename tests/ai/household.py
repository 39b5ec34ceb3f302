"""The labelled set: 240 household papers in three languages under twelve topics (tests/ai/papers), a third of them kept aside.

Whoever tunes something looks at `AT_HAND` only. The first ten of a topic there are what an owner is taken to have filed by hand.

Most of these were written by the hand that wrote the local provider's concepts, in a sentence or three each. Harder sets tell what that is
worth. `SCANNED` are the papers kept aside as a bad scan of a whole letter would have them, `OTHER_STYLES` are 36 more by another hand.
`LETTERS` are 72 whole papers (letters, tables, minutes, mails, slips; half of them kept aside) that mention other topics, too: the account
on an invoice, the tax on a donation. `LONG` are those kept aside among twenty thousand characters of terms and advertisements.

All are made up. Many of the whole ones are told in all three languages; those stand on one side of the line together.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import UUID

from shared.ai.excerpt import MAX_AI_CHARS
from shared.ai.local import TopicCounts, salient_terms
from shared.ai.provider import DocumentText, PageText, TopicExample, TopicOption
from tests.ai import surroundings
from tests.ai.surroundings import PAGE_BREAK

FOLDER = Path(__file__).with_name("papers")
LANGUAGES = {"english": "en", "german": "de", "french": "fr"}
LANGUAGE_NAMES = {code: name for name, code in LANGUAGES.items()}
EXAMPLES = 10

NAMES = {
    "invoices": "Invoices",
    "insurance": "Insurance",
    "housing": "Housing",
    "taxes": "Taxes",
    "work": "Work",
    "health": "Health",
    "bank": "Banking",
    "travel": "Travel",
    "education": "School",
    "vehicles": "Car",
    "energy": "Energy & water",
    "clubs": "Clubs & hobbies",
}
IDS = {topic: UUID(int=number + 1) for number, topic in enumerate(NAMES)}


@dataclass(frozen=True)
class HouseholdPaper:
    number: int
    topic: str
    language: str
    text: str

    @property
    def id(self) -> UUID:
        return UUID(int=1_000_000 + self.number)

    def document(self) -> DocumentText:
        name = f"scan-{self.number:03}"
        pages = enumerate(self.text.split(PAGE_BREAK), 1)
        return DocumentText(name, f"{name}.pdf", self.language, tuple(PageText(number, text) for number, text in pages))


def _all() -> tuple[HouseholdPaper, ...]:
    found: list[HouseholdPaper] = []
    for file, language in LANGUAGES.items():
        topic = ""
        for line in (FOLDER / f"{file}.txt").read_text(encoding="utf-8").splitlines():
            if line.startswith("["):
                topic = line.strip("[]")
            elif line and not line.startswith("#"):
                found.append(HouseholdPaper(len(found), topic, language, line))
    return tuple(found)


def _other_styles() -> tuple[HouseholdPaper, ...]:
    found: list[HouseholdPaper] = []
    topic = ""
    for line in (FOLDER / "styles.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            topic = line.strip("[]")
        elif line and not line.startswith("#"):
            language, _, text = line.partition(" ")
            found.append(HouseholdPaper(1_000 + len(found), topic, language, text))
    return tuple(found)


def _letters() -> tuple[HouseholdPaper, ...]:
    found: list[HouseholdPaper] = []
    for file, language in LANGUAGES.items():
        for topic, texts in surroundings.sections(FOLDER / f"letters_{file}.txt").items():
            found += [HouseholdPaper(2_000 + len(found) + place, topic, language, text) for place, text in enumerate(texts)]
    return tuple(found)


LETTERHEADS = {
    "en": (
        "Ref: {number} / mb\n14 Station Road, Eastbridge EB3 9QT\n\nDear Customer,\n",
        "\nYours sincerely,\np.p. M. Bright\nPage 1 of 1",
    ),
    "de": (
        "Unser Zeichen: {number}/mb\nBahnhofstraße 14, 80331 München\n\nSehr geehrte Damen und Herren,\n",
        "\nMit freundlichen Grüßen\ni. A. M. Hell\nSeite 1",
    ),
    "fr": (
        "Nos réf. : {number}/mb\n14 rue de la Gare, 69003 Lyon\n\nMadame, Monsieur,\n",
        "\nVeuillez agréer nos salutations distinguées.\nM. Clair\nPage 1/1",
    ),
}
MISREAD = str.maketrans(
    {"l": "1", "O": "0", "ü": "ii", "ö": "o", "ä": "a", "é": "e", "è": "e", "m": "rn", "S": "5", "B": "8", "e": "c", "n": "u"}
)
"""What recognition takes for one another."""


def _scanned(paper: HouseholdPaper) -> HouseholdPaper:
    """As a bad scan has it: a letter around it, lines of 60 characters with words broken at their ends, one character in 30 misread."""
    begin, end = LETTERHEADS[paper.language]
    text = begin.format(number=paper.number * 37) + paper.text + end
    read = "".join(
        character.translate(MISREAD) if (place * 2654435761 + paper.number) % 30 == 0 else character for place, character in enumerate(text)
    )
    broken = "\n".join(
        "".join(
            line[start : start + 60] + ("-\n" if line[start + 59 : start + 61].isalpha() else "\n") for start in range(0, len(line), 60)
        ).rstrip()
        for line in read.split("\n")
    )
    return replace(paper, text=broken)


def _long(paper: HouseholdPaper) -> HouseholdPaper:
    return replace(paper, text=surroundings.long(paper.text, LANGUAGE_NAMES[paper.language], paper.topic, paper.number))


PAPERS = _all()
KEPT_ASIDE = tuple(paper for paper in PAPERS if paper.number % 3 == 2)
AT_HAND = tuple(paper for paper in PAPERS if paper.number % 3 != 2)
SCANNED = tuple(_scanned(paper) for paper in KEPT_ASIDE)
OTHER_STYLES = _other_styles()
LETTERS = _letters()
LETTERS_AT_HAND, LETTERS_KEPT_ASIDE = LETTERS[::2], LETTERS[1::2]
LONG = tuple(_long(paper) for paper in LETTERS_KEPT_ASIDE)
SETS = {"kept": KEPT_ASIDE, "scanned": SCANNED, "styles": OTHER_STYLES, "letters": LETTERS_KEPT_ASIDE, "long": LONG}


def first_characters(document: DocumentText) -> DocumentText:
    """The plain way to choose what leaves: the first `MAX_AI_CHARS` characters."""
    left, pages = MAX_AI_CHARS, []
    for page in document.pages:
        pages.append(PageText(page.number, page.text[:left]))
        left -= len(page.text[:left])
    return replace(document, pages=tuple(page for page in pages if page.text))


def lessons(examples: int = EXAMPLES) -> tuple[HouseholdPaper, ...]:
    """So many of each topic's papers at hand, the languages mixed."""
    seen: Counter[str] = Counter()
    found = []
    for paper in sorted(AT_HAND, key=lambda paper: (paper.number * 7919) % 241):
        if seen[paper.topic] < examples:
            seen[paper.topic] += 1
            found.append(paper)
    return tuple(found)


class Taught:
    """What an owner has decided: these papers are filed. In memory, as the database keeps it."""

    def __init__(self, papers: Sequence[HouseholdPaper]) -> None:
        self.papers = papers
        self._terms = {paper.number: salient_terms(paper.document()) for paper in papers}
        self._counts: dict[str, Counter[str]] = {topic: Counter() for topic in NAMES}
        for paper in papers:
            self._counts[paper.topic].update(self._terms[paper.number])

    def options(self) -> list[TopicOption]:
        filed = Counter(paper.topic for paper in self.papers)
        return [TopicOption(IDS[topic], name, "", filed[topic]) for topic, name in NAMES.items()]

    async def term_counts(self, terms: Sequence[str]) -> list[TopicCounts]:
        """For the local provider."""
        found = []
        for topic, counts in self._counts.items():
            known = [term for term in terms if counts[term]]
            found.append(TopicCounts(IDS[topic], known, [counts[term] for term in known], [0] * len(known)))
        return found

    def nearest(self, paper: HouseholdPaper, most: int = 4) -> list[TopicExample]:
        """For the other providers."""
        wanted = set(salient_terms(paper.document()))
        ranked = sorted(self.papers, key=lambda other: (-len(wanted & set(self._terms[other.number])), other.number))
        return [
            TopicExample(IDS[other.topic], other.id, other.document().title, other.text[:300])
            for other in ranked[:most]
            if other.number != paper.number
        ]
