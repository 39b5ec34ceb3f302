"""GET /api/auth/sessions: where the caller is signed in, newest first."""

from shared.db import database
from shared.faas import Call, Page, PageQuery, endpoint
from shared.identity import session_list
from shared.identity.models import SessionItem


@endpoint("GET", "/api/auth/sessions", auth="user", query=PageQuery, returns=Page[SessionItem], errors=["invalid_cursor"])
async def list_sessions(call: Call[None, PageQuery]) -> Page[SessionItem]:
    return await session_list.page(database(), call.user.user_id, call.user.session_id, limit=call.query.limit, cursor=call.query.cursor)
