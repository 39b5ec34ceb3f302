"""Made-up documents whose words are as unevenly spread as real ones: a few stand in nearly every document, most in hardly any.

Words follow Zipf's law (exponent 1), documents have a log-normal length with a mean of about 500 words: a page or two. Deterministic.
"""

import random
from collections.abc import Iterator
from itertools import accumulate

VOCABULARY = 80_000
_ONSETS = (*"bcdfghklmnprstvw", "br", "cl", "dr", "fl", "gr", "pl", "pr", "sh", "st", "tr")
_VOWELS = (*"aeiou", "ai", "ea", "ou")
_CODAS = ("", "l", "m", "n", "r", "t", "nd", "rk")


def vocabulary() -> list[str]:
    """Words that can be spoken, the commonest first and shortest."""
    chance = random.Random(4)
    words: dict[str, None] = {}
    while len(words) < VOCABULARY:
        syllables = 1 + (len(words) > 300) + (len(words) > 6000) + (chance.random() < 0.3)
        words["".join(chance.choice(_ONSETS) + chance.choice(_VOWELS) + chance.choice(_CODAS) for _ in range(syllables))] = None
    return list(words)


def texts(count: int, seed: int) -> Iterator[str]:
    """So many texts."""
    chance = random.Random(seed)
    words = vocabulary()
    weights = list(accumulate(1 / (rank + 2) for rank in range(len(words))))
    for _ in range(count):
        length = max(20, min(3000, int(chance.lognormvariate(6.0, 0.6))))
        yield " ".join(chance.choices(words, cum_weights=weights, k=length))
