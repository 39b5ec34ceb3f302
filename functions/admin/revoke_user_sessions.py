"""POST /api/admin/users/{user_id}/revoke-sessions: signs the account out everywhere, at once."""

from shared.admin import users
from shared.admin.models import EndedSessions
from shared.db import database
from shared.faas import Call, endpoint
from shared.identity.client import Client


@endpoint("POST", "/api/admin/users/{user_id}/revoke-sessions", auth="admin", returns=EndedSessions, errors=["not_found"])
async def revoke_user_sessions(call: Call) -> EndedSessions:
    admin = users.Admin(Client.of(call), call.user.user_id, call.user.session_id)
    return EndedSessions(sessions=await users.end_sessions(database(), admin, call.path.user_id))
