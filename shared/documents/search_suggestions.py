"""What a person may be about to type: words of the documents, titles, topics, senders."""

from shared.db import TenantDatabase
from shared.documents import listing
from shared.documents.listing import Filters
from shared.documents.models import SearchSuggestion
from shared.documents.name_keys import name_key
from shared.search import words
from shared.search.query import parse

EACH = 5
"""Suggestions of each kind."""


async def suggest(db: TenantDatabase, text: str) -> list[SearchSuggestion]:
    """Suggestions for what has been typed so far: topics, senders, words that end the last one, titles of the best documents."""
    typed = words.words(text)
    last = text.split()[-1] if text.split() else ""
    if not typed or not words.words(last):
        return []
    spoken = words.spoken(last)
    async with db.transaction() as tx:
        found = await tx.fetch_all(
            """
            SELECT 'topic' AS kind, name AS text, NULL::uuid AS document_id FROM (
                SELECT name FROM topics WHERE owner_id = %(owner)s AND starts_with(name_key, %(key)s) ORDER BY name_key LIMIT %(each)s
            ) AS named
            UNION ALL
            SELECT 'sender', name, NULL FROM (
                SELECT name FROM senders WHERE owner_id = %(owner)s AND starts_with(name_key, %(key)s) ORDER BY name_key LIMIT %(each)s
            ) AS named
            UNION ALL
            SELECT 'word', word, NULL FROM (
                SELECT near.word FROM search_like(ARRAY[%(pattern)s], 200) AS near
                LEFT JOIN search_terms AS t ON t.owner_id = %(owner)s AND t.lexeme = near.lexeme
                ORDER BY coalesce(t.documents, 0) DESC, length(near.word), near.word LIMIT %(each)s
            ) AS near
            """,
            {"owner": db.owner_id, "key": name_key(text.strip()).partition("\x01")[0], "pattern": _like(spoken) + "%", "each": EACH},
            row=SearchSuggestion,
        )
    query = parse(text.strip().rstrip("*") + "*")
    titles = await listing.find(db, query, text, Filters(), "-relevance", 4 * EACH)
    named = [hit.row for hit in titles.hits if any(word.startswith(typed[-1]) for word in words.words(hit.row.title))]
    return [*found, *(SearchSuggestion(kind="title", text=row.title, document_id=row.id) for row in named[:EACH])]


def _like(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
