"""PATCH /api/documents/{document_id}: changes what is written about a document."""

from shared.audit import Caller
from shared.documents import details, library
from shared.documents.change_models import DocumentChange
from shared.documents.models import Document
from shared.faas import Call, Response, endpoint


@endpoint(
    "PATCH",
    "/api/documents/{document_id}",
    auth="user",
    scope="documents:write",
    body=DocumentChange,
    headers={"If-Match": "The ETag of the document that the client has read: changes it only if it is still as it was then."},
    returns=Document,
    errors=["not_found", "changed_meanwhile"],
)
async def update_document(call: Call[DocumentChange]) -> Response:
    document = await details.update(
        call.db, call.path.document_id, call.body, if_match=call.headers.get("if-match"), caller=Caller.of(call)
    )
    return Response.json(document, headers=[("etag", library.entity_tag(document))])
