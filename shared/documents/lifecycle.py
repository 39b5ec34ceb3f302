"""What moves a document on: the events that announce each step, and the one way to end `failed`.

An event carries `{document_id, revision}` and is published once a revision (`dedup_key`), so the reconciler can find it again. Slow work
comes in parts: `document.scanned` also carries how many of its parts are `done`, and is published once for each.
"""

from typing import Literal
from uuid import UUID

from psycopg.types.json import Jsonb

from shared.db import Transaction
from shared.documents import step_history
from shared.documents.step_history import StepName
from shared.events import publish
from shared.search import index as search_index

Announcement = Literal["document.stored", "document.large", "document.scanned", "document.extracted"]

CHANGES_CHANNEL = "docuvault_changes"
GAVE_UP = "gave_up"
"""The code of a document whose step failed again and again for reasons that are not the document's: retrying the delivery resumes it."""


def wake_listeners(tx: Transaction, owner_id: UUID) -> None:
    """Tells the owner's open event streams after the commit; every transaction that changes documents calls it."""
    tx.wake(CHANGES_CHANNEL, str(owner_id))


def dedup_key(announcement: str, document_id: UUID, revision: int, done: int | None = None) -> str:
    """Under which key a step's event is published."""
    return f"{announcement}/{document_id}/{revision}" + ("" if done is None else f"/{done}")


def cost_of(size: int) -> int:
    """What reading so many bytes is expected to cost, as deliveries are ordered by it: 0 up to 64 KiB, one more for each doubling."""
    return (size >> 16).bit_length()


async def announce(
    tx: Transaction,
    announcement: Announcement,
    *,
    owner_id: UUID,
    document_id: UUID,
    revision: int,
    done: int | None = None,
    cost: int = 0,
) -> None:
    """Publishes that the document has come this far; a second time for the same revision (and part) changes nothing."""
    await publish(
        tx,
        announcement,
        owner_id=owner_id,
        subject=str(document_id),
        data={"document_id": str(document_id), "revision": revision} | ({} if done is None else {"done": done}),
        dedup_key=dedup_key(announcement, document_id, revision, done),
        cost=cost,
    )


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
