"""What the words alone cannot tell of a document: whether it has a phrase, which is some words one behind the other.

Positions are in `document_search.contents`, some kilobytes that are stored out of line. A document's `neighbours` stand in its row and say
of most that have a phrase's words that they do not have the phrase; only of the others are positions read.
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
class Check:
    """A `condition` of document_search AS s with its `parameters`; empty if the words alone tell."""

    condition: str = ""
    parameters: dict[str, Any] = field(default_factory=dict)


def check(query: Query, plan: Plan) -> Check:
    """What must hold of a document's text beyond its having the words."""
    if not any(unit.is_phrase for unit in query.units()):
        return Check()
    verify = _or(_group(group, plan, len(query.groups) > 1) for group in query.groups)
    condition = "s.contents @@ %(verify)s::tsquery"
    perhaps, places = _perhaps(query, plan)
    if perhaps:
        condition = f"CASE WHEN s.neighbours IS NULL OR {perhaps} THEN {condition} ELSE false END"
    return Check(condition, {"verify": verify} | places)


def _perhaps(query: Query, plan: Plan) -> tuple[str, dict[str, int]]:
    """Whether the neighbours of the phrases that a document must have may stand in it: the words of each two in any of their forms."""
    if len(query.groups) != 1:
        return "", {}
    must = [unit for unit in query.groups[0].wanted if unit.is_phrase and (unit.quoted or len(query.groups[0].wanted) == 1)]
    pairs = [
        pair for unit in must if not unit.spellings for pair in pairwise(_lexemes(word, plan) for word in unit.words)
    ]  # fmt: skip
    conditions, parameters = [], {}
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


def _group(group: Group, plan: Plan, all_of_them: bool) -> str:
    about = [unit for _, unit in required(group, plan)]
    parts = [_tsquery(unit, plan) for unit in about if unit.quoted or (all_of_them and unit.words)]
    if not parts and about:
        parts.append(_or(_tsquery(unit, plan) for unit in about))
    parts += [f"!{_tsquery(unit, plan)}" for unit in group.excluded]
    return _and(parts)


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
