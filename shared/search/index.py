"""Writes the search index: what a document is found by, kept in `document_search` beside the document's row.

Call `index` in the transaction that stores the document's pages, `refresh_title` in the one that renames it or changes its notes; deletion
needs no call. A document that could not be read is indexed by its name: `index_name`.

A writer only appends to its own rows, so that concurrent writers neither wait for one another nor deadlock; every so many documents one of
them merges what has come into the postings (migration 0020), which search reads. Until then it is searched where it stands.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from shared.db import Transaction
from shared.search.analysis import ANALYSIS, analyse, length_code
from shared.search.stems import stemmer

MERGE_EVERY = 64
"""Changes that are merged at a time. Fewer cost more writes a document, more make each query look through more of them."""

MERGE_TRIED_EVERY = 8
"""One document in so many asks whether there is enough to merge: a round trip less for the others."""

_LARGE = 200_000
"""Characters from which a text is analysed beside the event loop."""


@dataclass(frozen=True)
class Indexed:
    """What became of a document's text: `is_cut` if it has more words than can be found, `is_without_phrases` if it has more phrases."""

    is_cut: bool
    is_without_phrases: bool


async def index(
    tx: Transaction,
    *,
    owner_id: UUID,
    document_id: UUID,
    language: str | None,
    filename: str,
    title: str,
    pages: Sequence[str],
    notes: str | None = None,
) -> Indexed:
    """Indexes the document, or indexes it anew. `language` is ISO 639-1; a language without a stemmer is searched word for word."""
    stem_by = stemmer(language)
    if sum(map(len, pages)) > _LARGE:
        made = await asyncio.to_thread(analyse, pages, language=stem_by, filename=filename, title=title, notes=notes)
    else:
        made = analyse(pages, language=stem_by, filename=filename, title=title, notes=notes)
    # Words as one text, a line each: arrays of a hundred thousand would be made in Python, word by word. No word holds a line's end.
    await tx.execute(
        """
        WITH passages AS (
            INSERT INTO document_passages (document_id, owner_id, words, pages, offsets)
            VALUES (
                %(id)s, %(owner)s, %(passage_words)b::integer[], %(passage_pages)b::integer[], %(passage_offsets)b::integer[]
            )
            ON CONFLICT (document_id) DO UPDATE SET words = excluded.words, pages = excluded.pages, offsets = excluded.offsets
        ), new_words AS (
            INSERT INTO search_new_words (owner_id, words, lexemes)
            SELECT %(owner)s, string_to_array(%(new_words)s, chr(10)), string_to_array(%(new_lexemes)s, chr(10)) WHERE %(new_words)s <> ''
        ), written AS (
            INSERT INTO document_search (
                document_id, owner_id, language, contents, name, words, number, lexemes, frequencies, length_code, neighbours,
                further, analysis
            )
            VALUES (
                %(id)s, %(owner)s, %(language)s, %(contents)s::tsvector, %(name)s::tsvector, %(words)s, nextval('search_numbers'),
                string_to_array(%(lexemes)s, chr(10)), %(frequencies)b, %(length_code)s, %(neighbours)b,
                %(further)s::text[]::tsvector[], %(analysis)s
            )
            ON CONFLICT (document_id) DO UPDATE
            SET language = excluded.language, contents = excluded.contents, name = excluded.name, words = excluded.words,
                number = excluded.number, lexemes = excluded.lexemes, frequencies = excluded.frequencies,
                length_code = excluded.length_code, neighbours = excluded.neighbours,
                further = excluded.further, analysis = excluded.analysis
        )
        SELECT 1
        """,
        {
            "id": document_id,
            "owner": owner_id,
            "language": stem_by,
            "contents": made.contents,
            "name": made.name,
            "words": made.words,
            "lexemes": "\n".join(made.lexemes),
            "frequencies": made.frequencies,
            "length_code": length_code(made.words),
            "neighbours": made.neighbours,
            "further": made.further or None,
            "analysis": ANALYSIS,
            "passage_words": made.passage_words,
            "passage_pages": made.passage_pages,
            "passage_offsets": made.passage_offsets,
            "new_words": "\n".join(made.new_words),
            "new_lexemes": "\n".join(made.new_lexemes),
        },
    )
    # By the random bits of the document's id, so that every owner's turn comes, whoever else writes.
    if document_id.int % MERGE_TRIED_EVERY == 0:
        await tx.execute("SELECT merge_search_changes(%(owner)s, %(enough)s)", {"owner": owner_id, "enough": MERGE_EVERY})
    return Indexed(is_cut=made.is_cut, is_without_phrases=made.is_without_phrases)


@dataclass(frozen=True)
class _Named:
    filename: str
    title: str
    notes: str | None


async def index_name(tx: Transaction, *, owner_id: UUID, document_id: UUID) -> None:
    """Lets a document that could not be read be found by its name. Does nothing for one that is indexed already."""
    named = await tx.fetch_one(
        """
        SELECT filename, title, notes FROM documents
        WHERE owner_id = %(owner)s AND id = %(id)s
            AND NOT EXISTS (SELECT FROM document_search WHERE owner_id = %(owner)s AND document_id = %(id)s)
        """,
        {"owner": owner_id, "id": document_id},
        row=_Named,
    )
    if named is not None:
        await index(
            tx,
            owner_id=owner_id,
            document_id=document_id,
            language=None,
            filename=named.filename,
            title=named.title,
            notes=named.notes,
            pages=[],
        )


@dataclass(frozen=True)
class _IndexedText:
    language: str | None
    notes: str | None
    pages: list[str]


async def refresh_title(tx: Transaction, *, owner_id: UUID, document_id: UUID, filename: str, title: str) -> None:
    """Indexes the document under its new name, and with its notes. Does nothing for a document that is not indexed."""
    text = await stored_text(tx, owner_id=owner_id, document_id=document_id)
    if text is not None:
        await index(
            tx,
            owner_id=owner_id,
            document_id=document_id,
            language=text.language,
            filename=filename,
            title=title,
            notes=text.notes,
            pages=text.pages,
        )


async def stored_text(tx: Transaction, *, owner_id: UUID, document_id: UUID) -> _IndexedText | None:
    """The language, the notes and the pages of a document that is indexed."""
    return await tx.fetch_one(
        """
        SELECT d.language, d.notes, ARRAY(
            SELECT p.text FROM document_pages AS p WHERE p.owner_id = %(owner)s AND p.document_id = %(id)s ORDER BY p.number
        ) AS pages
        FROM documents AS d JOIN document_search AS s ON s.owner_id = d.owner_id AND s.document_id = d.id
        WHERE d.owner_id = %(owner)s AND d.id = %(id)s
        """,
        {"owner": owner_id, "id": document_id},
        row=_IndexedText,
    )
