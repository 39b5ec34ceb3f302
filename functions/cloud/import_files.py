"""POST /api/cloud/connections/{connection_id}/import: files of the cloud become documents; folders grow as they are read."""

from shared.audit import Caller
from shared.cloud import imports
from shared.cloud.models import Imported, ImportFiles
from shared.faas import AtOnce, Call, endpoint


@endpoint(
    "POST",
    "/api/cloud/connections/{connection_id}/import",
    auth="user",
    scope="cloud:write",
    body=ImportFiles,
    returns=Imported,
    status=202,
    errors=[
        "not_found",
        "name_refused",
        "credentials_rejected",
        "document_too_large",
        "quota_exceeded",
        "unsupported_type",
        "empty_document",
    ],
    at_once=AtOnce(account=4, address=16),
    max_body=512 * 1024,
)
async def import_files(call: Call[ImportFiles]) -> Imported:
    return Imported(documents=await imports.begin(call.db, call.path.connection_id, call.body.paths, caller=Caller.of(call)))
