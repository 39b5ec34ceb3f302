"""How a document's thumbnail comes into the object store.

A text does not wait for its picture: a store that takes large files from others may take seconds for a small one, too. The thumbnail is
given AHEAD_SECONDS; if it is not stored by then, the document is found and classified without it, and gets it as soon as it is. Should the
process die in between, the document stays without one, as one whose first page cannot be drawn.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

from shared.db import TenantDatabase
from shared.documents import lifecycle
from shared.storage import StorageBackend, StorageUnavailable, StoredObject
from shared.storage.object_keys import ThumbnailKey

TYPE = "image/webp"
AHEAD_SECONDS = 1.0
"""On an idle machine it takes 0.02 s."""

log = logging.getLogger("docuvault.documents")


@dataclass
class Sent:
    """A thumbnail on its way. `key` is what the document's row is to say now: None if there is none, or it is not stored yet."""

    key: str | None
    _following: "_Following | None" = None

    async def follow(self) -> None:
        """Returns once the row names it. To be called when the document has been committed without it."""
        if self._following is not None:
            await self._following.finish()


@dataclass
class _Following:
    db: TenantDatabase
    store: StorageBackend
    document_id: UUID
    revision: int
    key: str
    sending: "asyncio.Future[StoredObject]"

    async def finish(self) -> None:
        try:
            await self.sending
        except StorageUnavailable:
            log.warning("a document stays without its thumbnail", extra={"fields": {"document": str(self.document_id)}})
            return
        async with self.db.transaction() as tx:
            named = await tx.execute(
                """
                UPDATE documents SET thumbnail_key = %(key)s, updated_at = now()
                WHERE owner_id = %(owner)s AND id = %(id)s AND revision = %(revision)s
                """,
                {"key": self.key, "owner": self.db.owner_id, "id": self.document_id, "revision": self.revision},
            )
            lifecycle.wake_listeners(tx, self.db.owner_id)
        if not named:
            await self.store.delete(self.key)  # the document was deleted, or replaced, meanwhile


@asynccontextmanager
async def sent(db: TenantDatabase, store: StorageBackend, document: tuple[UUID, int], picture: bytes | None) -> AsyncIterator[Sent]:
    """Sends the picture of a document (its id and revision); see `Sent`. Raises StorageUnavailable if the store says no at once."""
    if picture is None:
        yield Sent(None)
        return
    name = str(ThumbnailKey(db.owner_id, *document))
    sending = asyncio.ensure_future(store.put(name, picture, content_type=TYPE))
    try:
        await asyncio.wait((sending,), timeout=AHEAD_SECONDS)
        if sending.done():
            sending.result()
            yield Sent(name)
        else:
            yield Sent(None, _Following(db, store, *document, name, sending))
    finally:
        if not sending.done():
            sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
