"""GET /api/documents/events: what changes among the caller's documents, as server-sent events.

A stream ends after 15 minutes, or when the token does; the client opens another one with the `Last-Event-ID` of the last event, as
browsers do by themselves. An account may have 12 at once, an address 128.
"""

from datetime import timedelta

from shared.clock import now
from shared.documents import changes
from shared.errors import Unauthenticated, Unavailable
from shared.faas import AtOnce, Call, Response, endpoint

LONGEST = timedelta(minutes=15)


@endpoint(
    "GET",
    "/api/documents/events",
    auth="user",
    scope="documents:read",
    headers={
        "Last-Event-ID": "The id of the last event that came: what was missed since comes first, or `event: reset` where it is too old."
    },
    returns="text/event-stream",
    at_once=AtOnce(account=12, address=128),
)
async def stream_document_events(call: Call) -> Response:
    from shared.identity.access import authenticate

    async def still_allowed() -> bool:
        try:
            await authenticate(
                call.bearer or "", user_agent=call.user_agent, accept_language=call.accept_language, address=call.client_address
            )
        except (Unauthenticated, Unavailable):
            return False
        return True

    ends_at = min(call.user.expires_at, now() + LONGEST)
    events = changes.stream(call.db, last_event_id=call.headers.get("last-event-id"), ends_at=ends_at, still_allowed=still_allowed)
    return Response.stream(events, "text/event-stream", headers=[("cache-control", "no-store"), ("x-accel-buffering", "no")])
