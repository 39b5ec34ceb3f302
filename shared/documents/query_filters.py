"""The filters that a query may hold (`topic:Taxes type:pdf after:2024-05 in:trash`), as the filters of a list.

Each wrong one is explained: what may stand there, in a sentence.
"""

import re
from collections.abc import Iterable
from dataclasses import replace
from datetime import date
from typing import TypeVar
from uuid import UUID

from shared.db import TenantDatabase
from shared.documents.listing import Filters
from shared.documents.name_keys import name_key
from shared.documents.senders import alias_key
from shared.errors import ValidationFailed
from shared.extraction import content_types
from shared.search import stems

FilterValue = TypeVar("FilterValue")

_DATE = re.compile(r"(\d{4})(?:-(\d{1,2}))?(?:-(\d{1,2}))?")
_KINDS = {
    "picture": ("png", "jpg", "tif", "webp", "gif"),
    "image": ("png", "jpg", "tif", "webp", "gif"),
    "word": ("docx", "odt"),
    "excel": ("xlsx", "ods"),
    "mail": ("eml",),
    "email": ("eml",),
}


async def narrowed(db: TenantDatabase, filters: Filters, asked: Iterable[tuple[str, str]]) -> Filters:
    """The filters with those of a query. Raises ValidationFailed for one that makes no sense."""
    for name, value in asked:
        if name == "topic":
            filters = replace(filters, topic_ids=(*filters.topic_ids, await _topic(db, value)))
        elif name == "type":
            filters = replace(filters, content_types=_both(filters.content_types, _types(value), name, value))
        elif name == "language":
            filters = replace(filters, languages=_both(filters.languages, _languages(name, value), name, value))
        elif name == "after":
            day = _day(name, value)
            filters = replace(filters, dated_after=max(day, filters.dated_after or day))
        elif name == "before":
            day = _day(name, value)
            filters = replace(filters, dated_before=min(day, filters.dated_before or day))
        elif name == "sender":
            filters = replace(filters, sender_ids=_both(filters.sender_ids, await _senders(db, value), name, value))
        else:
            if value.lower() != "trash":
                raise _wrong(name, value, "in:trash is all that can be said with it")
            filters = replace(filters, trashed=True)
    return filters


def _both(known: tuple[FilterValue, ...], added: tuple[FilterValue, ...], name: str, value: str) -> tuple[FilterValue, ...]:
    if not known:
        return added
    both = tuple(one for one in added if one in known)
    if not both:
        raise _wrong(name, value, "another filter leaves nothing of it")
    return both


async def _topic(db: TenantDatabase, value: str) -> UUID:
    async with db.transaction() as tx:
        topic_id: UUID | None = await tx.fetch_value(
            "SELECT id FROM topics WHERE owner_id = %(owner)s AND name_key = %(key)s", {"owner": db.owner_id, "key": name_key(value)}
        )
    if topic_id is None:
        raise _wrong("topic", value, "there is no topic of this name")
    return topic_id


async def _senders(db: TenantDatabase, value: str) -> tuple[UUID, ...]:
    """Whom the name means, however it is written."""
    async with db.transaction() as tx:
        sender_ids: list[UUID] = await tx.fetch_value(
            """
            SELECT ARRAY(
                SELECT sender_id FROM sender_aliases WHERE owner_id = %(owner)s AND alias_key = %(alias)s
                UNION SELECT id FROM senders WHERE owner_id = %(owner)s AND name_key = %(key)s
            )
            """,
            {"owner": db.owner_id, "alias": alias_key(value), "key": name_key(value)},
        )
    if not sender_ids:
        raise _wrong("sender", value, "no document comes from a sender of this name")
    return tuple(sender_ids)


def _languages(name: str, value: str) -> tuple[str, ...]:
    """A language by its code or its English name."""
    named = tuple(code for code, language in stems.LANGUAGES.items() if language == value.lower())
    if not named and not (len(value) == 2 and value.isascii() and value.isalpha()):
        raise _wrong(name, value, "a language is named by two letters, as in language:de, or in English, as in language:german")
    return named or (value.lower(),)


def _types(value: str) -> tuple[str, ...]:
    if "/" in value:
        return (value.lower(),)
    extensions = _KINDS.get(value.lower(), (value.lower().lstrip("."),))
    found = tuple(dict.fromkeys(content_types.EXTENSIONS[f".{one}"] for one in extensions if f".{one}" in content_types.EXTENSIONS))
    if not found:
        raise _wrong("type", value, "a type is a file's extension (pdf, docx, png) or one of " + ", ".join(sorted(_KINDS)))
    return found


def _day(name: str, value: str) -> date:
    match = _DATE.fullmatch(value)
    try:
        if match is None:
            raise ValueError(value)
        return date(int(match[1]), int(match[2] or 1), int(match[3] or 1))
    except ValueError:
        raise _wrong(name, value, f"a date is written {name}:2024, {name}:2024-05 or {name}:2024-05-31") from None


def _wrong(name: str, value: str, why: str) -> ValidationFailed:
    said = f'"{name}:{value[:60]}" cannot be searched for: {why}.'
    return ValidationFailed(said, errors=[{"loc": ["query", "q"], "msg": said}])
