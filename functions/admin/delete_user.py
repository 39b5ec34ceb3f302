"""DELETE /api/admin/users/{user_id}: closes the account at once; all that it holds is gone soon after.

It needs a sign-in of the last ten minutes.
"""

from shared.admin import users
from shared.db import database
from shared.faas import Call, endpoint
from shared.identity.client import Client


@endpoint("DELETE", "/api/admin/users/{user_id}", auth="admin", errors=["not_found", "last_admin", "reauthentication_required"])
async def delete_user(call: Call) -> None:
    await users.delete(database(), users.Admin(Client.of(call), call.user.user_id, call.user.session_id), call.path.user_id)
