"""On `email.requested`: sends the mail, once, however often the event is delivered."""

from uuid import UUID

from shared.db import database
from shared.faas import Event, Rejected, on_event
from shared.identity import resets
from shared.mail import delivery


@on_event("email.requested", queue="email")
async def send_email(event: Event) -> None:
    try:
        mail_id = UUID(str(event.data["mail_id"]))
    except (KeyError, ValueError):
        raise Rejected("the event names no mail") from None
    try:
        await delivery.deliver(database(), mail_id, prepare=resets.prepare)
    except delivery.NeverDeliverable as never:
        raise Rejected(str(never)) from None
