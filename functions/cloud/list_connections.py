"""GET /api/cloud/connections: the caller's clouds, oldest first."""

from shared.api import short_lists
from shared.cloud import connections
from shared.cloud.models import Connection
from shared.faas import Call, Page, PageQuery, endpoint


@endpoint("GET", "/api/cloud/connections", auth="user", scope="cloud:read", query=PageQuery, returns=Page[Connection])
async def list_connections(call: Call[None, PageQuery]) -> Page[Connection]:
    return short_lists.page(await connections.list_all(call.db), call.query, {"list": "connections", "owner": call.user.user_id})
