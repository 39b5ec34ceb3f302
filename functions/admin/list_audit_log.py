"""GET /api/admin/audit: what happened, of everyone, newest first."""

from shared.audit import audit_log
from shared.audit.models import AuditQuery, SecurityEvent
from shared.db import database
from shared.faas import Call, Page, endpoint


@endpoint("GET", "/api/admin/audit", auth="admin", query=AuditQuery, returns=Page[SecurityEvent], errors=["invalid_cursor"])
async def list_audit_log(call: Call[None, AuditQuery]) -> Page[SecurityEvent]:
    return await audit_log.list_page(database(), call.query)
