"""What a query asks for: `websearch_to_tsquery`'s syntax, read into words, phrases and exclusions.

Words must all be there, `"quoted words"` in this order, `-word` and `-"some words"` must not, and `or` stands between alternatives. Any
text is a query: what makes no sense as syntax (a lone quote, a trailing `or`) counts as if it were not there. A run of words without a
space between (`e-mail`, `12.50`, `name@example.org`, a word in a script without spaces) is a phrase.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

from shared.documents import words
from shared.errors import ValidationFailed

PLAIN_WORDS = 32
"""Plain words of a query that count, so that a pasted page is a query, too."""

WORDS = 128
"""Words a query may have with those that cannot be left out: in quotes and excluded."""

_PIECE = re.compile(r'(?P<not>-*)"(?P<quoted>[^"]*)"|(?P<plain>[^\s"]+)')
_QUOTES = str.maketrans(dict.fromkeys("“”„‟«»＂", '"'))


@dataclass(frozen=True)
class Unit:
    """A word, or several that must follow one another; `spoken` are the same before folding, which stop words are known by."""

    words: tuple[str, ...]
    spoken: tuple[str, ...]
    quoted: bool = False


@dataclass(frozen=True)
class Group:
    """One alternative: all of `wanted`, none of `excluded`."""

    wanted: tuple[Unit, ...]
    excluded: tuple[Unit, ...]


@dataclass(frozen=True)
class Query:
    """The alternatives; none where the text holds no word."""

    groups: tuple[Group, ...]

    def words(self) -> list[Unit]:
        """Every word by itself, once, in order."""
        found: dict[str, Unit] = {}
        for unit in chain.from_iterable((*group.wanted, *group.excluded) for group in self.groups):
            for word, spoken in zip(unit.words, unit.spoken, strict=True):
                found.setdefault(word, Unit((word,), (spoken,)))
        return list(found.values())


def parse(text: str) -> Query:
    """The query that a text is. Raises ValidationFailed where more is quoted or excluded than WORDS."""
    groups: list[Group] = []
    wanted: list[Unit] = []
    excluded: list[Unit] = []
    plain = 0
    pieces = list(_pieces(text.translate(_QUOTES)))
    for unit, negated in pieces:
        if unit is None:
            # `or` at either end is a word of the text, if the text has no other.
            if wanted or excluded:
                groups.append(Group(tuple(wanted), tuple(excluded)))
                wanted, excluded = [], []
            elif len(pieces) == 1:
                wanted.append(Unit(("or",), ("or",)))
        elif negated:
            excluded.append(unit)
        elif unit.quoted:
            wanted.append(unit)
        elif plain < PLAIN_WORDS and unit not in wanted:
            plain += len(unit.words)
            wanted.append(unit)
    if wanted or excluded:
        groups.append(Group(tuple(wanted), tuple(excluded)))
    query = Query(tuple(groups))
    if sum(len(unit.words) for group in groups for unit in (*group.wanted, *group.excluded)) > WORDS:
        raise ValidationFailed(f"A query may have at most {WORDS} words.", errors=[{"loc": ["query", "q"], "msg": "has too many words"}])
    return query


def _pieces(text: str) -> Iterator[tuple[Unit | None, bool]]:
    """Units with whether they are excluded; None stands for `or`."""
    for match in _PIECE.finditer(text):
        if (plain := match["plain"]) is not None:
            if plain.lower() == "or":
                yield None, False
                continue
            negated, quoted = plain.startswith("-"), False
            inside = plain
        else:
            negated, quoted = bool(match["not"]), True
            inside = match["quoted"]
        spoken = [inside[start:end].lower() for start, end in words.spans(inside)]
        if spoken:
            yield Unit(tuple(words.words(inside)), tuple(spoken), quoted), negated
