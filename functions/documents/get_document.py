"""GET /api/documents/{document_id}: one of the caller's documents."""

from shared.documents import library
from shared.documents.models import Document
from shared.faas import Call, endpoint


@endpoint("GET", "/api/documents/{document_id}", auth="user", scope="documents:read", returns=Document, errors=["not_found"])
async def get_document(call: Call) -> Document:
    return await library.get(call.db, call.path.document_id)
