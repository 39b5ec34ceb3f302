"""GET /api/ai/calls: every call to an AI provider on behalf of the caller, newest first."""

from shared.assistant import call_log
from shared.assistant.models import AICall
from shared.faas import Call, Page, PageQuery, endpoint


@endpoint("GET", "/api/ai/calls", auth="user", scope="ai:read", query=PageQuery, returns=Page[AICall], errors=["invalid_cursor"])
async def list_ai_calls(call: Call[None, PageQuery]) -> Page[AICall]:
    return await call_log.page(call.db, limit=call.query.limit, cursor=call.query.cursor)
