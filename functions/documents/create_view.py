"""POST /api/views: keeps a list."""

from shared.documents import views
from shared.documents.view_models import NewView, View
from shared.faas import Call, endpoint


@endpoint(
    "POST",
    "/api/views",
    auth="user",
    scope="documents:write",
    body=NewView,
    returns=View,
    status=201,
    errors=["too_many_views"],
    idempotent=True,
)
async def create_view(call: Call[NewView]) -> View:
    return await views.create(call.db, call.body)
