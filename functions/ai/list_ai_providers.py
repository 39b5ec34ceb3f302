"""GET /api/ai/providers: the AI providers there are."""

from shared.api import short_lists
from shared.documents import ai_requests
from shared.documents.ai_models import Provider
from shared.faas import Call, Page, PageQuery, endpoint


@endpoint("GET", "/api/ai/providers", auth="user", scope="ai:read", query=PageQuery, returns=Page[Provider], errors=["invalid_cursor"])
async def list_ai_providers(call: Call[None, PageQuery]) -> Page[Provider]:
    return short_lists.page(await ai_requests.providers(call.db), call.query, {"list": "ai providers"})
