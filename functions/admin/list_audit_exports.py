"""GET /api/admin/audit/exports: the audit log's daily exports, newest first."""

from shared.audit import daily_exports
from shared.audit.models import AuditExport
from shared.db import database
from shared.faas import Call, Page, PageQuery, endpoint


@endpoint("GET", "/api/admin/audit/exports", auth="admin", query=PageQuery, returns=Page[AuditExport], errors=["invalid_cursor"])
async def list_audit_exports(call: Call[None, PageQuery]) -> Page[AuditExport]:
    return await daily_exports.list_page(database(), call.query)
