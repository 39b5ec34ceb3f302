"""POST /api/documents/{document_id}/move: lets a document live in another place; the copy is verified before the source goes."""

from uuid import UUID

from shared.audit import Caller
from shared.cloud import moves
from shared.faas import Call, RequestModel, Response, endpoint


class MoveDestination(RequestModel):
    """A connection of the caller's; null: DocuVault's own store."""

    connection_id: UUID | None


@endpoint(
    "POST",
    "/api/documents/{document_id}/move",
    auth="user",
    scope="documents:write",
    body=MoveDestination,
    returns=None,
    status=202,
    errors=["not_found", "not_movable"],
)
async def move_document(call: Call[MoveDestination]) -> Response:
    await moves.request(call.db, call.path.document_id, call.body.connection_id, caller=Caller.of(call))
    return Response(202)
