"""GET /api/ai/usage: what each model cost the caller in each month."""

from shared.assistant import call_log
from shared.assistant.models import MonthlyUsage
from shared.faas import Call, Page, PageQuery, endpoint


@endpoint("GET", "/api/ai/usage", auth="user", scope="ai:read", query=PageQuery, returns=Page[MonthlyUsage], errors=["invalid_cursor"])
async def get_ai_usage(call: Call[None, PageQuery]) -> Page[MonthlyUsage]:
    return await call_log.usage(call.db, limit=call.query.limit, cursor=call.query.cursor)
