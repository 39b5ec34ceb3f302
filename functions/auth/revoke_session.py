"""DELETE /api/auth/sessions/{session_id}: ends one of the caller's sessions at once."""

from shared.db import database
from shared.errors import NotFound
from shared.faas import Call, endpoint
from shared.identity import session_list
from shared.identity.client import Client


@endpoint("DELETE", "/api/auth/sessions/{session_id}", auth="user", errors=["not_found"])
async def revoke_session(call: Call) -> None:
    if not await session_list.revoke(database(), Client.of(call), call.user.user_id, call.path.session_id):
        raise NotFound
