"""Looking into a cloud. A folder is read anew for each page: the cloud is the truth, and nothing of it is kept."""

import heapq
import unicodedata
from collections.abc import AsyncIterator
from contextlib import aclosing
from uuid import UUID

from shared.api import cursors
from shared.api.models import Page
from shared.cloud import backends
from shared.cloud.models import BrowseQuery, CloudFile
from shared.db import TenantDatabase
from shared.errors import InvalidCursor, NotFound
from shared.storage import ObjectMissing
from shared.storage.backend import FolderEntry

OrderKey = tuple[bool, str, str]


async def browse(db: TenantDatabase, connection_id: UUID, query: BrowseQuery) -> Page[CloudFile]:
    """A page of a folder: folders first, then files, by name. Raises NotFound, NameRefused, InvalidCursor, StorageUnavailable.

    What is kept of a listing is the page alone, however many entries come.
    """
    binding = {"list": "cloud files", "owner": db.owner_id, "connection": connection_id, "path": query.path}
    after = _decoded(query.cursor, binding)
    folder = query.path.strip("/")
    try:
        async with backends.opened(db, connection_id) as backend, aclosing(backend.entries(folder)) as entries:  # type: ignore[type-var]
            shown = await _first(entries, after, query.limit + 1)
    except ObjectMissing:
        raise NotFound(f"There is no folder “{folder[:200]}” in the cloud.") from None
    page = shown[: query.limit]
    items = [
        CloudFile(path=entry.key, name=entry.name, size=entry.size, modified_at=entry.modified_at, is_folder=entry.is_folder)
        for entry in page
    ]
    more = len(shown) > query.limit
    return Page[CloudFile](items=items, next_cursor=cursors.encode(list(_order(page[-1])), binding) if more else None)


async def _first(entries: AsyncIterator[FolderEntry], after: OrderKey | None, most: int) -> list[FolderEntry]:
    held: list[FolderEntry] = []
    async for entry in entries:
        if _is_unfinished(entry.name) or (after is not None and _order(entry) <= after):
            continue
        held.append(entry)
        if len(held) >= 16 * most + 1000:
            held = heapq.nsmallest(most, held, key=_order)
    return heapq.nsmallest(most, held, key=_order)


def _order(entry: FolderEntry) -> OrderKey:
    return not entry.is_folder, unicodedata.normalize("NFC", entry.name).casefold(), entry.key


def _is_unfinished(name: str) -> bool:
    """Whether it is an upload of ours under way."""
    return name.startswith(".docuvault-") and name.endswith(".part")


def _decoded(cursor: str | None, binding: dict[str, object]) -> OrderKey | None:
    if cursor is None:
        return None
    values = cursors.decode(cursor, binding)
    if len(values) != 3:
        raise InvalidCursor
    return bool(values[0]), str(values[1]), str(values[2])
