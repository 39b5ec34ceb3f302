"""Which words of a document stand beside each other, as a few hundred bytes that say "no" or "perhaps".

A Bloom filter (Bloom, Space/time trade-offs in hash coding with allowable errors, 1970) of every two lexemes at neighbouring positions: 6
bits a pair and three places for each let through 6 % of the pairs that a document does not have. It stands in the document's row, and its
positions are some kilobytes out of line: most documents that have a phrase's words are passed over without reading those.
"""

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any
from zlib import crc32

import numpy as np
import numpy.typing as npt

BITS, PLACES = 6, 3
"""Bits of a filter for each pair of words, and how many of them are set for one."""

MOST_PAIRS = 5_000
"""Pairs up to which a document has a filter (some ten pages); of a longer one the positions are read."""

_LEAST_BYTES = 8
_LEFT, _RIGHT, _MIX = (np.uint64(odd) for odd in (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0xD6E8FEB86659FD93))
_HALF = np.uint64(2**31 - 1)


def neighbours_of(positions: Mapping[str, Sequence[int]]) -> bytes | None:
    """The filter of lexemes with their positions, in any order; None if there are more than MOST_PAIRS."""
    counts = np.fromiter(map(len, positions.values()), np.int64, len(positions))
    placed = int(counts.sum())
    if placed > 2 * MOST_PAIRS:
        return None
    places = np.fromiter(chain.from_iterable(positions.values()), np.int64, placed)
    hashes = np.repeat(np.fromiter(map(crc32, "\n".join(positions).encode().split(b"\n")), np.uint64, len(counts)), counts)
    order = np.argsort(places, kind="stable")
    places, hashes = places[order], hashes[order]
    pairs: list[npt.NDArray[np.uint64]] = []
    # Several lexemes may have the same position: those of the next may stand a few places behind.
    for apart in range(1, placed):
        gaps = places[apart:] - places[:-apart]
        if gaps.min() > 1:
            break
        beside = gaps == 1
        pairs.append(_pair(hashes[:-apart][beside], hashes[apart:][beside]))
    every = np.sort(np.concatenate(pairs)) if pairs else np.empty(0, np.uint64)
    every = every[np.append(True, every[1:] != every[:-1])] if len(every) else every
    if len(every) > MOST_PAIRS:
        return None
    bits = 8 * max(_LEAST_BYTES, -(-BITS * len(every) // 8))
    filled = np.zeros(bits, bool)
    for place in _places(every):
        filled[place % bits] = True
    return np.packbits(filled, bitorder="little").tobytes()


def places_of(left: str, right: str) -> list[int]:
    """The numbers of a pair: it may be in a filter if each, modulo the filter's bits, is a bit that is set."""
    pair = _pair(np.array([_hash(left)], np.uint64), np.array([_hash(right)], np.uint64))
    return [int(place[0]) for place in _places(pair)]


def _hash(lexeme: str) -> int:
    return crc32(lexeme.encode())


def _pair(left: npt.NDArray[np.uint64], right: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    mixed = left * _LEFT + right * _RIGHT
    mixed = (mixed ^ (mixed >> np.uint64(32))) * _MIX
    final: npt.NDArray[np.uint64] = mixed ^ (mixed >> np.uint64(32))
    return final


def _places(pairs: npt.NDArray[np.uint64]) -> list[npt.NDArray[Any]]:
    """Two halves of a hash, added up, are as good as so many hashes (Kirsch and Mitzenmacher, Less Hashing, Same Performance, 2006)."""
    first, step = (pairs >> np.uint64(33)).astype(np.int64), (pairs & _HALF).astype(np.int64)
    return [first + step * number for number in range(PLACES)]
