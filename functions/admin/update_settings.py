"""PUT /api/admin/settings: changes what holds for everyone."""

from shared.admin import system_settings
from shared.admin.system_settings import NewSystemSettings, SystemSettings
from shared.audit import Caller
from shared.db import database
from shared.faas import Call, endpoint


@endpoint("PUT", "/api/admin/settings", auth="admin", body=NewSystemSettings, returns=SystemSettings, errors=["url_not_allowed"])
async def update_settings(call: Call[NewSystemSettings]) -> SystemSettings:
    return await system_settings.update(database(), call.body, Caller.of(call))
