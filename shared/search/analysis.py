"""A document's text as the index takes it: lexemes with their positions, how often each counts, and where passages begin.

Words come from `words`, their stems from `stems`, other spellings of numbers and dates from `spellings`. What the index cannot hold of a
huge document is left out: beyond LEXEMES different words, new ones (`is_cut`), and beyond FURTHER tsvectors, phrases
(`is_without_phrases`). A tsvector has positions for 16,000 words, and for 255 places of each, so pages that have more are held by tsvectors
of their own (`further`), in which phrases are found; a phrase that begins on a page in one and ends on the next page in another is not.
"""

from bisect import bisect_left
from collections import Counter, defaultdict
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

FURTHER = 400
"""Tsvectors of what is further on in a document; ten million characters of prose have 110."""

NEW_WORDS = 5_000
"""Different words of a document that are kept as they are written, for typos and suggestions."""

_NAME_AT = POSITIONS + 20
_MOST_POSITIONS = 255
_OVERLAP = 16
# A tsvector holds at most 2**20 - 1 bytes; these leave room for alignment and the name. Only words of a hundred letters take so many.
_POSITIONED_BYTES, _ALL_BYTES = 750_000, 950_000
_BYTES_PER_LEXEME, _BYTES_PER_POSITION = 6, 2


@dataclass
class Analysis:
    """What is written for a document. `contents` and `name` are tsvectors in PostgreSQL's notation; `words` is the text's length
    without its commonest words; a long document has no `neighbours`, but tsvectors of what is `further` on."""

    contents: str
    name: str
    words: int
    lexemes: list[str]
    frequencies: bytes
    new_words: list[str]
    new_lexemes: list[str]
    neighbours: bytes | None = None
    further: list[str] = field(default_factory=list)
    passage_words: list[int] = field(default_factory=list)
    passage_pages: list[int] = field(default_factory=list)
    passage_offsets: list[int] = field(default_factory=list)
    is_cut: bool = False
    is_without_phrases: bool = False


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


_Placed = list[tuple[str, bool, list[int]]]
"""Lexemes with their places, and whether they say something: of small words, a phrase may have any."""


@dataclass
class _Further:
    """Words behind those that `contents` has the positions of, from the place `first` on."""

    first: int
    positions: dict[str, list[int]] = field(default_factory=dict)
    size: int = 0
    positions_lost: bool = False

    def take(self, placed: _Placed, end: int) -> bool:
        """Takes words up to the place `end`, if there is room for their positions; a few there always is."""
        size = self.size
        counts: dict[str, int] = {}
        is_crowded = end - self.first > POSITIONS
        for lexeme, is_telling, places in placed:
            size += 4 * len(lexeme) + _BYTES_PER_LEXEME + _BYTES_PER_POSITION * len(places)
            counts[lexeme] = counts.get(lexeme, len(self.positions.get(lexeme, ()))) + len(places)
            is_crowded |= is_telling and counts[lexeme] > _MOST_POSITIONS
        if (is_crowded or size > _POSITIONED_BYTES) and end - self.first > _MOST_POSITIONS:
            return False
        self.size = size
        for lexeme, _, places in placed:
            known = self.positions.setdefault(lexeme, [])
            self.positions_lost |= len(places) > _MOST_POSITIONS - len(known)
            known += places[: _MOST_POSITIONS - len(known)]
        return True

    def contents(self) -> str:
        written = [f"'{lexeme}':{','.join([str(place - self.first + 1) for place in places])}" for lexeme, places in self.positions.items()]
        return " ".join([*written, _quoted(POSITIONS_LOST)] if self.positions_lost else written)


class _Analyser:
    def __init__(self, language: str) -> None:
        self.language = language
        self.counts: dict[str, int] = {}
        self.positions: dict[str, list[int]] = {}
        self.unplaced: set[str] = set()
        self.further: list[_Further] = []
        self.written: dict[str, str] = {}
        self.size = 0
        self.length = 0
        self.telling = 0
        self.positions_lost = False
        self.is_cut = False
        self.is_without_phrases = False

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
        contents = [
            f"'{lexeme}':{written[places[0]] if len(places) == 1 else ','.join([written[place] for place in places])}"
            for lexeme, places in self.positions.items()
        ]
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
            further=[further.contents() for further in self.further],
            passage_words=passages[0],
            passage_pages=passages[1],
            passage_offsets=passages[2],
            is_cut=self.is_cut,
            is_without_phrases=self.is_without_phrases,
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
        places: defaultdict[str, list[int]] = defaultdict(list)
        for place, token in enumerate(found, first):
            places[token].append(place)
        is_further = self.length > POSITIONS
        # Most pages have room for all of it: then there is nothing to ask word by word, of which a page has hundreds.
        is_roomy = not is_further and self.size + 16 * len(page) < _POSITIONED_BYTES
        is_roomy &= len(self.counts) + 4 * len(places) < LEXEMES_WITH_DIGITS and len(self.written) + 2 * len(places) < NEW_WORDS
        counts, positions, language = self.counts, self.positions, self.language
        for token, here in places.items():
            lexemes, is_telling, spoken = _known(token, language)
            times = len(here)
            if is_telling:
                self.telling += times
            if spoken and spoken not in self.written:
                self._learn(spoken, lexemes[0])
            for lexeme in lexemes:
                if is_roomy and lexeme not in positions and times < _MOST_POSITIONS:
                    counts[lexeme] = counts.get(lexeme, 0) + times
                    positions[lexeme] = here[:]
                    self.size += _size(lexeme) + _BYTES_PER_POSITION * times
                else:
                    self._count(lexeme, times)
                    is_further |= not self._place(lexeme, here) and is_telling
        if not page.isascii():
            self._pairs(list(zip(found, starts, strict=True)), 1, self._count)
        spelt: _Placed = []
        for left, right, joined in words.hyphenated(page, found, starts):
            here = list(range(first + left, first + right + 1))
            for lexeme in self._lexemes(joined)[0]:
                is_further |= not self._place(lexeme, here)
                self._count(lexeme)
                spelt.append((lexeme, True, here))
        for spelling in spellings(page):
            here = list(range(first + bisect_left(starts, spelling.start), first + bisect_left(starts, spelling.end)))
            for lexeme in spelling.lexemes:
                is_further |= not self._place(lexeme, here)
                self._count(lexeme)
                if here:
                    spelt.append((lexeme, True, here))
        if is_further:
            placed = [(lexeme, self._lexemes(token)[1], here) for token, here in places.items() for lexeme in self._lexemes(token)[0]]
            self._go_further(placed + spelt, first, self.length)

    def _pairs(self, found: Sequence[tuple[str, int]], weight: int, count: Callable[[str, int], None]) -> None:
        """Counts each two neighbours of a script in which a run of characters is a word or several."""
        for (left, start), (right, next_start) in pairwise(found):
            if start + len(left) == next_start and words.stands_alone(left) and words.stands_alone(right):
                count(self._lexemes(left)[0][0] + self._lexemes(right)[0][0], weight)

    def _lexemes(self, token: str) -> tuple[tuple[str, ...], bool]:
        lexemes, is_telling, spoken = _known(token, self.language)
        if spoken and spoken not in self.written:
            self._learn(spoken, lexemes[0])
        return lexemes, is_telling

    def _learn(self, spoken: str, lexeme: str) -> None:
        if len(self.written) < NEW_WORDS:
            self.written[spoken] = lexeme
            if not spoken.isascii():
                # For those who type a part of it without accents.
                self.written.setdefault(words.fold(spoken), lexeme)

    def _count(self, lexeme: str, times: int = 1) -> None:
        if lexeme in self.counts:
            self.counts[lexeme] += times
        elif len(self.counts) < LEXEMES_WITH_DIGITS or (len(self.counts) < LEXEMES and lexeme.isalpha()):
            self.counts[lexeme] = times
        else:
            self.is_cut = True

    def _go_further(self, placed: _Placed, first: int, end: int) -> None:
        """Keeps words with positions beyond `contents`: a page whole if it has room, in parts that overlap if not."""
        if self.further and self.further[-1].take(placed, end):
            return
        if len(self.further) == FURTHER:
            self.is_without_phrases = True
            return
        further = _Further(first)
        if further.take(placed, end):
            self.further.append(further)
            return
        parts: list[_Placed] = [[] for _ in range(max(2, -(-(end - first) // (POSITIONS - _OVERLAP))))]
        length = -(-(end - first) // len(parts))
        for lexeme, is_telling, places in placed:
            for number in range(max(0, places[0] - _OVERLAP - first) // length, (places[-1] - first) // length + 1):
                begins = first + number * length
                if here := places[bisect_left(places, begins) : bisect_left(places, begins + length + _OVERLAP)]:
                    parts[number].append((lexeme, is_telling, here))
        for number, part in enumerate(parts):
            begins = first + number * length
            self._go_further(part, begins, min(end, begins + length + _OVERLAP))

    def _place(self, lexeme: str, places: Sequence[int]) -> bool:
        """Keeps a lexeme's places in `contents`; whether there is room for them."""
        if self.length > POSITIONS:
            places = places[: bisect_left(places, POSITIONS)]
            if not places:
                if lexeme not in self.positions and lexeme not in self.unplaced and self.size < _ALL_BYTES:
                    self.size += _size(lexeme)
                    self.unplaced.add(lexeme)
                return True
        known = self.positions.get(lexeme)
        if self.size >= _POSITIONED_BYTES:
            if known is None and lexeme not in self.unplaced and self.size < _ALL_BYTES:
                self.size += _size(lexeme)
                self.unplaced.add(lexeme)
            return False
        if known is None:
            self.size += _size(lexeme)
            known = self.positions[lexeme] = []
        room = _MOST_POSITIONS - len(known)
        is_room = len(places) <= room
        if not is_room:
            self.positions_lost = True
            places = places[:room]
        self.size += _BYTES_PER_POSITION * len(places)
        known += places
        return is_room

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


@cache
def _written_positions() -> list[str]:
    """How a tsvector's positions are written, by place in the text. They keep the weight D, which snippets go by."""
    return [str(place + 1) for place in range(POSITIONS)]


def _size(lexeme: str) -> int:
    return (len(lexeme) if lexeme.isascii() else len(lexeme.encode())) + _BYTES_PER_LEXEME


def _quoted(lexeme: str) -> str:
    """Lexemes hold letters, digits and marks (`words.fold`), or a spelling's `=`, `.` and `-`: nothing that would end a quotation."""
    return f"'{lexeme}'"


def _named(lexeme: str, places: Iterable[int], first: int) -> str:
    listed = ",".join([f"{first + at}A" for at in places])
    return f"{_quoted(lexeme)}:{listed}" if listed else _quoted(lexeme)
