"""The versions of a document: listed, and taken back. How one comes about, see `replacing`."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from shared import audit
from shared.api import short_lists
from shared.api.models import Page, PageQuery
from shared.audit import AuditAction, Caller
from shared.db import TenantDatabase, Transaction
from shared.documents import library, replacing
from shared.documents.models import Document
from shared.documents.replacing import NewOriginal, NotReplaceable
from shared.documents.version_models import DocumentVersion
from shared.errors import NotFound


async def list_page(db: TenantDatabase, document_id: UUID, query: PageQuery) -> Page[DocumentVersion]:
    """A page of the document's versions, the highest number first. Raises NotFound, InvalidCursor."""
    async with db.transaction() as tx:
        versions = await read_all(tx, db.owner_id, document_id)
    if not versions:
        raise NotFound
    return short_lists.page(versions, query, {"list": "versions", "owner": str(db.owner_id), "document": str(document_id)})


@dataclass(frozen=True)
class _VersionRow:
    id: UUID | None
    number: int
    filename: str
    size: int
    sha256: str | None
    created_at: datetime
    current: bool


async def read_all(tx: Transaction, owner_id: UUID, document_id: UUID) -> list[DocumentVersion]:
    """Every version, the highest number first; none if there is no such document."""
    rows = await tx.fetch_all(
        """
        SELECT version_id AS id, version AS number, filename, size, sha256, coalesce(version_created_at, created_at) AS created_at,
            true AS current
        FROM documents WHERE owner_id = %(owner)s AND id = %(id)s
        UNION ALL
        SELECT id, number, filename, size, sha256, created_at, false
        FROM document_versions WHERE owner_id = %(owner)s AND document_id = %(id)s
        ORDER BY number DESC
        """,
        {"owner": owner_id, "id": document_id},
        row=_VersionRow,
    )
    return [
        DocumentVersion(
            id=replacing.id_of_version(document_id, row.id),
            number=row.number,
            filename=row.filename,
            size=row.size,
            sha256=row.sha256,
            created_at=row.created_at,
            current=row.current,
        )
        for row in rows
    ]


async def restore(db: TenantDatabase, document_id: UUID, version_id: UUID, *, caller: Caller | None = None) -> Document:
    """Makes a version the current one again, under its number; the one that was current stays, as an earlier one. It is read anew.

    The current one is left as it is. Raises NotFound, NotReplaceable for a document in the trash.
    """
    async with db.transaction() as tx:
        document = await replacing.lock(tx, db.owner_id, document_id)
        if document is None:
            raise NotFound
        if version_id != document.current_id:
            original = await tx.fetch_one(
                """
                SELECT id, number, filename, size, content_type, sha256, storage_provider, connection_id, object_key, cloud_key, etag,
                    created_at
                FROM document_versions WHERE owner_id = %(owner)s AND document_id = %(document)s AND id = %(id)s
                """,
                {"owner": db.owner_id, "document": document_id, "id": version_id},
                row=NewOriginal,
            )
            if original is None:
                raise NotFound("The document has no such version.")
            if document.trashed_at is not None:
                raise NotReplaceable("It is in the trash: take it out first.")
            number = await replacing.replace(tx, db.owner_id, document, original)
            await tx.execute(
                "DELETE FROM document_versions WHERE owner_id = %(owner)s AND id = %(id)s", {"owner": db.owner_id, "id": version_id}
            )
            await audit.record_call(tx, caller, AuditAction.DOCUMENT_VERSION_RESTORED, target=document_id, detail={"version": number})
        return await library.read(tx, db.owner_id, document_id)
