"""A job of an owner's is due: goes on with it for a few seconds."""

from shared.cloud import exports, imports
from shared.db import TenantDatabase, database
from shared.documents import bulk, jobs
from shared.events.catalogue import JobDue
from shared.faas import on_event


@on_event(JobDue, queue="documents")
async def run_job(event: JobDue) -> None:
    db = TenantDatabase(database(), event.owner_id)
    match await jobs.kind_of(db, event.job_id):
        case "import":
            await imports.run_slice(db, event.job_id, event.slices)
        case "export":
            await exports.run_slice(db, event.job_id, event.slices)
        case _:
            await bulk.run_slice(db, event.job_id, event.slices)
