"""GET /api/admin/schedules: what runs by the clock, how it went last, and when it is due."""

from shared.admin import schedules
from shared.admin.models import Schedule
from shared.api import short_lists
from shared.db import database
from shared.faas import Call, Page, PageQuery, endpoint


@endpoint("GET", "/api/admin/schedules", auth="admin", query=PageQuery, returns=Page[Schedule], errors=["invalid_cursor"])
async def list_schedules(call: Call[None, PageQuery]) -> Page[Schedule]:
    return short_lists.page(await schedules.get_all(database()), call.query, {"list": "schedules"})
