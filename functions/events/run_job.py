"""A job of an owner's is due: goes on with it for a few seconds."""

from shared.db import TenantDatabase, database
from shared.documents import bulk
from shared.events.catalogue import JobDue
from shared.faas import on_event


@on_event(JobDue, queue="documents")
async def run_job(event: JobDue) -> None:
    await bulk.run_slice(TenantDatabase(database(), event.owner_id), event.job_id, event.slices)
