"""Documents that are like one: those that share its most telling words."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import log, log2
from typing import Any
from uuid import UUID

from shared.db import TenantDatabase, Transaction
from shared.search import page, plan
from shared.search.page import Found, Source, SourceRow
from shared.search.plan import Plan
from shared.search.query import Group, Query, Unit

TELLING = 25
"""Words of a document by which others are found."""

LOOKED_AT = 2_000
"""Words of a document of which those are chosen, the most frequent first."""


@dataclass(frozen=True)
class _TellingWord:
    lexeme: str
    times: int
    having: int
    documents: int
    words: int


async def find_similar(
    db: TenantDatabase, document_id: UUID, source: Source[SourceRow], limit: int, binding: Mapping[str, Any], cursor: str | None = None
) -> Found[SourceRow]:
    """The documents most like this one, without itself; none if it has no words of which others have any. Raises InvalidCursor."""
    source = replace(source, conditions=(*source.conditions, "d.id <> %(itself)s"), parameters={**source.parameters, "itself": document_id})
    async with db.transaction() as tx:
        if cursor is not None:
            made, added, position = page.decoded(cursor, binding)
            return await _page(tx, db.owner_id, made, source, limit, added, position, binding)
        found = await tx.fetch_all(
            """
            SELECT l.lexeme, l.times, t.documents AS having, all_of_them.documents::bigint AS documents, all_of_them.words::bigint AS words
            FROM document_search AS s
            CROSS JOIN (
                SELECT coalesce(sum(documents), 0) AS documents, coalesce(sum(words), 0) AS words
                FROM search_totals WHERE owner_id = %(owner)s
            ) AS all_of_them
            CROSS JOIN LATERAL (
                SELECT lexeme, get_byte(s.frequencies, place::integer - 1) AS times
                FROM unnest(s.lexemes) WITH ORDINALITY AS l (lexeme, place)
                WHERE length(lexeme) > 2 AND lexeme !~ '[0-9]'
                ORDER BY 2 DESC, 1 LIMIT %(most)s
            ) AS l
            JOIN search_terms AS t ON t.owner_id = %(owner)s AND t.lexeme = l.lexeme AND t.documents > 1
            WHERE s.owner_id = %(owner)s AND s.document_id = %(id)s
            """,
            {"owner": db.owner_id, "id": document_id, "most": LOOKED_AT},
            row=_TellingWord,
        )
        if not found:
            return Found([], None, [])
        documents = max(2, found[0].documents)

        def weight(word: _TellingWord) -> float:
            return log(1 + max(0.0, documents - word.having + 0.5) / (word.having + 0.5))

        telling = sorted(found, key=lambda word: weight(word) * log2(1 + word.times), reverse=True)[:TELLING]
        made = Plan(
            lexemes={word.lexeme: [(word.lexeme, 1.0)] for word in telling},
            stop_words=frozenset(),
            weights={at: weight(word) * log2(1 + word.times) for at, word in enumerate(telling)},
            documents=documents,
            average_words=max(1.0, found[0].words / documents),
            languages=(),
        )
        return await _page(tx, db.owner_id, made, source, limit, page.NOTHING_ADDED, None, binding)


async def _page(
    tx: Transaction,
    owner_id: UUID,
    made: Plan,
    source: Source[SourceRow],
    limit: int,
    added: page.Added,
    position: page.Position | None,
    binding: Mapping[str, Any],
) -> Found[SourceRow]:
    units = tuple(Unit((lexeme,), (lexeme,)) for lexeme in made.lexemes)
    query = Query((Group(units, (), (1,) * len(units)),))
    matches = await plan.again(tx, owner_id, made)
    ranked = plan.rank(query, matches)
    return await page.by_relevance(tx, owner_id, query, matches, ranked, source, limit, added, position, binding, 0)
