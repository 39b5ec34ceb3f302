"""The provider that always works: no network, no model to download, the same response every time, a few milliseconds a document.

How it judges. Each topic is judged on its own, by points:

- its *name* and *description*: the words themselves, and what `shared.ai.concepts` knows about topics of that kind. A name of several
  parts ("Car insurance", "Autoversicherung", "Steuern 2024") wants all of them; parts between "&", "/", "and", "und" are alternatives;
- what the owner has *decided*: words that stand more often in documents accepted under this topic than in those of the other topics speak
  for it, words of refused documents against it.

Words count by BM25's saturation (k1 1, b 0.5), those of title, filename and the first lines more; in a long document by passages: those
with figures first, those that come again not at all. The more points a topic has, and the further it is ahead of the others (for papers
mention much in passing), the surer it is: a curve that was fitted so that (tests/ai/test_local_quality.py) what reaches `FILED_FROM` is
hardly ever wrong. The quote is the passage that holds the most points.
"""

import math
import re
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from heapq import nlargest
from itertools import pairwise, takewhile, zip_longest
from time import perf_counter
from typing import ClassVar
from uuid import UUID

from shared.ai.concepts import Lexicon, lexicon, phrase_index
from shared.ai.provider import Classification, DetailName, DocumentText, ProviderHealth, ProviderName, TopicExample, TopicIdeas, TopicOption
from shared.ai.terms import COMMON, GENERIC, folded, spans, starts, term, terms
from shared.ai.verification import MATCHES_KEPT, ClaimedIdea, ClaimedMatch, checked_ideas, checked_matches, shortened

MODEL = "docuvault-local-1"

CHARACTERS_READ = 60_000
"""Of a document, from its beginning: some twenty dense pages. What a document is shows long before; the rest would only cost time."""

HEAD_CHARACTERS = 350
"""The first lines: letterhead and subject, where a document says what it is."""

SALIENT_TERMS = 96
"""Terms of a document that are learned from, and looked up in what was learned."""

PRIOR_TERM, PRIOR_GENERIC = 0.02, 0.15
"""How often a word stands in any document, before there are documents: one in fifty; a letter's usual words more."""

BACKGROUND_WEIGHT = 5.0
"""How many documents that guess is worth."""

# The numbers below were chosen on the papers `AT_HAND` of tests/ai/labelled.py, and judged on those that were kept aside.
MEAN_WORDS, SATURATION_MAX = 300, 12.0
NAME_WEIGHT, DESCRIPTION_WEIGHT, DESCRIPTION_POINTS = 2.4, 0.7, 4.2
LEARNED_WEIGHT, LEARNED_ALONE = 4.2, 0.6
"""The second, for a topic whose name and description say nothing of the paper: a few words in common come about by chance."""
LEARNED_LIFT_MAX = 3.0
POINTS_AGAINST_REFUSALS = 7.0
LEARNED_TERMS_MIN = 25
IDEA_POINTS = 3.5

EVEN_POINTS, LEAD_MAX = 0.5, 1.5
SURE_OF_NOTHING, SURE_BY_POINTS, SURE_BY_LEAD = -3.0, 1.85, 2.6
"""A logistic regression (Platt's scaling) of "it is this topic" on the logarithms of its points and of its lead over the best other topic.
Fitted on the papers at hand of tests/ai/labelled.py and tests/ai/household.py, clean, badly scanned, whole and long, none of them among
those learned from; on the same with their own topic missing; and on papers and passages of terms that fit no topic."""

CONFIDENCE_MAX = 0.99
"""Word statistics are never certain."""

LONG_CHARACTERS = 2_500
"""From this length on a document mentions so much that only passages count that speak of a topic (`_CountedWords._long_points`)."""

PASSAGE_CHARACTERS, PASSAGE_POINTS = 500, 3.0
WEIGHT_WITHOUT_FIGURES, FIGURES_WANTED = 0.2, 3
"""A passage's length and points at most; what it counts without a figure, and the figures from which on it counts fully. Chosen on
`LETTERS_AT_HAND` of tests/ai/household.py among terms and advertisements."""

QUOTE_SPAN = 160
"""Characters between the first and the last word that a quote is chosen for; the sentence around them is given."""

HITS_WEIGHED = 1_000
"""Words of a page that a quote is looked for among: enough for any page a person wrote."""

REPORTED_FROM = 0.2
"""A smaller confidence is not worth mentioning."""


@dataclass(frozen=True, slots=True)
class TopicCounts:
    """How many accepted and refused documents of one topic hold each of these terms; the three lists run in parallel."""

    topic_id: UUID
    terms: Sequence[str]
    accepted: Sequence[int]
    refused: Sequence[int]


TermCounts = Callable[[Sequence[str]], Awaitable[Sequence[TopicCounts]]]
"""Looks up what was learned about these terms, one for each of the owner's topics that has any of them."""


async def nothing_learned(terms: Sequence[str]) -> Sequence[TopicCounts]:
    """For a caller without statistics."""
    return ()


def salient_terms(document: DocumentText) -> list[str]:
    """The document's most telling words, at most `SALIENT_TERMS`, in an order of their own."""
    return _read(document).salient()


def keys_of(text: str) -> frozenset[str]:
    """What of a text `telling_words` may name: its terms, its phrases of two, the beginnings and ends of its compounds."""
    found = terms(text)
    parts = (part for word in found if len(word) >= 7 for part in _affixes(word))
    return frozenset([*found, *(f"{first} {second}" for first, second in pairwise(found)), *parts])


def telling_words(topics: Sequence[TopicOption]) -> dict[str, float]:
    """What speaks for one of these topics by its name and description, as `keys_of` has it, and how much."""
    told: dict[str, float] = {}
    for topic in topics:
        named = [factor.weights for factors in _parts(topic.name) for factor in factors]
        for weights in (*named, _description(topic.description), *(kind.weights for kind in _kinds(topic.description))):
            for word, weight in weights.items():
                told[word] = max(weight, told.get(word, 0.0))
    return told


class LocalProvider:
    """`AIProvider` by word statistics; `term_counts` gives what was learned."""

    name: ClassVar[ProviderName] = "local"
    in_process: ClassVar[bool] = True

    def __init__(self, term_counts: TermCounts = nothing_learned) -> None:
        self._term_counts = term_counts

    async def classify(
        self,
        document: DocumentText,
        topics: Sequence[TopicOption],
        examples: Sequence[TopicExample] = (),
        wanted: Sequence[DetailName] = (),
    ) -> Classification:
        # No details: word statistics know none, and what can be read without a model has been read (shared/extraction).
        reading = _read(document)
        learned = await self._learned(reading, topics)
        judged = []
        reading.count_phrases({phrase for topic in topics for phrase in _phrases_of(topic)})  # in one pass for all
        for topic in topics:
            evidence = _lexical(reading, topic)
            lift = learned.get(topic.id)
            if lift is not None:
                evidence = evidence.joined(lift if evidence.points > 0 else lift.discounted(LEARNED_ALONE))
            if evidence.points > 0:
                judged.append((topic, evidence))
        first, second = nlargest(2, (0.0, 0.0, *(evidence.points for _, evidence in judged)))
        fitting = []
        for topic, evidence in judged:
            confidence = _confidence(evidence.points, second if evidence.points == first else first)
            if confidence >= REPORTED_FROM:
                fitting.append((-round(confidence, 3), topic.id, evidence))
        # Finding a quote is what takes long: only for what will be kept, for an owner may have hundreds of topics.
        claims = [
            ClaimedMatch(topic_id, -sureness, *reading.quote(evidence.weights))
            for sureness, topic_id, evidence in sorted(fitting, key=lambda one: one[:2])[:MATCHES_KEPT]
        ]
        return Classification(checked_matches(claims, document, topics), MODEL)

    async def suggest_topics(self, document: DocumentText, topics: Sequence[TopicOption]) -> TopicIdeas:
        reading, known = _read(document), lexicon()
        covered = {concept for topic in topics for part in _parts(topic.name) for factor in part for concept in factor.concepts}
        found = []
        for key, entry in known.entries.items():
            points = reading.broad_points(entry.weights)
            if key not in covered and points >= IDEA_POINTS:
                name = entry.concept.german if document.language == "de" else entry.concept.english
                quote, _ = reading.quote(entry.weights)
                found.append((-points, name, ClaimedIdea(name, quote or "")))
        return TopicIdeas(checked_ideas((idea for *_, idea in sorted(found, key=lambda one: one[:2])), topics), MODEL)

    async def health_check(self) -> ProviderHealth:
        started = perf_counter()
        probe = DocumentText("Invoice", "invoice.txt", "en", ())
        ok = _read(probe).points(lexicon().entries["invoices"].weights) > 0
        return ProviderHealth(ok, (perf_counter() - started) * 1000, "The built-in provider works." if ok else "The lexicon is damaged.")

    async def _learned(self, reading: "_CountedWords", topics: Sequence[TopicOption]) -> dict[UUID, "_Evidence"]:
        taught = [topic for topic in topics if topic.accepted or topic.refused]
        salient = reading.salient()
        if not taught or not salient:
            return {}
        return _lifts(await self._term_counts(salient), len(salient), taught)


@dataclass(frozen=True, slots=True)
class _Evidence:
    """Points for a topic, and what each key contributes (for the quote)."""

    points: float
    weights: Mapping[str, float] = field(default_factory=dict)

    def discounted(self, share: float) -> "_Evidence":
        return _Evidence(self.points * share if self.points > 0 else self.points, self.weights)

    def joined(self, other: "_Evidence") -> "_Evidence":
        weights = dict(self.weights)
        for key, weight in other.weights.items():
            weights[key] = weights.get(key, 0.0) + weight
        # However much a paper sounds like its topic, the owner's refusal of its like must be able to outweigh it.
        points = self.points if other.points >= 0 else min(self.points, POINTS_AGAINST_REFUSALS)
        return _Evidence(points + other.points, weights)


def _confidence(points: float, others: float) -> float:
    """How sure these points make of a topic, if the best of the other topics has `others`."""
    own = max(0.0, points) + EVEN_POINTS
    ahead = math.log(own / (max(EVEN_POINTS, others) + EVEN_POINTS))  # a lead over next to nothing says nothing
    sure = SURE_OF_NOTHING + SURE_BY_POINTS * math.log(own) + SURE_BY_LEAD * min(LEAD_MAX, ahead)
    return min(CONFIDENCE_MAX, 1 / (1 + math.exp(-sure)))


# Reading


@dataclass(frozen=True)
class _Zone:
    """A stretch of text: a page, or (page None) the title or the filename."""

    page: int | None
    text: str
    terms: list[str]
    positions: dict[str, list[int]] = field(default_factory=dict)

    @cached_property
    def spans(self) -> list[tuple[int, int]]:
        """Where each of `terms` stands in the text: start and end."""
        return list(spans(self.text))

    @cached_property
    def starts(self) -> list[int]:
        """Where each of `terms` begins in the text."""
        return starts(self.text)

    def positions_of(self, word: str) -> Sequence[int]:
        """Where in `terms` it stands."""
        if not self.positions:
            for position, other in enumerate(self.terms):
                self.positions.setdefault(other, []).append(position)
        return self.positions.get(word, ())


@dataclass(frozen=True, slots=True)
class _WeighedPassage:
    """Where in which zone a passage of a long document begins, and how much it counts."""

    zone: int
    start: int
    weight: float


_PARAGRAPH_END = re.compile(r"\n[^\S\n]*\n\s*")
_FIGURE = re.compile(r"\d[\d.,:/]*")
_NO_LETTERS = re.compile(r"[\W\d_]+")
_NO_ASCII_LETTERS = {code: " " for code in range(128) if not chr(code).isalpha()}


def _cut(zones: Sequence[_Zone]) -> list[_WeighedPassage]:
    """A long document's names, and its pages cut into paragraphs, and those into passages.

    What such a document is about stands in passages with figures: amounts, dates, numbers. Terms and advertisements have few. A passage
    that comes again, on whatever page, is said on every page of this sender's papers and counts nothing.
    """
    names = [_WeighedPassage(number, 0, 1.0) for number, zone in enumerate(zones) if zone.page is None]
    found = []
    for number, zone in enumerate(zones[len(names) :], len(names)):
        ends = [*(match.end() for match in _PARAGRAPH_END.finditer(zone.text)), len(zone.text)]
        start = 0
        for end in ends:
            for begin in range(start, end, PASSAGE_CHARACTERS):
                text = zone.text[begin : min(end, begin + PASSAGE_CHARACTERS)]
                found.append((number, begin, _letters(text), len(_FIGURE.findall(text))))
            start = end
    times = Counter(words for *_, words, _ in found)
    weighed = (
        _WeighedPassage(number, begin, 0.0 if words and times[words] > 1 else _weight(figures)) for number, begin, words, figures in found
    )
    return [*names, *weighed]


def _letters(text: str) -> str:
    """Its words without figures and signs."""
    return " ".join((text.translate(_NO_ASCII_LETTERS) if text.isascii() else _NO_LETTERS.sub(" ", text)).split())


def _weight(figures: int) -> float:
    return WEIGHT_WITHOUT_FIGURES + (1 - WEIGHT_WITHOUT_FIGURES) * min(1.0, figures / FIGURES_WANTED)


class _CountedWords:
    """A document's words, counted."""

    def __init__(self, zones: list[_Zone], language: str | None) -> None:
        self.zones = zones
        self.language = language
        self.counts: Counter[str] = Counter()
        self.compounds: dict[str, list[str]] = {}
        self._salient: list[str] | None = None
        self._sought: set[str] = set()
        known = lexicon()
        length = 0
        head_left = HEAD_CHARACTERS
        for zone in zones:
            sequence = zone.terms
            length += len(sequence)
            self.counts.update(sequence)
            head = sequence
            if zone.page is not None:
                ends = takewhile(head_left.__ge__, (end for _, end in spans(zone.text)))
                head = sequence[: sum(1 for _ in ends)] if head_left else []
                head_left = max(0, head_left - len(zone.text))
            self.counts.update(head)
            for position, key in _phrases(sequence, known.phrases):
                self.counts[key] += 2 if position < len(head) else 1
        for word in [word for word in self.counts if len(word) >= 7 and " " not in word]:
            for key in _affixes(word):
                self.counts[key] += self.counts[word]
                self.compounds.setdefault(key, []).append(word)
        self.is_long = sum(len(zone.text) for zone in zones if zone.page is not None) >= LONG_CHARACTERS
        self._passages = _cut(zones) if self.is_long else []
        self._starts = [(passage.zone, passage.start) for passage in self._passages]
        self._places: dict[str, Sequence[int]] = {}
        self.saturation = min(SATURATION_MAX, 0.5 + 0.5 * length / MEAN_WORDS) if length > MEAN_WORDS else 1.0

    def points(self, weights: Mapping[str, float]) -> float:
        """The points these weights get: each key's grow with its count, to at most twice its weight."""
        counts, saturation = self.counts, self.saturation
        return sum(weight * 2 * count / (count + saturation) for key, weight in weights.items() if (count := counts.get(key)))

    def broad_points(self, weights: Mapping[str, float]) -> float:
        """The same, discounted where few different keys carry them: one word, however often, is not yet a kind of paper."""
        points, found = (
            self._long_points(weights) if self.is_long else self.points(weights),
            sum(1 for key in weights if key in self.counts),
        )
        return points * found / (found + 1) if found else 0.0

    def _long_points(self, weights: Mapping[str, float]) -> float:
        """The points of a long document: what its passages say, each to `PASSAGE_POINTS` at most, so that an advertisement is one passage
        and no more. A key counts less in each further passage; a passage counts by its `weight`."""
        said: dict[int, list[str]] = {}
        for key in weights:
            if key in self.counts:
                for number in self._passages_with(key):
                    said.setdefault(number, []).append(key)
        seen: Counter[str] = Counter()
        points = 0.0
        for number in sorted(said):
            told = sum(weights[key] / (1 + seen[key] / 2) for key in said[number])
            seen.update(said[number])
            points += min(PASSAGE_POINTS, told) * self._passages[number].weight
        return points

    def _passages_with(self, key: str) -> Sequence[int]:
        """The passages that the key stands in; looked for once, however many topics ask."""
        numbers = self._places.get(key)
        if numbers is None:
            found: set[int] = set()
            for place, zone in enumerate(self.zones):
                found.update(bisect_right(self._starts, (place, start)) - 1 for start, *_ in self._hits(zone, {key: 1.0}))
            numbers = self._places[key] = sorted(found)
        return numbers

    def count_phrases(self, keys: set[str]) -> None:
        """Counts phrases that the lexicon does not have (of a topic's name)."""
        missing = {key for key in keys if " " in key and key not in self.counts} - self._sought
        self._sought |= missing
        index = phrase_index(missing)
        if not index:
            return
        for zone in self.zones:
            for _, key in _phrases(zone.terms, index):
                self.counts[key] += 2 if zone.page is None else 1

    def salient(self) -> list[str]:
        """The most telling terms: long and frequent before short and rare; words of every letter last; in alphabetical order."""
        if self._salient is None:
            ranked = sorted(
                (-(1 + math.log(count)) * (0.4 if word in GENERIC else 1.0), word)
                for word, count in (self._own_words() or self.counts).items()
                if len(word) >= 3 and word not in COMMON and word.isalpha()
            )
            self._salient = sorted(word for _, word in ranked[:SALIENT_TERMS])
        return self._salient

    def _own_words(self) -> Counter[str]:
        """Of a long document, the words of its names and of passages that count at least half; of others, none."""
        own: Counter[str] = Counter()
        for place, zone in enumerate(self.zones if self.is_long else ()):
            passages = self._passages[bisect_left(self._starts, (place, 0)) : bisect_left(self._starts, (place + 1, 0))]
            for passage, following in zip_longest(passages, passages[1:]):
                if passage.weight >= 0.5:
                    first = bisect_left(zone.starts, passage.start)
                    last = bisect_left(zone.starts, following.start) if following else len(zone.starts)
                    own.update(zone.terms[first:last])
        return own

    def quote(self, weights: Mapping[str, float]) -> tuple[str | None, int | None]:
        """The passage with the most points, verbatim, and its page."""
        best: tuple[float, int, int, int] | None = None
        present = {key: weight for key, weight in weights.items() if key in self.counts}
        for number, zone in enumerate(self.zones):
            hits = self._hits(zone, present)
            # A window over the hits; a key counts once in it.
            for first in range(len(hits)):
                start, seen, total = hits[first][0], set[str](), 0.0
                for _, end, key, weight in hits[first : first + 24]:
                    if end - start > QUOTE_SPAN:
                        break
                    if key not in seen:
                        seen.add(key)
                        total += weight * weight  # one telling word before several vague ones
                    # Pages before title and filename where both say the same.
                    score = total * (1.0 if zone.page is not None else 0.6)
                    if best is None or score > best[0] + 1e-9:
                        best = (score, number, start, end)
        if best is None:
            return None, None
        _, number, start, end = best
        zone = self.zones[number]
        return _passage(zone.text, start, end), zone.page

    def _hits(self, zone: _Zone, weights: Mapping[str, float]) -> list[tuple[int, int, str, float]]:
        """Where in the zone the keys stand: start, end, key, weight; in order."""
        hits = []
        for key, weight in weights.items():
            first, *rest = key.split(" ")
            for word in self.compounds.get(key, (first,)):
                for position in zone.positions_of(word):
                    last = position + len(rest)
                    if not rest or zone.terms[position + 1 : last + 1] == rest:
                        hits.append((zone.spans[position][0], zone.spans[last][1], key, weight))
        return sorted(hits)[:HITS_WEIGHED]


@lru_cache(maxsize=8)  # classify and salient_terms read the same document one after the other, beside those of others
def _read(document: DocumentText) -> _CountedWords:
    zones = [_zone(None, text) for text in dict.fromkeys((document.title[:1000], document.filename[:1000])) if text]
    left = CHARACTERS_READ
    for page in document.pages:
        if left <= 0:
            break
        text = page.text if len(page.text) <= left else page.text[:left]
        left -= len(text)
        zones.append(_zone(page.number, text))
    return _CountedWords(zones, document.language)


def _zone(page: int | None, text: str) -> _Zone:
    return _Zone(page, text, terms(text))


def _phrases(sequence: list[str], index: Mapping[str, Sequence[tuple[tuple[str, ...], str]]]) -> list[tuple[int, str]]:
    there = set(sequence)
    sought = {word: phrases for word in there if word in index and (phrases := [each for each in index[word] if there.issuperset(each[0])])}
    if not sought:
        return []
    return [
        (position, key)
        for position, word in enumerate(sequence)
        if word in sought
        for rest, key in sought[word]
        if tuple(sequence[position + 1 : position + 1 + len(rest)]) == rest
    ]


_STOPS = re.compile(r"(?<=[.!?:;])\s|\n\s*\n")


def _passage(text: str, start: int, end: int) -> str:
    """The sentence around `start`..`end`, or what of it fits."""
    low = max(0, start - 120)
    begins = [match.end() for match in _STOPS.finditer(text, low, start)]
    if begins:
        low = begins[-1]
    elif low:
        gap = text.find(" ", low, start)
        low = gap + 1 if gap >= 0 else start
    stop = _STOPS.search(text, end, min(len(text), end + 120))
    high = stop.start() if stop else min(len(text), end + 120)
    if not stop and high < len(text):
        gap = text.rfind(" ", end, high)
        high = gap if gap >= 0 else end
    return shortened(text[low:high].strip()) if high - low <= 300 or start - low < 60 else shortened(text[start:high].strip())


_SYLLABLES = ("ung", "heit", "keit", "lich", "isch")  # "Steuerung" is no compound of "Steuer"
_PREFIXES = ("ab", "be", "ver")  # "Abrechnung" is none of "Rechnung"


@lru_cache(maxsize=8_192)
@lru_cache(maxsize=16_384)
def _affixes(word: str) -> tuple[str, ...]:
    """The lexicon's compound parts that this word begins or ends with."""
    known: Lexicon = lexicon()
    found = []
    for size in range(3, len(word) - 2):
        if word[:size] in known.prefixes and not word[size:].startswith(_SYLLABLES):
            found.append(word[:size] + "-")
        if word[size:] in known.suffixes and not word[:size].endswith(_PREFIXES):
            found.append("-" + word[size:])
    return tuple(found)


# Topics


@dataclass(frozen=True, slots=True)
class _Factor:
    """One part of a topic's name: its weights by key, and the concepts it stands for."""

    weights: Mapping[str, float]
    concepts: tuple[str, ...] = ()


_ALTERNATIVES = re.compile(r"\s*(?:[/&,+;|]|\b(?:and|und|or|oder)\b)\s*", re.IGNORECASE)
_UMLAUT_SPELLINGS = (("ae", "a"), ("oe", "o"), ("ue", "u"))


@lru_cache(maxsize=2_048)
def _parts(name: str) -> tuple[tuple[_Factor, ...], ...]:
    """A name's alternatives, each the factors that must all be there."""
    alternatives = []
    for written in _ALTERNATIVES.split(name):
        factors = _factors(written)
        if factors:
            alternatives.append(factors)
        whole = [word for word in terms(written) if word not in COMMON]
        if len(whole) > 1 and any(factor.concepts for factor in factors):
            # "Garden club" in so many words, whatever else clubs and gardens are about.
            alternatives.append((_Factor({" ".join(whole): NAME_WEIGHT + 0.6}),))
    return tuple(alternatives)


def _factors(written: str) -> tuple[_Factor, ...]:
    known = lexicon()
    sequence = [word for word in terms(written) if word not in COMMON]
    whole = " ".join(sequence)
    if whole in known.concepts_by_name:
        return (_concept_factor(known, known.concepts_by_name[whole], sequence),)
    factors: list[_Factor] = []
    plain: list[str] = []
    for word in sequence:
        concepts = known.concepts_by_name.get(word)
        parts = tuple(known.concepts_by_name[key][0] for key in _affixes(word) if key in known.concepts_by_name)
        if concepts:
            factors.append(_concept_factor(known, concepts, [word]))
        elif len(set(parts)) > 1:
            factors += [_concept_factor(known, (part,), [word]) for part in dict.fromkeys(parts)]
        elif parts and _affixes(word)[-1].startswith("-"):
            # "Stromrechnung" is a kind of Rechnung, but not each Rechnung is one: the word itself must be there too.
            factors += [_concept_factor(known, parts[:1], [word]), _Factor({word: NAME_WEIGHT + 0.6})]
        else:
            plain.append(word)
    if plain:
        weights = {word: NAME_WEIGHT / len(plain) for word in plain}
        if len(plain) > 1:
            weights[" ".join(plain)] = NAME_WEIGHT
        for word in plain:
            weights.update({other: weights[word] for other in _other_spellings(word)})
        factors.append(_Factor(weights))
    return tuple(factors)


def _concept_factor(known: Lexicon, concepts: Sequence[str], named_by: Sequence[str]) -> _Factor:
    weights: dict[str, float] = {}
    for concept in concepts:
        for key, weight in known.entries[concept].weights.items():
            weights[key] = max(weight, weights.get(key, 0.0))
    for word in named_by:
        weights[word] = max(1.6, weights.get(word, 0.0))
    return _Factor(weights, tuple(concepts))


def _other_spellings(word: str) -> list[str]:
    """ "vertraege" also as "vertrage", which is what "Verträge" folds to."""
    found = []
    for spelled, plain in _UMLAUT_SPELLINGS:
        if spelled in word:
            found.append(term(word.replace(spelled, plain)))
    return found


@lru_cache(maxsize=2_048)
def _description(text: str) -> Mapping[str, float]:
    found = [word for word in terms(text) if len(word) >= 3 and word not in COMMON and word not in GENERIC]
    weights = dict.fromkeys(found[:60], DESCRIPTION_WEIGHT)
    weights.update({folded(f"{first} {second}"): 2 * DESCRIPTION_WEIGHT for first, second in pairwise(found[:60])})
    return weights


@lru_cache(maxsize=2_048)
def _kinds(description: str) -> tuple[_Factor, ...]:
    """The concepts that a description names, at most four."""
    known = lexicon()
    concepts = dict.fromkeys(concept for word in terms(description) for concept in known.concepts_by_name.get(word, ()))
    return tuple(_concept_factor(known, (concept,), ()) for concept in list(concepts)[:4])


def _phrases_of(topic: TopicOption) -> set[str]:
    """The phrases of its name and description, which the lexicon may not have."""
    named = {key for factors in _parts(topic.name) for factor in factors if not factor.concepts for key in factor.weights}
    return named | set(_description(topic.description))


def _lexical(reading: _CountedWords, topic: TopicOption) -> _Evidence:
    """Points by name and description, whose phrases were counted: the best alternative, whose factors must all have some."""
    best = _Evidence(0.0)
    for factors in _parts(topic.name):
        points = [reading.broad_points(factor.weights) for factor in factors]
        if min(points) <= 0:
            continue
        # The harmonic mean: a name's parts must all be there, the weakest tells.
        total = points[0] if len(points) == 1 else len(points) / sum(1 / one for one in points)
        if total > best.points:
            weights: dict[str, float] = {}
            for factor in factors:
                weights.update(factor.weights)
            best = _Evidence(total, weights)
    if topic.description:
        weights = dict(_description(topic.description))
        described = reading.points(weights)
        if not any(factor.concepts for factors in _parts(topic.name) for factor in factors):
            # A name that says nothing ("Box 3"): what kind of papers it holds may stand in the description.
            kinds = [(reading.broad_points(kind.weights), kind) for kind in _kinds(topic.description)]
            if kinds:
                best_points, kind = max(kinds, key=lambda one: one[0])
                described += 0.75 * best_points
                weights |= kind.weights
        if described:
            # Less than it takes to be filed: a description mentions much.
            best = best.joined(_Evidence(min(described, DESCRIPTION_POINTS), weights))
    return best


# What was learned


def _lifts(counts: Sequence[TopicCounts], looked_up: int, topics: Sequence[TopicOption]) -> dict[UUID, _Evidence]:
    """Points by the owner's decisions.

    For each word the log of how much more often it stands in a topic's accepted documents than in the others' (a beta prior of
    `BACKGROUND_WEIGHT` documents stands for the world outside), averaged over the document's words; the same for the refused ones, taken
    away.
    """
    in_all: Counter[str] = Counter()
    for count in counts:
        for word, accepted in zip(count.terms, count.accepted, strict=True):
            in_all[word] += accepted
    by_topic = {count.topic_id: count for count in counts}
    documents = sum(topic.accepted for topic in topics)
    size = max(LEARNED_TERMS_MIN, looked_up)
    lifts: dict[UUID, _Evidence] = {}
    for topic in topics:
        weights: dict[str, float] = {}
        for_it = against = 0.0
        elsewhere = max(0, documents - topic.accepted) + BACKGROUND_WEIGHT
        known = by_topic.get(topic.id, TopicCounts(topic.id, (), (), ()))
        for word, accepted, refused in zip(known.terms, known.accepted, known.refused, strict=True):
            usual = (max(0, in_all[word] - accepted) + BACKGROUND_WEIGHT * (PRIOR_GENERIC if word in GENERIC else PRIOR_TERM)) / elsewhere
            here = (accepted + usual) / (topic.accepted + 1)
            if here > usual:
                lift = min(LEARNED_LIFT_MAX, math.log(here / usual))
                for_it += lift
                weights[word] = lift
            there = (refused + usual) / (topic.refused + 1)
            if there > here:
                against += min(LEARNED_LIFT_MAX, math.log(there / here))
        sure = topic.accepted / (topic.accepted + 1)
        sure_not = topic.refused / (topic.refused + 1)
        points = LEARNED_WEIGHT * (sure * for_it - sure_not * against) / size
        lifts[topic.id] = _Evidence(points, weights if points > 0 else {})
    return lifts
