"""Whether the text layer of a page makes sense, or is what a broken font or a failed recognition left: letters that no language has so.

By statistics, not by dictionaries, so that languages we know nothing of are left alone. In doubt it makes sense."""

import math
import re
from collections import Counter

_LOOKED_AT = 1_500
_ENOUGH_LETTERS = 40
_ENOUGH_WORDS = 8
_WORD = re.compile(r"[^\W\d_]{3,}")
_ODD = re.compile(
    "[\0-\x08\x0e-\x1b\x7f-\x84\x86-\x9f¡-¦¨©¬-¯±-´¶¸¹¼-¿\u0180-\u019f\u01a2-\u01ae\u01b1-\u01cc\u01d5-\u0217\u021c-\u024f"
    "\ue000-\uf8ff\ufffd\uffff\U000f0000-\U0010ffff]"
)
"""Unmapped glyphs, control and private characters, and those that are rare but for broken encodings."""

# Letters in a thousand, the mean of English, German, French, Spanish, Italian, Dutch, Polish, Portuguese and Swedish
_USUAL = {
    "a": 89, "b": 15, "c": 31, "d": 43, "e": 132, "f": 14, "g": 20, "h": 26, "i": 77, "j": 6, "k": 19, "l": 42, "m": 30, "n": 74, "o": 62,
    "p": 25, "q": 5, "r": 67, "s": 66, "t": 66, "u": 38, "v": 15, "w": 13, "x": 2, "y": 9, "z": 14,
}  # fmt: skip
_MEAN = sum(_USUAL.values()) / 26
_SPREAD = math.sqrt(sum((share - _MEAN) ** 2 for share in _USUAL.values()))
_LEAST_LIKENESS = 0.45
"""Correlation with the usual letters: texts in Latin script have 0.55 and more, shifted or mixed up ones 0.4 at most, but for a few."""
_SMALL_WORDS = {"yn", "ac", "ar", "mae", "ei", "wedi", "và", "là", "có", "của", "được", "trong", "một", "các", "người", "cho", "với"}
"""Frequent words of Welsh and Vietnamese, whose letters are less usual."""
_SMALL_WORD_SHARE = 0.05
_PLAIN = str.maketrans("àáâãäåçèéêëìíîïñòóôõöøùúûüýÿąćęłńśźżčďěňřšťůžőűğışß", "aaaaaaceeeeiiiinoooooouuuuyyacelnszzcdenrstuzougiss")


def makes_sense(text: str) -> bool:
    """Whether this may be text of some language or a table of something. Text too short to tell does."""
    sample = text[:_LOOKED_AT]
    seen = len("".join(sample.split()))
    if seen < _ENOUGH_WORDS:
        return True
    if len(_ODD.findall(sample)) > 0.2 * seen:
        return False
    words = set(_WORD.findall(sample.casefold().translate(_PLAIN)))  # each once: a table repeats some
    latin = [word for word in words if word.isascii()]
    letters = Counter("".join(latin))
    total = letters.total()
    if len(latin) < _ENOUGH_WORDS or total < _ENOUGH_LETTERS or 2 * len(latin) < len(words):
        return True
    if _likeness(letters, total) >= _LEAST_LIKENESS:
        return True
    every = sample.casefold().split()
    return sum(word in _SMALL_WORDS for word in every) >= _SMALL_WORD_SHARE * len(every)


def _likeness(letters: Counter[str], total: int) -> float:
    shares = {letter: letters[letter] * 1000 / total for letter in _USUAL}
    mean = sum(shares.values()) / 26
    spread = math.sqrt(sum((share - mean) ** 2 for share in shares.values()))
    if not spread:
        return 0.0
    return sum((shares[letter] - mean) * (_USUAL[letter] - _MEAN) for letter in _USUAL) / (spread * _SPREAD)
