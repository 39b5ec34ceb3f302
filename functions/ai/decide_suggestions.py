"""POST /api/ai/suggestions: accepts or rejects many proposed topics, of any documents."""

from shared.documents import suggestions
from shared.documents.topic_models import Decided, Decisions
from shared.faas import Call, endpoint


@endpoint(
    "POST", "/api/ai/suggestions", auth="user", scope="ai:write", body=Decisions, returns=Decided, max_body=suggestions.DECISIONS_BYTES
)
async def decide_suggestions(call: Call[Decisions]) -> Decided:
    return await suggestions.decide_many(call.db, call.body.decisions)
