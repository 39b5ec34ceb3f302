"""POST /api/cloud/connections: connects a WebDAV or Nextcloud account, once its server has let us in."""

from shared.audit import Caller
from shared.cloud import connections
from shared.cloud.models import Connection, NewConnection
from shared.faas import AtOnce, Call, endpoint


@endpoint(
    "POST",
    "/api/cloud/connections",
    auth="user",
    scope="cloud:write",
    body=NewConnection,
    returns=Connection,
    status=201,
    errors=["url_not_allowed", "connection_failed", "too_many_connections"],
    at_once=AtOnce(account=4, address=16),
    idempotent=True,
)
async def connect_webdav(call: Call[NewConnection]) -> Connection:
    return await connections.connect(call.db, call.body, caller=Caller.of(call))
