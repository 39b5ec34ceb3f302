"""GET /api/jobs/{job_id}: how far one of the caller's jobs has come."""

from shared.documents import jobs
from shared.documents.change_models import Job
from shared.faas import Call, endpoint


@endpoint("GET", "/api/jobs/{job_id}", auth="user", scope="documents:read", returns=Job, errors=["not_found"])
async def get_job(call: Call) -> Job:
    return await jobs.get(call.db, call.path.job_id)
