"""GET /api/admin/stats: the whole system in a few numbers."""

from shared.admin import stats
from shared.admin.models import Stats
from shared.db import database
from shared.faas import Call, endpoint


@endpoint("GET", "/api/admin/stats", auth="admin", returns=Stats)
async def get_stats(call: Call) -> Stats:
    return await stats.get(database())
