"""POST /api/documents/{document_id}/restore: takes a document back out of the trash."""

from shared.audit import Caller
from shared.documents import library
from shared.documents.models import Document
from shared.faas import Call, endpoint


@endpoint("POST", "/api/documents/{document_id}/restore", auth="user", scope="documents:write", returns=Document, errors=["not_found"])
async def restore_document(call: Call) -> Document:
    return await library.restore(call.db, call.path.document_id, caller=Caller.of(call))
