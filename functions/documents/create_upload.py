"""POST /api/documents: reserves room for a document and answers how to send its bytes straight to the object store."""

from shared.audit import Caller
from shared.documents import uploads
from shared.documents.models import CreatedUpload, CreateUpload
from shared.faas import Call, endpoint


@endpoint(
    "POST",
    "/api/documents",
    auth="user",
    scope="documents:write",
    body=CreateUpload,
    returns=CreatedUpload,
    status=201,
    errors=[
        "document_too_large",
        "quota_exceeded",
        "unsupported_type",
        "empty_document",
        "duplicate_document",
        "not_found",
        "not_replaceable",
        "limit_reached",
    ],
    idempotent=True,
    subject=lambda created: created.document.id,
)
async def create_upload(call: Call[CreateUpload]) -> CreatedUpload:
    return await uploads.create(call.db, call.body, caller=Caller.of(call))
