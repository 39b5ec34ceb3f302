"""POST /api/documents/{document_id}/proposals/{proposal_id}: accepts or rejects a title, sender or date that was read from the document."""

from shared.documents import proposals
from shared.documents.ai_models import Proposal
from shared.documents.topic_models import Decision
from shared.faas import Call, RequestModel, endpoint


class ProposalDecision(RequestModel):
    decision: Decision


@endpoint(
    "POST",
    "/api/documents/{document_id}/proposals/{proposal_id}",
    auth="user",
    scope="ai:write",
    body=ProposalDecision,
    returns=Proposal,
    errors=["not_found"],
)
async def decide_proposal(call: Call[ProposalDecision]) -> Proposal:
    async with call.db.transaction() as tx:
        return await proposals.decide(
            tx,
            owner_id=call.user.user_id,
            document_id=call.path.document_id,
            proposal_id=call.path.proposal_id,
            decision=call.body.decision,
        )
