"""POST /api/cloud/connections/{connection_id}/export: copies of documents go to a folder of the cloud."""

from shared.audit import Caller
from shared.cloud import exports
from shared.cloud.models import ExportDocuments
from shared.faas import Call, Response, endpoint


@endpoint(
    "POST",
    "/api/cloud/connections/{connection_id}/export",
    auth="user",
    scope="cloud:write",
    body=ExportDocuments,
    status=202,
    errors=["not_found", "name_refused"],
)
async def export_documents(call: Call[ExportDocuments]) -> Response:
    body = call.body
    await exports.begin(call.db, call.path.connection_id, body.document_ids, body.folder, caller=Caller.of(call))
    return Response(202)
