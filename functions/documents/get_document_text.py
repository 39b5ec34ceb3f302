"""GET /api/documents/{document_id}/text: what was read of a document, by page."""

from pydantic import Field

from shared.documents import library
from shared.documents.models import DocumentPages
from shared.faas import Call, RequestModel, endpoint


class TextQuery(RequestModel):
    """One page, or without it all of them; with `boxes`, where recognised words stand on the pictures of their pages."""

    page: int | None = Field(default=None, ge=1, lt=2**31)
    boxes: bool = False


@endpoint(
    "GET",
    "/api/documents/{document_id}/text",
    auth="user",
    scope="documents:read",
    query=TextQuery,
    returns=DocumentPages,
    errors=["not_found"],
)
async def get_document_text(call: Call[None, TextQuery]) -> DocumentPages:
    return await library.text(call.db, call.path.document_id, call.query.page, boxes=call.query.boxes)
