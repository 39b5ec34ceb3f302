"""DELETE /api/cloud/connections/{connection_id}/watched-folders/{folder_id}: watches it no longer; its documents stay."""

from shared.audit import Caller
from shared.cloud import watching
from shared.faas import Call, endpoint


@endpoint(
    "DELETE",
    "/api/cloud/connections/{connection_id}/watched-folders/{folder_id}",
    auth="user",
    scope="cloud:write",
    errors=["not_found"],
)
async def unwatch_folder(call: Call) -> None:
    await watching.end(call.db, call.path.connection_id, call.path.folder_id, caller=Caller.of(call))
