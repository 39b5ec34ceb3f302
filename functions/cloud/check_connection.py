"""POST /api/cloud/connections/{connection_id}/check: asks the cloud whether it still lets us in."""

from shared.cloud import connections
from shared.cloud.models import Connection
from shared.faas import AtOnce, Call, endpoint


@endpoint(
    "POST",
    "/api/cloud/connections/{connection_id}/check",
    auth="user",
    scope="cloud:write",
    returns=Connection,
    errors=["not_found"],
    at_once=AtOnce(account=4, address=16),
)
async def check_connection(call: Call) -> Connection:
    return await connections.check(call.db, call.path.connection_id)
