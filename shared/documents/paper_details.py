"""What a document that was just read tells of its date and its sender: proposed, never forced on anybody (`details.propose`).

A mail's header is the surest, then what stands on the paper, then what the file says of itself. Of the names on a paper one that the
owner's corrections know is taken before one that is a little likelier.
"""

import email.utils
import re
from collections.abc import Sequence
from datetime import date
from uuid import UUID

from shared.clock import now
from shared.db import Transaction
from shared.documents import details, senders
from shared.extraction import content_types, letter_dates, letter_senders
from shared.extraction.letter_senders import WrittenName

KNOWN_BONUS = 1.5
"""How much likelier a name is that the owner's documents have had before."""

_YEAR = re.compile(r"(?<!\d)(?:19|20)\d\d(?!\d)")
YEARS_LOOKED_FOR_IN = 20_000
"""Characters of a page."""

_HEADER = re.compile(r"(From|Date): (.*)")


async def propose(
    tx: Transaction,
    *,
    owner_id: UUID,
    document_id: UUID,
    content_type: str,
    language: str | None,
    pages: Sequence[str],
    created_on: date | None = None,
) -> str:
    """Proposes the document's date and sender; what was found, for its history. The document must be locked, or is from here on."""
    today = now().date()
    if created_on is not None and letter_dates.OLDEST <= created_on <= today + letter_dates.AHEAD and not _is_outdated(created_on, pages):
        await details.propose(tx, owner_id=owner_id, document_id=document_id, source="metadata", issued_on=created_on)
    if content_type == content_types.EML and pages:
        sender, sent_on = _header(pages[0])
        await details.propose(tx, owner_id=owner_id, document_id=document_id, source="mail", issued_on=sent_on, place="Date", sender=sender)
        return _in_words(sent_on, None, sender)
    dated = letter_dates.find(pages, language, today=today)
    names = letter_senders.names(pages)
    name = await _likeliest(tx, owner_id, names)
    await details.propose(
        tx,
        owner_id=owner_id,
        document_id=document_id,
        source="text",
        issued_on=None if dated is None else dated.on,
        place=None if dated is None else f"page {dated.page}: {dated.line}",
        sender=None if name is None else name.text,
    )
    if name is None and names:
        await details.note_written(tx, owner_id=owner_id, document_id=document_id, written=names[0].text)
    return _in_words(None if dated is None else dated.on, None if dated is None else dated.page, None if name is None else name.text)


def _is_outdated(created_on: date, pages: Sequence[str]) -> bool:
    """Whether the paper speaks of nothing but later years: the file's date is then that of a template, or a program's constant."""
    years = [int(year) for page in pages for year in _YEAR.findall(page[:YEARS_LOOKED_FOR_IN])]
    return bool(years) and min(years) > created_on.year + 1


async def _likeliest(tx: Transaction, owner_id: UUID, names: Sequence[WrittenName]) -> WrittenName | None:
    """The likeliest name that is likely enough."""
    known = await senders.known(tx, owner_id, [name.text for name in names]) if names else frozenset()
    weighed = [(name.weight + (KNOWN_BONUS if name.text in known else 0.0), name) for name in names]
    weight, name = max(weighed, key=lambda each: each[0], default=(0.0, None))
    return name if weight >= letter_senders.LIKELY else None


def _header(page: str) -> tuple[str | None, date | None]:
    """Whose mail it is, and the day on which it was sent, by the sender's clock (RFC 5322, section 3.6)."""
    lines = page.partition("\n\n")[0].split("\n")
    said = {match[1]: match[2] for line in reversed(lines) if (match := _HEADER.fullmatch(line)) is not None}
    name, address = email.utils.parseaddr(said.get("From", ""))
    try:
        sent_on = email.utils.parsedate_to_datetime(said["Date"]).date()
    except (KeyError, ValueError, IndexError, TypeError):
        sent_on = None
    # An address without a name is one, too.
    return (name or address or None), sent_on


def _in_words(on: date | None, page: int | None, sender: str | None) -> str:
    said = []
    if on is not None:
        said.append(f"dated {on}" + (f" (page {page})" if page is not None else ""))
    if sender is not None:
        said.append(f"from {sender}")
    return ", ".join(said)
