"""PUT /api/ai/settings: chooses the AI provider that reads the caller's documents.

If documents are to go elsewhere, a session needs a sign-in of the last ten minutes, or the password and, with a second factor, its code.
"""

from shared.assistant import choices
from shared.assistant.destination import Author
from shared.assistant.models import AISettings, NewAISettings
from shared.faas import Call, endpoint
from shared.identity.client import Client


@endpoint(
    "PUT",
    "/api/ai/settings",
    auth="user",
    scope="ai:write",
    body=NewAISettings,
    returns=AISettings,
    errors=["url_not_allowed", "reauthentication_required", "invalid_credentials", "invalid_code"],
)
async def update_ai_settings(call: Call[NewAISettings]) -> AISettings:
    author = Author(Client.of(call), call.user.user_id, call.user.session_id, call.body.password, call.body.code)
    return await choices.update(call.db, call.body, author)
