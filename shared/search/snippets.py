"""Snippets: a few words of a document with the matches between `<mark>` and `</mark>`, everything else escaped for HTML.

The marks are put between pieces of text that are escaped one by one, so nothing that stands in a document can become markup.
"""

import re
from collections.abc import Collection
from html import escape

from shared.search import words

SNIPPET_WORDS = 32

_BLANKS = re.compile(r"[\s\x00-\x1f\x7f-\x9f]+")


def cut(text: str, marked: Collection[int], *, first: int = 1) -> str:
    """The part of `text` with the most marked words, as HTML.

    `marked` are positions of words; the text's first word has position `first`.
    """
    places = [(start, end, first + number in marked) for number, (start, end) in enumerate(words.spans(text))]
    begin = _best_window([is_marked for _, _, is_marked in places])
    window = places[begin : begin + SNIPPET_WORDS]
    if not window:
        return ""
    # At either end of the text, what stands around its words belongs to it: a quotation mark, a full stop.
    start = window[0][0] if begin else 0
    end = window[-1][1] if begin + SNIPPET_WORDS < len(places) else len(text)
    html = "… " if begin else ""
    position = start
    for word_start, word_end, is_marked in window:
        if is_marked:
            html += f"{_plain(text[position:word_start])}<mark>{_plain(text[word_start:word_end])}</mark>"
            position = word_end
    html += _plain(text[position:end]) + (" …" if end < len(text) else "")
    return html.replace("</mark><mark>", "").strip()


def _plain(text: str) -> str:
    return escape(_BLANKS.sub(" ", text), quote=True)


def _best_window(marks: list[bool]) -> int:
    """Where SNIPPET_WORDS words begin that hold the most marks, with some words before the first of them."""
    if len(marks) <= SNIPPET_WORDS or not any(marks):
        return 0
    inside = best = sum(marks[:SNIPPET_WORDS])
    begin = 0
    for last in range(SNIPPET_WORDS, len(marks)):
        inside += marks[last] - marks[last - SNIPPET_WORDS]
        if inside > best:
            best, begin = inside, last - SNIPPET_WORDS + 1
    held = [number for number in range(begin, begin + SNIPPET_WORDS) if marks[number]]
    spare = SNIPPET_WORDS - (held[-1] - held[0] + 1)
    return max(0, min(held[0] - spare // 2, len(marks) - SNIPPET_WORDS))
