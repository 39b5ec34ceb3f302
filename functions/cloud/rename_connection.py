"""PATCH /api/cloud/connections/{connection_id}: gives a connection another name."""

from shared.audit import Caller
from shared.cloud import connections
from shared.cloud.models import Connection, ConnectionChange
from shared.faas import Call, endpoint


@endpoint(
    "PATCH",
    "/api/cloud/connections/{connection_id}",
    auth="user",
    scope="cloud:write",
    body=ConnectionChange,
    returns=Connection,
    errors=["not_found"],
)
async def rename_connection(call: Call[ConnectionChange]) -> Connection:
    return await connections.rename(call.db, call.path.connection_id, call.body.name, caller=Caller.of(call))
