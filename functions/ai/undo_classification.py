"""POST /api/documents/{document_id}/classify/undo: takes back what the last classification filed."""

from shared.documents import classify_step, library
from shared.documents.models import Document
from shared.faas import Call, endpoint


@endpoint("POST", "/api/documents/{document_id}/classify/undo", auth="user", scope="ai:write", returns=Document, errors=["not_found"])
async def undo_classification(call: Call) -> Document:
    async with call.db.transaction() as tx:
        await classify_step.undo(tx, owner_id=call.user.user_id, document_id=call.path.document_id)
    return await library.get(call.db, call.path.document_id)
