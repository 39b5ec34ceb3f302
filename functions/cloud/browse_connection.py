"""GET /api/cloud/connections/{connection_id}/files: what is in a folder of the cloud, folders first."""

from shared.cloud import browsing
from shared.cloud.models import BrowseQuery, CloudFile
from shared.faas import AtOnce, Call, Page, endpoint


@endpoint(
    "GET",
    "/api/cloud/connections/{connection_id}/files",
    auth="user",
    scope="cloud:read",
    query=BrowseQuery,
    returns=Page[CloudFile],
    errors=["not_found", "name_refused", "credentials_rejected"],
    at_once=AtOnce(account=4, address=32),
)
async def browse_connection(call: Call[None, BrowseQuery]) -> Page[CloudFile]:
    return await browsing.browse(call.db, call.path.connection_id, call.query)
