"""GET /api/ai/settings: which AI provider reads the caller's documents."""

from shared.assistant import choices
from shared.assistant.models import AISettings
from shared.faas import Call, endpoint


@endpoint("GET", "/api/ai/settings", auth="user", scope="ai:read", returns=AISettings)
async def get_ai_settings(call: Call) -> AISettings:
    return await choices.get(call.db)
