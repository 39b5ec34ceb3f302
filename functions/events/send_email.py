"""A mail was requested: sends it, once, however often the event is delivered."""

from shared.db import database
from shared.events.catalogue import EmailRequested
from shared.faas import Rejected, on_event
from shared.identity import resets
from shared.mail import delivery


@on_event(EmailRequested, queue="email")
async def send_email(event: EmailRequested) -> None:
    try:
        await delivery.deliver(database(), event.mail_id, prepare=resets.prepare)
    except delivery.NeverDeliverable as never:
        raise Rejected(str(never)) from None
