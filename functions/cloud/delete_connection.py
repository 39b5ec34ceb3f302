"""DELETE /api/cloud/connections/{connection_id}: forgets a cloud and its credentials; what is stored there stays there."""

from shared.audit import Caller
from shared.cloud import connections
from shared.faas import Call, endpoint


@endpoint(
    "DELETE",
    "/api/cloud/connections/{connection_id}",
    auth="user",
    scope="cloud:write",
    errors=["not_found", "connection_in_use"],
)
async def delete_connection(call: Call) -> None:
    await connections.delete(call.db, call.path.connection_id, caller=Caller.of(call))
