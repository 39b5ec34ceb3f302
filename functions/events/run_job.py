"""On `job.due`: goes on with an owner's job for a few seconds."""

from uuid import UUID

from shared.db import TenantDatabase, database
from shared.documents import bulk
from shared.faas import Event, Rejected, on_event


@on_event("job.due", queue="documents")
async def run_job(event: Event) -> None:
    if event.owner_id is None:
        raise Rejected("the event names no owner")
    try:
        job_id, slices = UUID(str(event.data["job_id"])), int(event.data["slices"])
    except (KeyError, TypeError, ValueError):
        raise Rejected("the event names no job") from None
    await bulk.run_slice(TenantDatabase(database(), event.owner_id), job_id, slices)
