"""GET /api/content/{token}: a document that lives in a cloud, for whoever holds the link; ranges work."""

from shared.cloud import content
from shared.faas import AtOnce, Call, Response, endpoint


@endpoint(
    "GET",
    "/api/content/{token}",
    auth="none",
    headers={"Range": "One range of bytes.", "If-Range": "The ETag of what the client has: another one is sent whole."},
    returns="application/octet-stream",
    errors=["not_found", "original_missing", "original_changed", "credentials_rejected"],
    at_once=AtOnce(account=16, address=64),
)
async def stream_content(call: Call) -> Response:
    return await content.serve(call.path.text("token"), call.headers)
