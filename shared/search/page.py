"""Finds documents by a query (its syntax: `query`), best first, page by page.

Two round trips a page (four if a filter lets hardly any of the best through): one brings the postings of the query's words (`plan`), of
which every document that matches is ranked here (`ranking`); the other reads the page's documents, checks phrases, and cuts the snippets'
text.

What is promised:
- Every document that has any of the words is ranked by BM25, whatever its age; of a short query, documents with all the words come first.
  Phrases and exclusions hold. A word that stands nowhere counts as the words it looks like. With `or`, and with another sort than
  relevance, the list has the documents with all the words (with another sort: those with any of them, if there is none).
- A question is asked once more with the words that its best documents have in common, which moves the best RERANKED among themselves.
- A bounded number of candidates is looked at for a page, and for phrases no longer than PATIENCE, so a page may end short, even without
  items (phrases that hardly any of them has); it has a `next_cursor` then, and the next page goes on behind what was looked at.
- Pages are stable: a document that does not change is neither repeated nor left out, for the first page fixes the words' weights and the
  words added. What arrives later is found by searching again.
- Nothing but the owner's own documents is looked at: row-level security holds for every statement.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar
from uuid import UUID

import numpy as np

from shared.api import cursors
from shared.db import TenantDatabase, Transaction
from shared.errors import InvalidCursor
from shared.search import phrases, ranking, snippets
from shared.search import plan as plans
from shared.search.analysis import PASSAGE_WORDS, POSITIONS, name_positions, positions_of
from shared.search.phrases import PhraseCheck
from shared.search.plan import Matches, Narrowing, Plan, Ranked
from shared.search.query import Query
from shared.search.ranking import Numbers, Scores

CURSOR_LIMIT = 8_192
"""Characters of a cursor: it carries the query's words with their stems."""

CANDIDATES, PHRASE_CANDIDATES, MOST_CANDIDATES = 4_000, 10_000, 30_000
"""Documents looked at for a page at most, best first; for one with a phrase; and with a filter that lets more than FEW of them through."""

FEW = 4_000
"""Documents that a filter lets through up to which they are told apart before ranking."""

PATIENCE = 150
"""Milliseconds after which no more documents are looked at for a phrase: each may be a few reads in different places of a disk."""

LOOKED_AT = 100
"""Documents that are looked at for a page of the best, however long that takes."""

SORTED_BY_INDEX = 0.1
"""From this share of the documents on, walking through them in the order wanted finds a page sooner than sorting all matches."""

BEST, ADDED, ADDED_WEIGHT, RERANKED = 12, 20, 0.4, 150
"""A question's best documents; how many of their words are added, with what weight; and how many documents are ranked anew by these."""

REPEATED = 500
"""Words that a question's best documents have in common and that are looked at."""

LONG = 20_000
"""Words of a document that has too many to tell what a question is about."""

EXCERPT = 1600
"""Characters that are read of a page to cut a snippet from."""

LATER_PAGES, LATER_PATIENCE, LATER_ALWAYS = 3, 250, 3
"""Pages without positions that a snippet is tried from; and the milliseconds of the statement after which none is looked for any more, but
for the first few documents of a page: one may have thousands. The snippet is what has positions, then."""

SourceRow = TypeVar("SourceRow")


@dataclass(frozen=True)
class Source(Generic[SourceRow]):
    """What a list is made of: `columns` of documents AS d make a `row`, which is shown if the `conditions` hold for their `parameters`.

    `narrowed` says that a filter may let few of the documents through. `sorts` are what a list may be
    sorted by, each an expression and its type.
    """

    columns: str
    row: type[SourceRow]
    conditions: tuple[str, ...]
    parameters: Mapping[str, Any]
    narrowed: bool
    sorts: Mapping[str, tuple[str, str]]


@dataclass(frozen=True)
class Hit(Generic[SourceRow]):
    """A document found: its row, how well it matches (above 1: it has all the words), and where, as HTML."""

    row: SourceRow
    score: float
    snippet: str


@dataclass(frozen=True)
class Found(Generic[SourceRow]):
    """A page of hits; `matched` are the numbers of the documents that match, best first, as far as they are counted for facets: of
    phrases, those that could be looked at in time.

    `is_late` says that it ended for want of time.
    """

    hits: list[Hit[SourceRow]]
    next_cursor: str | None
    matched: list[int]
    is_late: bool = False


@dataclass(frozen=True)
class Position:
    """Where a page begins: behind the document with this key and number (or id, with another sort than relevance)."""

    key: str | float
    after: int | str


@dataclass(frozen=True)
class Added:
    """The words added to a question, and the score from which documents are ranked by them."""

    lexemes: tuple[str, ...] = ()
    weights: tuple[float, ...] = ()
    least: float = 0.0


NOTHING_ADDED = Added()


@dataclass
class _PageRow:
    """A row of the second statement, beside the document's own columns."""

    document: dict[str, Any]
    number: int
    score: float
    is_hit: bool
    walked: int
    filename: str
    title: str
    excerpt: str | None
    excerpt_position: int | None
    text_positions: list[int]
    language: str
    later_excerpts: list[str] | None
    name_positions: list[int]
    sort_key: str | None
    added: list[list[Any]] | None


async def find(
    db: TenantDatabase,
    query: Query,
    source: Source[SourceRow],
    sort: str,
    limit: int,
    cursor: str | None,
    binding: Mapping[str, Any],
    facets: int = 0,
) -> Found[SourceRow]:
    """A page of what the query finds, and the best `facets` matches' numbers. Raises InvalidCursor."""
    if not query.groups:
        return Found([], None, [])
    # What only excludes has no best.
    if sort == "-relevance" and not all(group.wanted for group in query.groups):
        sort = "-created_at"
    binding = dict(binding) | {"sorted": sort}
    plan, added, position = decoded(cursor, binding) if cursor is not None else (None, None, None)
    narrowing = None
    if source.narrowed:
        narrowing = Narrowing(" AND ".join(source.conditions), {**source.parameters, "owner": db.owner_id})
        # What is counted, sorted or learnt from is of those that may be shown alone; a page of the best is found among the best.
        if sort == "-relevance" and not facets and sum(1 for unit in query.units() if unit.words) <= plans.SHORT:
            narrowing = replace(narrowing, at_most=FEW)
    async with db.transaction() as tx:
        if plan is None:
            matches = await plans.prepare(tx, db.owner_id, query, narrowing)
        else:
            matches = await plans.again(tx, db.owner_id, plan, narrowing)
        if matches is None:
            return Found([], None, [])
        ranked = plans.rank(query, matches, wholes=sort != "-relevance")
        if sort != "-relevance":
            found = await _sorted(tx, db.owner_id, query, matches, ranked, source, sort, limit, position, binding, facets)
            return replace(found, matched=await _having_phrases(tx, db.owner_id, query, matches.plan, found.matched))
        found = await by_relevance(tx, db.owner_id, query, matches, ranked, source, limit, added, position, binding, facets)
        short = len(found.hits) < limit and found.next_cursor is not None and not found.is_late
        if narrowing is not None and matches.narrowed is None and short:
            # Hardly any of the best may be shown: once more among those that may.
            matches = await plans.again(tx, db.owner_id, matches.plan, replace(narrowing, at_most=None))
            ranked = plans.rank(query, matches, wholes=False)
            found = await by_relevance(tx, db.owner_id, query, matches, ranked, source, limit, added, position, binding, facets)
        return replace(found, matched=await _having_phrases(tx, db.owner_id, query, matches.plan, found.matched))


# By relevance


async def by_relevance(
    tx: Transaction,
    owner_id: UUID,
    query: Query,
    matches: Matches,
    ranked: Ranked,
    source: Source[SourceRow],
    limit: int,
    added: Added | None,
    position: Position | None,
    binding: Mapping[str, Any],
    facets: int,
) -> Found[SourceRow]:
    """A page of what is ranked, best first; a question's words are added to unless they are `added` already."""
    question = plans.is_question(query, matches.plan) and not any(unit.quoted for unit in query.units())
    numbers, scores = ranked.numbers, ranked.scores
    if position is not None:
        key, after = float(position.key), int(position.after)
        behind = (scores < key) | ((scores == key) & (numbers < after))
        if question and added is not None:
            # What is ranked anew may come before or behind, whatever it scored at first.
            behind |= scores >= added.least
        numbers, scores = numbers[behind], scores[behind]
    check = phrases.check(query, matches.plan)
    most = PHRASE_CANDIDATES if check.condition else CANDIDATES
    if source.narrowed and matches.narrowed is None:
        # So many that twice a page of them may be shown, if they are spread evenly.
        most = min(max(most, 2 * (limit + 1) * matches.plan.documents // FEW), MOST_CANDIDATES)
    numbers, scores = ranking.best(numbers, scores, max(most, facets))
    matched = numbers[:facets].tolist() if facets else []
    numbers, scores = numbers[:most], scores[:most]
    if len(numbers) == 0:
        return Found([], None, matched)
    if added is None:
        added = Added(least=float(scores[min(RERANKED, len(scores)) - 1]))
        extra = _ADDED_NOW if question else _ADDED_BEFORE
    else:
        extra = _ADDED_BEFORE
    marks = _marks(query, matches)
    rows = await tx.fetch_all(
        f"""
        WITH candidates AS MATERIALIZED (
            SELECT number, score, place
            FROM unnest(%(numbers)s::integer[], %(scores)s::double precision[]) WITH ORDINALITY AS c (number, score, place)
        ), {extra}, rescored AS MATERIALIZED (
            SELECT c.number,
                c.score + sum(a.weight * {ranking.K1 + 1} * f.times / (f.times + {ranking.K1 * (1 - ranking.B)}
                    + {ranking.K1 * ranking.B} * s.words / %(average_words)s) ORDER BY a.lexeme) AS score
            FROM (SELECT number, score FROM candidates WHERE score >= %(least)s AND EXISTS (SELECT FROM added)) AS c
            CROSS JOIN LATERAL (
                SELECT s.lexemes, s.frequencies, s.words FROM document_search AS s
                WHERE s.owner_id = %(owner)s AND s.number = c.number OFFSET 0
            ) AS s
            CROSS JOIN LATERAL unnest(s.lexemes) WITH ORDINALITY AS l (lexeme, place)
            JOIN added AS a ON a.lexeme = l.lexeme
            CROSS JOIN LATERAL (SELECT get_byte(s.frequencies, l.place::integer - 1) AS times) AS f
            GROUP BY c.number, c.score
        ), ordered AS MATERIALIZED (
            SELECT c.number, c.place, coalesce(round(r.score::numeric, {ranking.DECIMALS})::double precision, c.score) AS score
            FROM candidates AS c LEFT JOIN rescored AS r ON r.number = c.number
            ORDER BY 3 DESC, 1 DESC
        ), walked AS MATERIALIZED (
            SELECT o.number, o.score, s.document_id, s.is_hit, late.is_late
            FROM ordered AS o
            CROSS JOIN LATERAL (SELECT {_late(check, f"o.place > {LOOKED_AT}")} AS is_late OFFSET 0) AS late
            CROSS JOIN LATERAL (
                SELECT s.document_id, {check.condition or "true"} AND EXISTS (
                    SELECT FROM documents AS d WHERE d.id = s.document_id AND {" AND ".join(source.conditions)}
                ) AS is_hit
                FROM document_search AS s WHERE s.owner_id = %(owner)s AND s.number = o.number OFFSET 0
            ) AS s
            WHERE (%(key)s::double precision IS NULL OR (o.score, o.number) < (%(key)s::double precision, %(after)s::integer))
                AND (s.is_hit OR late.is_late)
            LIMIT %(page)s
        ), {_PAGE}
        {_SHOWN.format(columns=_document(source.columns), sort_key="NULL")}
        ORDER BY page.score DESC, page.number DESC
        """,
        {
            **source.parameters,
            **marks,
            "owner": owner_id,
            "numbers": _array(numbers),
            "scores": _array(scores),
            "documents": matches.plan.documents,
            "average_words": matches.plan.average_words,
            "spoken": list(matches.plan.languages),
            "added": list(added.lexemes),
            "added_weights": list(added.weights),
            "added_weight": ADDED_WEIGHT,
            "least": added.least,
            **check.parameters,
            "key": float(position.key) if position else None,
            "after": int(position.after) if position else None,
            "page": limit + 1,
        },
        row=_PageRow,
    )
    if rows and rows[0].added is not None:
        added = Added(tuple(lexeme for lexeme, _ in rows[0].added), tuple(weight for _, weight in rows[0].added), added.least)
    hits = [row for row in rows if row.is_hit]
    is_late = _ended_late(rows, len(hits), limit)
    following = None
    if len(hits) > limit:
        following = Position(hits[limit - 1].score, hits[limit - 1].number)
    elif is_late:
        following = Position(rows[-1].score, rows[-1].number)
    elif len(numbers) == most:
        following = Position(float(scores[-1]), int(numbers[-1]))
    return Found(
        [_hit(row, source, marks["marked"]) for row in hits[:limit]],
        None if following is None else _encoded(matches.plan, added, following, binding),
        matched,
        is_late,
    )


_ADDED_BEFORE = """
        added AS MATERIALIZED (
            SELECT lexeme, weight FROM unnest(%(added)s::text[], %(added_weights)s::double precision[]) AS a (lexeme, weight)
        )
"""
_ADDED_NOW = f"""
        repeated AS MATERIALIZED (
            SELECT l.lexeme, count(*) AS times
            FROM (SELECT number FROM candidates ORDER BY place LIMIT {BEST}) AS c
            CROSS JOIN LATERAL (
                SELECT s.lexemes FROM document_search AS s
                WHERE s.owner_id = %(owner)s AND s.number = c.number AND s.words <= {LONG} OFFSET 0
            ) AS s
            CROSS JOIN LATERAL unnest(s.lexemes) AS l (lexeme)
            GROUP BY l.lexeme
            HAVING count(*) > 1
            ORDER BY times DESC, l.lexeme
            LIMIT {REPEATED}
        ), common AS MATERIALIZED (
            SELECT r.lexeme, r.times * w.weight AS value, w.weight
            FROM repeated AS r
            CROSS JOIN LATERAL (
                SELECT t.documents FROM search_terms AS t WHERE t.owner_id = %(owner)s AND t.lexeme = r.lexeme OFFSET 0
            ) AS t
            CROSS JOIN LATERAL (
                SELECT ln(1 + (%(documents)s::double precision - t.documents + 0.5) / (t.documents + 0.5)) AS weight
            ) AS w
            WHERE t.documents BETWEEN 2 AND %(documents)s AND length(r.lexeme) > 1 AND r.lexeme !~ '[0-9]'
            ORDER BY value DESC, r.lexeme
            LIMIT {4 * ADDED}
        ), telling AS (
            SELECT lexeme, value, weight FROM common
            WHERE lexeme NOT IN (SELECT search_stop_words((SELECT array_agg(lexeme) FROM common), %(spoken)s::text[]))
            ORDER BY value DESC, lexeme
            LIMIT {ADDED}
        ), added AS MATERIALIZED (
            SELECT lexeme, round((%(added_weight)s * weight * value / max(value) OVER ())::numeric, 4)::double precision AS weight
            FROM telling
        )
"""

_PAGE = """
        page AS MATERIALIZED (
            -- Past the time, everything that was walked is there: what is no hit tells where the next page goes on.
            SELECT * FROM (SELECT w.*, row_number() OVER () AS nth, count(*) OVER () AS walked FROM walked AS w) AS w
            WHERE is_hit OR nth = walked
        )
"""

_SHOWN = """
        SELECT {columns} AS document, page.number, page.score, page.is_hit, page.walked, d.filename, d.title,
            excerpt.text AS excerpt, excerpt.position AS excerpt_position, coalesce(marks.positions, '{{}}') AS text_positions,
            s.language, later.excerpts AS later_excerpts,
            ARRAY(
                SELECT unnest(named.positions) FROM unnest(s.name) AS named WHERE named.lexeme = ANY (%(marked)s::text[])
            ) AS name_positions,
            {sort_key} AS sort_key,
            (SELECT jsonb_agg(jsonb_build_array(lexeme, weight) ORDER BY lexeme) FROM added) AS added
        FROM page
        JOIN documents AS d ON d.owner_id = %(owner)s AND d.id = page.document_id
        JOIN document_search AS s ON s.owner_id = %(owner)s AND s.document_id = page.document_id
        JOIN document_passages AS p ON p.owner_id = %(owner)s AND p.document_id = page.document_id
        CROSS JOIN LATERAL (
            WITH found AS MATERIALIZED (
                SELECT m.term, m.weight, at.position, width_bucket(at.position::integer, p.words) AS passage
                FROM unnest(s.contents) AS word
                JOIN unnest(%(marked)s::text[], %(marked_terms)s::integer[], %(marked_weights)s::double precision[])
                    AS m (lexeme, term, weight)
                    ON m.lexeme = word.lexeme
                CROSS JOIN unnest(word.positions, word.weights) AS at (position, class)
                WHERE at.class = 'D'
            )
            SELECT (SELECT array_agg(DISTINCT position) FROM found) AS positions, ARRAY(SELECT term FROM found) AS terms,
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
                AND p.offsets[marks.passage] - p.offsets[marks.passage - 1] < %(half_excerpt)s
            )::integer AS passage
        ) AS start
        LEFT JOIN LATERAL (
            SELECT substr(leaf.text, p.offsets[start.passage] + 1, %(excerpt)s) AS text, p.words[start.passage] AS position
            FROM (
                SELECT text FROM document_pages
                WHERE owner_id = %(owner)s AND document_id = page.document_id AND number = p.pages[start.passage]
                UNION ALL
                SELECT d.notes WHERE p.pages[start.passage] = 0
            ) AS leaf
        ) AS excerpt ON true
        CROSS JOIN LATERAL (
            -- Of a document with more words than have positions: around the rarest word, if it has none, on the first pages where it
            -- seems to stand.
            SELECT array_agg(substr(near.text, greatest(1, near.at - %(half_excerpt)s), %(excerpt)s) ORDER BY near.number) AS excerpts
            FROM (
                SELECT leaf.number, leaf.text, seen.at
                FROM (
                    SELECT m.term, string_to_array(m.written, chr(10)) AS written
                    FROM unnest(
                        %(marked)s::text[], %(marked_terms)s::integer[], %(marked_weights)s::double precision[], %(marked_written)s::text[]
                    ) AS m (lexeme, term, weight, written)
                    WHERE cardinality(p.words) >= %(passages)s AND m.lexeme = ANY (s.lexemes)
                    ORDER BY m.weight DESC, m.term = ANY (marks.terms) DESC LIMIT 1
                ) AS rarest
                JOIN document_pages AS leaf ON rarest.term <> ALL (marks.terms)
                    AND leaf.owner_id = %(owner)s AND leaf.document_id = page.document_id
                    AND leaf.number >= p.pages[cardinality(p.pages)]
                CROSS JOIN LATERAL (
                    SELECT min(nullif(strpos(leaf.text, written), 0)) AS at FROM unnest(rarest.written) AS written
                    WHERE page.nth <= %(later_always)s OR clock_timestamp() < statement_timestamp() + %(later_patience)s * interval '1 ms'
                ) AS seen
                WHERE seen.at IS NOT NULL
                ORDER BY leaf.number LIMIT %(later_pages)s
            ) AS near
        ) AS later
"""


def _document(columns: str) -> str:
    return f"(SELECT to_jsonb(shown) FROM (SELECT {columns}) AS shown)"


# In another order


async def _sorted(
    tx: Transaction,
    owner_id: UUID,
    query: Query,
    matches: Matches,
    ranked: Ranked,
    source: Source[SourceRow],
    sort: str,
    limit: int,
    position: Position | None,
    binding: Mapping[str, Any],
    facets: int,
) -> Found[SourceRow]:
    numbers = ranked.numbers
    if ranked.whole.any():
        numbers = numbers[ranked.whole]
    without = plans.excluded(query, matches)
    column, kind = source.sorts[sort]
    direction, beyond = ("DESC", "<") if sort.startswith("-") else ("ASC", ">")
    matched = numbers[:facets].tolist() if facets and not without else []
    if not len(numbers) and not without:
        return Found([], None, matched)
    among = {"numbers": numbers} if len(numbers) else {}
    chosen = [_among("numbers", numbers)] if len(numbers) else []
    for at, left_out in enumerate(without):
        among[f"without{at}"] = left_out
        chosen.append(f"NOT {_among(f'without{at}', left_out)}")
    conditions = list(source.conditions)
    if position is not None:
        conditions.append(f"({column}, d.id) {beyond} (%(key)s::{kind}, %(after)s::uuid)")
    check = phrases.check(query, matches.plan)
    walk = bool(without) or len(numbers) >= SORTED_BY_INDEX * matches.plan.documents
    if walk:
        walked = f"""
            SELECT s.number, 0.0::double precision AS score, d.id AS document_id, s.is_hit, late.is_late
            FROM documents AS d
            CROSS JOIN LATERAL (SELECT {_late(check, "d.id IS NOT NULL")} AS is_late OFFSET 0) AS late
            CROSS JOIN LATERAL (
                SELECT s.number, ({" OR ".join(chosen)}) AND ({check.condition or "true"}) AS is_hit FROM document_search AS s
                WHERE s.document_id = d.id AND s.owner_id = %(owner)s
                OFFSET 0
            ) AS s
            WHERE {" AND ".join(conditions)} AND (s.is_hit OR late.is_late)
            ORDER BY {column} {direction}, d.id {direction}
            LIMIT %(page)s
        """
    else:
        walked = f"""
            SELECT o.number, 0.0::double precision AS score, o.id AS document_id, s.is_hit, late.is_late
            FROM (
                SELECT s.number, d.id
                FROM unnest(%(numbers)s::integer[]) AS c (number)
                CROSS JOIN LATERAL (
                    SELECT s.number, s.document_id FROM document_search AS s WHERE s.owner_id = %(owner)s AND s.number = c.number OFFSET 0
                ) AS s
                JOIN documents AS d ON d.id = s.document_id
                WHERE {" AND ".join(conditions)}
                ORDER BY {column} {direction}, d.id {direction}
                {"OFFSET 0" if check.condition else "LIMIT %(page)s"}
            ) AS o
            CROSS JOIN LATERAL (SELECT {_late(check, "o.id IS NOT NULL")} AS is_late OFFSET 0) AS late
            CROSS JOIN LATERAL (
                SELECT {check.condition or "true"} AS is_hit FROM document_search AS s
                WHERE s.owner_id = %(owner)s AND s.number = o.number
                OFFSET 0
            ) AS s
            WHERE s.is_hit OR late.is_late
            LIMIT %(page)s
        """
    marks = _marks(query, matches)
    rows = await tx.fetch_all(
        f"""
        WITH added AS (SELECT NULL AS lexeme, NULL AS weight WHERE false), walked AS MATERIALIZED ({walked}), {_PAGE}
        {_SHOWN.format(columns=_document(source.columns), sort_key=f"({column})::text")}
        ORDER BY {column} {direction}, d.id {direction}
        """,
        {
            **source.parameters,
            **marks,
            **{f"{name}_bits": _bits(values) for name, values in among.items()},
            "owner": owner_id,
            "numbers": None if walk else _array(numbers),
            **check.parameters,
            "key": position.key if position else None,
            "after": position.after if position else None,
            "page": limit + 1,
        },
        row=_PageRow,
    )
    hits = [row for row in rows if row.is_hit]
    is_late = _ended_late(rows, len(hits), limit)
    last = hits[limit - 1] if len(hits) > limit else rows[-1] if is_late else None
    following = None if last is None else Position(str(last.sort_key), str(last.document["id"]))
    return Found(
        [_hit(row, source, marks["marked"]) for row in hits[:limit]],
        None if following is None else _encoded(matches.plan, Added(), following, binding),
        matched,
        is_late,
    )


def _among(name: str, values: Numbers) -> str:
    """Whether s.number is among the values, by `_bits`: a row costs the same however many they are. A hash of them may be too large for
    PostgreSQL's work_mem, and then each row goes through all.
    """
    lowest, length = (int(values[0]), int(values[-1]) - int(values[0]) + 1) if len(values) else (0, 0)
    place = f"s.number - {lowest}"
    return f"(CASE WHEN {place} BETWEEN 0 AND {length - 1} THEN get_bit(%({name}_bits)b::bytea, {place}) = 1 ELSE false END)"


def _bits(values: Numbers) -> bytes:
    """A bit for each number from the first to the last of these, which rise."""
    if not len(values):
        return b""
    bits = np.zeros(int(values[-1]) - int(values[0]) + 1, bool)
    bits[values - values[0]] = True
    return np.packbits(bits, bitorder="little").tobytes()


def _ended_late(rows: Sequence[_PageRow], hits: int, limit: int) -> bool:
    """Whether there is more to look at than there was time for: a full page was walked, and not all are hits."""
    return bool(rows) and hits <= limit < rows[-1].walked


def _array(values: Numbers | Scores) -> str:
    """As PostgreSQL writes an array: thousands of numbers are one text sooner than an array element by element."""
    return "{" + ",".join(map(repr, values.tolist())) + "}"


# Phrases


def _late(check: PhraseCheck, may_be: str) -> str:
    """Whether a row of the outer query, which `may_be` speaks of, is looked at past the time: only what is to be checked takes any."""
    return f"{may_be} AND clock_timestamp() > statement_timestamp() + {PATIENCE} * interval '1 ms'" if check.condition else "false"


async def _having_phrases(tx: Transaction, owner_id: UUID, query: Query, plan: Plan, numbers: list[int]) -> list[int]:
    """Of documents that have the words those that have the phrases, too, as far as there is time to look."""
    check = phrases.check(query, plan)
    if not check.condition or not numbers:
        return numbers
    having: list[int] = await tx.fetch_value(
        f"""
        SELECT coalesce(array_agg(n.number), '{{}}')
        FROM unnest(%(numbers)s::integer[]) AS n (number)
        CROSS JOIN LATERAL (SELECT {_late(check, "n.number IS NOT NULL")} AS is_late OFFSET 0) AS late
        CROSS JOIN LATERAL (
            SELECT FROM document_search AS s
            WHERE NOT late.is_late AND s.owner_id = %(owner)s AND s.number = n.number AND {check.condition}
            OFFSET 0
        ) AS s
        """,
        {**check.parameters, "numbers": numbers, "owner": owner_id},
    )
    return having


# What is shown


def _marks(query: Query, matches: Matches) -> dict[str, Any]:
    """The lexemes that a snippet marks, each with its word's number and weight."""
    marked: dict[str, tuple[int, float]] = {}
    written: dict[str, list[str]] = {}
    first = 0
    for group in query.groups:
        for at, unit in plans.required(group, matches.plan):
            weight = matches.plan.weights.get(first + at, 0.0)
            lexemes = [lexeme for word in unit.words for lexeme, _ in matches.plan.lexemes.get(word, ())]
            for lexeme in (*lexemes, *unit.spellings):
                marked.setdefault(lexeme, (first + at, weight))
            for word, said in zip(unit.words, unit.spoken, strict=True):
                for lexeme, _ in matches.plan.lexemes.get(word, ()):
                    written.setdefault(lexeme, _written(lexeme, said))
        first += len(group.wanted) + len(group.excluded)
    return {
        "marked": list(marked),
        "marked_terms": [term for term, _ in marked.values()],
        "marked_weights": [weight for _, weight in marked.values()],
        "marked_written": ["\n".join(written.get(lexeme, ())) for lexeme in marked],
        "passages": POSITIONS // PASSAGE_WORDS,
        "later_pages": LATER_PAGES,
        "later_patience": LATER_PATIENCE,
        "later_always": LATER_ALWAYS,
        "excerpt": EXCERPT,
        "half_excerpt": EXCERPT // 2,
    }


def _written(lexeme: str, said: str) -> list[str]:
    """What a page has in it that has the word: as folded and as asked for, in small letters (the first may be a capital) or in capitals."""
    beginnings = {part[1:] if len(part) > 3 else part for part in (lexeme, said[: max(3, len(lexeme))])}
    return sorted({spelling for part in beginnings for spelling in (part, part.upper())})


def _hit(row: _PageRow, source: Source[SourceRow], marked: Collection[str]) -> Hit[SourceRow]:
    return Hit(source.row(**row.document), _shown_score(row.score), _snippet(row, marked))


def _shown_score(score: float) -> float:
    """Between 0 and 1; from 1 to 2 for a document that has all the words of a short query."""
    whole = score >= plans.WHOLE
    relevance = score - plans.WHOLE if whole else score
    return round(whole + relevance / (1 + relevance), 6)


def _snippet(row: _PageRow, marked: Collection[str]) -> str:
    for excerpt in row.later_excerpts or ():
        places = positions_of(excerpt, marked, language=row.language)
        if places:
            return snippets.cut(excerpt, places)
    if row.text_positions and row.excerpt is not None and row.excerpt_position is not None:
        return snippets.cut(row.excerpt, frozenset(row.text_positions), first=row.excerpt_position)
    if row.name_positions:
        filename, title = name_positions(row.filename, row.title)
        named = frozenset(row.name_positions)
        if max(named) >= title:
            return snippets.cut(row.title, named, first=title)
        return snippets.cut(row.filename, named, first=filename)
    return snippets.cut(row.excerpt or row.title, ())


def _encoded(plan: Plan, added: Added, position: Position, binding: Mapping[str, Any]) -> str:
    return cursors.encode([plan.packed(), [list(added.lexemes), list(added.weights), added.least], [position.key, position.after]], binding)


def decoded(cursor: str, binding: Mapping[str, Any]) -> tuple[Plan, Added, Position]:
    values = cursors.decode(cursor, binding)
    try:
        plan, (lexemes, weights, least), (key, after) = values
        return Plan.unpacked(plan), Added(tuple(lexemes), tuple(weights), float(least)), Position(key, after)
    except (TypeError, ValueError, AttributeError):
        # Signed by us, but by another version of this module.
        raise InvalidCursor from None
