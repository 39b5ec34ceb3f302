"""GET /api/documents/events: what changes among the caller's documents, as server-sent events, until the token expires."""

from shared.documents import changes
from shared.errors import Unauthenticated, Unavailable
from shared.faas import Answer, Call, endpoint


@endpoint(
    "GET",
    "/api/documents/events",
    auth="user",
    scope="documents:read",
    headers={
        "Last-Event-ID": "The id of the last event that came: what was missed since comes first, or `event: reset` where it is too old."
    },
    returns="text/event-stream",
)
async def stream_document_events(call: Call) -> Answer:
    from shared.identity.access import authenticate

    async def still_allowed() -> bool:
        try:
            await authenticate(call.bearer or "", user_agent=call.user_agent, accept_language=call.accept_language)
        except (Unauthenticated, Unavailable):
            return False
        return True

    events = changes.stream(
        call.db, last_event_id=call.headers.get("last-event-id"), ends_at=call.user.expires_at, still_allowed=still_allowed
    )
    return Answer.stream(events, "text/event-stream", headers=[("cache-control", "no-store"), ("x-accel-buffering", "no")])
