"""POST /api/admin/users: makes an account; without a password its owner is mailed a link to choose one.

It needs a sign-in of the last ten minutes, or the admin's own password and, with a second factor, its code.
"""

from shared.admin import users
from shared.admin.models import AccountForAdmins, NewAccount
from shared.db import database
from shared.faas import Call, endpoint
from shared.identity.client import Client


@endpoint(
    "POST",
    "/api/admin/users",
    auth="admin",
    body=NewAccount,
    returns=AccountForAdmins,
    status=201,
    errors=[
        "user_exists",
        "password_too_weak",
        "password_breached",
        "reauthentication_required",
        "invalid_credentials",
        "invalid_code",
    ],
    idempotent=True,
)
async def create_user(call: Call[NewAccount]) -> AccountForAdmins:
    return await users.create(database(), users.Admin(Client.of(call), call.user.user_id, call.user.session_id), call.body)
