"""DELETE /api/views/{view_id}: keeps a list no longer; its documents stay."""

from shared.documents import views
from shared.faas import Call, endpoint


@endpoint("DELETE", "/api/views/{view_id}", auth="user", scope="documents:write", errors=["not_found"])
async def delete_view(call: Call) -> None:
    await views.delete(call.db, call.path.view_id)
