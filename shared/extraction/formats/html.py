"""HTML pages: their visible text, block by block, with the standard library's tolerant parser."""

import re
from collections import Counter
from html.parser import HTMLParser
from typing import BinaryIO

from shared.extraction.encodings import decode
from shared.extraction.formats import Reading
from shared.extraction.limits import MAX_TEXT_FILE

_CHARSET = re.compile(
    rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([a-zA-Z0-9_:.-]{1,40})|<\?xml[^>]{0,100}?encoding\s*=\s*[\"']([a-zA-Z0-9_:.-]{1,40})", re.I
)
_INVISIBLE = {
    "script", "style", "noscript", "template", "object", "iframe", "head", "select", "canvas", "audio", "video", "annotation",
    "annotation-xml", "desc", "metadata", "defs",
}  # fmt: skip
_BLOCKS = {
    "p", "div", "section", "article", "header", "footer", "main", "aside", "nav", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "dl",
    "blockquote", "pre", "table", "form", "fieldset", "figure", "address", "hr", "body", "html", "center", "details", "summary",
}  # fmt: skip
_LINES = {"br", "li", "tr", "dt", "dd", "caption", "figcaption", "option", "legend", "label"}
_NO_TEXT_FIELDS = {"hidden", "password", "checkbox", "radio", "file", "image", "color", "range"}
_MAX_TITLE = 10_000
_SPACE = re.compile(r"[ \t\r\n\f\u00a0]+")


def read(file: BinaryIO) -> Reading:
    """The page's visible text as one page, its <title> as title."""
    file.seek(0)
    data = file.read(MAX_TEXT_FILE + 1) or b""
    text, title = to_text(data[:MAX_TEXT_FILE])
    return Reading(pages=[text], title=title, truncated=len(data) > MAX_TEXT_FILE)


def to_text(page: bytes | str, declared: str | None = None) -> tuple[str, str | None]:
    """Visible text and title of a page; never raises. `declared` is the encoding a mail header or server gave."""
    if isinstance(page, bytes):
        page = decode(page, declared or _declared(page))
    parser = _Visible()
    parser.feed(_without_loose_ends(page))
    parser.close()
    return parser.text(), parser.title


def _declared(page: bytes) -> str | None:
    match = _CHARSET.search(page[:4096])
    label = (match[1] or match[2]).decode("ascii") if match else ""
    return label if not label.lower().startswith("utf-16") else None  # who could read that is not in UTF-16 (HTML Standard, 13.2.3.2)


def _without_loose_ends(page: str) -> str:
    """The page without what is opened and never closed: the parser of the standard library would look for the end of each anew."""
    closed = page.rfind("-->") + 3 if "-->" in page else 0
    page = page[:closed] + page[closed:].replace("<!--", "")
    closed = page.rfind(">") + 1
    return page[:closed] + page[closed:].replace("<", " ")


class _Visible(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._parts: list[str] = []
        self._hidden: list[str] = []
        self._hidden_by: Counter[str] = Counter()
        self._in_title = False
        self._preformatted = 0
        self._chosen = False
        """Whether an option is open that is selected."""
        self._drawings = 0
        """Drawings (SVG) that are open."""
        self.title: str | None = None

    def parse_marked_section(self, i: int, report: int = 1) -> int:
        """`<![…]>` as old versions of Word leave it, markup that no browser shows; the standard library knows six names and raises."""
        end = self.rawdata.find(">", i)
        return end + 1 if end >= 0 else -1

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "title" and self._drawings:
            self._hidden.append(tag)
            self._hidden_by[tag] += 1
        elif tag == "title" and self.title is None:
            self._in_title, self.title = True, ""
        elif tag == "svg":
            self._drawings += 1
        elif tag == "body":
            self._hidden.clear()  # a head that was never closed
            self._hidden_by.clear()
        elif tag in _INVISIBLE:
            self._hidden.append(tag)
            self._hidden_by[tag] += 1
        if tag in _BLOCKS:
            self._parts.append("\n\n")
        elif tag in _LINES:
            self._parts.append("\n")
        elif tag in ("td", "th"):
            self._parts.append("\t")
        elif tag == "img" and not self._hidden:
            self._parts.append(f" {dict(attrs).get('alt') or ''} ")
        elif tag == "text":  # of a drawing
            self._parts.append(" ")
        if tag == "pre":
            self._preformatted += 1
        elif tag in ("input", "option") and self._hidden in ([], ["select"]):
            self._field(tag, dict(attrs))

    def _field(self, tag: str, attributes: dict[str, str | None]) -> None:
        """What is typed into a form, or chosen."""
        if tag == "input" and (attributes.get("type") or "text").lower() not in _NO_TEXT_FIELDS:
            self._parts.append(f" {attributes.get('value') or ''} ")
        self._chosen = tag == "option" and "selected" in attributes

    def handle_endtag(self, tag: str) -> None:
        if tag == "title":
            self._in_title = False
        elif tag == "svg":
            self._drawings = max(0, self._drawings - 1)
        elif tag in ("option", "select"):
            self._chosen = False
        while self._hidden_by[tag]:
            innermost = self._hidden.pop()
            self._hidden_by[innermost] -= 1
            if innermost == tag:
                break
        if tag in _BLOCKS:
            self._parts.append("\n\n")
        if tag == "pre":
            self._preformatted = max(0, self._preformatted - 1)

    def handle_data(self, data: str) -> None:
        if self._in_title:
            self.title = ((self.title or "") + data)[:_MAX_TITLE]
        elif not self._hidden or (self._chosen and self._hidden == ["select"]):
            self._parts.append(data if self._preformatted else _SPACE.sub(" ", data))

    def text(self) -> str:
        joined = "".join(self._parts)
        lines = [" ".join(line.split(" ")).strip(" ") if "\t" not in line else line.strip() for line in joined.split("\n")]
        return re.sub(r"\n{3,}", "\n\n", "\n".join(re.sub(r" {2,}", " ", line) for line in lines)).strip()
