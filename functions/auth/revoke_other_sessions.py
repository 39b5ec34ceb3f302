"""DELETE /api/auth/sessions: ends all sessions of the caller but this one, at once."""

from shared.db import database
from shared.faas import Call, endpoint
from shared.identity import session_list
from shared.identity.client import Client


@endpoint("DELETE", "/api/auth/sessions", auth="user")
async def revoke_other_sessions(call: Call) -> None:
    await session_list.revoke_others(database(), Client.of(call), call.user.user_id, call.user.session_id)
