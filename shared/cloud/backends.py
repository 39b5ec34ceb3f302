"""A connection's files, opened for a piece of work.

Whoever works there finds out first that the cloud does not let us in any more, so this is the place that marks the connection as broken.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

from shared.cloud import connections
from shared.db import TenantDatabase
from shared.storage import CredentialsRejected, StorageBackend, object_store


@asynccontextmanager
async def opened(db: TenantDatabase, connection_id: UUID | None) -> AsyncIterator[StorageBackend]:
    """The backend of one of the owner's connections, or with None the bucket. Raises NotFound, and what the backend raises."""
    if connection_id is None:
        yield object_store()
        return
    try:
        account = await connections.account_of(db, connection_id)
        backend = await connections.backend_for(db, account)
        try:
            yield backend
        finally:
            await backend.close()
    except CredentialsRejected as rejected:
        await connections.mark_broken(db, connection_id, rejected.detail)
        raise
