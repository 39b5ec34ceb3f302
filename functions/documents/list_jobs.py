"""GET /api/jobs: the caller's long work, newest first."""

from shared.documents import jobs
from shared.documents.change_models import Job
from shared.faas import Call, Page, PageQuery, endpoint


@endpoint("GET", "/api/jobs", auth="user", scope="documents:read", query=PageQuery, returns=Page[Job], errors=["invalid_cursor"])
async def list_jobs(call: Call[None, PageQuery]) -> Page[Job]:
    return await jobs.list_page(call.db, call.query)
