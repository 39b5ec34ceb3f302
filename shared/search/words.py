"""What a word is, for the search index, for queries and for snippets: the one place that cuts text into words and folds them.

A word is a run of letters and digits, folded: lower case, compatibility forms as what they stand for, accents off, `ß` as `ss`. In scripts
written without spaces a character is a word (a query's run of them is a phrase). All three sides must agree word by word, because positions
in the index are counted in these words: whoever changes this module must have every document indexed anew.
"""

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from functools import lru_cache

WORD_LIMIT = 100
"""Characters of a word that count; what is longer is no word anyone types."""

_ALONE = (
    "\u0e01-\u0e30\u0e32\u0e33\u0e3f-\u0e46\u0e81-\u0eb0\u0eb2\u0eb3\u0ebd-\u0ec6\u0edc-\u0edf\u1000-\u102a\u103f\u1780-\u17b3"
    "\u3040-\u3098\u309d-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3\uf900-\ufaff\uff66-\uff9d\U00020000-\U0003ffff"
)
"""Thai, Lao, Burmese, Khmer, kana (half-width, too), Han: written without spaces; and Hangul, whose particles hang on to the words."""

# Marks and vowel signs that belong to the letter before (no letters themselves to `\w`), and what is invisible inside a word.
_INSIDE = (
    "\u0300-\u036f\u0483-\u0487\u0591-\u05bd\u05bf\u05c1\u05c2\u05c7\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06ed"
    "\u0900-\u0963\u0971-\u0def\u0e31\u0e34-\u0e3a\u0e47-\u0e4e\u0eb1\u0eb4-\u0ebc\u0ec8-\u0ece\u0f71-\u0f84\u102b-\u103e\u17b4-\u17d3"
    "\u00ad\u00b7\u200b-\u200d\u2060\u3099\u309a\ufeff\uff9e\uff9f"
)
_WORD = re.compile(rf"[{_ALONE}][{_INSIDE}]*|[^\W_{_ALONE}]+(?:[{_INSIDE}]+[^\W_{_ALONE}]*)*")
_PLAIN_WORD = re.compile(r"[^\W_]+")
_ASCII_WORD = re.compile(r"[a-z0-9]+")
_DIGIT = re.compile(r"[\d\u00b2\u00b3\u00b9\u2070-\u2089]")
_INVISIBLE = re.compile("[\u00ad\u200b-\u200d\u2060\ufeff]")
_STANDS_ALONE = re.compile(rf"[{_ALONE}]")

# Letters that no decomposition takes apart, digits of other scripts, and what Hebrew and Arabic words are written with or without: points,
# vowel signs, the hamza on a letter, the stretching line.
_LETTERS = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i", "ħ": "h", "ŧ": "t", "ĸ": "k", "ŋ": "n", "ə": "e"}
    | {character: str(unicodedata.decimal(character)) for character in map(chr, range(0x80, 0x10000)) if character.isdecimal()}
    | dict.fromkeys(map(chr, (*range(0x591, 0x5BE), 0x5BF, 0x5C1, 0x5C2, 0x5C4, 0x5C5, 0x5C7, 0x640, *range(0x64B, 0x656), 0x670)), "")
)


def words(text: str) -> list[str]:
    """The folded words of a text, in order."""
    if text.isascii():
        return [word[:WORD_LIMIT] for word in _ASCII_WORD.findall(text.lower())]
    return [word for match in _WORD.finditer(text) if (word := fold(match[0]))]


def tokens(text: str) -> Iterator[tuple[str, int]]:
    """Each word of `words(text)` as it stands in the text (shortened to what counts), with the offset where it begins."""
    if text.isascii():
        for match in _ASCII_WORD.finditer(text.lower()):
            yield match[0][:WORD_LIMIT], match.start()
    else:
        for match in _WORD.finditer(text):
            if fold(match[0]):
                yield match[0][:WORD_LIMIT], match.start()


def cut(text: str) -> tuple[list[str], list[int]]:
    """What `tokens` gives, as two lists."""
    if text.isascii():
        lower = text.lower()
        found = _ASCII_WORD.findall(lower)
        if len(lower) >= WORD_LIMIT and len(max(found, key=len, default="")) > WORD_LIMIT:
            found = [word[:WORD_LIMIT] for word in found]
        return found, [match.start() for match in _ASCII_WORD.finditer(lower)]
    pattern = _PLAIN_WORD if _is_plain_text(text) else _WORD
    both = [(token, match.start()) for match in pattern.finditer(text) if (token := match[0][:WORD_LIMIT]).isascii() or fold(match[0])]
    return [token for token, _ in both], [start for _, start in both]


def _is_plain_text(text: str) -> bool:
    """Whether the text has letters of Western Europe alone, whose words are runs of them: found in half the time."""
    try:
        text.encode("cp1252")
    except UnicodeEncodeError:
        return False
    return "\u00ad" not in text and "\u00b7" not in text


def hyphenated(text: str, tokens: Sequence[str], starts: Sequence[int]) -> Iterator[tuple[int, int, str]]:
    """Words that hyphens make one of (`Wi-Fi`, not `030-12`): the first's and the last's place in what `cut` gives, and all as one."""
    if not text.isascii():
        text = text.replace("\u2010", "-").replace("\u2011", "-")
    if "-" not in text:
        return
    ends = [start + len(token) for token, start in zip(tokens, starts, strict=True)]

    def beside(at: int) -> bool:
        return at < len(starts) and starts[at] == ends[at - 1] + 1 and text[ends[at - 1]] == "-"

    last = -1
    hyphen = text.find("-", 1)
    while hyphen > 0:
        at = bisect_left(starts, hyphen)
        if at > max(last, 0) and beside(at) and ends[at - 1] == hyphen:
            first, last = at - 1, at
            while beside(last + 1):
                last += 1
            joined = "".join(tokens[first : last + 1])
            if len(joined) <= WORD_LIMIT and not joined.isdecimal():
                yield first, last, joined
        hyphen = text.find("-", hyphen + 1)


def spans(text: str) -> Iterator[tuple[int, int]]:
    """Where each word of `words(text)` stands in the text: start and end."""
    if text.isascii():
        yield from (match.span() for match in _ASCII_WORD.finditer(text.lower()))
        return
    for match in _WORD.finditer(text):
        if fold(match[0]):
            yield match.span()


def spoken(word: str) -> str:
    """A word before it is folded, as a stemmer takes it: lower case, compatibility forms as what they stand for, nothing invisible."""
    if word.isascii():
        return word[:WORD_LIMIT].lower()
    return unicodedata.normalize("NFKC", _INVISIBLE.sub("", word[:WORD_LIMIT])).lower()


def is_plain(word: str) -> bool:
    """Whether the word has letters, and marks on them, alone: no digit."""
    return word.isalpha() or (bool(word) and not _DIGIT.search(word))


def stands_alone(word: str) -> bool:
    """Whether the word is one character of a script in which a run of them is a word or several."""
    return bool(word) and _STANDS_ALONE.match(word) is not None


def fold(word: str) -> str:
    """A word as it is compared; empty if nothing of it is a letter or a digit."""
    return _fold(word[:WORD_LIMIT]) if not word.isascii() else word[:WORD_LIMIT].lower()


@lru_cache(maxsize=16_384)
def _fold(word: str) -> str:
    # casefold can bring forth letters that NFKD takes apart, and the other way round (Unicode, section 3.13, D146).
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", word).casefold()).translate(_LETTERS)
    kept = "".join(c for c in plain if not "\u0300" <= c <= "\u036f" and (c.isalnum() or unicodedata.category(c) in ("Mn", "Mc")))
    return unicodedata.normalize("NFC", kept)[:WORD_LIMIT] if any(c.isalnum() for c in kept) else ""
