"""Which part of a document a provider gets to read, if it may not have all of it.

What a paper is stands in its title, its letterhead and its headings, and in the sentences that speak of the owner's topics, wherever they
are: an annual statement of forty pages says "tax certificate" on page 31. So the beginning is always taken, then the passages that say most
about the topics for their length (a word counts less each time it has been taken already), then whatever follows the beginning.
"""

import heapq
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from shared.ai.local import keys_of, telling_words
from shared.ai.provider import DocumentText, PageText, TopicOption

MAX_AI_CHARS = 8_000
"""Characters of documents that leave in one call, at most."""

NAME_CHARACTERS = 200
HEAD_CHARACTERS = 1_500
PASSAGE_CHARACTERS = 320
HEADING_CHARACTERS = 90
GAP = "\n[…]\n"
"""Stands where something was left out; it counts, too."""


@dataclass(frozen=True, slots=True)
class _Passage:
    page: int
    start: int
    text: str
    words: frozenset[str]
    heading: bool


def choose(document: DocumentText, topics: Sequence[TopicOption], limit: int = MAX_AI_CHARS) -> DocumentText:
    """`document` cut to `limit` characters: names, pages and the marks of gaps together. A page without a passage is left out."""
    title, filename = document.title[:NAME_CHARACTERS], document.filename[:NAME_CHARACTERS]
    cut = replace(document, title=title, filename=filename)
    budget = limit - len(title) - len(filename)
    if sum(len(page.text) for page in document.pages) <= budget:
        return cut
    passages = [passage for page in document.pages for passage in _passages(page)]
    chosen = _chosen(passages, telling_words(topics), budget)
    pages = [PageText(page.number, _joined(page.text, [p for p in chosen if p.page == page.number])) for page in document.pages]
    return replace(cut, pages=tuple(page for page in pages if page.text))


def characters(document: DocumentText) -> int:
    """How many characters of it there are, names included."""
    return len(document.title) + len(document.filename) + sum(len(page.text) for page in document.pages)


_LINES = re.compile(r"[^\n]*\n|[^\n]+")


def _passages(page: PageText) -> list[_Passage]:
    """The page cut into passages of whole lines; long lines are cut at spaces."""
    found: list[_Passage] = []
    start, held = 0, ""

    def put(at: int, text: str) -> None:
        if text.strip():
            found.append(_Passage(page.number, at, text, keys_of(text), _is_heading(text)))

    for match in _LINES.finditer(page.text):
        line = match[0]
        if held and (len(held) + len(line) > PASSAGE_CHARACTERS or _is_heading(line)):
            put(start, held)
            held = ""
        if not held:
            start = match.start()
        held += line
        while len(held) > PASSAGE_CHARACTERS:
            end = held.rfind(" ", PASSAGE_CHARACTERS // 2, PASSAGE_CHARACTERS) + 1 or PASSAGE_CHARACTERS
            put(start, held[:end])
            start, held = start + end, held[end:]
    put(start, held)
    return found


def _is_heading(text: str) -> bool:
    line = text.strip()
    return 3 <= len(line) <= HEADING_CHARACTERS and "\n" not in line and (line.isupper() or line.istitle() or line.endswith(":"))


def _chosen(passages: list[_Passage], weights: Mapping[str, float], budget: int) -> list[_Passage]:
    kept: set[int] = set()
    seen: Counter[str] = Counter()

    def cost(number: int) -> int:
        return len(passages[number].text) + len(GAP)

    def take(number: int) -> None:
        nonlocal budget
        kept.add(number)
        seen.update(passages[number].words)
        budget -= cost(number)

    def worth(number: int) -> float:
        passage = passages[number]
        told = sum(weights[word] / (1 + seen[word]) ** 2 for word in passage.words if word in weights)
        return (told + (0.4 if passage.heading else 0.0)) / (40 + len(passage.text))

    head = min(HEAD_CHARACTERS, budget // 3)
    for number, _ in enumerate(passages):
        if head <= 0 or cost(number) > budget:
            break
        head -= cost(number)
        take(number)
    # Lazy greedy: a passage is worth no more later than it was before, so only the best one's worth is looked at again.
    waiting = [(-worth(number), number) for number in range(len(passages)) if number not in kept]
    heapq.heapify(waiting)
    while waiting and budget > 0:
        before, number = heapq.heappop(waiting)
        now = worth(number)
        if now <= 0:
            continue
        if now < -before - 1e-12:
            heapq.heappush(waiting, (-now, number))
        elif cost(number) <= budget:
            take(number)
    for number in range(len(passages)):
        if number not in kept and cost(number) <= budget:
            take(number)
    return [passages[number] for number in sorted(kept)]


def _joined(text: str, passages: Sequence[_Passage]) -> str:
    pieces: list[str] = []
    end = 0
    for passage in passages:
        if passage.start > end and text[end : passage.start].strip():
            pieces.append(GAP)
        pieces.append(passage.text)
        end = passage.start + len(passage.text)
    return "".join(pieces)
