"""Checks title, sender and date that a provider read from a document, before anything believes them.

Each needs a quote that stands in the document, and the value must follow from it: a date's day, month and year are all in its quote, a
sender's name stands in the document as it is given, a title is made mostly of the document's own words. What does not is dropped.
"""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta

from shared.ai.provider import DetailName, DocumentText, ProposedDetail
from shared.ai.terms import COMMON, folded, terms
from shared.ai.verification import one_line, stands_in
from shared.clock import now

TITLE_CHARACTERS = 150
SENDER_CHARACTERS = 200
OWN_WORDS = 0.5
"""The share of a title's words that must stand in the document; the rest may be the model's ("Electricity bill for March")."""

EARLIEST = date(1800, 1, 1)
LATEST_AHEAD = timedelta(days=31)
"""A paper is sometimes dated ahead by a few weeks; a date that is further off is when something is due."""


@dataclass(frozen=True, slots=True)
class ClaimedDetail:
    """A detail as the provider gave it: anything may stand in any member."""

    name: DetailName
    value: object
    quote: object = None
    page: object = None


def checked_details(claims: Iterable[ClaimedDetail], document: DocumentText) -> tuple[ProposedDetail, ...]:
    """The details that hold, each name once, with the quote as the document has it and the page it was found on."""
    held: dict[DetailName, ProposedDetail] = {}
    for claim in claims:
        if claim.name in held or not isinstance(claim.value, str) or not isinstance(claim.quote, str):
            continue
        found = stands_in(claim.quote, claim.page, document)
        if found is None:
            continue
        value = _CHECKS[claim.name](claim.value, found[0], document)
        if value:
            held[claim.name] = ProposedDetail(claim.name, value, *found)
    return tuple(held.values())


def _title(value: str, quote: str, document: DocumentText) -> str:
    title = one_line(value, TITLE_CHARACTERS)
    told = [word for word in terms(title) if word not in COMMON]
    if not told:
        return ""
    own = set(terms(" ".join([document.title, document.filename, *(page.text for page in document.pages)])))
    return title if sum(word in own for word in told) >= OWN_WORDS * len(told) else ""


def _sender(value: str, quote: str, document: DocumentText) -> str:
    name = one_line(value, SENDER_CHARACTERS)
    return name if stands_in(name, None, document) is not None else ""


_ISO = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})")


def _issued_on(value: str, quote: str, document: DocumentText) -> str:
    match = _ISO.fullmatch(value.strip()[:10])
    if match is None:
        return ""
    try:
        issued = date(*map(int, match.groups()))
    except ValueError:
        return ""
    if not EARLIEST <= issued <= now().date() + LATEST_AHEAD:
        return ""
    return issued.isoformat() if _says(quote, issued) else ""


_NUMBER = re.compile(r"\d+")
_LETTERS = re.compile(r"[^\W\d_]+")

_MONTHS = (
    "jan january januar januari janvier janv gennaio gen enero ene janeiro styczen stycznia",
    "feb february februar februari fevrier fevr febbraio febrero fev fevereiro luty lutego",
    "mar march marz maerz mrz mars marzo marco maart mrt marzec marca",
    "apr april avril avr aprile abril abr kwiecien kwietnia",
    "may mai maggio mag mayo maio mei maj maja",
    "jun june juni juin giugno giu junio junho czerwiec czerwca",
    "jul july juli juillet juil luglio lug julio julho lipiec lipca",
    "aug august aout agosto ago augustus augusti sierpien sierpnia",
    "sep sept september septembre settembre set septiembre setembro wrzesien wrzesnia",
    "oct october okt oktober octobre ottobre ott octubre outubro out pazdziernik pazdziernika",
    "nov november novembre noviembre novembro listopad listopada",
    "dec december dez dezember decembre dicembre dic diciembre dezembro grudzien grudnia",
)
"""Folded (shared/ai/terms.py): English, German, French, Italian, Spanish, Portuguese, Dutch, Polish."""
_MONTH_OF = {word: number for number, names in enumerate(_MONTHS, 1) for word in names.split()}


def _says(quote: str, wanted: date) -> bool:
    """Whether the quote holds this date: day, month (a number or its name) and year (two digits will do), each in a place of its own."""
    plain = unicodedata.normalize("NFKC", quote)
    numbers = [int(found) for found in _NUMBER.findall(plain) if len(found) <= 4]
    named = [_MONTH_OF.get(folded(word)) for word in _LETTERS.findall(plain)]
    needed = [wanted.day] if wanted.month in named else [wanted.day, wanted.month]
    for year in (wanted.year, wanted.year % 100):
        left = list(numbers)
        for number in (*needed, year):
            if number not in left:
                break
            left.remove(number)
        else:
            return True
    return False


_CHECKS = {"title": _title, "sender": _sender, "issued_on": _issued_on}
