"""GET /api/documents/{document_id}/versions: the document's versions, the highest number first."""

from shared.documents import versions
from shared.documents.version_models import DocumentVersion
from shared.faas import Call, Page, PageQuery, endpoint


@endpoint(
    "GET",
    "/api/documents/{document_id}/versions",
    auth="user",
    scope="documents:read",
    query=PageQuery,
    returns=Page[DocumentVersion],
    errors=["not_found", "invalid_cursor"],
)
async def list_versions(call: Call[None, PageQuery]) -> Page[DocumentVersion]:
    return await versions.list_page(call.db, call.path.document_id, call.query)
