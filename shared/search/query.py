"""What a query asks for: `websearch_to_tsquery`'s syntax, read into words, phrases, exclusions and filters.

Words are wanted, `"quoted words"` must be there in this order, `-word` and `-"some words"` must not, `or` stands between short
alternatives, and `invoi*` stands for every word that begins so. `topic:Taxes`, `sender:"City Works"`, `type:pdf`, `language:de`,
`after:2024-05`, `before:2026` and `in:trash` are filters. Any text is a query: what makes no sense as syntax (a lone quote, a trailing
`or`) counts as if it were not there. A run of words without a space between (`e-mail`, `12.50`, `name@example.org`, a word in a script
without spaces) is a phrase.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain, pairwise

from shared.errors import ValidationFailed
from shared.search import stems, words
from shared.search.spellings import spellings

PLAIN_WORDS = 200
"""Plain words of a query that count, so that a pasted page is a query, too."""

WORDS = 128
"""Words a query may have of those that cannot be left out: in quotes and excluded."""

ALTERNATIVE = 4
"""Plain words of an alternative: of a longer text, `or` is a word like any other."""

SENTENCE = 16
"""Plain words of a query: a longer text was pasted, and its quotation marks and dashes are no operators."""

FILTERS = ("topic", "sender", "type", "language", "after", "before", "in")

_PIECE = re.compile(
    rf'(?<!\S)(?P<field>{"|".join(FILTERS)}):(?:"(?P<phrase>[^"]*)"|(?P<value>[^\s"]+))'
    r'|(?P<not>-*)"(?P<quoted>[^"]*)"|(?P<plain>[^\s"]+)',
    re.IGNORECASE,
)
_QUOTES = str.maketrans(dict.fromkeys("“”„‟«»＂", '"'))


@dataclass(frozen=True)
class Unit:
    """A word, or several that must follow one another.

    `spoken` are the words before folding; `pairs` are neighbours in a script without spaces; `spellings` are lexemes that are as good as
    the words; a `prefix` stands for every word that begins so.
    """

    words: tuple[str, ...]
    spoken: tuple[str, ...]
    quoted: bool = False
    pairs: tuple[str, ...] = ()
    spellings: tuple[str, ...] = ()
    prefix: bool = False

    @property
    def is_phrase(self) -> bool:
        return len(self.words) > 1


@dataclass(frozen=True)
class Group:
    """One alternative: any of `wanted` (and all that is quoted), none of `excluded`; `times` says how often each was asked for."""

    wanted: tuple[Unit, ...]
    excluded: tuple[Unit, ...]
    times: tuple[int, ...] = ()


@dataclass(frozen=True)
class Query:
    """The alternatives (none if the text holds no word), and the filters as (name, value)."""

    groups: tuple[Group, ...]
    filters: tuple[tuple[str, str], ...] = ()

    def units(self) -> Iterator[Unit]:
        """Every unit, wanted or excluded."""
        return chain.from_iterable((*group.wanted, *group.excluded) for group in self.groups)


@dataclass
class _Draft:
    wanted: Counter[Unit] = field(default_factory=Counter)
    excluded: dict[Unit, None] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.wanted or self.excluded)

    def group(self) -> Group:
        return Group(tuple(self.wanted), tuple(self.excluded), tuple(self.wanted.values()))


def parse(text: str) -> Query:
    """The query that a text is. Raises ValidationFailed for more words in quotes or excluded than WORDS."""
    drafts = [_Draft()]
    filters: dict[tuple[str, str], None] = {}
    plain = 0
    text = text.translate(_QUOTES)
    pieces = list(_PIECE.finditer(text))
    for match in pieces:
        if match["field"] is not None:
            filters[match["field"].lower(), (match["phrase"] if match["value"] is None else match["value"]).strip()] = None
            continue
        if match["plain"] is not None and match["plain"].lower() == "or":
            # `or` at either end is a word of the text, if the text has no other.
            if drafts[-1]:
                drafts.append(_Draft())
            elif len(pieces) == 1:
                drafts[-1].wanted[Unit(("or",), ("or",))] += 1
            continue
        unit, negated = _unit(match)
        if unit is None:
            continue
        if negated:
            drafts[-1].excluded[unit] = None
        elif unit.quoted or unit in drafts[-1].wanted:
            drafts[-1].wanted[unit] += 1
        elif plain < PLAIN_WORDS:
            plain += len(unit.words)
            drafts[-1].wanted[unit] += 1
    if sum(1 for draft in drafts for unit in draft.wanted if not unit.quoted) > SENTENCE:
        drafts = [_prose(drafts)]
    elif len(drafts) > 1 and any(sum(1 for unit in draft.wanted if not unit.quoted) > ALTERNATIVE for draft in drafts):
        # A sentence with "or" in it.
        drafts = [_joined(drafts)]
    if len(drafts) == 1:
        for unit in _across_blanks(text, pieces):
            drafts[0].wanted[unit] += 1
    groups = tuple(draft.group() for draft in drafts if draft)
    needed = (unit for group in groups for unit in (*group.wanted, *group.excluded) if unit.quoted or unit in group.excluded)
    if sum(len(unit.words) for unit in needed) > WORDS:
        raise ValidationFailed(
            f"A query may have at most {WORDS} words in quotes or excluded.",
            errors=[{"loc": ["query", "q"], "msg": "has too many words in quotes or excluded"}],
        )
    return Query(groups, tuple(filters))


def _joined(drafts: list[_Draft]) -> _Draft:
    whole = _Draft()
    for draft in drafts:
        whole.wanted.update(draft.wanted)
        whole.excluded.update(draft.excluded)
    return whole


def _prose(drafts: list[_Draft]) -> _Draft:
    """Every word by itself, wanted."""
    whole = _Draft()
    for draft in drafts:
        for unit, times in chain(draft.wanted.items(), ((unit, 1) for unit in draft.excluded)):
            if unit.quoted:
                for word, said in zip(unit.words, unit.spoken, strict=True):
                    whole.wanted[Unit((word,), (said,))] += times
            else:
                whole.wanted[unit] += times
    return whole


def _unit(match: re.Match[str]) -> tuple[Unit | None, bool]:
    """The unit that a piece of the text is, if it has a word, and whether it is excluded."""
    plain = match["plain"]
    negated = plain.startswith("-") if plain is not None else bool(match["not"])
    inside = plain if plain is not None else match["quoted"]
    found = list(words.tokens(inside))
    if not found:
        return None, negated
    spoken = tuple(words.spoken(token) for token, _ in found)
    folded = tuple(words.fold(token) for token, _ in found)
    pairs = tuple(
        words.fold(left) + words.fold(right)
        for (left, start), (right, next_start) in pairwise(found)
        if start + len(left) == next_start and words.stands_alone(left) and words.stands_alone(right)
    )
    others = tuple(
        dict.fromkeys([*(lexeme for spelling in spellings(inside.lstrip("-")) for lexeme in spelling.lexemes), *_joined_words(inside)])
    )
    prefix = plain is not None and plain.endswith("*") and len(found) == 1 and len(folded[0]) > 1
    return Unit(folded, spoken, plain is None, pairs, others if plain is not None else (), prefix), negated


def _joined_words(text: str) -> Iterator[str]:
    """What a document may have that writes as one word what a hyphen stands in, in any language."""
    tokens, starts = words.cut(text)
    for first, last, joined in words.hyphenated(text, tokens, starts):
        if first == 0 and last == len(tokens) - 1:
            yield from stems.in_all(words.spoken(joined), stems.NAMES)


def _across_blanks(text: str, pieces: list[re.Match[str]]) -> Iterator[Unit]:
    """What is spelt with blanks in it (an account number in groups, a date with the month's name), for how else it may be spelt."""
    plain = list(text)
    for match in pieces:
        if match["plain"] is None:
            plain[match.start() : match.end()] = "\n" * (match.end() - match.start())
    for spelling in spellings("".join(plain)):
        if any(character.isspace() for character in text[spelling.start : spelling.end]):
            yield Unit((), (), spellings=spelling.lexemes)
