"""POST /api/documents/{document_id}/suggestions/{suggestion_id}: accepts or rejects a proposed topic."""

from shared.documents import suggestions
from shared.documents.topic_models import Decision, Suggestion
from shared.faas import Call, RequestModel, endpoint


class DecisionRequest(RequestModel):
    decision: Decision


@endpoint(
    "POST",
    "/api/documents/{document_id}/suggestions/{suggestion_id}",
    auth="user",
    scope="ai:write",
    body=DecisionRequest,
    returns=Suggestion,
    errors=["not_found"],
)
async def decide_suggestion(call: Call[DecisionRequest]) -> Suggestion:
    async with call.db.transaction() as tx:
        return await suggestions.decide(
            tx,
            owner_id=call.user.user_id,
            document_id=call.path.document_id,
            suggestion_id=call.path.suggestion_id,
            decision=call.body.decision,
        )
