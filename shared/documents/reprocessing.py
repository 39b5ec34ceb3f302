"""Reading documents anew: a new revision begins, from the first step on. What a person set and filed stays.

A document that is just being read is left to that. One whose original never arrived, or was not what was promised, cannot be read.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from shared import audit
from shared.audit import AuditAction, Caller
from shared.db import TenantDatabase, Transaction
from shared.documents import library, lifecycle
from shared.documents.models import Document
from shared.errors import NotFound
from shared.events import publish
from shared.events.catalogue import DocumentStored


@dataclass(frozen=True)
class Reprocessed:
    """Which of several documents are being read (anew), and which never arrived, or were refused when they did."""

    under_way: list[UUID]
    not_stored: list[UUID]
    refused: list[UUID]


@dataclass(frozen=True)
class _ReprocessedDocument:
    id: UUID
    status: str
    error_code: str | None
    revision: int
    size: int


async def reprocess(db: TenantDatabase, document_id: UUID, *, caller: Caller | None = None) -> Document:
    """Has one document read anew; it as it stands now. Raises NotFound, UploadIncomplete, ObjectRefused."""
    async with db.transaction() as tx:
        outcome = await reprocess_some(tx, db.owner_id, [document_id], caller=caller)
        if outcome.not_stored:
            raise library.UploadIncomplete
        if outcome.refused:
            raise library.ObjectRefused
        if not outcome.under_way:
            raise NotFound
        return await library.read(tx, db.owner_id, document_id)


async def reprocess_some(
    tx: Transaction, owner_id: UUID, document_ids: Sequence[UUID], *, caller: Caller | None = None, job: UUID | None = None
) -> Reprocessed:
    """Has those of these documents read anew that can be; those that are nobody's or another's are in none of the lists."""
    documents = await tx.fetch_all(
        """
        SELECT id, status, error ->> 'code' AS error_code, revision, size FROM documents
        WHERE owner_id = %(owner)s AND id = ANY (%(ids)s) ORDER BY id FOR NO KEY UPDATE
        """,
        {"owner": owner_id, "ids": list(document_ids)},
        row=_ReprocessedDocument,
    )
    refused = [document.id for document in documents if document.error_code == lifecycle.OBJECT_MISMATCH]
    not_stored = [document.id for document in documents if document.status == "uploading"]
    again = [document for document in documents if document.status in ("ready", "failed") and document.id not in refused]
    await tx.execute(
        """
        UPDATE documents
        SET status = 'stored', error = NULL, warnings = '[]', revision = revision + 1, looked_at = now(), updated_at = now()
        WHERE owner_id = %(owner)s AND id = ANY (%(ids)s)
        """,
        {"owner": owner_id, "ids": [document.id for document in again]},
    )
    for document in again:
        # Behind what has just arrived.
        stored = DocumentStored(owner_id=owner_id, document_id=document.id, revision=document.revision + 1)
        await publish(tx, stored, cost=lifecycle.cost_of(document.size) + 1)
    if again:
        await audit.record_calls(
            tx,
            owner_id,
            caller,
            AuditAction.DOCUMENT_REPROCESSED,
            targets=[document.id for document in again],
            detail={} if job is None else {"job": str(job)},
        )
        lifecycle.wake_listeners(tx, owner_id)
    under_way = [document.id for document in documents if document.status in ("stored", "extracted")]
    return Reprocessed([*under_way, *(document.id for document in again)], not_stored, refused)
