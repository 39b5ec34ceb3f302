"""PUT /api/ai/settings: chooses the AI provider that reads the caller's documents."""

from shared.assistant import choices
from shared.assistant.choices import AISettings, NewAISettings
from shared.faas import Call, endpoint


@endpoint("PUT", "/api/ai/settings", auth="user", scope="ai:write", body=NewAISettings, returns=AISettings, errors=["url_not_allowed"])
async def update_ai_settings(call: Call[NewAISettings]) -> AISettings:
    return await choices.update(call.db, call.body)
