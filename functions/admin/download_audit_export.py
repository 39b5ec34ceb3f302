"""GET /api/admin/audit/exports/{date}: a day's audit lines as JSON Lines; the last line is the signature."""

from shared.audit import Caller, daily_exports
from shared.db import database
from shared.faas import AtOnce, Call, Response, endpoint


@endpoint(
    "GET",
    "/api/admin/audit/exports/{date}",
    auth="admin",
    returns=daily_exports.CONTENT_TYPE,
    errors=["not_found"],
    at_once=AtOnce(account=4, address=16),
)
async def download_audit_export(call: Call) -> Response:
    export, chunks = await daily_exports.open_export(database(), call.path.text("date"), Caller.of(call))
    headers = [
        ("content-length", str(export.size)),
        ("content-disposition", f'attachment; filename="audit-{export.date.isoformat()}.jsonl"'),
        ("cache-control", "private, no-store"),
    ]
    return Response.stream(chunks, daily_exports.CONTENT_TYPE, headers=headers)
