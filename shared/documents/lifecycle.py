"""What the steps of a document share: telling its owner's streams, the cost that orders work, and the one way to end `failed`."""

from uuid import UUID

from psycopg.types.json import Jsonb

from shared.db import Transaction
from shared.documents import step_history
from shared.documents.step_history import StepName
from shared.search import index as search_index

CHANGES_CHANNEL = "docuvault_changes"
OBJECT_MISMATCH = "object_mismatch"
"""The code of a document whose object was not what had been promised."""
GAVE_UP = "gave_up"
"""The code of a document whose step failed again and again for reasons that are not the document's: retrying the delivery resumes it."""


def wake_listeners(tx: Transaction, owner_id: UUID) -> None:
    """Tells the owner's open event streams after the commit; every transaction that changes documents calls it."""
    tx.wake(CHANGES_CHANNEL, str(owner_id))


def cost_of(size: int) -> int:
    """What reading so many bytes is expected to cost, as deliveries are ordered by it: 0 up to 64 KiB, one more for each doubling."""
    return (size >> 16).bit_length()


async def fail(
    tx: Transaction, *, owner_id: UUID, document_id: UUID, revision: int, while_status: str, step: StepName, code: str, detail: str
) -> bool:
    """Ends the document as `failed` where it is still in `while_status` at `revision`; whether it was.

    The original stays, and the document is found by its name at least.
    """
    failed = await tx.execute(
        """
        UPDATE documents SET status = 'failed', error = %(error)s, updated_at = now()
        WHERE owner_id = %(owner)s AND id = %(id)s AND revision = %(revision)s AND status = %(status)s
        """,
        {
            "owner": owner_id,
            "id": document_id,
            "revision": revision,
            "status": while_status,
            "error": Jsonb({"step": step, "code": code, "detail": detail}),
        },
    )
    if failed:
        await step_history.record(
            tx, owner_id=owner_id, document_id=document_id, revision=revision, step=step, state="failed", detail=detail
        )
        await search_index.index_name(tx, owner_id=owner_id, document_id=document_id)
        wake_listeners(tx, owner_id)
    return bool(failed)
