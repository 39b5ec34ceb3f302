"""POST /api/senders/{sender_id}/merge: makes two senders one."""

from shared.documents import senders
from shared.documents.sender_models import Sender, SenderMerge
from shared.faas import Call, endpoint


@endpoint(
    "POST",
    "/api/senders/{sender_id}/merge",
    auth="user",
    scope="documents:write",
    body=SenderMerge,
    returns=Sender,
    errors=["not_found"],
)
async def merge_senders(call: Call[SenderMerge]) -> Sender:
    return await senders.merge(call.db, call.path.sender_id, call.body.into)
