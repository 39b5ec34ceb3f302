"""PUT /api/admin/settings: changes what holds for everyone.

If documents are to go elsewhere, it needs a sign-in of the last ten minutes, or the password and, with a second factor, its code.
"""

from shared.admin import system_settings
from shared.admin.models import NewSystemSettings, SystemSettings
from shared.assistant.destination import Author
from shared.db import database
from shared.faas import Call, endpoint
from shared.identity.client import Client


@endpoint(
    "PUT",
    "/api/admin/settings",
    auth="admin",
    body=NewSystemSettings,
    returns=SystemSettings,
    errors=["url_not_allowed", "reauthentication_required", "invalid_credentials", "invalid_code"],
)
async def update_settings(call: Call[NewSystemSettings]) -> SystemSettings:
    author = Author(Client.of(call), call.user.user_id, call.user.session_id, call.body.password, call.body.code)
    return await system_settings.update(database(), call.body, author)
