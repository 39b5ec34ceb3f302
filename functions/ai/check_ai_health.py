"""POST /api/ai/health: whether the chosen AI provider responds just now."""

from shared.documents import ai_requests
from shared.documents.ai_models import AIHealth
from shared.faas import AtOnce, Call, endpoint


@endpoint("POST", "/api/ai/health", auth="user", scope="ai:write", returns=AIHealth, at_once=AtOnce(account=4, address=16))
async def check_ai_health(call: Call) -> AIHealth:
    return await ai_requests.health(call.db)
