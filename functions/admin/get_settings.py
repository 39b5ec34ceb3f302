"""GET /api/admin/settings: what holds for everyone."""

from shared.admin import system_settings
from shared.admin.models import SystemSettings
from shared.db import database
from shared.faas import Call, endpoint


@endpoint("GET", "/api/admin/settings", auth="admin", returns=SystemSettings)
async def get_settings(call: Call) -> SystemSettings:
    return await system_settings.get(database())
