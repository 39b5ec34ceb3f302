"""What stands around a paper's own words in a long document: a letterhead, page after page of terms, and advertisements.

The stock is written by hand (papers/around_*.txt): letterheads, endings, passages that mention one of the other topics in passing, and
terms that say nothing of any. What is drawn for a paper depends on its number alone.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).with_name("papers")
PAGE_BREAK = "\f"

PAGES_OF_TERMS = 14
"""Of a long document, some 1,500 characters each; its own lines stand from page `FIRST_PAGE_OF_ITS_OWN` on."""
FIRST_PAGE_OF_ITS_OWN = 6
TERMS_A_PAGE = 5
LINES_TOGETHER = 3


@dataclass(frozen=True)
class _Stock:
    heads: Sequence[str]
    ends: Sequence[str]
    terms: Sequence[str]
    beside: Mapping[str, Sequence[str]] = field(default_factory=dict)


def sections(file: Path) -> dict[str, list[str]]:
    """A file's entries: sections begin with [name], a line with % parts two entries."""
    found: dict[str, list[str]] = {}
    section = ""
    for line in file.read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            section = line.strip("[]")
            found[section] = [""]
        elif section and line == "%":
            found[section].append("")
        elif section:
            found[section][-1] += line + "\n"
    return {name: [entry.strip("\n") for entry in entries] for name, entries in found.items()}


@cache
def _stock(language: str) -> _Stock:
    entries = sections(FOLDER / f"around_{language}.txt")
    beside = {name.removeprefix("beside "): found for name, found in entries.items() if name.startswith("beside ")}
    return _Stock(entries["head"], entries["end"], entries["terms"], beside)


def long(text: str, language: str, topic: str, number: int) -> str:
    """Some twenty thousand characters on `PAGES_OF_TERMS` pages: the paper's own lines stand together on late pages, three at a time; the
    first ones have a head, terms, and passages about two other topics."""
    draw = random.Random(number)
    stock = _stock(language)
    head, end, passing = _drawn(draw, stock, topic)
    pages = []
    for page in range(PAGES_OF_TERMS):
        chosen = draw.sample(list(stock.terms), TERMS_A_PAGE)
        pages.append([f"{page * TERMS_A_PAGE + place}. {entry}" for place, entry in enumerate(chosen, 1)])
    pages[0][:0] = [head]
    for page, passage in zip((0, 2), passing, strict=True):
        pages[page].insert(draw.randint(1, len(pages[page])), passage)
    own = [line for line in text.split("\n") if line.strip()]
    for start in range(0, len(own), LINES_TOGETHER):
        late = pages[draw.randint(FIRST_PAGE_OF_ITS_OWN - 1, PAGES_OF_TERMS - 1)]
        late.insert(draw.randint(0, len(late)), "\n".join(own[start : start + LINES_TOGETHER]))
    pages[-1].append(end)
    return PAGE_BREAK.join("\n\n".join(page) for page in pages)


def _drawn(draw: random.Random, stock: _Stock, topic: str) -> tuple[str, str, tuple[str, str]]:
    """A head, an ending that fits it, and passages about two other topics."""
    kind = draw.randrange(len(stock.heads))
    figures = {"{number}": str(draw.randint(100, 999)), "{day}": str(draw.randint(10, 28))}
    first, second = (draw.choice(stock.beside[other]) for other in draw.sample(sorted(set(stock.beside) - {topic}), 2))

    def filled(entry: str) -> str:
        for name, value in figures.items():
            entry = entry.replace(name, value)
        return entry

    return filled(stock.heads[kind]), filled(stock.ends[kind]), (filled(first), filled(second))
