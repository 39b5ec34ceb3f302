"""GET /api/account/security-events: what happened to the caller's account, newest first."""

from shared.audit import security_events
from shared.audit.models import SecurityEvent
from shared.faas import Call, Page, PageQuery, endpoint


@endpoint(
    "GET",
    "/api/account/security-events",
    auth="user",
    scope="account:read",
    query=PageQuery,
    returns=Page[SecurityEvent],
    errors=["invalid_cursor"],
)
async def list_security_events(call: Call[None, PageQuery]) -> Page[SecurityEvent]:
    return await security_events.of_account(call.db, limit=call.query.limit, cursor=call.query.cursor)
