"""What was changed or removed in a cloud past us: looked for in the folders where documents live, and said on the documents.

A warning on the document says so, and is taken back once the original is as it was. Nothing is deleted or replaced for it.
"""

from collections import defaultdict
from contextlib import aclosing
from dataclasses import dataclass
from uuid import UUID

from psycopg.types.json import Jsonb

from shared.cloud import backends, places
from shared.db import TenantDatabase
from shared.documents import lifecycle
from shared.storage import ObjectMissing, StorageBackend
from shared.storage.backend import FolderEntry

MISSING = "original_missing"
CHANGED = "original_changed"
_DETAILS = {
    MISSING: "The original is no longer where it was in your cloud. If it was moved or deleted there by mistake, put it back.",
    CHANGED: "The original was changed in your cloud. Import it again to have what is there now; what can be searched is the old text.",
}


@dataclass(frozen=True)
class _WatchedDocument(places.PlacedOriginal):
    said: str | None


async def verify(db: TenantDatabase, connection_id: UUID) -> dict[str, int]:
    """Looks at every document that lives in the connection: how many there are by what was found.

    One listing a folder. Raises NotFound, StorageUnavailable: then nothing is said of what could not be looked at.
    """
    documents = await _documents(db, connection_id)
    by_folder: dict[str, list[_WatchedDocument]] = defaultdict(list)
    for document in documents:
        by_folder[document.key.rpartition("/")[0]].append(document)
    found: dict[str, int] = defaultdict(int)
    async with backends.opened(db, connection_id) as backend:
        for folder, lying in by_folder.items():
            entries = await _entries(backend, folder, {document.key for document in lying})
            for document in lying:
                state = await _state(db, backend, document, entries.get(document.key))
                found[state or "as stored"] += 1
                if state != document.said:
                    await _say(db, document.id, state)
    return dict(found)


async def _documents(db: TenantDatabase, connection_id: UUID) -> list[_WatchedDocument]:
    async with db.transaction() as tx:
        return await tx.fetch_all(
            """
            SELECT id, cloud_key AS key, size, coalesce(etag, '') AS etag, sha256,
                (SELECT w ->> 'code' FROM jsonb_array_elements(warnings) AS w WHERE w ->> 'code' = ANY(%(codes)s) LIMIT 1) AS said
            FROM documents WHERE owner_id = %(owner)s AND connection_id = %(connection)s
            """,
            {"owner": db.owner_id, "connection": connection_id, "codes": list(_DETAILS)},
            row=_WatchedDocument,
        )


async def _entries(backend: StorageBackend, folder: str, keys: set[str]) -> dict[str, FolderEntry]:
    entries = {}
    try:
        async with aclosing(backend.entries(folder)) as listed:  # type: ignore[type-var]
            async for entry in listed:
                if entry.key in keys:
                    entries[entry.key] = entry
    except ObjectMissing:
        pass  # the folder is gone, and with it what was in it
    return entries


async def _state(db: TenantDatabase, backend: StorageBackend, document: _WatchedDocument, entry: FolderEntry | None) -> str | None:
    if entry is None or entry.is_folder:
        return MISSING
    return None if await places.is_unchanged(db, backend, document, size=entry.size, etag=entry.etag) else CHANGED


async def _say(db: TenantDatabase, document_id: UUID, code: str | None) -> None:
    """Sets the one warning of ours that the document has, or takes it back."""
    warning = [] if code is None else [{"code": code, "detail": _DETAILS[code]}]
    async with db.transaction() as tx:
        await tx.execute(
            """
            UPDATE documents
            SET updated_at = now(), warnings = %(warning)s || coalesce((
                SELECT jsonb_agg(other) FROM jsonb_array_elements(warnings) AS other WHERE NOT other ->> 'code' = ANY(%(codes)s)
            ), '[]')
            WHERE owner_id = %(owner)s AND id = %(id)s
            """,
            {"warning": Jsonb(warning), "codes": list(_DETAILS), "owner": db.owner_id, "id": document_id},
        )
        lifecycle.wake_listeners(tx, db.owner_id)
