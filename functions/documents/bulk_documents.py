"""POST /api/documents/bulk: one action on many documents, by their ids at once or by a filter as a job."""

from shared.audit import Caller
from shared.documents import bulk
from shared.documents.change_models import BulkRequest, BulkResult, Job
from shared.faas import Call, Response, endpoint


@endpoint(
    "POST",
    "/api/documents/bulk",
    auth="user",
    scope="documents:write",
    body=BulkRequest,
    returns=BulkResult,
    or_returns={202: Job},
    errors=["not_found"],
    idempotent=True,
    max_body=128 * 1024,
)
async def bulk_documents(call: Call[BulkRequest]) -> Response:
    if call.body.ids is not None:
        return Response.json(await bulk.by_ids(call.db, call.body, caller=Caller.of(call)))
    return Response.json(await bulk.by_filter(call.db, call.body, caller=Caller.of(call)), status=202)
