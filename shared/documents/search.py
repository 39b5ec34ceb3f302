"""Finds documents by a query (its syntax: `search_query`), best first.

Two round trips: one looks the query's words up (their stems in the languages that the owner has documents in, how common they are, what a
typo may have meant), one finds, ranks and answers a page. Later pages need the second alone: a cursor carries what the first has found.

What is promised:
- Documents that have all the words come first, by BM25; where they are few, those that have most of the words follow. Phrases and
  exclusions hold for both. A word that stands nowhere counts as the words it looks like.
- Of a query that very many documents match, the newest 800 are ranked among themselves, then the 800 before them, and so on: every
  match is reached, a bounded number is ranked for a page, and a page may end short where one block ends.
- Pages are stable: a document that does not change is neither repeated nor left out, for the first page fixes the words' weights, the
  moment, and each block's ends. What arrives later is found by searching again.
- With another sort than relevance, the list has the documents with all the words (those with most of them, where there is none).
- Nothing but the owner's own documents is looked at (`search_candidates` in migration 0006, and row-level security).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from itertools import pairwise
from math import log
from typing import Any
from uuid import UUID

from shared import cursors
from shared.db import TenantDatabase, Transaction
from shared.documents import snippets
from shared.documents.listing import SORT_TYPES, Filters, Sort, sort_key
from shared.documents.models import DOCUMENT_COLUMNS, DocumentHit
from shared.documents.search_index import POSITIONS_LOST, name_positions
from shared.documents.search_query import Group, Query, Unit, parse
from shared.errors import InvalidCursor
from shared.faas.models import Page

QUERY_LIMIT = 10_000
"""Characters of a query."""

CURSOR_LIMIT = 8_192
"""Characters of a cursor: it carries the query's words with their stems."""

K1, B = 1.2, 0.75
"""BM25's usual constants (Robertson and Zaragoza, The Probabilistic Relevance Framework, 2009, section 3.2)."""

NAME_WEIGHT = 3
"""A word in the file name or the title counts as often in the text."""

CORRECTED = 0.5
"""What the stem of a corrected word counts."""

MOST = 0.5
"""Documents follow that have more than this share of the words, or of their weight: of two words, the rarer is enough."""

CORRECTIONS = 5
"""Stems that a mistyped word may have been meant for."""

FEW = 50
"""They follow where fewer than this have all the words."""

CANDIDATES, PHRASES, LOOKUPS = 800, 300, 3000
"""Documents ranked at most; with phrases, which take reading each; and frequencies read for it: the more words, the fewer documents."""

WALK_SHARE, WALK_SHARE_SORTED = 0.4, 0.1
"""From this share of the documents on, walking through them in order finds enough matches sooner than the index names them all; a page in
another order than relevance needs fewer."""

EXCERPT = 1600
"""Characters that are read of a page to cut a snippet from."""

_END_OF_IDS = UUID(int=2**128 - 1)


@dataclass(frozen=True)
class _Term:
    """A word to rank by: its inverse document frequency, whether it counts for "most of the words" (stop words do not), and its stems, each
    with what it counts."""

    weight: float
    telling: bool
    stems: Mapping[str, float]


@dataclass(frozen=True)
class _Plan:
    """A query made ready for PostgreSQL. `strict` and `loose` are tsqueries, each with the share of the documents that may match,
    and where it has phrases with a coarse one, without, that matches at least as much."""

    strict: str
    coarse_strict: str | None
    strict_share: float
    loose: str | None
    coarse_loose: str | None
    loose_share: float
    terms: tuple[_Term, ...]
    average_words: float

    @property
    def bound(self) -> int:
        """How many candidates are ranked."""
        most = CANDIDATES if self.coarse_strict is None else PHRASES
        return max(2 * FEW, min(most, LOOKUPS // max(1, sum(len(term.stems) for term in self.terms))))


@dataclass(frozen=True)
class _Position:
    """Where a page begins. The block being ranked has the ids from `end` (the loose matches: `loose_end`) to below `start`; `key` and
    `after` are those of the last document shown."""

    start: str
    end: str | None = None
    loose_end: str | None = None
    loose: bool | None = None
    key: str | None = None
    after: str | None = None


class _Hit(DocumentHit):
    """A row of the page: the document, what its snippet is cut from, and the block it comes from."""

    excerpt: str | None
    excerpt_position: int | None
    text_positions: list[int]
    name_positions: list[int]
    strict_found: int
    loose_found: int
    newest: UUID
    strict_end: UUID | None
    loose_end: UUID | None


async def search(
    db: TenantDatabase, text: str, filters: Filters, sort: Sort = "-relevance", limit: int = 50, cursor: str | None = None
) -> Page[DocumentHit]:
    """A page of what the query finds. Raises InvalidCursor, and ValidationFailed for a query that quotes or excludes too much."""
    query = parse(text)
    if sort == "relevance":
        sort = "-relevance"
    binding = {"list": "search", "owner": db.owner_id, "query": text, "sort": sort, "filters": filters.binding()}
    if not query.groups:
        return Page[DocumentHit](items=[])
    plan, position = _decoded(cursor, binding) if cursor is not None else (None, None)
    async with db.transaction() as tx:
        if plan is None:
            plan = await _prepare(tx, db.owner_id, query)
            if plan is None:
                return Page[DocumentHit](items=[])
        rows = await _find(tx, db.owner_id, plan, position, filters, sort, limit)
    following = _following(plan, position, rows, sort, limit)
    return Page[DocumentHit](
        items=[_answer(row) for row in rows[:limit]],
        next_cursor=None if following is None else _encoded(plan, following, binding),
    )


# The words


@dataclass(frozen=True)
class _Stem:
    lexeme: str
    documents: int


@dataclass(frozen=True)
class _Word:
    """What was found out about a word of the query: its stems, and words it may have been meant for where it stands nowhere."""

    stems: tuple[_Stem, ...]
    corrections: tuple[_Stem, ...]
    is_stop_word: bool

    @property
    def documents(self) -> int:
        return sum(stem.documents for stem in self.stems) or sum(stem.documents for stem in self.corrections)


@dataclass(frozen=True)
class _LookedUp:
    documents: int
    words: int
    stems: list[dict[str, Any]]
    corrections: list[tuple[str, str, str, int]]


async def _prepare(tx: Transaction, owner_id: UUID, query: Query) -> _Plan | None:
    """The plan for a query; None where the owner has nothing that could match."""
    asked = query.words()
    found = await tx.fetch_one(
        """
        WITH totals AS MATERIALIZED (
            SELECT language, sum(documents) AS documents, sum(words) AS words
            FROM (
                SELECT language, documents, words FROM search_totals WHERE owner_id = %(owner)s
                UNION ALL
                SELECT language, documents, words FROM search_changes WHERE owner_id = %(owner)s
            ) AS counted
            GROUP BY language
            HAVING sum(documents) > 0
        ), languages AS (
            SELECT array_agg(language) AS names FROM totals
        ), stems AS MATERIALIZED (
            SELECT stem.* FROM languages, search_stems(%(words)s::text[], %(spoken)s::text[], names) AS stem
        ), known AS MATERIALIZED (
            SELECT stems.*, coalesce(counted.documents, 0) AS documents,
                sum(coalesce(counted.documents, 0)) OVER (PARTITION BY number) AS of_word
            FROM stems
            LEFT JOIN search_documents(%(owner)s, (SELECT array_agg(DISTINCT lexeme) FROM stems)) AS counted USING (lexeme)
        ), resembling AS MATERIALIZED (
            SELECT asked_word, resembling.word
            FROM search_similar((
                SELECT array_agg(DISTINCT word) FROM known WHERE of_word = 0 AND word = ANY (%(correctable)s)
            )) AS resembling
        ), corrections AS MATERIALIZED (
            SELECT DISTINCT asked_word, resembling.word, stem.lexeme
            FROM languages, resembling, search_stems(ARRAY[resembling.word], ARRAY[resembling.word], names) AS stem
        )
        SELECT coalesce((SELECT sum(documents) FROM totals), 0)::bigint AS documents,
            coalesce((SELECT sum(words) FROM totals), 0)::bigint AS words,
            coalesce((SELECT jsonb_agg(known) FROM known), '[]') AS stems,
            coalesce((
                SELECT jsonb_agg(jsonb_build_array(asked_word, word, lexeme, counted.documents))
                FROM corrections
                JOIN search_documents(%(owner)s, (SELECT array_agg(DISTINCT lexeme) FROM corrections)) AS counted USING (lexeme)
            ), '[]') AS corrections
        """,
        {
            "owner": owner_id,
            "words": [unit.words[0] for unit in asked],
            "spoken": [unit.spoken[0] for unit in asked],
            "correctable": sorted(_correctable(query)),
        },
        row=_LookedUp,
    )
    if found is None or found.documents <= 0:
        return None
    known = {unit.words[0]: _known(unit.words[0], found) for unit in asked}
    return _plan(query, known, documents=found.documents, average_words=max(1.0, found.words / found.documents))


def _correctable(query: Query) -> set[str]:
    """The words that may be taken for typos: not what is quoted, excluded, part of something longer, very short, or a number."""
    alone = (unit.words[0] for group in query.groups for unit in group.wanted if not unit.quoted and len(unit.words) == 1)
    return {word for word in alone if len(word) > 2 and word.isalpha()}


def _known(word: str, found: _LookedUp) -> _Word:
    own = [row for row in found.stems if row["word"] == word]
    stems = tuple(_Stem(row["lexeme"], row["documents"]) for row in own) or (_Stem(word, 0),)
    near = sorted(
        (_distance(word, other), -documents, other, lexeme)
        for asked, other, lexeme, documents in found.corrections
        if asked == word and documents
    )
    allowed = 1 if len(word) <= 5 else 2
    corrections = {lexeme: _Stem(lexeme, -documents) for distance, documents, _, lexeme in near if distance == near[0][0] <= allowed}
    return _Word(stems, tuple(corrections.values())[:CORRECTIONS], any(row["is_stop_word"] for row in own))


def _distance(left: str, right: str) -> int:
    """Edits between two words: letters put in, left out, changed, or two neighbours swapped (optimal string alignment)."""
    before: list[int] = []
    above = list(range(len(right) + 1))
    for row, a in enumerate(left, 1):
        line = [row]
        for column, b in enumerate(right, 1):
            edits = min(above[column] + 1, line[column - 1] + 1, above[column - 1] + (a != b))
            if row > 1 and column > 1 and a == right[column - 2] and b == left[row - 2]:
                edits = min(edits, before[column - 2] + 1)
            line.append(edits)
        before, above = above, line
    return above[-1]


# The plan


def _plan(query: Query, known: Mapping[str, _Word], *, documents: int, average_words: float) -> _Plan:
    strict = _or(_all_of(group, known) for group in query.groups)
    share = max(_share(group, known, documents) for group in query.groups)
    loose, coarse_loose, loose_share = _most_of(query, known, documents)
    telling = {word for group in query.groups for unit in _required(group, known) for word in unit.words}
    terms = []
    for word in dict.fromkeys(word for group in query.groups for unit in group.wanted for word in unit.words):
        if known[word].documents:
            stems = {stem.lexeme: 1.0 for stem in known[word].stems} | {stem.lexeme: CORRECTED for stem in known[word].corrections}
            terms.append(_Term(_weight(known[word].documents, documents), word in telling, stems))
    coarse = _or(_all_of(group, known, coarsely=True) for group in query.groups)
    return _Plan(
        strict=strict,
        coarse_strict=coarse if coarse != strict else None,
        strict_share=round(share, 3),
        loose=loose if loose != strict else None,
        coarse_loose=coarse_loose if coarse_loose != loose else None,
        loose_share=round(loose_share, 3),
        terms=tuple(terms),
        average_words=round(average_words, 1),
    )


def _weight(matching: int, documents: int) -> float:
    """Inverse document frequency, never negative."""
    matching = min(matching, documents)
    return round(log(1 + (documents - matching + 0.5) / (matching + 0.5)), 3)


def _all_of(group: Group, known: Mapping[str, _Word], *, coarsely: bool = False) -> str:
    return _and([*(_tsquery(unit, known, coarsely) for unit in _required(group, known)), *_none_of(group, known, coarsely)])


def _none_of(group: Group, known: Mapping[str, _Word], coarsely: bool) -> Iterator[str]:
    # Coarsely, more must be found, not less: an excluded phrase excludes nothing yet.
    return (f"!{_tsquery(unit, known)}" for unit in group.excluded if not coarsely or len(unit.words) == 1)


def _required(group: Group, known: Mapping[str, _Word]) -> list[Unit]:
    """What must all be there: stop words only where there is nothing else (or in quotes)."""
    telling = [unit for unit in group.wanted if unit.quoted or len(unit.words) > 1 or not known[unit.words[0]].is_stop_word]
    return telling or list(group.wanted)


def _most_of(query: Query, known: Mapping[str, _Word], documents: int) -> tuple[str | None, str | None, float]:
    """What documents with most of the words have at least: what is quoted, or else one of the rarer words. With `or`, nothing is relaxed.

    As a tsquery, as a coarse one, and with the share of the documents that this is about.
    """
    if len(query.groups) != 1:
        return None, None, 0
    group = query.groups[0]
    required = [unit for unit in _required(group, known) if unit.quoted or _matching(unit, known)]
    if not required:
        return None, None, 0
    quoted = [unit for unit in required if unit.quoted]
    if quoted:
        core = [_and(_tsquery(unit, known, coarsely) for unit in quoted) for coarsely in (False, True)]
        share = min(_unit_share(unit, known, documents) for unit in quoted)
    else:
        chosen = _rarest(required, known, documents)
        core = [_or(_tsquery(unit, known, coarsely) for unit in chosen) for coarsely in (False, True)]
        share = min(1.0, sum(_unit_share(unit, known, documents) for unit in chosen))
    return _and([core[0], *_none_of(group, known, False)]), _and([core[1], *_none_of(group, known, True)]), share


def _rarest(units: Sequence[Unit], known: Mapping[str, _Word], documents: int) -> list[Unit]:
    """So many of the rarest that no document without one of them has most of the words, or that they stand in more than can be ranked."""
    rest = sorted(units, key=lambda unit: _matching(unit, known))
    weights = {unit: sum(_weight(known[word].documents, documents) for word in unit.words) for unit in units}
    enough_words, enough_weight = MOST * sum(len(unit.words) for unit in units), MOST * sum(weights.values())
    chosen: list[Unit] = []
    while rest and (
        not chosen
        or (
            (sum(len(unit.words) for unit in rest) > enough_words or sum(weights[unit] for unit in rest) > enough_weight)
            and sum(_matching(unit, known) for unit in chosen) < CANDIDATES
        )
    ):
        chosen.append(rest.pop(0))
    return chosen


def _matching(unit: Unit, known: Mapping[str, _Word]) -> int:
    """At most so many documents have it."""
    return min(known[word].documents for word in unit.words)


def _unit_share(unit: Unit, known: Mapping[str, _Word], documents: int) -> float:
    return min(1.0, _matching(unit, known) / documents)


def _share(group: Group, known: Mapping[str, _Word], documents: int) -> float:
    """Which share of the documents the group may match, if its words were independent."""
    share = 1.0
    for unit in _required(group, known):
        share *= _unit_share(unit, known, documents)
    for unit in group.excluded:
        share *= 1 - _unit_share(unit, known, documents)
    return share


def _tsquery(unit: Unit, known: Mapping[str, _Word], coarsely: bool = False) -> str:
    """A word as any of its stems; a phrase as its words in order, or coarsely as its words: so much the index can tell by itself."""
    words = [_or(_literal(stem.lexeme) for stem in (*known[word].stems, *known[word].corrections)) for word in unit.words]
    if coarsely:
        return _and(words)
    phrase = "(" + " <-> ".join(words) + ")"
    telling = [number for number, word in enumerate(unit.words) if not known[word].is_stop_word]
    if not telling or len(telling) == len(words):
        return phrase
    # Where some word stands too often for all its positions to be kept, it is the small words that are allowed to be any.
    without = words[telling[0]]
    for before, number in pairwise(telling):
        without += f" <{number - before}> {words[number]}"
    return _or([phrase, _and([f"({without})", _literal(POSITIONS_LOST)])])


def _and(parts: Iterable[str]) -> str:
    return "(" + " & ".join(parts) + ")"


def _or(parts: Iterable[str]) -> str:
    return "(" + " | ".join(parts) + ")"


def _literal(lexeme: str) -> str:
    return "'" + lexeme.replace("\\", "\\\\").replace("'", "''") + "'"


# The page


async def _find(
    tx: Transaction, owner_id: UUID, plan: _Plan, position: _Position | None, filters: Filters, sort: Sort, limit: int
) -> list[_Hit]:
    """The page's documents and one more, if there is one."""
    by_relevance = sort == "-relevance"
    column, descending = sort.lstrip("-"), sort.startswith("-")
    stems = [(number, term, stem, factor) for number, term in enumerate(plan.terms) for stem, factor in term.stems.items()]
    arguments = """
        %(statuses)s::text[], %(content_types)s::text[], %(languages)s::text[], %(topics)s::uuid[],
        %(created_after)s::timestamptz, %(created_before)s::timestamptz, %(trashed)s::boolean
    """
    # By relevance, a block of the newest is ranked. By another key, the strict matches come from the index in its order, page by page.
    block = f"{arguments}, '-id', NULL, %(start)s::uuid"
    ordered = f"{arguments}, %(sort)s::text, %(key)s::text, %(after)s::uuid, NULL, %(page)s::integer"
    strict = f"{block}, %(end)s::uuid, %(bound)s::integer" if by_relevance else ordered
    if by_relevance:
        pages, order = "ranked", "score DESC, document_id DESC"
        beyond = "(score, document_id) < (%(key)s::double precision, %(after)s::uuid)"
    else:
        pages = "ranked JOIN documents AS d ON d.owner_id = %(owner)s AND d.id = document_id"
        direction = "DESC" if descending else "ASC"
        order = f"d.{column} {direction}, document_id {direction}"
        beyond = f"(d.{column}, document_id) {'<' if descending else '>'} (%(key)s::{SORT_TYPES[column]}, %(after)s::uuid)"
    return await tx.fetch_all(
        f"""
        WITH strict AS MATERIALIZED (
            SELECT document_id FROM search_candidates(%(strict)s::tsquery, %(coarse_strict)s::tsquery, %(walk_strict)s, {strict})
            WHERE %(loose_chosen)s::boolean IS NOT TRUE OR %(by_relevance)s
        ), loose AS MATERIALIZED (
            SELECT document_id
            FROM search_candidates(
                %(loose)s::tsquery, %(coarse_loose)s::tsquery, %(walk_loose)s, {block}, %(loose_end)s::uuid, %(bound)s::integer
            )
            WHERE %(loose)s::text IS NOT NULL AND coalesce(%(loose_chosen)s::boolean, (SELECT count(*) FROM strict) < %(few)s)
        ), candidates AS MATERIALIZED (
            SELECT document_id, true AS whole FROM strict
            UNION ALL
            SELECT document_id, false FROM loose WHERE document_id NOT IN (SELECT document_id FROM strict)
        ), asked AS MATERIALIZED (
            SELECT term, weight, telling, lexeme, quote_literal(lexeme)::tsquery AS query, factor
            FROM unnest(
                %(terms)s::integer[], %(weights)s::double precision[], %(telling)s::boolean[], %(stems)s::text[],
                %(factors)s::double precision[]
            ) AS stem (term, weight, telling, lexeme, factor)
        ), frequencies AS (
            SELECT c.document_id, a.term, a.weight, a.telling, s.words,
                sum(a.factor * (
                    search_frequency(s.contents, a.query) + {NAME_WEIGHT - 1} * search_frequency(s.name, a.query)
                )) AS frequency
            FROM candidates AS c
            JOIN document_search AS s ON s.owner_id = %(owner)s AND s.document_id = c.document_id
            CROSS JOIN asked AS a
            GROUP BY c.document_id, a.term, a.weight, a.telling, s.words
        ), relevance AS (
            SELECT document_id,
                count(*) FILTER (WHERE telling AND frequency > 0) AS telling_words,
                sum(weight) FILTER (WHERE telling AND frequency > 0) AS telling_weight,
                sum(weight * frequency * {K1 + 1} / (frequency + {K1} * ({1 - B} + {B} * words / %(average_words)s))) AS bm25
            FROM frequencies
            GROUP BY document_id
        ), ranked AS MATERIALIZED (
            SELECT c.document_id,
                round((c.whole::integer + coalesce(r.bm25, 0) / (1 + coalesce(r.bm25, 0)))::numeric, 6)::double precision AS score
            FROM candidates AS c LEFT JOIN relevance AS r ON r.document_id = c.document_id
            WHERE c.whole OR r.telling_words > %(most_words)s OR r.telling_weight > %(most_weight)s
        ), page AS MATERIALIZED (
            SELECT document_id, score
            FROM {pages}
            WHERE %(after)s::uuid IS NULL OR {beyond}
            ORDER BY {order}
            LIMIT %(page)s
        )
        SELECT {DOCUMENT_COLUMNS}, page.score, excerpt.text AS excerpt, excerpt.position AS excerpt_position,
            coalesce(marks.positions, '{{}}') AS text_positions,
            ARRAY(
                SELECT unnest(named.positions) FROM unnest(s.name) AS named WHERE named.lexeme IN (SELECT lexeme FROM asked WHERE telling)
            ) AS name_positions,
            (SELECT count(*) FROM strict) AS strict_found, (SELECT count(*) FROM loose) AS loose_found,
            (SELECT document_id FROM candidates ORDER BY document_id DESC LIMIT 1) AS newest,
            (SELECT document_id FROM strict ORDER BY document_id LIMIT 1) AS strict_end,
            (SELECT document_id FROM loose ORDER BY document_id LIMIT 1) AS loose_end
        FROM page
        JOIN documents AS d ON d.owner_id = %(owner)s AND d.id = page.document_id
        JOIN document_search AS s ON s.owner_id = %(owner)s AND s.document_id = page.document_id
        JOIN document_passages AS p ON p.owner_id = %(owner)s AND p.document_id = page.document_id
        CROSS JOIN LATERAL (
            WITH found AS MATERIALIZED (
                SELECT a.term, a.weight, at.position, width_bucket(at.position::integer, p.words) AS passage
                FROM unnest(s.contents) AS word
                JOIN asked AS a ON a.lexeme = word.lexeme
                CROSS JOIN unnest(word.positions, word.weights) AS at (position, class)
                WHERE at.class = 'D' AND a.telling
            )
            SELECT (SELECT array_agg(DISTINCT position) FROM found) AS positions,
                coalesce((
                    SELECT passage
                    FROM (SELECT passage, term, max(weight) AS weight FROM found GROUP BY passage, term) AS telling
                    GROUP BY passage ORDER BY sum(weight) DESC, passage LIMIT 1
                ), 1) AS passage
        ) AS marks
        CROSS JOIN LATERAL (
            -- With the passage before, where that is on the same page and not far.
            SELECT marks.passage - (
                marks.passage > 1 AND p.pages[marks.passage - 1] = p.pages[marks.passage]
                AND p.offsets[marks.passage] - p.offsets[marks.passage - 1] < {EXCERPT // 2}
            )::integer AS passage
        ) AS start
        LEFT JOIN LATERAL (
            SELECT substr(leaf.text, p.offsets[start.passage] + 1, {EXCERPT}) AS text, p.words[start.passage] AS position
            FROM document_pages AS leaf
            WHERE leaf.owner_id = %(owner)s AND leaf.document_id = page.document_id
                AND leaf.number = p.pages[start.passage]
        ) AS excerpt ON true
        ORDER BY {order.replace("document_id", "d.id")}
        """,
        filters.parameters()
        | {
            "owner": owner_id,
            "strict": plan.strict,
            "coarse_strict": plan.coarse_strict,
            "walk_strict": plan.strict_share >= (WALK_SHARE if by_relevance else WALK_SHARE_SORTED),
            "loose": plan.loose,
            "coarse_loose": plan.coarse_loose,
            "walk_loose": plan.loose_share >= WALK_SHARE,
            "loose_chosen": position.loose if position else None,
            "by_relevance": by_relevance,
            "few": FEW if by_relevance else 1,
            "bound": plan.bound,
            "page": limit + 1,
            "sort": sort,
            "start": position.start if position else _END_OF_IDS,
            "end": position.end if position else None,
            "loose_end": position.loose_end if position else None,
            "key": position.key if position else None,
            "after": position.after if position else None,
            "terms": [number for number, _, _, _ in stems],
            "weights": [term.weight for _, term, _, _ in stems],
            "telling": [term.telling for _, term, _, _ in stems],
            "stems": [stem for _, _, stem, _ in stems],
            "factors": [factor for _, _, _, factor in stems],
            "average_words": plan.average_words,
            "most_words": MOST * sum(term.telling for term in plan.terms),
            "most_weight": MOST * sum(term.weight for term in plan.terms if term.telling),
        },
        row=_Hit,
    )


def _following(plan: _Plan, position: _Position | None, rows: list[_Hit], sort: Sort, limit: int) -> _Position | None:
    """Where the next page begins; None where this was the last."""
    if not rows:
        return None
    last = rows[:limit][-1]
    # The first page fixes where the first block begins, so that what arrives meanwhile displaces nothing.
    here = position or _Position(start=str(UUID(int=last.newest.int + 1)), loose=last.loose_found > 0)
    if sort != "-relevance":
        key, after = sort_key(last, sort.lstrip("-"))
        return replace(here, key=key, after=after) if len(rows) > limit else None
    if here.end is None and last.strict_found >= plan.bound:
        here = replace(here, end=str(last.strict_end))
    if here.loose_end is None and last.loose_found >= plan.bound:
        here = replace(here, loose_end=str(last.loose_end))
    if len(rows) > limit:
        return replace(here, key=repr(last.score), after=str(last.id))
    if here.end is not None:
        return _Position(start=here.end, loose=False)
    return None


def _encoded(plan: _Plan, position: _Position, binding: Mapping[str, Any]) -> str:
    terms = [list(astuple(term)) for term in plan.terms]
    return cursors.encode([list(astuple(replace(plan, terms=()))), terms, list(astuple(position))], binding)


def _decoded(cursor: str, binding: Mapping[str, Any]) -> tuple[_Plan, _Position]:
    values = cursors.decode(cursor, binding)
    try:
        plan, terms, position = values
        return replace(_Plan(*plan), terms=tuple(_Term(*term) for term in terms)), _Position(*position)
    except (TypeError, ValueError):
        # Signed by us, but by another version of this module.
        raise InvalidCursor from None


def _answer(row: _Hit) -> DocumentHit:
    if row.text_positions and row.excerpt is not None and row.excerpt_position is not None:
        snippet = snippets.cut(row.excerpt, frozenset(row.text_positions), first=row.excerpt_position)
    elif row.name_positions:
        filename, title = name_positions(row.filename, row.title)
        marked = frozenset(row.name_positions)
        snippet = (
            snippets.cut(row.title, marked, first=title) if max(marked) >= title else snippets.cut(row.filename, marked, first=filename)
        )
    else:
        snippet = snippets.cut(row.excerpt or row.title, ())
    document = {name: getattr(row, name) for name in DocumentHit.model_fields}
    return DocumentHit.model_construct(**(document | {"snippet": snippet}))
