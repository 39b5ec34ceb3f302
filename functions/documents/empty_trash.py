"""DELETE /api/documents/trash: removes for good what is in the trash now."""

from shared.audit import Caller
from shared.documents import bulk
from shared.faas import Call, endpoint


@endpoint("DELETE", "/api/documents/trash", auth="user", scope="documents:write", status=202)
async def empty_trash(call: Call) -> None:
    await bulk.empty_trash(call.db, caller=Caller.of(call))
