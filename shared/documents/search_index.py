"""Writes the search index: what `search` finds a document by, kept in `document_search` beside the document's row.

Call `index` in the transaction that stores the document's pages, `refresh_title` in the one that renames it; deletion needs no call. A
document that could not be read is indexed by its name: `index_name`.

Words come from `shared.documents.words` and are stemmed by PostgreSQL in the document's language. Snippets are cut from the first 16,000
words. A tsvector holds a megabyte. Of a text that needs more, every different word comes first and positions take what room is left, from
the beginning of the text on: what follows is found by its words, not by phrases. Positions begin again at 1 after 16,000 words, so that
phrases are found wherever they stand (and, very rarely, words that stand 16,000 apart are taken for one). If not even the different words
fit, the last of those with digits in them are left out, then the last of the others, and the document has the warning `index_cut_short`.

How many documents a word stands in is counted by triggers that only append, so that concurrent writers neither wait for one another nor
deadlock.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb

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
"""Positions of a text; a tsvector counts up to 16,383, and the name comes after them."""

POSITIONS_LOST = "…"
"""Marks documents where a word stands so often that not all its positions are kept (a tsvector has 255 for each). No word is written so."""

PASSAGE_WORDS = 40
"""Words between two places in a page that a snippet can start from."""

NAME_WORDS = 100
"""Words of a file name, and of a title, that count."""

GAP = "x" * (words.WORD_LIMIT + 1)
"""Keeps phrases from reaching over from one field into the next; longer than any word, so never one of the document's."""

COUNT_EVERY = 64
"""Changes that are added up at a time. Fewer cost more writes a document, more make each query look through more of them."""

_ROOM = 1_000_000
"""Bytes for the pages' words and positions. A tsvector has 2**20 - 1 (MAXSTRPOS) for the bytes of all lexemes and their positions; the
rest is for the name, and for the few stems that are longer than their words."""
_ROOM_FOR_POSITIONS = 150_000
"""Bytes of these that positions get at least: what begins a text is what snippets, phrases and ranking go by."""
_ROOM_TO_MERGE = 1_000_000
"""Bytes of the different words of each block, over all blocks: they are merged as text, of which tsvectorin() takes as much."""
_BYTES_PER_POSITIONED_WORD, _BYTES_PER_POSITION = 3, 2  # alignment and a count; WordEntryPos
_SURELY_FITS = 150_000
"""Bytes of text that fit whatever PostgreSQL's parser makes of them: at worst each byte becomes a lexeme with a position, six bytes."""

WARNING = "index_cut_short"
_WARNING_DETAIL = (
    "The text holds more different words than one document may be searched for. The last of them, numbers first, are not found."
)

_OFTEN = 2_000
"""Words a text has at least where one of them may stand 255 times."""


@dataclass
class _Text:
    """A document's words as they go into the index: with positions, in blocks of POSITIONS; without; and where its passages begin.

    `whole`: there was room for every different word."""

    blocks: list[list[str]] = field(default_factory=lambda: [[]])
    tail: list[str] = field(default_factory=list)
    whole: bool = True
    passage_words: list[int] = field(default_factory=list)
    passage_pages: list[int] = field(default_factory=list)
    passage_offsets: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class _Indexed:
    """The document that is indexed; `language` is its stemmer."""

    owner_id: UUID
    document_id: UUID
    language: str
    filename: str
    title: str


async def index(
    tx: Transaction, *, owner_id: UUID, document_id: UUID, language: str | None, filename: str, title: str, pages: Sequence[str]
) -> None:
    """Indexes the document, or indexes it anew. `language` is ISO 639-1; a language without a stemmer is searched word for word.

    A text that PostgreSQL cannot index whole is indexed in part, and the document's `warnings` say so."""
    document = _Indexed(owner_id=owner_id, document_id=document_id, language=stemmer(language), filename=filename, title=title)
    if _is_small(pages):
        await _write(tx, document, _cut(pages, _ROOM))
    elif not (await _write_what_fits(tx, document, pages)).whole:
        await _warn(tx, document)


async def _write_what_fits(tx: Transaction, document: _Indexed, pages: Sequence[str]) -> _Text:
    """Writes what there is room for by our count, and less as long as PostgreSQL, with its parser and stemmers, counts otherwise."""
    for room in (_ROOM, _ROOM // 2, _ROOM // 6):
        text = await asyncio.to_thread(_cut, pages, room)
        try:
            async with tx.savepoint():
                await _write(tx, document, text)
        except psycopg.errors.ProgramLimitExceeded:
            continue
        return text
    await _write(tx, document, nothing := _Text(whole=False))
    return nothing


async def _warn(tx: Transaction, document: _Indexed) -> None:
    await tx.execute(
        """
        UPDATE documents
        SET warnings = %(warning)s
            || coalesce((SELECT jsonb_agg(other) FROM jsonb_array_elements(warnings) AS other WHERE other->>'code' <> %(code)s), '[]')
        WHERE owner_id = %(owner)s AND id = %(id)s
        """,
        {
            "warning": Jsonb([{"code": WARNING, "detail": _WARNING_DETAIL}]),
            "code": WARNING,
            "owner": document.owner_id,
            "id": document.document_id,
        },
    )


async def _write(tx: Transaction, document: _Indexed, text: _Text) -> None:
    await tx.execute(
        """
        WITH stemmed AS MATERIALIZED (
            SELECT setweight(ts_delete(to_tsvector(%(configuration)s::regconfig, %(name)s), %(gap)s), 'A') AS name,
                CASE WHEN cardinality(%(blocks)s::text[]) = 1 THEN to_tsvector(%(configuration)s::regconfig, (%(blocks)s::text[])[1]) ELSE (
                    -- Merged as text: `||` would shift the positions. The first block keeps the weight D, which snippets go by.
                    SELECT string_agg(
                        CASE number WHEN 1 THEN stems ELSE setweight(stems, 'C') END::text, ' ' ORDER BY number
                    )::tsvector
                    FROM unnest(%(blocks)s::text[]) WITH ORDINALITY AS block (words, number),
                        to_tsvector(%(configuration)s::regconfig, block.words) AS stems
                ) END AS pages
        ), made AS (
            SELECT name, pages || strip(to_tsvector(%(configuration)s::regconfig, %(tail)s)) || array_to_tsvector(
                CASE WHEN %(words)s > %(often)s AND EXISTS (SELECT FROM unnest(pages) AS word WHERE cardinality(word.positions) >= 255)
                THEN ARRAY[%(lost)s] ELSE '{}' END
            ) AS pages
            FROM stemmed
        ), passages AS (
            INSERT INTO document_passages (document_id, owner_id, words, pages, offsets)
            VALUES (
                %(id)s, %(owner)s, %(passage_words)s::integer[], %(passage_pages)s::integer[], %(passage_offsets)s::integer[]
            )
            ON CONFLICT (document_id) DO UPDATE SET words = excluded.words, pages = excluded.pages, offsets = excluded.offsets
        )
        INSERT INTO document_search (document_id, owner_id, language, contents, name, words)
        SELECT %(id)s, %(owner)s, %(language)s, pages || name, name, %(words)s FROM made
        ON CONFLICT (document_id) DO UPDATE
        SET language = excluded.language, contents = excluded.contents, name = excluded.name, words = excluded.words
        """,
        {
            "id": document.document_id,
            "owner": document.owner_id,
            "language": document.language,
            "configuration": f"search_{document.language}",
            "gap": GAP,
            "name": _name(document.filename, document.title),
            "blocks": [" ".join(block) for block in text.blocks],
            "tail": " ".join(text.tail),
            "words": sum(len(block) for block in text.blocks),
            "often": _OFTEN,
            "lost": POSITIONS_LOST,
            "passage_words": text.passage_words,
            "passage_pages": text.passage_pages,
            "passage_offsets": text.passage_offsets,
        },
    )
    written = {*chain(*text.blocks), *text.tail, *_name_words(document.filename, document.title)}
    await _count(tx, document.owner_id, document.language, written)


@dataclass(frozen=True)
class _Named:
    filename: str
    title: str


async def index_name(tx: Transaction, *, owner_id: UUID, document_id: UUID) -> None:
    """Lets a document that could not be read be found by its name. Does nothing for one that is indexed already."""
    named = await tx.fetch_one(
        """
        SELECT filename, title FROM documents
        WHERE owner_id = %(owner)s AND id = %(id)s
            AND NOT EXISTS (SELECT FROM document_search WHERE owner_id = %(owner)s AND document_id = %(id)s)
        """,
        {"owner": owner_id, "id": document_id},
        row=_Named,
    )
    if named is not None:
        await index(tx, owner_id=owner_id, document_id=document_id, language=None, filename=named.filename, title=named.title, pages=[])


async def refresh_title(tx: Transaction, *, owner_id: UUID, document_id: UUID, filename: str, title: str) -> None:
    """Indexes the document's new name; its text stays as it is. Does nothing for a document that is not indexed."""
    language = await tx.fetch_value(
        """
        UPDATE document_search AS s
        SET name = made.name,
            contents = ts_filter(s.contents, '{c,d}')
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


def _cut(pages: Sequence[str], room: int) -> _Text:
    """The words that fit into `room` bytes of a tsvector."""
    small = _is_small(pages)
    different, whole = ({}, True) if small else _different_words(pages, room)
    text = _Text(whole=whole)
    positions_room = room - (_SURELY_FITS if small else sum(different.values()))
    merge_room = _ROOM_TO_MERGE
    placed: set[str] = set()
    in_block: set[str] = set()
    for number, page in enumerate(pages, 1):
        for count, (word, offset) in enumerate(words.placed(page)):
            if not small and word not in different:
                continue
            if len(text.blocks[-1]) == POSITIONS:
                text.blocks.append([])
                in_block = set()
            if word not in in_block:
                in_block.add(word)
                merge_room -= len(word.encode())
            positions_room -= _BYTES_PER_POSITION if word in placed else _BYTES_PER_POSITION + _BYTES_PER_POSITIONED_WORD
            if positions_room < 0 or merge_room < 0:
                text.tail = [other for other in different if other not in placed]
                return text
            placed.add(word)
            text.blocks[-1].append(word)
            if count % PASSAGE_WORDS == 0 and len(text.blocks) == 1:
                text.passage_words.append(len(text.blocks[-1]))
                text.passage_pages.append(number)
                text.passage_offsets.append(offset)
    return text


def _is_small(pages: Sequence[str]) -> bool:
    return sum(map(len, pages)) * 4 <= _SURELY_FITS  # UTF-8 takes four bytes for a character at most


def _different_words(pages: Sequence[str], room: int) -> tuple[dict[str, int], bool]:
    """The different words of a text with their sizes in bytes, as far as there is room, and whether these are all. Words of letters, of
    which a language has so many and no more, come before tables of numbers."""
    room -= min(_ROOM_FOR_POSITIONS, room)
    letters: dict[str, int] = {}
    others: dict[str, int] = {}
    letters_room = others_room = room
    whole = True
    for page in pages:
        for word in words.words(page):
            if word in letters or word in others:
                continue
            size = len(word.encode())
            if word.isalpha() and letters_room >= size:
                letters[word] = size
                letters_room -= size
            elif not word.isalpha() and others_room >= size:
                others[word] = size
                others_room -= size
            else:
                whole = False
    for word, size in others.items():
        if letters_room < size:
            return letters, False
        letters[word] = size
        letters_room -= size
    return letters, whole
