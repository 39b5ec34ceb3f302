"""GET /api/views: the lists that the caller keeps, pinned ones first."""

from shared.documents import views
from shared.documents.view_models import View, ViewsQuery
from shared.faas import Call, Page, endpoint


@endpoint("GET", "/api/views", auth="user", scope="documents:read", query=ViewsQuery, returns=Page[View], errors=["invalid_cursor"])
async def list_views(call: Call[None, ViewsQuery]) -> Page[View]:
    return await views.list_page(call.db, call.query)
