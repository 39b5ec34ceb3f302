"""POST /api/ai/estimate: what classifying documents would take, before it is done."""

from shared.documents import ai_requests
from shared.documents.ai_models import Estimate, EstimateRequest
from shared.faas import Call, endpoint


@endpoint("POST", "/api/ai/estimate", auth="user", scope="ai:write", body=EstimateRequest, returns=Estimate)
async def estimate_classification(call: Call[EstimateRequest]) -> Estimate:
    return await ai_requests.estimate(call.db, call.body)
