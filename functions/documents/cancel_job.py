"""DELETE /api/jobs/{job_id}: ends a job; what it has done stays done."""

from shared.documents import jobs
from shared.documents.change_models import Job
from shared.faas import Call, endpoint


@endpoint("DELETE", "/api/jobs/{job_id}", auth="user", scope="documents:write", returns=Job, errors=["not_found"])
async def cancel_job(call: Call) -> Job:
    return await jobs.cancel(call.db, call.path.job_id)
