"""PUT /api/admin/settings: changes what holds for everyone."""

from shared import audit
from shared.admin import system_settings
from shared.admin.system_settings import NewSystemSettings, SystemSettings
from shared.audit import Event
from shared.db import database
from shared.faas import Call, endpoint


@endpoint("PUT", "/api/admin/settings", auth="admin", body=NewSystemSettings, returns=SystemSettings, errors=["url_not_allowed"])
async def update_settings(call: Call[NewSystemSettings]) -> SystemSettings:
    async with database().system() as tx:
        await system_settings.update(tx, call.body)
        await audit.record(
            tx,
            Event.ADMIN_SETTINGS_UPDATED,
            actor=call.user.user_id,
            owner=call.user.user_id,
            address=call.client_address,
            user_agent=call.user_agent,
            detail={"ai": {"provider": call.body.ai.provider, "model": call.body.ai.model or ""}},
        )
    return await system_settings.get(database())
