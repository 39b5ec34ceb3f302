"""What the words alone cannot tell of a document: whether it has a phrase, which is some words one behind the other.

Positions are in `document_search.contents` (and `further`, of a long document), some kilobytes that are stored out of line. A document's
`neighbours` stand in its row and say of most that have a phrase's words that they do not have the phrase; only of the others are positions
read.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise, product
from typing import Any

from shared.search import neighbours
from shared.search.analysis import POSITIONS_LOST
from shared.search.plan import Plan, required
from shared.search.query import Group, Query, Unit

_PAIRS, _FORMS = 8, 16
"""Neighbours of a query that are looked up before positions are read, and in how many forms each."""


@dataclass(frozen=True)
class PhraseCheck:
    """A `condition` of document_search AS s, in one expression, with its `parameters`; empty if the words alone tell."""

    condition: str = ""
    parameters: dict[str, Any] = field(default_factory=dict)


def check(query: Query, plan: Plan) -> PhraseCheck:
    """What must hold of a document's text beyond its having the words."""
    if not any(unit.is_phrase for unit in query.units()):
        return PhraseCheck()
    groups = [_needed(group, plan, len(query.groups) > 1) for group in query.groups]
    parameters: dict[str, Any] = {"verify": _or(_and("!" * negated + needed for needed, negated in group) for group in groups)}
    # Of a long document, one phrase may stand in one part of it and another in the next.
    long: list[str] = []
    for group in groups:
        parts = []
        for needed, negated in group:
            name = f"needed{len(parameters)}"
            parameters[name] = needed
            parts.append(
                f"{'NOT ' * negated}(s.contents @@ %({name})s::tsquery"
                f" OR EXISTS (SELECT FROM unnest(s.further) AS part WHERE part @@ %({name})s::tsquery))"
            )
        long.append(" AND ".join(parts))
    perhaps, places = _perhaps(query, plan)
    condition = f"""
        CASE WHEN {f"s.neighbours IS NOT NULL AND NOT ({perhaps})" if perhaps else "false"} THEN false
            WHEN s.further IS NULL THEN s.contents @@ %(verify)s::tsquery
            ELSE {" OR ".join(long)} END"""
    return PhraseCheck(condition, parameters | places)


def _perhaps(query: Query, plan: Plan) -> tuple[str, dict[str, int]]:
    """Whether the neighbours of the phrases that a document must have may stand in it: the words of each two in any of their forms."""
    if len(query.groups) != 1:
        return "", {}
    must = [unit for unit in query.groups[0].wanted if unit.is_phrase and (unit.quoted or len(query.groups[0].wanted) == 1)]
    pairs = [pair for unit in must if not unit.spellings for pair in pairwise(_lexemes(word, plan) for word in unit.words)]
    conditions: list[str] = []
    parameters: dict[str, int] = {}
    for lefts, rights in [(left, right) for left, right in pairs if len(left) * len(right) <= _FORMS][:_PAIRS]:
        forms = []
        for left, right in product(lefts, rights):
            bits = []
            for place in neighbours.places_of(left, right):
                name = f"place{len(parameters)}"
                parameters[name] = place
                bits.append(f"get_bit(s.neighbours, mod(%({name})s::bigint, 8 * length(s.neighbours))) = 1")
            forms.append(" AND ".join(bits))
        conditions.append("(" + " OR ".join(forms) + ")")
    return " AND ".join(conditions), parameters


def _needed(group: Group, plan: Plan, all_of_them: bool) -> list[tuple[str, bool]]:
    """What a document of the alternative has, each as a tsquery, and what it has not (True)."""
    about = [unit for _, unit in required(group, plan)]
    needed = [_tsquery(unit, plan) for unit in about if unit.quoted or (all_of_them and unit.words)]
    if not needed and about:
        needed.append(_or(_tsquery(unit, plan) for unit in about))
    return [(one, False) for one in needed] + [(_tsquery(unit, plan), True) for unit in group.excluded]


def _lexemes(word: str, plan: Plan) -> list[str]:
    return [lexeme for lexeme, _ in plan.lexemes.get(word, [(word, 1.0)])]


def _tsquery(unit: Unit, plan: Plan) -> str:
    """A word as any of its stems; a phrase as its words in order."""
    others = [_literal(spelling) for spelling in unit.spellings]
    if not unit.words:
        return _or(others)
    words = [_or(map(_literal, _lexemes(word, plan))) for word in unit.words]
    phrase = "(" + " <-> ".join(words) + ")"
    telling = [number for number, word in enumerate(unit.words) if word not in plan.stop_words]
    if not telling or len(telling) == len(words):
        return _or([phrase, *others])
    # Where some word stands too often for all its positions to be kept, it is the small words that are allowed to be any.
    without = words[telling[0]]
    for before, number in pairwise(telling):
        without += f" <{number - before}> {words[number]}"
    return _or([phrase, _and([f"({without})", _literal(POSITIONS_LOST)]), *others])


def _and(parts: Iterable[str]) -> str:
    return "(" + " & ".join(parts) + ")"


def _or(parts: Iterable[str]) -> str:
    return "(" + " | ".join(parts) + ")"


def _literal(lexeme: str) -> str:
    return "'" + lexeme.replace("\\", "\\\\").replace("'", "''") + "'"
