"""GET /api/admin/users: every account, newest first."""

from shared.admin import users
from shared.admin.models import AccountForAdmins
from shared.db import database
from shared.faas import Call, Page, PageQuery, endpoint


@endpoint("GET", "/api/admin/users", auth="admin", query=PageQuery, returns=Page[AccountForAdmins], errors=["invalid_cursor"])
async def list_users(call: Call[None, PageQuery]) -> Page[AccountForAdmins]:
    return await users.list_page(database(), call.query)
