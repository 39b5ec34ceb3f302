"""GET /api/documents/{document_id}/thumbnail: a picture of the first page."""

from shared.documents import library
from shared.faas import Call, Response, endpoint
from shared.faas.responses import matches


@endpoint(
    "GET",
    "/api/documents/{document_id}/thumbnail",
    auth="user",
    scope="documents:read",
    headers={"If-None-Match": "The ETag of the picture that the client has."},
    returns="image/webp",
    errors=["not_found"],
)
async def get_thumbnail(call: Call) -> Response:
    tag, picture = await library.thumbnail(call.db, call.path.document_id)
    headers = [("etag", tag), ("cache-control", "private, max-age=300")]
    if matches(tag, call.headers.get("if-none-match", "")):
        return Response(304, b"", headers)
    return Response.content(picture, "image/webp", headers=headers)
