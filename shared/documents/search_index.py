"""Writes the search index: what `search` finds a document by, kept in `document_search` beside the document's row.

Call `index` in the transaction that stores the document's pages, `refresh_title` in the one that renames it; deletion needs no call. A
document without text (not read yet, or failed) is indexed by its name: `index(..., pages=[])`.

Words come from `shared.documents.words` and are stemmed by PostgreSQL in the document's language. The first 16,000 words have positions:
phrases are found and snippets cut there; the words beyond are found, too, each by itself. How many documents a word stands in is counted by
triggers that only append, so that concurrent writers neither wait for one another nor deadlock.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from shared.db import Transaction
from shared.documents import words

LANGUAGES = {
    "ar": "arabic", "hy": "armenian", "eu": "basque", "ca": "catalan", "da": "danish", "nl": "dutch", "en": "english", "fi": "finnish",
    "fr": "french", "de": "german", "el": "greek", "hi": "hindi", "hu": "hungarian", "id": "indonesian", "ga": "irish", "it": "italian",
    "lt": "lithuanian", "ne": "nepali", "no": "norwegian", "nb": "norwegian", "nn": "norwegian", "pt": "portuguese", "ro": "romanian",
    "ru": "russian", "sr": "serbian", "es": "spanish", "sv": "swedish", "ta": "tamil", "tr": "turkish", "yi": "yiddish",
}  # fmt: skip
"""ISO 639-1 to the snowball stemmer of both PostgreSQL 17 and 18; migration 0006 makes a configuration `search_…` of each."""

POSITIONS = 16_000
"""Words that get positions; a tsvector counts up to 16,383, and the name comes after them."""

PASSAGE_WORDS = 40
"""Words between two places in a page that a snippet can start from."""

NAME_WORDS = 100
"""Words of a file name, and of a title, that count."""

GAP = "x" * (words.WORD_LIMIT + 1)
"""Keeps phrases from reaching over from one field into the next; longer than any word, so never one of the document's."""

COUNT_EVERY = 64
"""Changes that are added up at a time. Fewer cost more writes a document, more make each query look through more of them."""

# A tsvector holds at most 2**20 - 1 bytes; these leave room for alignment and the name.
_HEAD_BYTES = 600_000
_ALL_BYTES = 900_000
_BYTES_PER_POSITION = 4


@dataclass
class _Text:
    """A document's words as they go into the index: `head` with positions, `tail` without, and where its passages begin."""

    head: list[str] = field(default_factory=list)
    tail: list[str] = field(default_factory=list)
    passage_words: list[int] = field(default_factory=list)
    passage_pages: list[int] = field(default_factory=list)
    passage_offsets: list[int] = field(default_factory=list)


async def index(
    tx: Transaction, *, owner_id: UUID, document_id: UUID, language: str | None, filename: str, title: str, pages: Sequence[str]
) -> None:
    """Indexes the document, or indexes it anew. `language` is ISO 639-1; a language without a stemmer is searched word for word."""
    text = _cut(pages)
    stem_by = stemmer(language)
    await tx.execute(
        """
        WITH made AS (
            SELECT setweight(ts_delete(to_tsvector(%(configuration)s::regconfig, %(name)s), %(gap)s), 'A') AS name,
                to_tsvector(%(configuration)s::regconfig, %(head)s) || strip(to_tsvector(%(configuration)s::regconfig, %(tail)s)) AS pages
        )
        INSERT INTO document_search (
            document_id, owner_id, language, contents, name, words, passage_words, passage_pages, passage_offsets
        )
        SELECT %(id)s, %(owner)s, %(language)s, pages || name, name, %(words)s, %(passage_words)s::integer[], %(passage_pages)s::integer[],
            %(passage_offsets)s::integer[]
        FROM made
        ON CONFLICT (document_id) DO UPDATE
        SET language = excluded.language, contents = excluded.contents, name = excluded.name, words = excluded.words,
            passage_words = excluded.passage_words, passage_pages = excluded.passage_pages, passage_offsets = excluded.passage_offsets
        """,
        {
            "id": document_id,
            "owner": owner_id,
            "language": stem_by,
            "configuration": f"search_{stem_by}",
            "gap": GAP,
            "name": _name(filename, title),
            "head": " ".join(text.head),
            "tail": " ".join(text.tail),
            "words": len(text.head),
            "passage_words": text.passage_words,
            "passage_pages": text.passage_pages,
            "passage_offsets": text.passage_offsets,
        },
    )
    await _count(tx, owner_id, stem_by, {*text.head, *text.tail, *_name_words(filename, title)})


async def refresh_title(tx: Transaction, *, owner_id: UUID, document_id: UUID, filename: str, title: str) -> None:
    """Indexes the document's new name; its text stays as it is. Does nothing for a document that is not indexed."""
    language = await tx.fetch_value(
        """
        UPDATE document_search AS s
        SET name = made.name,
            contents = ts_filter(s.contents, '{d}')
                || coalesce((SELECT array_to_tsvector(array_agg(lexeme)) FROM unnest(s.contents) WHERE positions IS NULL), '') || made.name
        FROM (
            SELECT setweight(ts_delete(to_tsvector(('search_' || language)::regconfig, %(name)s), %(gap)s), 'A') AS name
            FROM document_search
            WHERE owner_id = %(owner)s AND document_id = %(id)s
        ) AS made
        WHERE s.owner_id = %(owner)s AND s.document_id = %(id)s
        RETURNING s.language
        """,
        {"owner": owner_id, "id": document_id, "name": _name(filename, title), "gap": GAP},
    )
    if language is not None:
        await _count(tx, owner_id, language, set(_name_words(filename, title)))


def stemmer(language: str | None) -> str:
    """The stemmer of a language (ISO 639-1), `simple` where there is none."""
    return LANGUAGES.get((language or "").lower()[:2], "simple")


def name_positions(filename: str, title: str) -> tuple[int, int]:
    """The positions in `document_search.name` of the first word of the file name and of the title."""
    return 2, 2 + len(words.words(filename)[:NAME_WORDS]) + 1


def _name(filename: str, title: str) -> str:
    return " ".join([GAP, *words.words(filename)[:NAME_WORDS], GAP, *words.words(title)[:NAME_WORDS]])


def _name_words(filename: str, title: str) -> list[str]:
    return [*words.words(filename)[:NAME_WORDS], *words.words(title)[:NAME_WORDS]]


async def _count(tx: Transaction, owner_id: UUID, language: str, written: set[str]) -> None:
    """Leaves the words for those who mistype them, and has the changes added up now and then."""
    await tx.execute(
        """
        WITH new AS (
            INSERT INTO search_new_words (owner_id, language, words) VALUES (%(owner)s, %(language)s, %(words)s)
        )
        SELECT count_search_changes(%(owner)s, %(enough)s)
        """,
        {"owner": owner_id, "language": language, "words": [w for w in written if len(w) > 2 and w.isalpha()], "enough": COUNT_EVERY},
    )


def _cut(pages: Sequence[str]) -> _Text:
    text = _Text()
    tail: dict[str, None] = {}
    size = 0
    for number, page in enumerate(pages, 1):
        for position, (word, offset) in enumerate(words.placed(page)):
            if len(text.head) < POSITIONS and size < _HEAD_BYTES and not tail:
                size += len(word.encode()) + _BYTES_PER_POSITION
                text.head.append(word)
                if position % PASSAGE_WORDS == 0:
                    text.passage_words.append(len(text.head))
                    text.passage_pages.append(number)
                    text.passage_offsets.append(offset)
            elif size >= _ALL_BYTES:
                text.tail = list(tail)
                return text
            elif word not in tail:
                size += len(word.encode()) + _BYTES_PER_POSITION
                tail[word] = None
    text.tail = list(tail)
    return text
