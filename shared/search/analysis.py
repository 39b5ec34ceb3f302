"""A document's text as the index takes it: lexemes with their positions, how often each counts, and where passages begin.

Words come from `words`, their stems from `stems`, other spellings of numbers and dates from `spellings`. What the index cannot hold of a
huge document is left out in this order, and `is_cut` says so where something cannot be found at all: positions begin again at 1 after
16,000 words, so that phrases are found wherever they stand (and, very rarely, words that stand 16,000 apart are taken for one); beyond
some hundred thousand words, words are found without their positions; beyond LEXEMES different words, new ones no more.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
from itertools import pairwise
from math import log2

from shared.search import words
from shared.search.neighbours import neighbours_of
from shared.search.spellings import spellings
from shared.search.stems import small_words, stems

ANALYSIS = 3
"""Rises with each change of what the index holds for the same text: documents with less are indexed anew."""

POSITIONS = 16_000
"""Positions of a text; a tsvector counts up to 16,383, and the name comes after them."""

POSITIONS_LOST = "…"
"""Marks documents in which a word stands so often that not all its positions are kept (a tsvector has 255 for each). No word is written
so."""

PASSAGE_WORDS = 40
"""Words between two places in a page that a snippet can start from."""

NAME_WORDS = 100
"""Words of a file name, and of a title, that count."""

NAME_WEIGHT = 3
"""A word in the file name or the title counts as often in the text."""

HEADING_WORDS, HEADING_WEIGHT = 25, 2
"""The first line of a text, if it is no longer than this and a blank line follows, is a heading: its words count twice."""

LEXEMES, LEXEMES_WITH_DIGITS = 200_000, 150_000
"""Different words of a document that can be found: of those with digits fewer, so that a table's numbers do not use up the room of words,
of which a language has so many and no more."""

KNOWN_WORDS = 32_768
"""Words whose stems a process remembers."""

NEW_WORDS = 5_000
"""Different words of a document that are kept as they are written, for typos and suggestions."""

_NAME_AT = POSITIONS + 20
_MOST_POSITIONS = 255
# A tsvector holds at most 2**20 - 1 bytes; these leave room for alignment and the name.
_POSITIONED_BYTES, _ALL_BYTES = 750_000, 950_000
_BYTES_PER_LEXEME, _BYTES_PER_POSITION = 6, 2


@dataclass
class Analysis:
    """What is written for a document. `contents` and `name` are tsvectors in PostgreSQL's notation; `words` is the text's length
    without its commonest words; a long document has no `neighbours`."""

    contents: str
    name: str
    words: int
    lexemes: list[str]
    frequencies: bytes
    new_words: list[str]
    new_lexemes: list[str]
    neighbours: bytes | None = None
    passage_words: list[int] = field(default_factory=list)
    passage_pages: list[int] = field(default_factory=list)
    passage_offsets: list[int] = field(default_factory=list)
    is_cut: bool = False


def length_code(count: int) -> int:
    """A length on a logarithmic scale, in a byte: twelve steps an octave."""
    return min(255, round(12 * log2(count + 1)))


def name_positions(filename: str, title: str) -> tuple[int, int]:
    """The positions in the name's tsvector of the first word of the file name and of the title."""
    return 2, 2 + len(words.words(filename)[:NAME_WORDS]) + 1


def positions_of(text: str, lexemes: Collection[str], *, language: str) -> frozenset[int]:
    """The positions of a text's words that have any of these lexemes; the first word's is 1. `language` is a stemmer's name."""
    wanted = frozenset(lexemes)
    return frozenset(at for at, (token, _) in enumerate(words.tokens(text), 1) if wanted.intersection(_known(token, language)[0]))


def analyse(pages: Sequence[str], *, language: str, filename: str, title: str, notes: str | None = None) -> Analysis:
    """Analyses a document; `language` is a stemmer's name. Notes are its page 0."""
    return _Analyser(language).analyse(pages, filename, title, notes)


class _Analyser:
    def __init__(self, language: str) -> None:
        self.language = language
        self.counts: dict[str, int] = {}
        self.positions: dict[str, list[int]] = {}
        self.unplaced: set[str] = set()
        self.written: dict[str, str] = {}
        self.size = 0
        self.length = 0
        self.telling = 0
        self.positions_lost = False
        self.is_cut = False

    def analyse(self, pages: Sequence[str], filename: str, title: str, notes: str | None) -> Analysis:
        passages: tuple[list[int], list[int], list[int]] = ([], [], [])
        name = self._name(filename, title)  # first: whatever the text needs, a document is found by its name
        if notes:
            self._page(0, notes, passages)
        for number, page in enumerate(pages, 1):
            self._page(number, page, passages)
        if pages:
            self._heading(pages[0])
        written = _written_positions()
        contents = [f"{_quoted(lexeme)}:{','.join([written[place] for place in places])}" for lexeme, places in self.positions.items()]
        contents += [_quoted(lexeme) for lexeme in self.unplaced if lexeme not in self.positions]
        if self.positions_lost:
            contents.append(_quoted(POSITIONS_LOST))
        lexemes = sorted(self.counts)
        return Analysis(
            contents=" ".join([*contents, *(_named(lexeme, places, _NAME_AT) for lexeme, places in name.items())]),
            name=" ".join(_named(lexeme, places, 0) for lexeme, places in name.items()),
            words=self.telling,
            lexemes=lexemes,
            frequencies=bytes([min(255, self.counts[lexeme]) for lexeme in lexemes]),
            new_words=list(self.written),
            new_lexemes=list(self.written.values()),
            neighbours=self._neighbours(name),
            passage_words=passages[0],
            passage_pages=passages[1],
            passage_offsets=passages[2],
            is_cut=self.is_cut,
        )

    def _neighbours(self, name: dict[str, list[int]]) -> bytes | None:
        if self.positions_lost or self.unplaced:
            return None
        positions: dict[str, list[int]] = dict(self.positions)
        for lexeme, places in name.items():
            positions[lexeme] = [*positions.get(lexeme, ()), *(_NAME_AT + at for at in places)]
        return neighbours_of(positions)

    def _page(self, number: int, page: str, passages: tuple[list[int], list[int], list[int]]) -> None:
        found, starts = words.cut(page)
        first = self.length
        self.length += len(found)
        if self.size < _POSITIONED_BYTES:
            room = max(0, min(len(found), POSITIONS - first))
            passages[0].extend(range(first + 1, first + room + 1, PASSAGE_WORDS))
            passages[1].extend([number] * len(range(0, room, PASSAGE_WORDS)))
            passages[2].extend(starts[:room:PASSAGE_WORDS])
        places: dict[str, list[int]] = {}
        for place, token in enumerate(found, first):
            if token in places:
                places[token].append(place)
            else:
                places[token] = [place]
        for token, here in places.items():
            lexemes, is_telling = self._lexemes(token)
            if is_telling:
                self.telling += len(here)
            for lexeme in lexemes:
                self._count(lexeme, len(here))
                self._place(lexeme, here)
        if not page.isascii():
            self._pairs(list(zip(found, starts, strict=True)), 1, self._count)
        for spelling in spellings(page):
            here = list(range(first + bisect_left(starts, spelling.start), first + bisect_left(starts, spelling.end)))
            for lexeme in spelling.lexemes:
                self._place(lexeme, here)
                self._count(lexeme)

    def _pairs(self, found: Sequence[tuple[str, int]], weight: int, count: Callable[[str, int], None]) -> None:
        """Counts each two neighbours of a script in which a run of characters is a word or several."""
        for (left, start), (right, next_start) in pairwise(found):
            if start + len(left) == next_start and words.stands_alone(left) and words.stands_alone(right):
                count(self._lexemes(left)[0][0] + self._lexemes(right)[0][0], weight)

    def _lexemes(self, token: str) -> tuple[tuple[str, ...], bool]:
        lexemes, is_telling, spoken = _known(token, self.language)
        if spoken and len(self.written) < NEW_WORDS:
            self.written.setdefault(spoken, lexemes[0])
            if not spoken.isascii():
                # For those who type a part of it without accents.
                self.written.setdefault(words.fold(spoken), lexemes[0])
        return lexemes, is_telling

    def _count(self, lexeme: str, times: int = 1) -> None:
        if lexeme in self.counts:
            self.counts[lexeme] += times
        elif len(self.counts) < LEXEMES_WITH_DIGITS or (len(self.counts) < LEXEMES and lexeme.isalpha()):
            self.counts[lexeme] = times
        else:
            self.is_cut = True

    def _place(self, lexeme: str, places: Sequence[int]) -> None:
        known = self.positions.get(lexeme)
        if self.size >= _POSITIONED_BYTES:
            if known is None and lexeme not in self.unplaced and self.size < _ALL_BYTES:
                self.size += len(lexeme.encode()) + _BYTES_PER_LEXEME
                self.unplaced.add(lexeme)
            return
        if known is None:
            self.size += len(lexeme.encode()) + _BYTES_PER_LEXEME
            known = self.positions[lexeme] = []
        room = _MOST_POSITIONS - len(known)
        if len(places) > room:
            self.positions_lost = True
            places = places[:room]
        self.size += _BYTES_PER_POSITION * len(places)
        known += places

    def _heading(self, page: str) -> None:
        line, _, rest = page.lstrip().partition("\n")
        if not rest.split("\n", 1)[0].strip() and len(line) < 20 * HEADING_WORDS:
            heading = [token for token, _ in words.tokens(line)]
            if rest.strip() and len(heading) <= HEADING_WORDS:
                for token in heading:
                    lexemes, is_telling = self._lexemes(token)
                    self.telling += (HEADING_WEIGHT - 1) * is_telling
                    for lexeme in lexemes:
                        self._count(lexeme, HEADING_WEIGHT - 1)

    def _name(self, filename: str, title: str) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        first = 2
        weights: Counter[str] = Counter()
        for text in (filename, title):
            tokens = list(words.tokens(text))[:NAME_WORDS]
            here: Counter[str] = Counter()
            for at, (token, _) in enumerate(tokens, first):
                for lexeme in self._lexemes(token)[0]:
                    found.setdefault(lexeme, []).append(at)
                    here[lexeme] += NAME_WEIGHT
            self._pairs(tokens, NAME_WEIGHT, lambda lexeme, weight, here=here: here.update({lexeme: weight}))  # type: ignore[misc]
            for spelling in spellings(text):
                for lexeme in spelling.lexemes:
                    here[lexeme] += NAME_WEIGHT
                    found.setdefault(lexeme, []).extend(
                        at for at, (_, start) in enumerate(tokens, first) if spelling.start <= start < spelling.end
                    )
            # A title that repeats the file name says nothing more.
            weights |= here
            first += len(tokens) + 1
        for lexeme, weight in weights.items():
            self._count(lexeme, weight)
        return found


@lru_cache(maxsize=KNOWN_WORDS)
def _known(token: str, language: str) -> tuple[tuple[str, ...], bool, str]:
    """A word's lexemes, whether it makes a document longer, and as it is spoken where that is kept for typos and suggestions."""
    spoken = words.spoken(token)
    lexemes = stems(spoken, language) or (words.fold(token),)
    return lexemes, token.lower() not in small_words(language), spoken if len(spoken) > 2 and words.is_plain(spoken) else ""


class _Positions(dict[int, str]):
    """How a tsvector's position is written, by place in the text; the first block keeps the weight D, which snippets go by."""

    def __missing__(self, place: int) -> str:
        return f"{place % POSITIONS + 1}C"


@cache
def _written_positions() -> _Positions:
    return _Positions({place: str(place + 1) for place in range(POSITIONS)})


def _quoted(lexeme: str) -> str:
    return "'" + lexeme.replace("\\", "\\\\").replace("'", "''") + "'"


def _named(lexeme: str, places: Iterable[int], first: int) -> str:
    listed = ",".join([f"{first + at}A" for at in places])
    return f"{_quoted(lexeme)}:{listed}" if listed else _quoted(lexeme)
