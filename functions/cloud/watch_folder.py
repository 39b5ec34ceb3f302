"""POST /api/cloud/connections/{connection_id}/watched-folders: from now on the folder's files become documents by themselves."""

from shared.audit import Caller
from shared.cloud import watching
from shared.cloud.models import WatchedFolder, WatchFolder
from shared.faas import AtOnce, Call, endpoint


@endpoint(
    "POST",
    "/api/cloud/connections/{connection_id}/watched-folders",
    auth="user",
    scope="cloud:write",
    body=WatchFolder,
    returns=WatchedFolder,
    status=201,
    errors=["not_found", "name_refused", "credentials_rejected", "limit_reached"],
    at_once=AtOnce(account=4, address=16),
    idempotent=True,
)
async def watch_folder(call: Call[WatchFolder]) -> WatchedFolder:
    return await watching.begin(call.db, call.path.connection_id, call.body.path, caller=Caller.of(call))
