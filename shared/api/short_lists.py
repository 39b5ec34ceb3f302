"""Pages of lists that are short enough to be made whole each time."""

from collections.abc import Mapping, Sequence
from typing import Any

from shared.api import cursors
from shared.api.models import Item, Page, PageQuery
from shared.errors import InvalidCursor


def page(items: Sequence[Item], query: PageQuery, binding: Mapping[str, Any]) -> Page[Item]:
    """The page that `query` asks for. Raises InvalidCursor."""
    start = 0
    if query.cursor is not None:
        values = cursors.decode(query.cursor, binding)
        if len(values) != 1 or not isinstance(values[0], int):
            raise InvalidCursor
        start = values[0]
    end = start + query.limit
    return Page[Item](items=list(items[start:end]), next_cursor=cursors.encode([end], binding) if len(items) > end else None)
