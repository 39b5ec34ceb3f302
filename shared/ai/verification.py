"""Checks what a provider answered before anything believes it.

Providers are hostile here: a small real model, asked to file an invoice, named a wrong topic with a quote that stands nowhere in the
text and the confidence 1000000000000000. And the document itself may talk to the model. So every response, the local provider's included,
passes through here: unknown topics are dropped, numbers clamped, quotes looked up in the document, and what cannot be proven by a quote
is at most suggested, never filed.
"""

import math
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from uuid import UUID

from shared.ai.provider import DocumentText, TopicIdea, TopicMatch, TopicOption

QUOTE_CHARACTERS = 300
"""A quote's greatest length; a longer one is cut at a word."""

QUOTE_MINIMUM_CHARACTERS = 3
"""A shorter quote proves nothing: it stands in every text."""

UNPROVEN_CONFIDENCE = 0.5
"""The most that a match without a quote is worth: below `FILED_FROM` (shared/documents/classify_step.py), so never filed by itself."""

MATCHES_KEPT = 20
IDEAS_KEPT = 5
IDEA_NAME_CHARACTERS = 100
IDEA_REASON_CHARACTERS = 300


@dataclass(frozen=True, slots=True)
class ClaimedMatch:
    """A match as the provider gave it: anything may stand in any member."""

    topic_id: object
    confidence: object
    quote: object = None
    page: object = None


@dataclass(frozen=True, slots=True)
class ClaimedIdea:
    """An idea as the provider gave it."""

    name: object
    reason: object = ""


def checked_matches(claims: Iterable[ClaimedMatch], document: DocumentText, topics: Sequence[TopicOption]) -> tuple[TopicMatch, ...]:
    """The matches that hold, surest first; at most `MATCHES_KEPT`.

    Dropped: a topic that is not among `topics`, a confidence that is no number or not above 0, a quote that does not stand in the
    document (compared without regard to case, white space, typographic quotes and dashes). A quote is given back as it stands in the
    document, with the page it was found on, whichever page was claimed. Without a quote the confidence is at most
    `UNPROVEN_CONFIDENCE`.
    """
    known = {topic.id for topic in topics}
    best: dict[UUID, TopicMatch] = {}
    for claim in claims:
        topic_id = _uuid(claim.topic_id)
        confidence = _confidence(claim.confidence)
        if topic_id not in known or topic_id is None or confidence <= 0:
            continue
        match = _proven(topic_id, confidence, claim, document)
        if match is not None and (topic_id not in best or match.confidence > best[topic_id].confidence):
            best[topic_id] = match
    ordered = sorted(best.values(), key=lambda match: (-match.confidence, match.topic_id))
    return tuple(ordered[:MATCHES_KEPT])


def checked_ideas(claims: Iterable[ClaimedIdea], topics: Sequence[TopicOption]) -> tuple[TopicIdea, ...]:
    """The ideas that are new, well-formed names: one line of at most 100 characters; at most `IDEAS_KEPT`."""
    taken = {topic.name.casefold() for topic in topics}
    kept: list[TopicIdea] = []
    for claim in claims:
        name, reason = one_line(claim.name, IDEA_NAME_CHARACTERS), one_line(claim.reason, IDEA_REASON_CHARACTERS)
        if name and name.casefold() not in taken:
            taken.add(name.casefold())
            kept.append(TopicIdea(name, reason))
    return tuple(kept[:IDEAS_KEPT])


def _uuid(value: object) -> UUID | None:
    if isinstance(value, UUID):
        return value
    try:
        return UUID(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _confidence(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
        return 0.0
    return float(min(1, max(0, value)))


def _proven(topic_id: UUID, confidence: float, claim: ClaimedMatch, document: DocumentText) -> TopicMatch | None:
    quote = claim.quote
    if quote is None or (isinstance(quote, str) and not quote.strip()):
        return TopicMatch(topic_id, min(confidence, UNPROVEN_CONFIDENCE))
    if not isinstance(quote, str):
        return None
    found = stands_in(quote, claim.page, document)
    return None if found is None else TopicMatch(topic_id, confidence, found[0], found[1])


def stands_in(quote: str, claimed_page: object, document: DocumentText) -> tuple[str, int | None] | None:
    """The quote as the document has it, and its page (None: the title or the filename); where it stands on several, `claimed_page`."""
    if len(quote) < QUOTE_MINIMUM_CHARACTERS or len(quote) > 20 * QUOTE_CHARACTERS:
        return None
    pages = sorted(document.pages, key=lambda page: (page.number != claimed_page, page.number))
    places: list[tuple[str, int | None]] = [(page.text, page.number) for page in pages]
    places += [(document.title, None), (document.filename, None)]
    for text, number in places:
        # The common, cheap case: word for word.
        start = text.find(quote)
        if start >= 0:
            return shortened(text[start : start + len(quote)].strip()), number
    needle, _ = _normalised(quote)
    if len(needle) < QUOTE_MINIMUM_CHARACTERS:
        return None
    for text, number in places:
        haystack, origins = _normalised(text)
        start = haystack.find(needle)
        if start >= 0:
            return shortened(text[origins[start] : origins[start + len(needle) - 1] + 1].strip()), number
    return None


_ALIKE = str.maketrans(dict.fromkeys("‘’‚‛′´`", "'") | dict.fromkeys("“”„‟«»″", '"') | dict.fromkeys("‐‑‒–—―−", "-") | {"\u00ad": None})


@lru_cache(maxsize=64)
def _normalised(text: str) -> tuple[str, list[int]]:
    """Casefolded NFKC with single spaces, and for each of its characters where in `text` it came from."""
    characters: list[str] = []
    origins: list[int] = []
    for position, character in enumerate(text):
        folded = unicodedata.normalize("NFKC", character).casefold().translate(_ALIKE)
        for piece in folded:
            if piece.isspace():
                if not characters or characters[-1] == " ":
                    continue
                piece = " "
            characters.append(piece)
            origins.append(position)
    while characters and characters[-1] == " ":
        characters.pop()
        origins.pop()
    return "".join(characters), origins


def shortened(quote: str) -> str:
    """`quote`, cut at a word if it is longer than `QUOTE_CHARACTERS`."""
    if len(quote) <= QUOTE_CHARACTERS:
        return quote
    cut = quote[:QUOTE_CHARACTERS]
    words, separator, _ = cut.rpartition(" ")
    return (words if separator and len(words) > QUOTE_CHARACTERS // 2 else cut).strip()


_WHITE_OR_CONTROL = re.compile(r"[\s\x00-\x1f\x7f-\x9f]+")
_UNFIT = re.compile("[\ud800-\udfff\u202a-\u202e\u2066-\u2069]")
"""Halves of characters, which nothing stores, and marks that turn the direction of what follows."""


def one_line(value: object, length: int) -> str:
    """A claimed text as one line of at most `length` characters; empty if it is no text."""
    if not isinstance(value, str):
        return ""
    return _WHITE_OR_CONTROL.sub(" ", _UNFIT.sub("", value[: 4 * length])).strip()[:length].strip()
