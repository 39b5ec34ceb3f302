"""PATCH /api/senders/{sender_id}: gives a sender another name."""

from shared.documents import senders
from shared.documents.sender_models import Sender, SenderChange
from shared.faas import Call, endpoint


@endpoint(
    "PATCH",
    "/api/senders/{sender_id}",
    auth="user",
    scope="documents:write",
    body=SenderChange,
    returns=Sender,
    errors=["not_found", "sender_exists"],
)
async def update_sender(call: Call[SenderChange]) -> Sender:
    return await senders.rename(call.db, call.path.sender_id, call.body)
