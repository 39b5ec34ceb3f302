"""GET /api/senders: whom the caller's documents come from, by name."""

from shared.documents import senders
from shared.documents.sender_models import Sender
from shared.faas import Call, Page, PageQuery, endpoint


@endpoint("GET", "/api/senders", auth="user", scope="documents:read", query=PageQuery, returns=Page[Sender], errors=["invalid_cursor"])
async def list_senders(call: Call[None, PageQuery]) -> Page[Sender]:
    return await senders.list_page(call.db, call.query)
