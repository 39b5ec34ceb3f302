"""From a query's words to postings, in one round trip: their stems in the languages that the owner has documents in, what a mistyped word
may have been meant for, the words that a prefix stands for or that a word is part of, and the documents that have them.

What was found out for the first page of a list (the words' lexemes and weights) is its `Plan`; later pages carry it in their cursor, so
that every document keeps its score while others arrive.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from uuid import UUID

import numpy as np

from shared.db import Transaction
from shared.search import ranking, stems, typos, words
from shared.search.query import Group, Query, Unit
from shared.search.ranking import Numbers, Postings, Scores

CORRECTED, PART = 0.5, 0.4
"""What the stem of a corrected word counts, and a word that the one asked for is a part of."""

CORRECTIONS, LIKE = 5, 40
"""Stems that a mistyped word may have been meant for, and words that a prefix stands for or that a word is part of."""

SHORT = 3
"""Words of a query up to which documents that have all of them come first."""

PARTS_UP_TO, PART_LETTERS = 6, 5
"""Words of a query up to which compounds are looked for, and letters of a word from which they are."""

LONG_PART, ENDING = 7, 3
"""Letters of a part that may stand in the middle of a compound, and letters of an ending behind a part."""

COMPOUNDING = ("danish", "dutch", "estonian", "finnish", "german", "hungarian", "norwegian", "swedish")
"""Languages that write compounds as one word."""

POSTINGS = 4_000_000
"""Postings that are read for a query at most: where there are more, the commonest words, which tell least, are passed over."""

WHOLE = 10_000.0
"""Added to the score of documents that have all words of a short query; no sum of weights comes near it."""

Lexemes = list[tuple[str, float]]


@dataclass(frozen=True)
class Plan:
    """A query made ready for ranking.

    `lexemes` are those that some document has, by word of the query (`=` before a spelling or a pair), each with what one occurrence
    counts; `weights` are the units', in the order of `query.units()`.
    """

    lexemes: Mapping[str, Lexemes]
    stop_words: frozenset[str]
    weights: Mapping[int, float]
    documents: int
    average_words: float
    languages: tuple[str, ...]

    def packed(self) -> list[Any]:
        """As JSON, for a cursor."""
        return [
            {key: [list(pair) for pair in lexemes] for key, lexemes in self.lexemes.items()},
            sorted(self.stop_words),
            {str(number): weight for number, weight in self.weights.items()},
            self.documents,
            self.average_words,
            list(self.languages),
        ]

    @classmethod
    def unpacked(cls, values: Sequence[Any]) -> "Plan":
        """Raises ValueError or TypeError for what another version has packed."""
        lexemes, stop_words, weights, documents, average_words, languages = values
        return cls(
            {key: [(lexeme, factor) for lexeme, factor in pairs] for key, pairs in lexemes.items()},
            frozenset(stop_words),
            {int(number): weight for number, weight in weights.items()},
            documents,
            average_words,
            tuple(languages),
        )


@dataclass(frozen=True)
class _VaultCounts:
    documents: int
    words: int
    languages: list[str]
    stop_words: list[str]
    asked: list[list[Any]]
    liked: list[list[str]]
    similar: list[list[str]]


class _VaultRow(NamedTuple):
    """The first says what there is, the others are the postings: of each lexeme those in chunks, its tail, and what waits to be merged.

    A value each, for whatever PostgreSQL copies together of megabytes (by `||`, into an array) takes twice the time of reading them.
    """

    counts: dict[str, Any] | None
    gone: list[int] | None
    narrowed: list[int] | None
    lexeme: str | None
    postings: bytes | None


@dataclass
class Matches:
    """The postings that a plan speaks of, and the documents that may be shown at all (`narrowed`, if only some) or never (`gone`)."""

    plan: Plan
    postings: Mapping[str, bytes]
    gone: Numbers
    narrowed: Numbers | None
    _units: dict[int, Postings] = field(default_factory=dict)

    def of_word(self, key: str) -> Postings:
        return ranking.union([ranking.read(self.postings[lexeme], factor) for lexeme, factor in self._lexemes(key)])

    def of_unit(self, number: int, unit: Unit) -> Postings:
        """The documents that have the unit; of a phrase, those that have its words."""
        if number not in self._units:
            parts = []
            if unit.words:
                parts.append(ranking.intersection([self.of_word(key) for key in _keys(unit)]))
            parts += [self.of_word(f"={spelling}") for spelling in unit.spellings]
            self._units[number] = ranking.union(parts)
        return self._units[number]

    def having(self, number: int, unit: Unit) -> Numbers:
        """The documents that have the unit itself, not as a part of another word."""
        parts = [(lexeme, factor) for key in unit.words[:1] for lexeme, factor in self._lexemes(key) if factor == PART]
        if not parts or unit.is_phrase:
            return self.of_unit(number, unit).numbers
        own = [ranking.read(self.postings[lexeme]) for lexeme, factor in self._lexemes(unit.words[0]) if factor != PART]
        return ranking.union([*own, *(self.of_word(f"={spelling}") for spelling in unit.spellings)]).numbers

    def visible(self, numbers: Numbers) -> Any:
        """Which of the numbers may be shown."""
        shown = np.ones(len(numbers), bool)
        if len(self.gone):
            shown &= ~ranking.among(numbers, self.gone)
        if self.narrowed is not None:
            shown &= ranking.among(numbers, self.narrowed)
        return shown

    def _lexemes(self, key: str) -> Lexemes:
        return [(lexeme, factor) for lexeme, factor in self.plan.lexemes.get(key, ()) if lexeme in self.postings]


def _keys(unit: Unit) -> tuple[str, ...]:
    """The words that a document has which has the unit; in scripts without spaces, pairs tell more than single characters."""
    if not unit.pairs:
        return unit.words
    paired = {character for pair in unit.pairs for character in pair}
    return (*(f"={pair}" for pair in unit.pairs), *(word for word in unit.words if not (words.stands_alone(word) and set(word) <= paired)))


@dataclass(frozen=True)
class Narrowing:
    """That only some documents may be shown: a `condition` of documents AS d, with its `parameters`.

    Which these are is found out before ranking; `at_most` says up to how many. If there are more, none is told apart (`Matches.narrowed` is
    None), and they are to be looked for among the best.
    """

    condition: str
    parameters: Mapping[str, Any]
    at_most: int | None = None


async def prepare(tx: Transaction, owner_id: UUID, query: Query, narrowing: Narrowing | None = None) -> Matches | None:
    """Looks the query's words up; None if the owner has no documents at all."""
    spoken = {word: said for unit in query.units() for word, said in zip(unit.words, unit.spoken, strict=True)}
    asked = [
        (word, language, lexeme) for word, said in spoken.items() for language in stems.NAMES for lexeme in stems.stems(said, language)
    ]
    direct = {lexeme for unit in query.units() for lexeme in (*unit.spellings, *unit.pairs)}
    asked += [(f"={lexeme}", "", lexeme) for lexeme in direct]
    alone = [unit for group in query.groups for unit in group.wanted if len(unit.words) == 1 and not unit.quoted]
    named = [unit for unit in alone if words.is_plain(unit.spoken[0])]
    parts = [pair for unit in named if len(alone) <= PARTS_UP_TO and not unit.prefix for pair in _parts(unit.spoken[0])]
    rows = await tx.fetch_all(
        f"""
        WITH totals AS MATERIALIZED (
            SELECT language, sum(documents) AS documents, sum(words) AS words
            FROM (
                SELECT language, documents, words FROM search_totals WHERE owner_id = %(owner)s
                UNION ALL
                SELECT language, documents, words FROM search_changes WHERE owner_id = %(owner)s
            ) AS counted
            GROUP BY language
            HAVING sum(documents) > 0
        ), asked AS MATERIALIZED (
            SELECT DISTINCT word, lexeme
            FROM unnest(%(words)s::text[], %(stemmers)s::text[], %(lexemes)s::text[]) AS a (word, language, lexeme)
            WHERE a.language IN ('', 'simple') OR a.language IN (SELECT language FROM totals)
        ), patterns AS MATERIALIZED (
            SELECT pattern FROM unnest(%(prefixes)s::text[]) AS pattern
            UNION ALL
            SELECT DISTINCT pattern FROM unnest(%(parts)s::text[], %(part_languages)s::text[]) AS p (pattern, language)
            WHERE p.language IN (SELECT language FROM totals)
        ), liked AS MATERIALIZED (
            SELECT * FROM search_like((SELECT array_agg(pattern) FROM patterns), {LIKE})
        ), wanted AS MATERIALIZED (
            SELECT w.lexeme, coalesce(t.documents, 0) AS documents,
                sum(coalesce(t.documents, 0)) OVER (ORDER BY coalesce(t.documents, 0), w.lexeme) AS up_to
            FROM (SELECT lexeme FROM asked UNION SELECT lexeme FROM liked) AS w
            LEFT JOIN search_terms AS t ON t.owner_id = %(owner)s AND t.lexeme = w.lexeme
        ), waiting AS MATERIALIZED (
            SELECT * FROM search_waiting_postings(%(owner)s, (SELECT array_agg(lexeme) FROM wanted))
        ), found AS MATERIALIZED (
            SELECT lexeme FROM wanted WHERE documents > 0 AND (up_to <= {POSTINGS} OR up_to = documents)
            UNION
            SELECT lexeme FROM waiting
        ), missing AS MATERIALIZED (
            SELECT a.word FROM asked AS a
            WHERE a.word = ANY (%(correctable)s)
            GROUP BY a.word
            HAVING NOT bool_or(a.lexeme IN (SELECT lexeme FROM wanted WHERE documents > 0) OR a.lexeme IN (SELECT lexeme FROM found))
        ), near AS MATERIALIZED (
            SELECT * FROM search_similar((
                SELECT array_agg(said) FROM unnest(%(correctable)s::text[], %(said)s::text[]) AS c (word, said)
                WHERE c.word IN (SELECT word FROM missing)
            ))
        ), nearer AS MATERIALIZED (
            SELECT * FROM search_waiting_postings(%(owner)s, (SELECT array_agg(DISTINCT lexeme) FROM near))
        ), every AS MATERIALIZED (
            SELECT lexeme FROM found UNION SELECT lexeme FROM near
        ), spoken AS (
            SELECT coalesce(array_agg(language), '{{}}') AS languages FROM totals
        )
        SELECT jsonb_build_object(
                'documents', coalesce((SELECT sum(documents) FROM totals), 0),
                'words', coalesce((SELECT sum(words) FROM totals), 0),
                'languages', spoken.languages,
                'stop_words', ARRAY(SELECT search_stop_words(%(spoken)s::text[], spoken.languages)),
                'asked', coalesce((
                    SELECT jsonb_agg(jsonb_build_array(word, lexeme)) FROM asked WHERE lexeme IN (SELECT lexeme FROM every)
                ), '[]'),
                'liked', coalesce((SELECT jsonb_agg(jsonb_build_array(pattern, word, lexeme)) FROM liked), '[]'),
                'similar', coalesce((SELECT jsonb_agg(jsonb_build_array(asked_word, word, lexeme)) FROM near), '[]')
            ) AS counts,
            {_gone_and_narrowed(narrowing)},
            NULL AS lexeme, NULL::bytea AS postings
        FROM spoken
        UNION ALL
        {_PARTS.format(lexemes="every", waiting=_WAITING)}
        """,
        {
            "owner": owner_id,
            "words": [word for word, _, _ in asked],
            "stemmers": [language for _, language, _ in asked],
            "lexemes": [lexeme for _, _, lexeme in asked],
            "spoken": [said for said in spoken.values() if words.is_plain(said)],
            "prefixes": [_like(unit.spoken[0]) + "%" for unit in named if unit.prefix],
            "parts": [f"%{_like(part)}%" for part, _ in parts],
            "part_languages": [language for _, language in parts],
            "correctable": [unit.words[0] for unit in named if len(unit.words[0]) > 2 and not unit.prefix],
            "said": [unit.spoken[0] for unit in named if len(unit.words[0]) > 2 and not unit.prefix],
        }
        | _narrowing_parameters(narrowing),
        row=_VaultRow,
        binary=True,
    )
    found = _VaultCounts(**rows[0].counts) if rows and rows[0].counts else None
    if found is None or found.documents <= 0:
        return None
    postings, gone, narrowed = _read(rows)
    stop_words = frozenset(word for word, said in spoken.items() if said in found.stop_words)
    plan = Plan(
        lexemes=_resolved(query, found, postings),
        stop_words=stop_words,
        weights={},
        documents=found.documents,
        average_words=round(max(1.0, found.words / found.documents), 1),
        languages=tuple(found.languages),
    )
    matches = Matches(plan, postings, gone, narrowed)
    weights = {
        number: ranking.weight(len(matches.of_unit(number, unit)), plan.documents)
        for number, unit in enumerate(query.units())
        if len(matches.of_unit(number, unit))
    }
    matches.plan = Plan(plan.lexemes, plan.stop_words, weights, plan.documents, plan.average_words, plan.languages)
    return matches


async def again(tx: Transaction, owner_id: UUID, plan: Plan, narrowing: Narrowing | None = None) -> Matches:
    """The postings of a plan that a cursor has brought back."""
    rows = await tx.fetch_all(
        f"""
        WITH every AS MATERIALIZED (
            SELECT lexeme FROM unnest(%(lexemes)s::text[]) AS lexeme
        ), waiting AS MATERIALIZED (
            SELECT * FROM search_waiting_postings(%(owner)s, %(lexemes)s::text[])
        )
        SELECT NULL::jsonb AS counts, {_gone_and_narrowed(narrowing)}, NULL AS lexeme, NULL::bytea AS postings
        UNION ALL
        {_PARTS.format(lexemes="every", waiting="waiting")}
        """,
        {"owner": owner_id, "lexemes": sorted({lexeme for lexemes in plan.lexemes.values() for lexeme, _ in lexemes})}
        | _narrowing_parameters(narrowing),
        row=_VaultRow,
        binary=True,
    )
    return Matches(plan, *_read(rows))


_PARTS = """
        SELECT NULL::jsonb, NULL::integer[], NULL::integer[], part.lexeme, part.postings
        FROM {lexemes} AS e CROSS JOIN LATERAL (
            SELECT e.lexeme, (
                SELECT string_agg(p.postings, '' ORDER BY p.lowest)
                FROM search_postings AS p WHERE p.owner_id = %(owner)s AND p.lexeme = e.lexeme
            ) AS postings
            UNION ALL
            SELECT t.lexeme, t.tail FROM search_terms AS t WHERE t.owner_id = %(owner)s AND t.lexeme = e.lexeme
            UNION ALL
            SELECT w.lexeme, w.postings FROM {waiting} AS w WHERE w.lexeme = e.lexeme
        ) AS part
"""


_WAITING = "(SELECT * FROM waiting UNION ALL SELECT * FROM nearer WHERE lexeme NOT IN (SELECT lexeme FROM waiting))"


def _gone_and_narrowed(narrowing: Narrowing | None) -> str:
    return f"""
            ARRAY(SELECT number FROM search_changes WHERE owner_id = %(owner)s AND documents = -1) AS gone,
            {_narrowed(narrowing)} AS narrowed"""


def _read(rows: Sequence[_VaultRow]) -> tuple[dict[str, bytes], Numbers, Numbers | None]:
    """The postings by lexeme, the numbers that went, and those that may be shown."""
    parts: dict[str, list[bytes]] = {}
    for row in rows:
        if row.lexeme is not None and row.postings:
            parts.setdefault(row.lexeme, []).append(row.postings)
    first = rows[0]
    return (
        {lexeme: b"".join(packed) for lexeme, packed in parts.items()},
        _numbers(first.gone or []),
        None if first.narrowed is None else _numbers(first.narrowed),
    )


def _narrowed(narrowing: Narrowing | None) -> str:
    if narrowing is None:
        return "NULL::integer[]"
    return f"""(
        SELECT CASE WHEN %(at_most)s::integer IS NULL OR count(*) <= %(at_most)s::integer THEN coalesce(array_agg(shown.number), '{{}}') END
        FROM (
            SELECT s.number
            FROM documents AS d CROSS JOIN LATERAL (
                SELECT s.number FROM document_search AS s WHERE s.owner_id = %(owner)s AND s.document_id = d.id OFFSET 0
            ) AS s
            WHERE {narrowing.condition}
            LIMIT %(at_most)s::integer + 1
        ) AS shown
    )"""


def _narrowing_parameters(narrowing: Narrowing | None) -> dict[str, Any]:
    return {} if narrowing is None else {**narrowing.parameters, "at_most": narrowing.at_most}


def _numbers(values: Iterable[int]) -> Numbers:
    return np.unique(np.fromiter(values, np.int32))


def _like(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _resolved(query: Query, found: _VaultCounts, postings: Mapping[str, bytes]) -> dict[str, Lexemes]:
    resolved: dict[str, Lexemes] = {}
    for word, lexeme in found.asked:
        resolved.setdefault(word, []).append((lexeme, 1.0))
    for unit in query.units():
        if len(unit.words) != 1 or unit.quoted:
            continue
        word, said = unit.words[0], unit.spoken[0]
        own = {lexeme for lexeme, _ in resolved.get(word, ())}
        parts = {f"%{_like(part)}%": part for part, _ in _parts(said)}
        for pattern, other, lexeme in found.liked:
            if lexeme in postings and lexeme not in own:
                if unit.prefix and pattern == _like(said) + "%":
                    own.add(lexeme)
                    resolved.setdefault(word, []).append((lexeme, 1.0))
                elif not unit.prefix and pattern in parts and _is_part(parts[pattern], other):
                    own.add(lexeme)
                    resolved.setdefault(word, []).append((lexeme, PART))
        if not any(factor == 1.0 for _, factor in resolved.get(word, ())):
            resolved.setdefault(word, []).extend(_corrections(word, said, found, postings, own))
    return {word: lexemes for word, lexemes in resolved.items() if lexemes}


def _parts(said: str) -> list[tuple[str, str]]:
    """What a compound has in it that is made with this word: the word and its stem, for each language that makes compounds."""
    found = [
        (part, language)
        for language in COMPOUNDING
        for part in dict.fromkeys((said, *stems.stems(said, language)))
        if len(part) >= PART_LETTERS
    ]
    return found if len(said) >= PART_LETTERS else []


def _is_part(part: str, word: str) -> bool:
    """Whether the word may be a compound with this part: it begins with it, ends with it (and an ending), or it is too long for chance."""
    return len(part) >= LONG_PART or word.startswith(part) or word.rfind(part) >= len(word) - len(part) - ENDING


def _corrections(word: str, said: str, found: _VaultCounts, postings: Mapping[str, bytes], own: set[str]) -> Lexemes:
    near = sorted(
        (typos.distance(word, words.fold(other)), -len(postings[lexeme]), other, lexeme)
        for asked, other, lexeme in found.similar
        if asked == said and lexeme in postings and lexeme not in own
    )
    allowed = typos.edits_allowed(word)
    nearest = {lexeme: CORRECTED for distance, _, _, lexeme in near if distance == near[0][0] <= allowed}
    return list(nearest.items())[:CORRECTIONS]


# Which documents match, and how well


@dataclass(frozen=True)
class Ranked:
    """The documents that match, by rising number, with their scores; `whole` are those that have all the words."""

    numbers: Numbers
    scores: Scores
    whole: Any


def required(group: Group, plan: Plan) -> list[tuple[int, Unit]]:
    """What a query is about, by place in `group.wanted`: stop words only if there is nothing else (or in quotes)."""
    telling = [
        (at, unit) for at, unit in enumerate(group.wanted) if unit.quoted or len(unit.words) != 1 or unit.words[0] not in plan.stop_words
    ]
    return telling if any(unit.words for _, unit in telling) else list(enumerate(group.wanted))


def is_question(query: Query, plan: Plan) -> bool:
    """Whether the query has too many words for one to expect all of them in a document."""
    return len(query.groups) == 1 and sum(1 for _, unit in required(query.groups[0], plan) if unit.words) > SHORT


def rank(query: Query, matches: Matches, *, wholes: bool = True) -> Ranked:
    """Every document that matches, phrases taken for their words; of a question, only if asked for, which have all its words (`wholes`)."""
    parts: list[Ranked] = []
    first = 0
    question = is_question(query, matches.plan)
    for group in query.groups:
        if group.wanted:
            ranked = _rank_group(group, first, matches, question, wholes)
            # With alternatives, nothing is relaxed.
            parts.append(ranked if len(query.groups) == 1 else only(ranked, ranked.whole))
        first += len(group.wanted) + len(group.excluded)
    if len(parts) == 1:
        return parts[0]
    if not parts:
        return Ranked(ranking.NONE.numbers, ranking.NONE.frequencies, np.empty(0, bool))
    numbers = ranking.distinct([part.numbers for part in parts])
    scores = np.zeros(len(numbers))
    for part in parts:
        at = ranking.places(numbers, part.numbers)
        scores[at] = np.maximum(scores[at], part.scores)
    return Ranked(numbers, scores, np.ones(len(numbers), bool))


def excluded(query: Query, matches: Matches) -> list[Numbers]:
    """Of each alternative that only excludes: the documents that it excludes for certain."""
    found: list[Numbers] = []
    first = 0
    for group in query.groups:
        if not group.wanted:
            found.append(_excluded(group, first, matches))
        first += len(group.wanted) + len(group.excluded)
    return found


def _rank_group(group: Group, first: int, matches: Matches, question: bool, wholes: bool) -> Ranked:
    plan = matches.plan
    about = required(group, plan)
    sums: list[tuple[Numbers, Scores]] = []
    having: list[Numbers] = []
    for at, unit in about:
        postings = matches.of_unit(first + at, unit)
        weight = plan.weights.get(first + at, 0.0)
        sums.append((postings.numbers, ranking.impacts(postings, plan.average_words, weight * group.times[at])))
        if unit.words and (wholes or not question):
            having.append(matches.having(first + at, unit))
    numbers, scores = ranking.total(sums)
    shown = None if not len(matches.gone) and matches.narrowed is None else matches.visible(numbers)
    for at, unit in about:
        if unit.quoted:
            has = ranking.among(numbers, matches.of_unit(first + at, unit).numbers)
            shown = has if shown is None else shown & has
    if group.excluded:
        has_none = ~ranking.among(numbers, _excluded(group, first, matches))
        shown = has_none if shown is None else shown & has_none
    if question and not wholes:
        whole = np.zeros(len(numbers), bool)
    elif len(having) == 1 and len(having[0]) == len(numbers):
        whole = np.ones(len(numbers), bool)
    else:
        whole = np.full(len(numbers), bool(having))
        for one in sorted(having, key=len):
            whole[whole] = ranking.among(numbers[whole], one)
    if not question:
        scores = scores + WHOLE * whole
    ranked = Ranked(numbers, scores, whole)
    return ranked if shown is None else only(ranked, shown)


def _excluded(group: Group, first: int, matches: Matches) -> Numbers:
    return ranking.distinct(
        [matches.of_unit(first + len(group.wanted) + at, unit).numbers for at, unit in enumerate(group.excluded) if not unit.is_phrase]
    )


def only(ranked: Ranked, chosen: Any) -> Ranked:
    """Of the documents ranked those that are chosen."""
    return Ranked(ranked.numbers[chosen], ranked.scores[chosen], ranked.whole[chosen])
