"""POST /api/documents/upload: a document as a form, passed on to the object store as it comes in."""

from shared.audit import Caller
from shared.documents import streamed_uploads
from shared.documents.models import Document
from shared.faas import AtOnce, Call, endpoint

MAX_BODY = 2**50
"""Not the limit: MAX_DOCUMENT_SIZE is, and its problem says so in words."""


@endpoint(
    "POST",
    "/api/documents/upload",
    auth="user",
    scope="documents:write",
    body="stream",
    returns=Document,
    status=201,
    errors=[
        "document_too_large",
        "quota_exceeded",
        "unsupported_type",
        "empty_document",
        "duplicate_document",
        "malformed_body",
        "not_found",
        "not_replaceable",
        "limit_reached",
    ],
    at_once=AtOnce(account=16, address=64),
    idempotent=True,
    subject=lambda document: document.id,
    max_body=MAX_BODY,
)
async def upload_document(call: Call) -> Document:
    length = call.headers.get("content-length", "")
    return await streamed_uploads.receive(
        call.db,
        call.stream,
        content_type=call.headers.get("content-type", ""),
        content_length=int(length) if length.isdecimal() else None,
        caller=Caller.of(call),
    )
