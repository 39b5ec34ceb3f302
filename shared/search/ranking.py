"""BM25 over every document that has any of the words, from postings.

A posting is 6 bytes: the document's number, how often the word counts in it, and its length's code (`analysis.length_code`). A document's
score is the sum over the query's words, so it is the same on every page of a list, however many documents came meanwhile.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import log
from typing import Any

import numpy as np
import numpy.typing as npt

K1, B = 1.6, 0.75
"""BM25's constants (Robertson and Zaragoza, The Probabilistic Relevance Framework, 2009, section 3.2)."""

Numbers = npt.NDArray[np.int32]
Scores = npt.NDArray[np.float64]

_POSTING: Any = np.dtype([("number", ">i4"), ("frequency", "u1"), ("length", "u1")])
_DENSE, _SPARSE = 4_000_000, 64
"""Numbers that lie closer together than this are told apart by a table with a place for each, if one place in so many is taken."""

DECIMALS = 9
"""Scores that PostgreSQL has added to are rounded, so that it and we compare the same ones."""

_STEP = 2.0**-30
"""What a word adds to a score is a multiple of this: sums are exact then, in whatever order, and need no rounding."""

_MANY = 30_000
"""Postings from which on a table of every frequency and length is sooner made than each posting's value."""


@dataclass(frozen=True)
class Postings:
    """The documents that have a word, in rising order, each once."""

    numbers: Numbers
    frequencies: npt.NDArray[Any]
    lengths: npt.NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.numbers)


NONE = Postings(np.empty(0, np.int32), np.empty(0, np.float64), np.empty(0, np.uint8))


def read(packed: bytes, factor: float = 1.0) -> Postings:
    """Postings as they come from the database; `factor` is what one occurrence counts."""
    entries = np.frombuffer(packed, dtype=_POSTING)
    numbers = entries["number"].astype(np.int32)
    frequencies: npt.NDArray[Any] = np.ascontiguousarray(entries["frequency"])
    if factor != 1:
        frequencies = frequencies * factor
    lengths = np.ascontiguousarray(entries["length"])
    if len(numbers) > 1 and not bool((numbers[1:] > numbers[:-1]).all()):
        order = np.argsort(numbers, kind="stable")
        numbers, frequencies, lengths = numbers[order], frequencies[order], lengths[order]
    return Postings(numbers, frequencies, lengths)


def union(parts: Sequence[Postings]) -> Postings:
    """The documents that have any of these; of several, what counts most."""
    parts = [part for part in parts if len(part)]
    if len(parts) < 2:
        return parts[0] if parts else NONE
    numbers = distinct([part.numbers for part in parts])
    frequencies = np.zeros(len(numbers), np.result_type(*(part.frequencies for part in parts)))
    lengths = np.zeros(len(numbers), np.uint8)
    for part in parts:
        place = places(numbers, part.numbers)
        frequencies[place] = np.maximum(frequencies[place], part.frequencies)
        lengths[place] = part.lengths
    return Postings(numbers, frequencies, lengths)


def intersection(parts: Sequence[Postings]) -> Postings:
    """The documents that have all of these; what counts is what counts least."""
    found, *others = sorted(parts, key=len)
    for part in others:
        both = among(found.numbers, part.numbers)
        numbers = found.numbers[both]
        frequencies = np.minimum(found.frequencies[both], part.frequencies[np.searchsorted(part.numbers, numbers)])
        found = Postings(numbers, frequencies, found.lengths[both])
    return found


def distinct(parts: Sequence[Numbers]) -> Numbers:
    """The numbers that are in any of these, which rise, in rising order."""
    parts = [part for part in parts if len(part)]
    if len(parts) < 2:
        return parts[0] if parts else NONE.numbers
    lowest, span = _reach(parts)
    if span <= _DENSE and span <= _SPARSE * sum(map(len, parts)):
        there = np.zeros(span, bool)
        for part in parts:
            there[part.astype(np.intp) - lowest] = True
        return (np.flatnonzero(there) + lowest).astype(np.int32)
    # np.unique would put a million numbers into a hash first.
    numbers = np.sort(np.concatenate(parts), kind="stable")
    first = np.ones(len(numbers), bool)
    first[1:] = numbers[1:] != numbers[:-1]
    return numbers[first]


def among(numbers: Numbers, chosen: Numbers) -> Any:
    """Which of the numbers are among those chosen; both rise."""
    found = np.zeros(len(numbers), bool)
    if not len(numbers) or not len(chosen):
        return found
    begin, end = np.searchsorted(numbers, chosen[0]), np.searchsorted(numbers, chosen[-1], side="right")
    inside = numbers[begin:end]
    lowest, span = int(chosen[0]), int(chosen[-1]) - int(chosen[0]) + 1
    if span <= _DENSE and span <= _SPARSE * len(inside):
        there = np.zeros(span, bool)
        there[chosen.astype(np.intp) - lowest] = True
        found[begin:end] = there.take(inside.astype(np.intp) - lowest)
    else:
        found[begin:end] = chosen[np.searchsorted(chosen, inside)] == inside
    return found


def places(numbers: Numbers, chosen: Numbers) -> Any:
    """Where the chosen stand among the numbers, which have them all; both rise."""
    if not len(chosen):
        return np.empty(0, np.intp)
    lowest, span = _reach([numbers])
    if span <= _DENSE and span <= _SPARSE * len(chosen):
        place = np.empty(span, np.int32)
        place[numbers.astype(np.intp) - lowest] = np.arange(len(numbers), dtype=np.int32)
        return place.take(chosen.astype(np.intp) - lowest)
    return np.searchsorted(numbers, chosen)


def _reach(parts: Sequence[Numbers]) -> tuple[int, int]:
    """The lowest of the numbers, and how many there are up to the highest."""
    lowest = min(int(part[0]) for part in parts)
    return lowest, max(int(part[-1]) for part in parts) - lowest + 1


def weight(matching: int, documents: int) -> float:
    """Inverse document frequency, always above 0."""
    matching = min(matching, documents)
    return max(0.0001, round(log(1 + (documents - matching + 0.5) / (matching + 0.5)), 4))


def impacts(postings: Postings, average_words: float, weight: float) -> Scores:
    """What a word of this weight adds to each document's score."""
    if len(postings) >= _MANY and postings.frequencies.dtype == np.uint8:
        every = np.arange(256, dtype=np.float64)[:, np.newaxis]
        table = _impact(every, _saturation(average_words), weight).ravel()
        # Indexes of the processor's own width: any others are converted one by one.
        by_posting: Scores = table.take((postings.frequencies.astype(np.intp) << 8) | postings.lengths)
        return by_posting
    return _impact(postings.frequencies.astype(np.float64), _saturation(average_words)[postings.lengths], weight)


def _impact(frequencies: Scores, saturation: Scores, weight: float) -> Scores:
    impact: Scores = np.rint(weight * (K1 + 1) / _STEP * frequencies / (frequencies + saturation)) * _STEP
    return impact


@lru_cache(maxsize=256)
def _saturation(average_words: float) -> Scores:
    lengths = 2 ** (np.arange(256) / 12) - 1
    saturation: Scores = K1 * (1 - B + B * lengths / average_words)
    return saturation


def total(parts: Sequence[tuple[Numbers, Scores]]) -> tuple[Numbers, Scores]:
    """Adds up what the words give, each more than nothing: the documents, rising, and their scores."""
    parts = [part for part in parts if len(part[0])]
    if len(parts) < 2:
        return parts[0] if parts else (NONE.numbers, NONE.frequencies)
    lowest, span = _reach([numbers for numbers, _ in parts])
    if span <= _DENSE and span <= _SPARSE * sum(len(numbers) for numbers, _ in parts):
        sums = np.zeros(span)
        for numbers, scores in parts:
            place = numbers.astype(np.intp) - lowest
            sums[place] = sums.take(place) + scores
        found = np.flatnonzero(sums != 0)
        return (found + lowest).astype(np.int32), sums.take(found)
    every = distinct([numbers for numbers, _ in parts])
    sums = np.zeros(len(every))
    for numbers, scores in parts:
        sums[np.searchsorted(every, numbers)] += scores
    return every, sums


def best(numbers: Numbers, scores: Scores, most: int) -> tuple[Numbers, Scores]:
    """The best `most`, best first; of equals, the higher number, which came later."""
    if len(numbers) > 64 * most:
        # Nearly all are left out by what is a low score among every sixteenth.
        sample = scores[::16]
        likely = scores >= np.partition(sample, len(sample) - most // 4)[len(sample) - most // 4]
        if np.count_nonzero(likely) >= most:
            numbers, scores = numbers[likely], scores[likely]
    if len(numbers) > 4 * most:
        # All that are no worse than the last of them, then in order.
        least = np.partition(scores, len(scores) - most)[len(scores) - most]
        chosen = scores >= least
        numbers, scores = numbers[chosen], scores[chosen]
    order = np.lexsort((-numbers, -scores))[:most]
    return numbers[order], scores[order]
