"""How many tokens a text will be, before any provider has counted them: by script, rather too many than too few.

Tokenizers are trained mostly on Latin script. Measured rates of the common ones (characters a token): English 4 to 4.5, German and French 3
to 3.5, Cyrillic and Greek 2 to 2.5, Arabic, Hebrew and the scripts of India 1.2 to 2, Chinese, Japanese and Korean 0.7 to 1.5; digits and
punctuation 1 to 2.5. A reserve that is too small would let a budget be passed, so the low ends count.
"""

import re

PER_MESSAGE = 8
"""Tokens of a message's frame: role and separators."""

_CLASSES: tuple[tuple[re.Pattern[str], float], ...] = (
    (re.compile(r"[A-Za-z \n]"), 1 / 3.0),
    (re.compile(r"[\u00c0-\u024f]"), 1 / 1.5),
    (re.compile(r"[\u0370-\u052f]"), 1 / 1.8),
    (re.compile(r"[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff]"), 1.4),
)
_OTHER = 1 / 1.0
_LATIN = re.compile(r"[A-Za-z \n]+")


def estimate(text: str) -> int:
    """Tokens, at least 1 for each message's text."""
    total, rest = 0.0, len(text)
    for pattern, tokens in _CLASSES:
        # What is left when a class is taken out counts it faster than a list of its matches.
        count = len(text) - len(pattern.sub("", text))
        total += count * tokens
        rest -= count
    return int(total + rest * _OTHER) + 1
