"""POST /api/admin/schedules/{name}/run: has a schedule run now; nothing more if it waits to be run already."""

from shared.admin import schedules
from shared.admin.models import Schedule
from shared.audit import Caller
from shared.db import database
from shared.faas import Call, endpoint


@endpoint("POST", "/api/admin/schedules/{name}/run", auth="admin", returns=Schedule, status=202, errors=["not_found"])
async def run_schedule(call: Call) -> Schedule:
    return await schedules.run(database(), Caller.of(call), call.path.text("name"))
