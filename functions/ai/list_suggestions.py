"""GET /api/documents/{document_id}/suggestions: the topics that were proposed for the document, open ones first."""

from shared.documents import suggestions
from shared.documents.topic_models import Suggestion
from shared.faas import Call, Page, PageQuery, endpoint


@endpoint(
    "GET",
    "/api/documents/{document_id}/suggestions",
    auth="user",
    scope="ai:read",
    query=PageQuery,
    returns=Page[Suggestion],
    errors=["not_found", "invalid_cursor"],
)
async def list_suggestions(call: Call[None, PageQuery]) -> Page[Suggestion]:
    return await suggestions.page(call.db, call.path.document_id, call.query)
