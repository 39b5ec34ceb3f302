"""GET /api/cloud/connections/{connection_id}/watched-folders: what is watched there, and what could not be taken."""

from shared.api import short_lists
from shared.cloud import watching
from shared.cloud.models import WatchedFolder
from shared.faas import Call, Page, PageQuery, endpoint


@endpoint(
    "GET",
    "/api/cloud/connections/{connection_id}/watched-folders",
    auth="user",
    scope="cloud:read",
    query=PageQuery,
    returns=Page[WatchedFolder],
    errors=["not_found"],
)
async def list_watched_folders(call: Call[None, PageQuery]) -> Page[WatchedFolder]:
    folders = await watching.list_all(call.db, call.path.connection_id)
    return short_lists.page(folders, call.query, {"list": "watched folders", "connection": call.path.connection_id})
