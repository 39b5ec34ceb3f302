"""Whether two texts are one paper: MinHash signatures (Broder, 1997) of a text's pairs of words, and of its numbers.

A paper that is scanned twice is read a little differently each time; a letter that comes each month is written almost the same, but its
numbers are others. So what two texts have in common is the lesser of both: of their words in pairs, and of their numbers.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING

from shared.search.words import words

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

WORDS = 5_000
"""Words of a text that count, from its beginning."""
FEWEST_WORDS = 20
"""A text of fewer says too little to be compared."""
HASHES = 64
"""Of a signature: what it says of two texts' likeness is off by 0.06 (one standard deviation) at most."""
FEWEST_NUMBERS = 4
"""Numbers from which on they are compared: of fewer a single one that was misread would say too much."""
BANDS, ROWS = 10, 2
"""Texts that have half of their pairs in common share a band with a probability of 0.94, those that have two thirds with one of 0.997."""
_SEED = 5


@dataclass(frozen=True)
class Fingerprint:
    """`bands`: what texts that may be alike have in common; `words`, `numbers`: signatures for `likeness`, empty if there are too few."""

    bands: list[int]
    words: bytes
    numbers: bytes


def fingerprint(pages: Sequence[str]) -> Fingerprint | None:
    """Of a text; None if it has fewer than FEWEST_WORDS words. Takes a few milliseconds."""
    found: list[str] = []
    for page in pages:
        found += words(page[: 20 * WORDS])[: WORDS - len(found)]
        if len(found) >= WORDS:
            break
    if len(found) < FEWEST_WORDS:
        return None
    numbers = {word for word in found if len(word) > 1 and word.isdigit()}  # a word that was misread may have a digit, too
    signature = _signature({f"{first} {second}" for first, second in pairwise(found)})
    bands = [
        zlib.crc32(signature[band * ROWS : (band + 1) * ROWS].tobytes()) << 8 | band for band in range(BANDS)
    ]  # the band's number within, so that equal rows of different bands are not taken for one
    return Fingerprint(bands, signature.tobytes(), _signature(numbers).tobytes() if len(numbers) >= FEWEST_NUMBERS else b"")


def likeness(mine: Fingerprint, others: Sequence[Fingerprint]) -> list[float]:
    """Of one text with each of the others, from 0 to 1: 1 for texts of the same words and numbers, wherever pairs of them stand."""
    import numpy as np

    if not others:
        return []
    alike = _in_common(mine.words, [other.words for other in others])
    if mine.numbers:
        # Whose own are not known is not judged by them.
        alike = np.minimum(alike, _in_common(mine.numbers, [other.numbers or mine.numbers for other in others]))
    return [float(value) for value in alike]


def _in_common(mine: bytes, others: Sequence[bytes]) -> "NDArray[np.float64]":
    """The share of a signature's hashes that each of the others has, too."""
    import numpy as np

    signatures = np.frombuffer(b"".join(others), np.uint32).reshape(len(others), HASHES)
    return np.asarray((signatures == np.frombuffer(mine, np.uint32)).mean(axis=1), np.float64)


def _signature(shingles: set[str]) -> "NDArray[np.uint32]":
    import numpy as np

    hashes = np.fromiter((zlib.crc32(shingle.encode("utf-8", "replace")) for shingle in shingles), np.uint64, len(shingles))
    factors, offsets = _permutations()
    # Multiply-shift hashing (Dietzfelbinger, 1997): the upper half of a product modulo 2**64.
    drawn = np.multiply.outer(factors, hashes)
    drawn += offsets[:, np.newaxis]
    return np.array(drawn.min(axis=1) >> np.uint64(32), np.uint32)


@cache
def _permutations() -> "tuple[NDArray[np.uint64], NDArray[np.uint64]]":
    """The same in every process and for ever: signatures are stored."""
    import numpy as np

    state = np.random.RandomState(_SEED)  # its stream is frozen by NumPy's policy (NEP 19)
    drawn = state.randint(0, 2**32, size=(4, HASHES), dtype=np.uint64)
    return (drawn[0] << np.uint64(32) | drawn[1]) | np.uint64(1), drawn[2] << np.uint64(32) | drawn[3]
