"""GET /api/ai/calls/export: the whole record of the caller's calls to AI providers, newest first, as JSON Lines or CSV."""

from typing import Literal

from shared.assistant import call_log
from shared.faas import AtOnce, Call, RequestModel, Response, endpoint


class ExportQuery(RequestModel):
    format: Literal["jsonl", "csv"] = "jsonl"


@endpoint(
    "GET",
    "/api/ai/calls/export",
    auth="user",
    scope="ai:read",
    query=ExportQuery,
    returns=", ".join(call_log.CONTENT_TYPES.values()),
    at_once=AtOnce(account=2, address=16),
)
async def export_ai_calls(call: Call[None, ExportQuery]) -> Response:
    form = call.query.format
    headers = [("content-disposition", f'attachment; filename="ai-calls.{form}"')]
    return Response.stream(call_log.exported(call.db, form), call_log.CONTENT_TYPES[form], headers=headers)
