"""Pages of a list that is sorted by id, newest first: a cursor holds the id that the page before ended with."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeVar
from uuid import UUID

from shared.api import cursors
from shared.api.models import Page
from shared.errors import InvalidCursor


class HasId(Protocol):
    @property
    def id(self) -> UUID: ...


WithId = TypeVar("WithId", bound=HasId)


def last_id(cursor: str | None, binding: Mapping[str, Any]) -> UUID | None:
    """The id that the page before ended with; None for the first page. Raises InvalidCursor."""
    if cursor is None:
        return None
    try:
        (last,) = cursors.decode(cursor, binding)
        return UUID(last)
    except (ValueError, TypeError, AttributeError):
        raise InvalidCursor from None


def page(items: Sequence[WithId], limit: int, binding: Mapping[str, Any]) -> "Page[WithId]":
    """A page of at most `limit` items, from `limit + 1` that were asked for."""
    more = len(items) > limit
    return Page[Any](items=list(items[:limit]), next_cursor=cursors.encode([str(items[limit - 1].id)], binding) if more else None)
