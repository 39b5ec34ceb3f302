"""Stems: a word in the forms that it takes, by Snowball's stemmer of the document's language.

A word is stemmed as it is written and folded afterwards: many stemmers know endings by their accents (Portuguese `-ção`, `-ções`). A word
with accents has a second stem, of its folded form, so that it is found by people who type without them.
"""

import re
from collections.abc import Iterable
from functools import lru_cache

import Stemmer

from shared.extraction import language as language_lists
from shared.search import words

LANGUAGES = {
    "ar": "arabic", "hy": "armenian", "eu": "basque", "ca": "catalan", "cs": "czech", "da": "danish", "nl": "dutch", "en": "english",
    "et": "estonian", "fi": "finnish", "fr": "french", "de": "german", "el": "greek", "hi": "hindi", "hu": "hungarian", "id": "indonesian",
    "ga": "irish", "it": "italian", "lt": "lithuanian", "ne": "nepali", "no": "norwegian", "nb": "norwegian", "nn": "norwegian",
    "fa": "persian", "pl": "polish", "pt": "portuguese", "ro": "romanian", "ru": "russian", "sr": "serbian", "es": "spanish",
    "sv": "swedish", "ta": "tamil", "tr": "turkish", "yi": "yiddish",
}  # fmt: skip
"""ISO 639-1 to Snowball's stemmer."""

SIMPLE = "simple"
"""The language of documents in a language without a stemmer: each word is its own stem."""

_PLURALS = {
    "portuguese": (
        ("ões", "ão"), ("ães", "ão"), ("oes", "ao"), ("aes", "ao"), ("ais", "al"), ("éis", "el"), ("óis", "ol"), ("ois", "ol"),
        ("uis", "ul"), ("ens", "em"), ("ins", "im"), ("ons", "om"), ("uns", "um"),
    ),
}  # fmt: skip
"""Endings that Snowball stems apart: plural and singular."""

_FINNISH = re.compile(r"(?<=[uyoö])ks$")
"""`sopimus` is stemmed `sopimus`, `sopimuksen` `sopimuks`."""

_PLURAL_LETTERS = 5
"""Letters a plural has at least; shorter words only look like one (`mais`)."""

_GERMAN = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue"})
"""How German writes its letters with two dots where they cannot be had."""

NAMES = (SIMPLE, *sorted(set(LANGUAGES.values())))


def stemmer(language: str | None) -> str:
    """The stemmer of a language (ISO 639-1), SIMPLE if there is none."""
    return LANGUAGES.get((language or "").lower()[:2], SIMPLE)


@lru_cache(maxsize=64)
def small_words(language: str) -> frozenset[str]:
    """The commonest words of a stemmer's language: they do not make a document longer."""
    return frozenset().union(*(language_lists.small_words(code) for code, name in LANGUAGES.items() if name == language))


@lru_cache(maxsize=65_536)
def stems(spoken: str, language: str) -> tuple[str, ...]:
    """A word's lexemes in the language, the first as it is written; others, if any, as it is written without accents; none for no word.

    `spoken` is `words.spoken(...)`.
    """
    if spoken.isascii():
        return (_stem(spoken, language) if language != SIMPLE and spoken.isalpha() else spoken,) if spoken else ()
    folded = words.fold(spoken)
    if not folded:
        return ()
    if language == SIMPLE or not words.is_plain(spoken):
        return (folded,)
    forms = [spoken, folded]
    if language == "german":
        forms.append(spoken.translate(_GERMAN))
    return tuple(dict.fromkeys(words.fold(_stem(form, language)) or folded for form in forms))


def in_all(spoken: str, languages: Iterable[str]) -> dict[str, list[str]]:
    """A word's lexemes in several languages: each with the languages that make it."""
    found: dict[str, list[str]] = {}
    for language in languages:
        for lexeme in stems(spoken, language):
            found.setdefault(lexeme, []).append(language)
    return found


def _stem(word: str, language: str) -> str:
    for plural, singular in _PLURALS.get(language, ()):
        if word.endswith(plural) and len(word) >= _PLURAL_LETTERS:
            word = word[: -len(plural)] + singular
            break
    stem: str = _snowball(language).stemWord(word)
    return _FINNISH.sub("s", stem) if language == "finnish" else stem


@lru_cache(maxsize=64)
def _snowball(language: str) -> Stemmer.Stemmer:
    return Stemmer.Stemmer(language)
