"""What a household's common topics sound like, in English, German and French: so that a topic called "Rechnungen" is understood before
it has a single document.

A concept is recognised by a word of the topic's name (`names`); it then brings the words that its documents use: `telling` ones hardly
stand anywhere else, `typical` ones often stand in other papers too, `weak` ones only support. The words are in `concepts.toml`.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from shared.ai.terms import folded, terms

TELLING, TYPICAL, WEAK = 2.0, 1.1, 0.4


@dataclass(frozen=True, slots=True)
class Concept:
    """A kind of topic; `english` and `german` are what `suggest_topics` would call it. The rest is comma-separated, as in
    `concepts.toml`."""

    key: str
    english: str
    german: str
    names: str = ""
    telling: str = ""
    typical: str = ""
    weak: str = ""


def _concepts() -> list[Concept]:
    found = tomllib.loads(Path(__file__).with_name("concepts.toml").read_text(encoding="utf-8"))
    return [Concept(key, **members) for key, members in found.items()]


@dataclass(frozen=True, slots=True)
class Entry:
    """What one concept looks for: weights by key (a term, a phrase's terms with spaces, `prefix-`, `-suffix`)."""

    concept: Concept
    weights: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Lexicon:
    """The concepts, made ready for looking up."""

    entries: Mapping[str, Entry]
    concepts_by_name: Mapping[str, tuple[str, ...]]
    phrases: Mapping[str, tuple[tuple[tuple[str, ...], str], ...]]
    prefixes: frozenset[str]
    suffixes: frozenset[str]


@cache
def lexicon() -> Lexicon:
    """The lexicon, built at its first use (a few milliseconds)."""
    entries: dict[str, Entry] = {}
    by_name: dict[str, tuple[str, ...]] = {}
    keys: set[str] = set()
    for concept in _concepts():
        weights: dict[str, float] = {}
        for listed, weight in ((concept.weak, WEAK), (concept.typical, TYPICAL), (concept.telling, TELLING)):
            weights.update(dict.fromkeys(_keys(listed), weight))
        entries[concept.key] = Entry(concept, weights)
        keys.update(weights)
        for name in _keys(concept.names):
            by_name[name] = (*by_name.get(name, ()), concept.key)
    affixes = keys | set(by_name)
    return Lexicon(
        entries=entries,
        concepts_by_name=by_name,
        phrases=phrase_index(keys),
        prefixes=frozenset(key[:-1] for key in affixes if key.endswith("-")),
        suffixes=frozenset(key[1:] for key in affixes if key.startswith("-")),
    )


def phrase_index(keys: set[str]) -> dict[str, tuple[tuple[tuple[str, ...], str], ...]]:
    """The phrases among `keys`, by their first term: the terms that must follow, and the key."""
    index: dict[str, list[tuple[tuple[str, ...], str]]] = {}
    for key in sorted(keys):
        first, *rest = key.split(" ")
        if rest:
            index.setdefault(first, []).append((tuple(rest), key))
    return {first: tuple(found) for first, found in index.items()}


def _keys(listed: str) -> list[str]:
    found = []
    for written in (part.strip() for part in listed.split(",")):
        if written.startswith("-") or written.endswith("-"):
            found.append(folded(written))
        elif written:
            found.append(" ".join(terms(written)))
    return [key for key in found if key]
