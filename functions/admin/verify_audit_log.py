"""POST /api/admin/audit/verify: checks the audit log's whole chain, and that the exports fit it."""

from shared.api.models import ResponseModel
from shared.audit import Caller, audit_log
from shared.db import database
from shared.faas import AtOnce, Call, endpoint


class AuditVerification(ResponseModel):
    """`checked` counts the chain's lines; `first_bad` is the first line, place (`after 12`) or export that does not fit."""

    ok: bool
    checked: int
    first_bad: str | None


@endpoint(
    "POST",
    "/api/admin/audit/verify",
    auth="admin",
    returns=AuditVerification,
    at_once=AtOnce(account=1, address=2),
)
async def verify_audit_log(call: Call) -> AuditVerification:
    result = await audit_log.verify(database(), Caller.of(call))
    return AuditVerification(ok=result.ok, checked=result.checked, first_bad=result.first_bad)
