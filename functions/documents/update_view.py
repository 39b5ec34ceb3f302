"""PATCH /api/views/{view_id}: changes a list that the caller keeps."""

from shared.documents import views
from shared.documents.view_models import View, ViewChange
from shared.faas import Call, endpoint


@endpoint("PATCH", "/api/views/{view_id}", auth="user", scope="documents:write", body=ViewChange, returns=View, errors=["not_found"])
async def update_view(call: Call[ViewChange]) -> View:
    return await views.update(call.db, call.path.view_id, call.body)
