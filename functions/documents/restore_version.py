"""POST /api/documents/{document_id}/versions/{version_id}/restore: makes a version the current one again."""

from shared.audit import Caller
from shared.documents import versions
from shared.documents.models import Document
from shared.faas import Call, endpoint


@endpoint(
    "POST",
    "/api/documents/{document_id}/versions/{version_id}/restore",
    auth="user",
    scope="documents:write",
    returns=Document,
    errors=["not_found", "not_replaceable"],
)
async def restore_version(call: Call) -> Document:
    return await versions.restore(call.db, call.path.document_id, call.path.version_id, caller=Caller.of(call))
