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
_DENSE = 3_000_000
"""Numbers that lie closer together than this are added up in one array."""

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
    numbers = np.concatenate([part.numbers for part in parts])
    frequencies = np.concatenate([part.frequencies for part in parts])
    lengths = np.concatenate([part.lengths for part in parts])
    order = np.lexsort((-frequencies, numbers))
    numbers = numbers[order]
    first = np.ones(len(numbers), bool)
    first[1:] = numbers[1:] != numbers[:-1]
    return Postings(numbers[first], frequencies[order][first], lengths[order][first])


def intersection(parts: Sequence[Postings]) -> Postings:
    """The documents that have all of these; what counts is what counts least."""
    found = parts[0]
    for part in sorted(parts[1:], key=len):
        numbers, left, right = np.intersect1d(found.numbers, part.numbers, assume_unique=True, return_indices=True)
        found = Postings(numbers, np.minimum(found.frequencies[left], part.frequencies[right]), found.lengths[left])
    return found


def weight(matching: int, documents: int) -> float:
    """Inverse document frequency, always above 0."""
    matching = min(matching, documents)
    return max(0.0001, round(log(1 + (documents - matching + 0.5) / (matching + 0.5)), 4))


def impacts(postings: Postings, average_words: float, weight: float) -> Scores:
    """What a word of this weight adds to each document's score."""
    if len(postings) >= _MANY and postings.frequencies.dtype == np.uint8:
        every = np.arange(256, dtype=np.float64)[:, np.newaxis]
        table = _impact(every, _saturation(average_words), weight).ravel()
        by_posting: Scores = table[(postings.frequencies.astype(np.uint16) << 8) | postings.lengths]
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
    """Adds up what the words give: the documents, rising, and their scores."""
    parts = [part for part in parts if len(part[0])]
    if not parts:
        return NONE.numbers, NONE.frequencies
    lowest = min(int(numbers[0]) for numbers, _ in parts)
    span = max(int(numbers[-1]) for numbers, _ in parts) - lowest + 1
    if span <= _DENSE:
        sums = np.zeros(span)
        for numbers, scores in parts:
            sums[numbers - lowest] += scores
        found = np.flatnonzero(sums)
        return (found + lowest).astype(np.int32), sums[found]
    numbers = np.concatenate([numbers for numbers, _ in parts])
    distinct, place = np.unique(numbers, return_inverse=True)
    weights = np.concatenate([scores for _, scores in parts])
    return distinct, np.bincount(place, weights=weights, minlength=len(distinct)).astype(np.float64)


def best(numbers: Numbers, scores: Scores, most: int) -> tuple[Numbers, Scores]:
    """The best `most`, best first; of equals, the higher number, which came later."""
    if len(numbers) > 4 * most:
        # All that are no worse than the last of them, then in order.
        least = np.partition(scores, len(scores) - most)[len(scores) - most]
        chosen = scores >= least
        numbers, scores = numbers[chosen], scores[chosen]
    order = np.lexsort((-numbers, -scores))[:most]
    return numbers[order], scores[order]
