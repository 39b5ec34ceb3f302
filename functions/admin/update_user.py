"""PATCH /api/admin/users/{user_id}: changes role or quota, or whether the account may be used.

To make an admin, or to let somebody in again, needs a sign-in of the last ten minutes, or the admin's own password and, with a second
factor, its code. Whoever's role changes has to sign in anew; an account that may not be used has no sessions and no API tokens any more.
"""

from shared.admin import users
from shared.admin.models import AccountForAdmins, AccountUpdate
from shared.db import database
from shared.faas import Call, endpoint
from shared.identity.client import Client


@endpoint(
    "PATCH",
    "/api/admin/users/{user_id}",
    auth="admin",
    body=AccountUpdate,
    returns=AccountForAdmins,
    errors=["not_found", "last_admin", "reauthentication_required", "invalid_credentials", "invalid_code"],
)
async def update_user(call: Call[AccountUpdate]) -> AccountForAdmins:
    admin = users.Admin(Client.of(call), call.user.user_id, call.user.session_id)
    return await users.update(database(), admin, call.path.user_id, call.body)
