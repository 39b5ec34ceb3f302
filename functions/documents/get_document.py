"""GET /api/documents/{document_id}: one of the caller's documents."""

from shared.documents import library
from shared.documents.models import Document
from shared.faas import Call, Response, endpoint
from shared.faas.responses import matches


@endpoint(
    "GET",
    "/api/documents/{document_id}",
    auth="user",
    scope="documents:read",
    headers={"If-None-Match": "The ETag of the document that the client has."},
    returns=Document,
    errors=["not_found"],
)
async def get_document(call: Call) -> Response:
    document = await library.get(call.db, call.path.document_id)
    tag = library.entity_tag(document)
    if matches(tag, call.headers.get("if-none-match", "")):
        return Response(304, b"", [("etag", tag)])
    return Response.json(document, headers=[("etag", tag)])
