"""GET /api/archives/{token}: a ZIP of documents, made as it is sent, for whoever holds the link; good for five minutes to begin."""

from shared.documents import archives
from shared.faas import AtOnce, Call, Response, endpoint


@endpoint(
    "GET",
    "/api/archives/{token}",
    auth="none",
    returns=archives.CONTENT_TYPE,
    errors=["not_found"],
    at_once=AtOnce(account=2, address=8),
)
async def stream_archive(call: Call) -> Response:
    return await archives.serve(call.path.text("token"))
